//! `guard`: the answer to a client's hook before an edit. **Invariant**: only a refusal blocks; whatever else happens ends
//! with 0, since clients read 2 as a refusal.

use std::io::{IsTerminal as _, Read as _};
use std::time::Duration;

use outcome_core::Result;
use outcome_core::settings::process_env;

use crate::args::{Guard, GuardClient};
use crate::cx::{Cx, Exit};
use crate::guard::{Answer, Question};

/// The longest input that is read.
const MAX_INPUT: u64 = 32 * 1024 * 1024;
/// A person waits: clients give a hook some ten seconds.
const DEADLINE: Duration = Duration::from_secs(4);

/// Runs it.
pub async fn run(cx: &Cx, args: &Guard) -> Result<Exit> {
    if std::io::stdin().is_terminal() {
        cx.out.write_stderr(
            "This command answers a client's hook and reads JSON from stdin. See `outcome-runtime guard --help` for an example.\n",
        );
        return Ok(Exit::OK);
    }
    let mut input = Vec::new();
    let is_read = std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut input).is_ok();
    let is_whole = is_read && input.len() as u64 <= MAX_INPUT;
    let question = Question::read(if is_whole { std::str::from_utf8(&input).unwrap_or_default() } else { "" });
    let project = process_env("CLAUDE_PROJECT_DIR").map(Into::into);
    let answer = if is_whole {
        let answered = tokio::time::timeout(DEADLINE, question.answer(&cx.cwd, project, &cx.overrides)).await;
        answered.unwrap_or_else(|_| Answer::too_late())
    } else {
        Answer::too_large()
    };
    let client = args.client.or(question.client()).unwrap_or(GuardClient::ClaudeCode);
    let reply = answer.reply(client);
    if let Some(value) = &reply.stdout {
        cx.out.json_line(value)?;
    }
    if let Some(text) = &reply.stderr {
        cx.out.write_stderr(&format!("{text}\n"));
    }
    Ok(Exit(reply.exit))
}
