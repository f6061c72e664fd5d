//! Three ways in which models use the tools, from an empty client to a reported build: `docs/agent-behaviours.md` has the calls, the tokens
//! and the wrong turns of each. `UPDATE=1 cargo test -p outcome-tests --test e2e behaviours` writes it anew.
//!
//! The models are scripts. Each one reads an answer as its kind does, and knows nothing that the answers do not say.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use outcome_core::domain::Verdict;
use outcome_tests::lab::{Lab, OUTCOME, commit, git, write};
use outcome_tests::mcp::{MODERN, McpClient, checked};
use outcome_tests::programs::program;
use serde_json::{Map, Value, json};

use crate::tokens::{TOKENIZER, tokens};

const PAGE: &str = "docs/agent-behaviours.md";
/// What each of them may need at most.
const MAX_CALLS: usize = 10;
const MAX_TOKENS: usize = 5_000;

/// A call as the page shows it.
struct Turn {
    tool: String,
    what: &'static str,
    tokens: usize,
    /// The code of the error, for a wrong turn.
    error: Option<String>,
}

/// A model at work.
struct Model {
    lab: Lab,
    client: McpClient,
    turns: Vec<Turn>,
}

impl Model {
    async fn new() -> Result<Self> {
        let lab = Lab::sqlite().await?;
        let client = McpClient::in_lab(&program("outcome-runtime-mcp")?, &lab, MODERN, json!({})).await?;
        Ok(Self { lab, client, turns: Vec::new() })
    }

    /// Calls a tool; an error is an answer like others.
    async fn call(&mut self, what: &'static str, tool: &str, arguments: Value) -> Result<Value> {
        let asked = tokens(&format!("{tool} {arguments}"))?;
        let result = self.client.request("tools/call", json!({ "name": tool, "arguments": arguments })).await?;
        let result = result.map_err(|error| anyhow::anyhow!("{tool}: {error}"))?;
        let answer = checked(tool, &result)?;
        let told = tokens(result["content"][0]["text"].as_str().context("no text")?)?;
        let error = answer.is_error.then(|| answer.value["error"]["code"].as_str().unwrap_or_default().to_owned());
        self.turns.push(Turn { tool: tool.to_owned(), what, tokens: asked + told, error });
        Ok(answer.value)
    }

    /// Calls what an answer proposes first, with what only the model can know in the places that are open.
    async fn follow(&mut self, what: &'static str, before: &Value, known: &[(&str, Value)]) -> Result<Value> {
        let proposed = &before["next_actions"][0];
        let tool = proposed["tool"].as_str().with_context(|| format!("nothing is proposed: {before}"))?.to_owned();
        self.call(what, &tool, filled(&proposed["arguments"], known)).await
    }

    /// The member approves what waits, and the work is done on a branch. The commit.
    async fn approved_and_built(&mut self, experiment: &str) -> Result<String> {
        self.lab.decide(experiment, Verdict::Approve).await?;
        self.built(experiment)
    }

    fn built(&self, experiment: &str) -> Result<String> {
        let root = self.lab.root();
        git(&root, &["checkout", "-q", "-B", experiment, "main"])?;
        write(&root, "game/level.txt", "one\ntwo: moves = if flag(softer-second-level) { 22 } else { 20 }\n")?;
        commit(&root, "Give two more moves on level two behind a flag")
    }

    async fn ended(self, experiment: &str) -> Result<Vec<Turn>> {
        let view = self.lab.runtime.experiments().show(experiment).await?;
        ensure!(view.experiment.state.status.as_str() == "awaiting_launch_gate", "{}", view.experiment.state.status);
        self.client.close().await?;
        Ok(self.turns)
    }
}

