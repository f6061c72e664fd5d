//! `connectors`: the sources that the outcome file declares.

use outcome_core::usecases::{
    CheckState, Conformance, ConnectorProblem, ConnectorReport, QueryReport, QueryState, ReaderRole,
};
use outcome_core::{Code, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Connectors) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Connectors::List => {
            let names = runtime.signals().connector_names_declared().await?;
            cx.out.result(&names, |page| {
                for name in &names {
                    page.line(&safe(name));
                }
                page.hint("`outcome-runtime connectors test NAME` tests one");
            })?;
            Ok(Exit::OK)
        }
        args::Connectors::Test { name, plans, unlock } => {
            let given = match unlock.passphrase_fd {
                Some(_) => Some(cx.terminal.unlock(unlock, "test")?),
                None => None,
            };
            let found = match runtime.signals().connector_test(name, given.as_ref()).await {
                Err(error) if error.code() == Code::PassphraseNeeded && cx.terminal.may_ask() => {
                    cx.out.show(|page| page.line(&safe(error.message())))?;
                    let asked = cx.terminal.unlock(unlock, "send them there")?;
                    runtime.signals().connector_test(name, Some(&asked)).await?
                }
                found => found?,
            };
            cx.out.result(&found, |page| show(page, &found, *plans))?;
            let refused = found.refused().and_then(|query| query.problem.as_ref());
            let kinds =
                [found.problem.as_ref().map(|problem| problem.kind), found.overpowered().map(|error| error.code())];
            let kind = kinds.into_iter().flatten().next().or(refused.map(|problem| problem.kind));
            Ok(kind.map_or(Exit::OK, Exit::of))
        }
        args::Connectors::Conformance { name, flag, unlock } => {
            let flag = flag.as_deref();
            let given = match unlock.passphrase_fd {
                Some(_) => Some(cx.terminal.unlock(unlock, "test")?),
                None => None,
            };
            let found = match runtime.signals().connector_conformance(name, flag, given.as_ref()).await {
                Err(error) if error.code() == Code::PassphraseNeeded && cx.terminal.may_ask() => {
                    cx.out.show(|page| page.line(&safe(error.message())))?;
                    let asked = cx.terminal.unlock(unlock, "send them there")?;
                    runtime.signals().connector_conformance(name, flag, Some(&asked)).await?
                }
                found => found?,
            };
            cx.out.result(&found, |page| show_conformance(page, &found))?;
            Ok(if found.n_failed == 0 { Exit::OK } else { Exit::of(Code::SignalShape) })
        }
        args::Connectors::Role { name } => {
            let role = runtime.signals().connector_role(name).await?;
            cx.out.result(&role, |page| show_role(page, &role))?;
            Ok(Exit::OK)
        }
    }
}

fn show_conformance(page: &mut Page, found: &Conformance) {
    let mut of = None;
    for check in &found.checks {
        if check.signal != of {
            of.clone_from(&check.signal);
            page.head(&format!("Signal `{}`", safe(check.signal.as_deref().unwrap_or_default())));
        }
        let state = match check.state {
            CheckState::Passed => page.green("passed"),
            CheckState::Failed => page.red("failed"),
            CheckState::Skipped => page.yellow("skipped"),
        };
        page.prose(4, &format!("  {state}  {}: {}", check.check, safe(&check.what)));
        if let Some(hint) = &check.hint {
            page.hint(&format!("    {}", safe(hint)));
        }
    }
    page.line(&format!(
        "`{}`: {} passed, {} failed, {} skipped",
        safe(&found.connector),
        found.n_passed,
        found.n_failed,
        found.n_skipped
    ));
}

fn show_role(page: &mut Page, role: &ReaderRole) {
    match &role.statements {
        Some(lines) => lines.iter().for_each(|line| page.line(&safe(line))),
        None => page.prose(
            0,
            &format!(
                "`{}` has no users of its own: a file is opened read-only, and a source that pushes is not asked",
                safe(&role.connector)
            ),
        ),
    }
}

fn show(page: &mut Page, found: &ConnectorReport, has_plans: bool) {
    match (&found.source, &found.problem) {
        (Some(source), _) => {
            page.line(&format!("{} `{}` answers", page.green("ok:"), safe(&source.source)));
            page.field("server", &source.server);
            page.field("latency", &format!("{} ms", source.latency_ms));
            let writes = if source.is_read_only {
                "refused, which is correct"
            } else {
                "not refused: use a user or a key that can only read"
            };
            page.field("writes", writes);
            for risk in &source.risks {
                let mark = if risk.is_refused() { page.red("refused") } else { page.yellow("warning") };
                page.prose(4, &format!("  {mark}  {}", safe(&risk.what)));
            }
            for note in &source.notes {
                page.item(note);
            }
            if !source.risks.is_empty() {
                page.hint(&format!(
                    "`outcome-runtime connectors role {}` prints a user that can only read what the queries read",
                    safe(&source.source)
                ));
            }
        }
        (None, Some(problem)) => {
            page.prose(
                2,
                &format!("{} `{}`: {}", page.red("problem:"), safe(&found.connector), safe(&problem.message)),
            );
            hint(page, problem);
        }
        (None, None) => {}
    }
    if found.queries.is_empty() {
        return;
    }
    page.head("Queries, each on an empty window");
    for query in &found.queries {
        show_query(page, query, has_plans, found.problem.is_some());
    }
    if !has_plans && found.queries.iter().any(|query| query.plan.is_some()) {
        page.hint("`--plans` shows how the database would answer each query about the last 28 days");
    }
}

/// `is_said`: the problem of all queries is said above.
fn show_query(page: &mut Page, query: &QueryReport, has_plans: bool, is_said: bool) {
    let state = match query.state {
        QueryState::Ok => page.green("ok"),
        QueryState::Refused => page.red("refused"),
        QueryState::Unchecked => page.yellow("unchecked"),
    };
    let time = query.seconds.map(|seconds| format!("{:.0} ms", (seconds * 1000.0).ceil()));
    let facts: Vec<_> = time.into_iter().chain(query.index.clone()).map(|fact| safe(&fact)).collect();
    page.prose(
        4,
        &format!(
            "  {state}  {} · {} · {} `{}`   {}",
            safe(&query.outcome),
            query.role,
            query.query,
            safe(&query.signal),
            facts.join(" · ")
        ),
    );
    if let Some(problem) = query.problem.as_ref().filter(|_| !is_said) {
        page.prose(4, &format!("    {}", safe(&problem.message)));
        hint(page, problem);
    }
    if let Some(plan) = query.plan.as_ref().filter(|_| has_plans) {
        for line in &plan.lines {
            page.line(&page.dim(&format!("    {}", safe(line))));
        }
    }
}

fn hint(page: &mut Page, problem: &ConnectorProblem) {
    if let Some(hint) = &problem.hint {
        page.hint(&format!("    {}", safe(hint)));
    }
}
