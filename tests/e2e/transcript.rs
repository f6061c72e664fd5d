//! An agent that has never seen the server goes from `get_active_outcomes` to a reported build: the transcript in
//! `docs/mcp-transcript.md`, with the tokens of each step. `UPDATE=1 cargo test -p outcome-tests --test e2e transcript` writes
//! it anew.
//!
//! The agent is as simple as can be: it calls what the answer before proposes, and fills in what only it can know.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, commit, git, write};
use outcome_tests::mcp::{MODERN, McpClient, checked};
use outcome_tests::programs::program;
use serde_json::{Value, json};

use crate::tokens::{TOKENIZER, tokens};

const PAGE: &str = "docs/mcp-transcript.md";

/// What differs from run to run, and what the page shows and counts instead.
const STAND_INS: [(&str, &str); 3] = [
    ("workspace", "puzzle-game"),
    ("base", "4f1c8a9be27d60535c1e9a7b0d2f46e8c3a5917b"),
    ("head", "b83e05d7c96a1f42e8d07b35a9c1640f2e7d98a1"),
];

/// A step of the transcript.
struct Step {
    title: String,
    request: usize,
    answer: usize,
}

struct Transcript {
    client: McpClient,
    replaced: Vec<(String, &'static str)>,
    steps: Vec<Step>,
    text: String,
}

impl Transcript {
    /// Text as it is shown and counted.
    fn settled(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// From now on `name` of [`STAND_INS`] stands for this value.
    fn stand_in(&mut self, name: &str, value: &str) -> Result<()> {
        let (_, shown) = STAND_INS.into_iter().find(|(known, _)| *known == name).context("no such stand-in")?;
        self.replaced.push((value.to_owned(), shown));
        Ok(())
    }

    fn say(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n{text}");
    }

    /// Calls a tool and writes both down.
    async fn call(&mut self, title: &str, tool: &str, arguments: Value) -> Result<Value> {
        let result = self.client.request("tools/call", json!({ "name": tool, "arguments": arguments })).await?;
        let result = result.map_err(|error| anyhow::anyhow!("{tool}: {error}"))?;
        let answer = checked(tool, &result)?;
        ensure!(!answer.is_error, "{tool} failed: {}", answer.value);
        if tool == "get_active_outcomes" {
            self.stand_in("workspace", answer.value["workspace"].as_str().context("no workspace")?)?;
        }
        let asked = self.settled(&format!("{tool} {arguments}"));
        let told = self.settled(result["content"][0]["text"].as_str().context("no text")?);
        let (request, answer_tokens) = (tokens(&asked)?, tokens(&told)?);
        let number = self.steps.len() + 1;
        let shown: Value = serde_json::from_str(&told)?;
        let _ = write!(
            self.text,
            "\n## {number}. {title}\n\n```\n{asked}\n```\n\n{request} tokens. The answer, {answer_tokens} tokens:\n\n```json\n{shown:#}\n```\n"
        );
        self.steps.push(Step { title: format!("{title} (`{tool}`)"), request, answer: answer_tokens });
        Ok(answer.value)
    }

    /// Calls what the answer before proposes first, with these arguments filled in.
    async fn follow(&mut self, title: &str, before: &Value, tool: &str, filled_in: Value) -> Result<Value> {
        let proposed = &before["next_actions"][0];
        ensure!(proposed["tool"] == tool, "{tool} is not what is proposed: {before}");
        let mut arguments = proposed["arguments"].clone();
        for (key, value) in filled_in.as_object().context("no object")? {
            arguments[key] = value.clone();
        }
        ensure!(!arguments.to_string().contains('<'), "not filled in: {arguments}");
        self.call(title, tool, arguments).await
    }
}

/// What the agent thought of after it had read the code.
fn candidate() -> Value {
    json!({
        "title": "Softer second level",
        "statement": "If level two is softer, more players come back the next day",
        "mechanism": "Players who fail level two three times in a row leave for good",
        "expected_improvement": 0.02,
        "confidence": 0.5,
        "intervention_description": "Give two more moves on level two",
        "touched_paths": ["game/level.txt"],
        "flag_key": "softer-second-level",
        "duration_days": 28,
        "min_sample_size": 2000,
        "success_threshold": 0.0,
        "kill_threshold": -0.01,
        "minimum_detectable_effect": 0.02,
        "initial_pct": 50,
        "effort_hours": 2,
        "risk": "low",
    })
}

async fn written() -> Result<String> {
    let lab = Lab::sqlite().await?;
    let root = lab.root();
    let server = program("outcome-runtime-mcp")?;
    let client = McpClient::in_lab(&server, &lab, MODERN, json!({})).await?;
    let mut told = Transcript { client, replaced: Vec::new(), steps: Vec::new(), text: String::new() };
    told.stand_in("base", &git(&root, &["rev-parse", "main"])?)?;

    let discovered = told.client.request("server/discover", json!({})).await?.map_err(|e| anyhow::anyhow!("{e}"))?;
    let listed = told.client.request("tools/list", json!({})).await?.map_err(|e| anyhow::anyhow!("{e}"))?;
    let instructions = tokens(discovered["instructions"].as_str().context("no instructions")?)?;
    let tools = tokens(&listed["tools"].to_string())?;

    told.say(
        "The person says: *See what there is to do in this repository, and do it.* The agent knows the server's instructions\n\
         and the names of its tools. The instructions say where to begin.",
    );
    let start = told.call("Where does everything stand?", "get_active_outcomes", json!({})).await?;
    let order = told.follow("What is wanted?", &start, "get_work_order", json!({})).await?;
    told.say("The agent reads the code that `scope` allows, and asks whether the idea was tried before.");
    told.call("What is known?", "query_learnings", json!({ "query": "level difficulty" })).await?;
    let filled_in = json!({ "hypotheses": [candidate()] });
    let submitted = told.follow("A proposal", &order, "submit_hypotheses", filled_in).await?;
    told.say("The agent shows `review_url` to the person, and asks again later.");
    let waiting = told.follow("Has somebody decided?", &submitted, "get_gate", json!({})).await?;
    ensure!(waiting["is_pending"] == true, "{waiting}");

    let (experiment, gate) = (text(&submitted, "/proposed/0")?, text(&submitted, "/gates/0/gate")?);
    lab.decide(&experiment, Verdict::Approve).await?;
    told.say(&format!(
        "The person reads the page and signs the decision with the passphrase, there or in a terminal:\n\n\
         ```sh\noutcome-runtime gate decide {gate} --verdict approve\n```"
    ));
    let decided = told.call("And now?", "get_gate", json!({ "gate_id": gate })).await?;
    let brief = told.follow("What to build?", &decided, "get_experiment_brief", json!({})).await?;

    git(&root, &["checkout", "-q", "-b", &experiment, &text(&brief, "/base_commit")?])?;
    write(&root, "game/level.txt", "one\ntwo: moves = if flag(softer-second-level) { 22 } else { 20 }\n")?;
    let head = commit(&root, "Give two more moves on level two behind a flag")?;
    told.stand_in("head", &head)?;
    told.say(&format!(
        "The agent builds, on a branch from `base_commit`, behind the flag, inside of the scope:\n\n```sh\n\
         git checkout -b {experiment} {}\n$EDITOR game/level.txt\n\
         git commit -am \"Give two more moves on level two behind a flag\"\n```",
        told.settled(&text(&brief, "/base_commit")?)
    ));
    let report = json!({
        "implementation_summary": "Two more moves on level two, behind the flag; nothing else changes.",
        "files_changed": ["game/level.txt"],
        "head": head,
    });
    let built = told.follow("Built", &brief, "report_experiment_built", report).await?;
    ensure!(built["status"] == "awaiting_launch_gate", "{built}");
    told.say(
        "The server has recomputed the difference from git and found it inside of the scope. The agent shows the page of the\n\
         launch gate to the person and is done: whether the change goes to players is not its decision.",
    );
    told.client.close().await?;
    Ok(page(instructions, tools, &told.steps, &told.text))
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    Ok(value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no {pointer} in {value}"))?.to_owned())
}

fn page(instructions: usize, tools: usize, steps: &[Step], text: &str) -> String {
    let mut out = format!(
        "# A whole session of an agent\n\n\
         Generated by `UPDATE=1 cargo test -p outcome-tests --test e2e transcript`, which plays it against the built server\n\
         over standard input and output, in a scratch repository; do not edit. The agent has never seen the server. But for\n\
         `query_learnings`, which the instructions name, and the second `get_gate`, each of its calls is the one that\n\
         `next_actions` of an answer proposes, with what only the agent can know filled in; the test fails where that is not\n\
         enough.\n\n\
         Tokens are counted with {TOKENIZER}. Claude's own tokenizer is not public; its counts differ. A\n\
         request is counted as the tool's name and its arguments, an answer as its text. Ids of commits and the name of the\n\
         workspace are stand-ins.\n\n| step | request | answer |\n|---|---|---|\n\
         | before the first step: the server's instructions | | {instructions} |\n\
         | before the first step: the whole `tools/list` (clients that defer tools load less) | | {tools} |\n"
    );
    for (number, step) in steps.iter().enumerate() {
        let _ = writeln!(out, "| {}. {} | {} | {} |", number + 1, step.title, step.request, step.answer);
    }
    let (asked, answered) =
        (steps.iter().map(|s| s.request).sum::<usize>(), steps.iter().map(|s| s.answer).sum::<usize>());
    let _ = writeln!(out, "| all steps | {asked} | {answered} |");
    let _ = writeln!(out, "| **everything** | | **{}** |", instructions + tools + asked + answered);
    out + text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transcript_is_what_happens() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let now = written().await?;
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &now)?;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    ensure!(known == now, "{PAGE} differs from what happens; look at the difference, then run with UPDATE=1\n{now}");
    Ok(())
}