/// The arguments with each open place filled in by its key.
fn filled(arguments: &Value, known: &[(&str, Value)]) -> Value {
    let is_open = |value: &Value| value.to_string().starts_with("\"<") || value.to_string().starts_with("[\"<");
    match arguments {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| {
                    let mine = known.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
                    (
                        key.clone(),
                        if is_open(value) { mine.unwrap_or_else(|| value.clone()) } else { filled(value, known) },
                    )
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => items.iter().map(|item| filled(item, known)).collect(),
        other => other.clone(),
    }
}

/// What each of them thought of.
fn idea() -> [(&'static str, Value); 6] {
    [
        ("title", json!("Softer second level")),
        ("statement", json!("If level two is softer, more players come back the next day")),
        ("mechanism", json!("Players who fail level two three times in a row leave for good")),
        ("intervention_description", json!("Give two more moves on level two")),
        ("touched_paths", json!(["game/level.txt"])),
        ("flag_key", json!("softer-second-level")),
    ]
}

fn report(head: &str) -> [(&'static str, Value); 3] {
    [
        ("implementation_summary", json!("Two more moves on level two, behind the flag")),
        ("files_changed", json!(["game/level.txt"])),
        ("head", json!(head)),
    ]
}

const EXPERIMENT: &str = "softer-second-level";

/// Fills optional arguments with nothing, spells names as it likes, adds arguments of its client, forgets a text and writes points where
/// a share is asked for. It reads errors.
async fn sloppy() -> Result<Vec<Turn>> {
    let mut model = Model::new().await?;
    let start = json!({ "outcome_id": "", "limit": "null", "task_progress": "- [ ] look around" });
    model.call("looks around, with empty and foreign arguments", "get_active_outcomes", start).await?;
    let order = json!({ "outcomeId": OUTCOME, "random_string": "x" });
    let order = model.call("asks what is wanted", "get_work_order", order).await?;
    let mut proposed = filled(&order["next_actions"][0]["arguments"], &idea());
    let candidate = &mut proposed["hypotheses"][0];
    candidate["mechanism"] = json!("");
    candidate["expected_improvement"] = json!("2");
    let refused = model.call("forgets a text, and writes 2 points as 2", "submit_hypotheses", proposed.clone()).await?;
    // Everything that is wrong is there at once.
    let named = refused["error"]["rejected"].to_string();
    ensure!(named.contains("mechanism"), "{refused}");
    proposed["hypotheses"][0]["mechanism"] = idea()[2].1.clone();
    let mut submitted = model.call("adds the text", "submit_hypotheses", proposed.clone()).await?;
    if submitted.get("error").is_some() {
        proposed["hypotheses"][0]["expected_improvement"] = json!(0.02);
        submitted = model.call("writes the share", "submit_hypotheses", proposed).await?;
    }
    model.follow("asks whether somebody has decided", &submitted, &[]).await?;
    let head = model.approved_and_built(EXPERIMENT).await?;
    model.call("reads the brief", "get_experiment_brief", json!({ "slug": EXPERIMENT, "detail": "" })).await?;
    let report = json!({
        "experimentId": EXPERIMENT, "summary": "Two more moves on level two", "files": "[\"game/level.txt\"]", "branch": head,
        "agent_notes": "", "sessionId": "7",
    });
    model.call("reports, with names of its own", "report_experiment_built", report).await?;
    model.ended(EXPERIMENT).await
}

/// Proposes before it has read what is wanted, asks for the brief before anybody has approved, and reports before it has built.
async fn eager() -> Result<Vec<Turn>> {
    let mut model = Model::new().await?;
    model.call("looks around", "get_active_outcomes", json!({})).await?;
    let idea: Map<String, Value> = idea().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let first = json!({ "outcome_id": OUTCOME, "hypotheses": [idea] });
    let refused = model.call("proposes what it has in mind, without numbers", "submit_hypotheses", first).await?;
    let submitted = model.follow("takes the numbers of the answer", &refused, &[]).await?;
    ensure!(submitted["proposed"] == json!([EXPERIMENT]), "{submitted}");
    let early = model
        .call("asks for the brief at once", "get_experiment_brief", json!({ "experiment_id": EXPERIMENT }))
        .await?;
    model.follow("looks at the gate that the answer names", &early, &[]).await?;
    model.lab.decide(EXPERIMENT, Verdict::Approve).await?;
    let brief = model.call("reads the brief", "get_experiment_brief", json!({ "experiment_id": EXPERIMENT })).await?;
    let main = git(&model.lab.root(), &["rev-parse", "main"])?;
    model.follow("reports before it has built", &brief, &report(main.trim())).await?;
    let head = model.built(EXPERIMENT)?;
    model.follow("reports what it has built", &brief, &report(&head)).await?;
    model.ended(EXPERIMENT).await
}

/// Knows the last answer and nothing before it: it does what that proposes first.
async fn small_context() -> Result<Vec<Turn>> {
    let mut model = Model::new().await?;
    let start = model.call("looks around", "get_active_outcomes", json!({})).await?;
    let order = model.follow("asks what is wanted", &start, &[]).await?;
    let submitted = model.follow("proposes", &order, &idea()).await?;
    let waiting = model.follow("asks whether somebody has decided", &submitted, &[]).await?;
    ensure!(waiting["is_pending"] == true, "{waiting}");
    let head = model.approved_and_built(EXPERIMENT).await?;
    let decided = model.follow("asks again", &submitted, &[]).await?;
    let brief = model.follow("reads the brief", &decided, &[]).await?;
    model.follow("reports", &brief, &report(&head)).await?;
    model.ended(EXPERIMENT).await
}

fn page(models: &[(&str, &str, Vec<Turn>)]) -> String {
    let mut out = format!(
        "# How models of different habits use the tools\n\n\
         Generated by `UPDATE=1 cargo test -p outcome-tests --test e2e behaviours`, which plays three scripted models against the built\n\
         server over standard input and output, from an empty client to a reported build; do not edit. A wrong turn is a call that was\n\
         answered with an error. Tokens are those of the calls and their answers, counted with {TOKENIZER}; the instructions and the\n\
         list of tools come before them ([a whole session](mcp-transcript.md)). The goal is at most {MAX_CALLS} calls and {MAX_TOKENS}\n\
         tokens, which the test asserts.\n\n| model | calls | tokens | wrong turns |\n|---|---|---|---|\n"
    );
    for (name, _, turns) in models {
        let n_tokens: usize = turns.iter().map(|turn| turn.tokens).sum();
        let n_wrong = turns.iter().filter(|turn| turn.error.is_some()).count();
        let _ = writeln!(out, "| {name} | {} | {} | {n_wrong} |", turns.len(), n_tokens.div_ceil(500) * 500);
    }
    out.push_str("\nTokens are rounded up to the next five hundred: ids differ from run to run.\n");
    for (name, habits, turns) in models {
        let _ = write!(out, "\n## {name}\n\n{habits}\n\n| call | what it does | answer |\n|---|---|---|\n");
        for turn in turns {
            let answer = turn.error.as_ref().map_or_else(|| "done".to_owned(), |code| format!("`{code}`"));
            let _ = writeln!(out, "| `{}` | {} | {answer} |", turn.tool, turn.what);
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_three_habits_come_to_a_reported_build() -> Result<()> {
    let models = [
        (
            "Sloppy",
            "Fills optional arguments with nothing, spells names as it likes, adds arguments of its client, forgets a text and writes \
             points where a share is asked for. It reads errors.",
            sloppy().await?,
        ),
        (
            "Eager",
            "Proposes before it has read what is wanted, asks for the brief before anybody has approved, and reports before it has built.",
            eager().await?,
        ),
        (
            "Small context",
            "Knows the last answer and nothing before it: it does what that proposes first, with its own words in the open places.",
            small_context().await?,
        ),
    ];
    for (name, _, turns) in &models {
        let n_tokens: usize = turns.iter().map(|turn| turn.tokens).sum();
        ensure!(turns.len() <= MAX_CALLS && n_tokens <= MAX_TOKENS, "{name}: {} calls, {n_tokens} tokens", turns.len());
    }
    ensure!(models[2].2.iter().all(|turn| turn.error.is_none()), "whoever does what is proposed makes no wrong turn");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let written = page(&models);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &written)?;
    }
    ensure!(std::fs::read_to_string(&path)? == written, "{PAGE} differs: run it with UPDATE=1");
    Ok(())
}
