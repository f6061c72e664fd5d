//! `migrate`: brings the runtime's own database up to the schema of this program, and has a member sign what lay in it.

use outcome_core::Result;
use outcome_core::usecases::{Migrated, VouchedLog, Workspaces};
use serde::Serialize;

use super::audit::{unvouched, vouched};
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    migrated: Migrated,
    /// What a member signed at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    vouched: Option<VouchedLog>,
}

/// Runs it.
pub async fn run(cx: &Cx, unlock: &args::Unlock) -> Result<Exit> {
    let mut done = Done { migrated: Workspaces::migrate(cx.settings()?).await?, vouched: None };
    // The schema stands by now: whoever does not sign has migrated all the same, and is told what is left.
    if let Some(line) = done.migrated.unvouched_until
        && (unlock.passphrase_fd.is_some() || wants_to_sign(cx, line)?)
    {
        let unlock = cx.terminal.unlock(unlock, "sign what the older program wrote")?;
        done.vouched = Some(cx.open().await?.audit_log().vouch(None, &unlock).await?);
        done.migrated.unvouched_until = None;
    }
    cx.out.result(&done, |page| show(page, &done))?;
    Ok(Exit::OK)
}

fn wants_to_sign(cx: &Cx, line: i64) -> Result<bool> {
    if !cx.terminal.may_ask() || cx.terminal.must_be_own("sign").is_err() {
        return Ok(false);
    }
    let question = format!("Nobody signed the {line} lines that an older program wrote. Sign them as they are now?");
    cx.terminal.confirm(&question, "--passphrase-fd")
}

fn show(page: &mut Page, done: &Done) {
    let migrated = &done.migrated;
    let database = safe(&migrated.database);
    if migrated.is_changed {
        let word = page.green("Migrated");
        page.line(&format!("{word}: {database} has the schema of this version"));
    } else {
        page.line(&format!("Nothing to do: {database} has the schema of this version already."));
    }
    if migrated.is_file_adopted {
        page.line("outcome.yaml counts as applied, as it did before. Nobody signed it yet:");
        page.hint("from now on a change of it needs `outcome-runtime apply`, and mostly your signature");
    }
    if let Some(problem) = &migrated.problem {
        let text = page.yellow(&format!("outcome.yaml does not count yet: {}", safe(problem)));
        page.line(&text);
        page.hint("correct it, then run `outcome-runtime apply`");
    }
    if let Some(done) = &done.vouched {
        page.line(&vouched(page, done));
    }
    if let Some(line) = migrated.unvouched_until {
        page.item(&unvouched(line));
    }
}
