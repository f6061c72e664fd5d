//! The official conformance suite against the daemon's `/mcp`, which has the same handler as the server on standard input.
//!
//! Every scenario of the suite stands in the table below: either it must pass, or the reason why it says nothing about this
//! server. `docs/mcp-conformance.md` is that table; `UPDATE=1` rewrites it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use outcome_runtimed::App;
use outcome_runtimed::auth::site::Site;
use outcome_runtimed::router;
use outcome_tests::lab::Lab;
use outcome_tests::peers::{node24, npm};
use secrecy::ExposeSecret as _;

/// The suite asks for tools, prompts and resources of its own (`test_...`), which only a made-up server has.
const FIXTURE: &str = "needs tools, prompts or resources that are made for the suite";
const SAMPLING: &str = "sampling, roots and logging are deprecated, and not offered";
const SESSION: &str = "there are no sessions over HTTP: every request is independent";
const SUBSCRIBE: &str = "subscribes to a resource of the suite; over HTTP notices come through `subscriptions/listen`";
const HEADERS: &str = "no tool takes arguments in headers";
const TASKS: &str = "tasks are not offered: gates take days and have their own tools";

#[derive(Clone, Copy)]
enum Expected {
    /// Must pass.
    Pass,
    /// Must pass but for these checks, which say nothing about this server, because.
    But(&'static [&'static str], &'static str),
    /// Must pass at 2026-07-28; says nothing at 2025-11-25, because.
    Modern(&'static str),
    /// Says nothing about this server, because.
    No(&'static str),
}
use Expected::{But, Modern, No, Pass};

/// They look at what a tool of the suite does.
const UNDECLARED: &[&str] = &[
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
];

#[rustfmt::skip]
const SCENARIOS: &[(&str, Expected)] = &[
    ("server-initialize", Pass),
    ("server-session-lifecycle", No(SESSION)),
    ("server-stateless", But(UNDECLARED, FIXTURE)),
    ("logging-set-level", No(SAMPLING)),
    ("ping", Pass),
    ("completion-complete", Pass),
    ("tools-list", Pass),
    ("tools-call-simple-text", No(FIXTURE)),
    ("tools-call-image", No(FIXTURE)),
    ("tools-call-audio", No(FIXTURE)),
    ("tools-call-embedded-resource", No(FIXTURE)),
    ("tools-call-mixed-content", No(FIXTURE)),
    ("tools-call-with-logging", No(SAMPLING)),
    ("tools-call-error", No(FIXTURE)),
    ("tools-call-with-progress", No(FIXTURE)),
    ("tools-call-sampling", No(SAMPLING)),
    ("tools-call-elicitation", No(FIXTURE)),
    ("json-schema-2020-12", No(FIXTURE)),
    ("elicitation-sep1034-defaults", No(FIXTURE)),
    ("server-sse-polling", No(SESSION)),
    ("server-sse-multiple-streams", Modern(SESSION)),
    ("elicitation-sep1330-enums", No(FIXTURE)),
    ("resources-list", Pass),
    ("resources-read-text", No(FIXTURE)),
    ("resources-read-binary", No(FIXTURE)),
    ("resources-templates-read", No(FIXTURE)),
    ("resources-subscribe", No(SUBSCRIBE)),
    ("resources-unsubscribe", No(SUBSCRIBE)),
    ("sep-2164-resource-not-found", Pass),
    ("prompts-list", Pass),
    ("prompts-get-simple", No(FIXTURE)),
    ("prompts-get-with-args", No(FIXTURE)),
    ("prompts-get-embedded-resource", No(FIXTURE)),
    ("prompts-get-with-image", No(FIXTURE)),
    ("dns-rebinding-protection", Pass),
    ("caching", Pass),
    ("http-header-validation", Pass),
    ("http-custom-header-server-validation", No(HEADERS)),
    ("input-required-result-basic-elicitation", No(FIXTURE)),
    ("input-required-result-basic-sampling", No(SAMPLING)),
    ("input-required-result-basic-list-roots", No(SAMPLING)),
    ("input-required-result-request-state", No(FIXTURE)),
    ("input-required-result-multiple-input-requests", No(FIXTURE)),
    ("input-required-result-multi-round", No(FIXTURE)),
    ("input-required-result-missing-input-response", Pass),
    ("input-required-result-non-tool-request", No(FIXTURE)),
    ("input-required-result-result-type", No(FIXTURE)),
    ("input-required-result-unsupported-methods", Pass),
    ("input-required-result-tampered-state", No(FIXTURE)),
    ("input-required-result-capability-check", No(FIXTURE)),
    ("input-required-result-ignore-extra-params", Pass),
    ("input-required-result-validate-input", Pass),
    ("sep-2640-skills-directory", Pass),
    ("sep-2640-skills-enumeration", Pass),
    ("sep-2640-skills-manifest", Pass),
    ("tasks-lifecycle", No(TASKS)),
    ("tasks-capability-negotiation", No(TASKS)),
    ("tasks-wire-fields", No(TASKS)),
    ("tasks-request-state-removal", No(TASKS)),
    ("tasks-mrtr-input", No(TASKS)),
    ("tasks-request-headers", No(TASKS)),
    ("tasks-dispatch-and-envelope", No(TASKS)),
    ("tasks-status-notifications", No(TASKS)),
    ("tasks-required-task-error", No(TASKS)),
    ("tasks-mrtr-composition", No(TASKS)),
];

/// The daemon's own router; the suite can send no token, so a layer in front of it does.
async fn serve(lab: &Lab) -> Result<String> {
    let human = outcome_tests::lab::local();
    let token = lab.runtime.sessions().agent_token_create("conformance", &human).await?;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let site = Site::new(&format!("http://{address}"), &[])?;
    let app = App::new(lab.runtime.clone(), site, Duration::from_hours(1), Vec::new());
    let router = router::build(&app).layer(from_fn(move |mut request: Request, next: Next| {
        request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        next.run(request)
    }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/mcp"))
}

struct Suite {
    home: PathBuf,
}

impl Suite {
    fn command(&self) -> Result<Command> {
        node24(&self.home, "conformance")
    }

    /// Names of its scenarios, with the revisions that they are for.
    fn scenarios(&self) -> Result<Vec<(String, Vec<String>)>> {
        let listed = self.command()?.args(["list", "--server"]).output()?;
        let text = String::from_utf8(listed.stdout)?;
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split_once(" ["));
        let of = |(name, revisions): (&str, &str)| {
            let revisions = revisions.trim_end_matches(']').split(',');
            (name.to_owned(), revisions.map(str::to_owned).collect())
        };
        Ok(lines.map(of).collect())
    }

    /// Runs a scenario at a revision: the checks that failed, and everything it said. No check at all is a failure too.
    fn run(&self, url: &str, name: &str, revision: &str) -> Result<(BTreeSet<String>, String)> {
        let mut command = self.command()?;
        command.args(["server", "--url", url, "--scenario", name, "--spec-version", revision]);
        let done = command.output()?;
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let mut failed: BTreeSet<String> = text.lines().filter_map(failed_check).collect();
        ensure!(done.status.success() || !failed.is_empty(), "{name} ended with {}: {text}", done.status);
        if failed.is_empty() && !text.contains("SUCCESS") {
            failed.insert("nothing was checked".to_owned());
        }
        Ok((failed, text))
    }
}

/// The check that a line of the suite's coloured report calls failed: `TIME [CHECK ] FAILURE ...`.
fn failed_check(line: &str) -> Option<String> {
    let mut plain = String::new();
    let mut parts = line.split('\u{1b}');
    plain.push_str(parts.next()?);
    plain.extend(parts.filter_map(|part| part.split_once('m')).map(|(_, text)| text));
    let (_, rest) = plain.split_once('[')?;
    let (check, rest) = rest.split_once(']')?;
    rest.trim_start().starts_with("FAILURE").then(|| check.trim().to_owned())
}

const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_that_applies_passes() -> Result<()> {
    let Some(home) = npm("node24")? else { return Ok(()) };
    let suite = Suite { home };
    let lab = Lab::sqlite().await?;
    let url = serve(&lab).await?;
    let mut problems = Vec::new();
    let mut rows = String::new();
    let all = suite.scenarios()?;
    ensure!(all.len() == SCENARIOS.len(), "the suite has {} scenarios, the table {}", all.len(), SCENARIOS.len());
    for (name, revisions) in all {
        let known = SCENARIOS.iter().find(|(known, _)| *known == name);
        let (_, expected) = known.with_context(|| format!("the scenario {name} is new"))?;
        let shown = match expected {
            Pass => "passes".to_owned(),
            But(checks, reason) => format!("passes, but for {} of its checks: {reason}", checks.len()),
            Modern(reason) => format!("passes at 2026-07-28; before it {reason}"),
            No(reason) => format!("does not apply: {reason}"),
        };
        rows.push_str(&format!("| `{name}` | {} | {shown} |\n", revisions.join(", ")));
        for revision in REVISIONS.into_iter().filter(|revision| revisions.iter().any(|known| known == revision)) {
            let (failed, text) = suite.run(&url, &name, revision)?;
            let is_as_expected = match expected {
                Pass => failed.is_empty(),
                Modern(_) if revision == "2026-07-28" => failed.is_empty(),
                But(checks, _) => failed.iter().eq(checks.iter().collect::<BTreeSet<_>>()),
                // What was said must be well-formed even there.
                No(_) | Modern(_) => !failed.is_empty() && !failed.contains("wire-schema-valid"),
            };
            if !is_as_expected {
                problems.push(format!("{name} at {revision} failed {failed:?}:\n{text}"));
            }
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    check_page(&rows)
}

fn check_page(rows: &str) -> Result<()> {
    let page = format!(
        "# Conformance\n\nThe official suite (`@modelcontextprotocol/conformance` 0.2.0-alpha.12) against the daemon's `/mcp`, \
         which has the same handler as\n`outcome-runtime-mcp`. CI runs every scenario at 2025-11-25 and 2026-07-28; in those that \
         do not apply, every message must still\nbe valid by the protocol's schema. Made by `UPDATE=1 cargo test -p outcome-tests \
         --test e2e -- conformance`.\n\n| scenario | revisions | result |\n|---|---|---|\n{rows}"
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mcp-conformance.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page)?;
    }
    ensure!(std::fs::read_to_string(&path)? == page, "docs/mcp-conformance.md is old: run with UPDATE=1");
    Ok(())
}
