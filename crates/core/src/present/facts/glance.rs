//! A gate on one screen: what must not be overlooked, a few facts, and what is signed. Everything else is a step away.

use super::super::answer::Answer;
use super::super::section::{Row, Section};
use super::super::time::instant;
use super::super::words::{plain, short};
use super::plan::bound;
use super::sections;
use super::values::{scale, text};
use crate::domain::{
    ContextPackage, DryRunFacts, DryRunSummary, Facts, GateType, HypothesisFacts, Nullable, PlanFacts, Stored,
};
use crate::stats::figures::{count, number, significant};

/// Entries of a list before "and more".
const LISTED: usize = 3;
/// Characters of somebody's words.
const QUOTED: usize = 200;
/// Characters of a value of the outcome file.
const CHANGED: usize = 60;

/// A gate on one screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Glance {
    /// Sentences that must not be overlooked: all of them.
    pub doubts: Vec<String>,
    /// The facts that decide most often, at most five.
    pub facts: Vec<Row>,
    /// What the decision is bound to.
    pub signed: Vec<Row>,
}

/// What to look at first. `answer`: what the experiment came to, at a gate about a result. `context_hash`: of the package.
#[must_use]
pub fn glance(context: &ContextPackage, answer: Option<&Answer>, context_hash: &str) -> Glance {
    let doubts = sections(context).into_iter().flat_map(|section| section.warnings).collect();
    let mut signed = Section::new("");
    signed.code("This package", Some(&short(context_hash)));
    let Ok(facts) = context.facts.shown() else {
        return Glance { doubts, facts: Vec::new(), signed: signed.rows };
    };
    let mut found = Section::new("");
    match context.gate_type {
        GateType::PortfolioReview => idea(&mut found, facts),
        GateType::LaunchApproval => launch(&mut found, facts),
        GateType::AnalysisReview | GateType::ScaleApproval | GateType::ShipApproval => {
            result(&mut found, facts, answer, context.gate_type);
        }
        GateType::ChangeApproval => change(&mut found, facts),
        GateType::Escalation => escalation(&mut found, facts),
    }
    let build = Nullable::of(facts.build.as_ref()).and_then(|build| build.shown().ok());
    signed.code("Commit", build.map(|build| short(&build.commit)).as_deref());
    signed.code("Plan", facts.plan.as_ref().and_then(|plan| text(&plan.hash)).map(short).as_deref());
    signed.code("File", facts.change.as_ref().map(|change| short(&change.hash)).as_deref());
    Glance { doubts, facts: found.rows, signed: signed.rows }
}

/// The first entries, and how many more there are.
fn listed(entries: &[String]) -> String {
    let shown = entries.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match entries.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most).collect();
    format!("{kept}…")
}

fn idea(section: &mut Section, facts: &Facts) {
    if let Some(said) = &facts.hypothesis {
        section.quote("The idea", Some(&cut(&said.title_says, QUOTED)));
        section.quote("What is built", text(&cut(&said.intervention_says, QUOTED)));
        section.text("It expects", Some(expects(facts, said)));
        section.codes("It changes", listed_codes(&said.touched_paths));
    }
    section.text("It is judged", facts.plan.as_ref().map(|plan| judged(facts, plan)));
}

/// The first entries as codes, and how many more there are.
fn listed_codes(entries: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = entries.iter().take(LISTED).cloned().collect();
    if entries.len() > LISTED {
        shown.push(format!("and {} more", entries.len() - LISTED));
    }
    shown
}

fn expects(facts: &Facts, said: &HypothesisFacts) -> String {
    let scale = scale(facts);
    let of = match &facts.outcome {
        Some(outcome) => {
            let now = outcome.measured_baseline.as_ref().map_or(outcome.from, |baseline| baseline.value);
            format!(" of `{}`, which is {} now", outcome.signal, scale.level(now))
        }
        None => String::new(),
    };
    format!(
        "{}{of}; {} h of work, {} risk",
        scale.change(said.expected_improvement),
        number(said.effort_hours),
        plain(said.risk.as_str())
    )
}

fn judged(facts: &Facts, plan: &PlanFacts) -> String {
    let measurement = &plan.measurement;
    let shares = std::iter::once(&plan.rollout.initial_pct).chain(&plan.rollout.steps).map(|pct| format!("{pct} %"));
    format!(
        "{} days at {}; planned to find {}",
        measurement.duration_days,
        shares.collect::<Vec<_>>().join(", then "),
        scale(facts).size(measurement.minimum_detectable_effect)
    )
}

/// The same of an experiment that is only guarded: nothing is claimed of it.
fn planned(facts: &Facts, plan: &PlanFacts) -> String {
    match facts.attached {
        Some(_) => format!("guarded for {} days since its start; nothing is claimed", plan.measurement.duration_days),
        None => judged(facts, plan),
    }
}

fn launch(section: &mut Section, facts: &Facts) {
    if let Some(attached) = &facts.attached {
        section.quote("It is called", text(&cut(&attached.name_says, QUOTED)));
        section.text("It runs", Some(super::elsewhere::runs(attached)));
    }
    if let Some(Ok(build)) = Nullable::of(facts.build.as_ref()).map(Stored::shown) {
        let n = build.scope.changes.len();
        let paths: Vec<String> = build.scope.changes.iter().map(|change| change.path.clone()).collect();
        let scope = if build.scope.is_clean { "all within the scope" } else { "not within the scope" };
        let what = if n == 1 { "1 path".to_owned() } else { format!("{} paths", count(n as u64)) };
        section.text("The build", Some(format!("{what} changed, {scope}: {}", listed(&paths))));
    }
    if !facts.changed_since_approval.is_empty() {
        let keys: Vec<String> = facts.changed_since_approval.iter().map(|key| key.field.clone()).collect();
        section.text("Changed since the approval", Some(listed(&keys)));
    }
    section.text("The plan", facts.plan.as_ref().map(|plan| planned(facts, plan)));
    if let Some(dry_run) = &facts.dry_run {
        section.text("What to expect", Some(expected(facts, dry_run)));
    }
    if let Some(plan) = &facts.plan {
        let limits: Vec<String> = plan
            .guardrails
            .iter()
            .map(|guard| {
                format!("`{}` {}", guard.signal, bound(&guard.bound, &guard.scale.clone().unwrap_or_default()))
            })
            .collect();
        let beside =
            if limits.is_empty() { String::new() } else { format!(", or a limit is crossed: {}", listed(&limits)) };
        section.text("It goes off by itself", Some(format!("when harm is proven{beside}")));
    }
}

/// How often the plan finds what it looks for, and how often it is wrong.
fn expected(facts: &Facts, dry_run: &DryRunFacts) -> String {
    let summary: &DryRunSummary = match dry_run {
        DryRunFacts::Run(summary) => summary,
        DryRunFacts::NotRun { not_run } => return format!("not simulated: {not_run}"),
    };
    if facts.attached.is_some() {
        return stopped(facts, summary);
    }
    let best = summary.effects.iter().filter(|line| line.effect.abs() > 0.0).max_by(|a, b| a.ship.total_cmp(&b.ship));
    let found =
        best.map(|line| format!("{} is found in {} of the runs", scale(facts).change(line.effect), share(line.ship)));
    let wrong = summary.false_alarm_rate.map(|rate| format!("without an effect {} ship or stop", share(rate)));
    let said: Vec<String> = found.into_iter().chain(wrong).collect();
    format!("{} ({} simulated runs)", said.join("; "), count(u64::from(summary.replications)))
}

/// How often a guard stops harm, and how often it is wrong.
fn stopped(facts: &Facts, summary: &DryRunSummary) -> String {
    let worst = summary
        .effects
        .iter()
        .filter(|line| line.effect.abs() > 0.0)
        .max_by(|a, b| a.kill_harm.total_cmp(&b.kill_harm));
    let found = worst.map(|line| {
        format!("{} is stopped in {} of the runs", scale(facts).change(line.effect), share(line.kill_harm))
    });
    let wrong = summary.false_stops.as_ref().map(|stops| format!("without an effect {} are", share(stops.share)));
    let said: Vec<String> = found.into_iter().chain(wrong).collect();
    format!("{} ({} simulated runs)", said.join("; "), count(u64::from(summary.replications)))
}

/// A share of a handful of runs.
fn share(share: f64) -> String {
    format!("{} %", significant(share * 100.0, 2))
}

fn result(section: &mut Section, facts: &Facts, answer: Option<&Answer>, gate_type: GateType) {
    if let Some(answer) = answer {
        section.text("The result", Some(answer.says.clone()));
        section.text("How sure", answer.sure.clone());
    }
    let Some(Ok(result)) = facts.evaluation() else { return };
    section.text("Read at", result.polled_at.map(instant));
    let guards: Vec<String> =
        result.guardrails.iter().map(|guard| format!("`{}` {}", guard.name, super::result::state(guard))).collect();
    section.text("Limits", (!guards.is_empty()).then(|| listed(&guards)));
    if let (Some(step), Some(plan)) = (facts.rollout_step, &facts.plan) {
        let now = plan.rollout.pct(step).map(|pct| format!("{pct} % of all units"));
        let then = match gate_type {
            GateType::ShipApproval => Some("; approved, everyone gets it".to_owned()),
            _ => plan.rollout.pct(step + 1).map(|pct| format!("; the next step is {pct} %")),
        };
        section.text("Rollout", now.map(|now| format!("{now}{}", then.unwrap_or_default())));
    }
}

fn change(section: &mut Section, facts: &Facts) {
    let Some(change) = &facts.change else { return };
    let n = change.differences.len();
    section.text("Changes", Some(if n == 1 { "1 key".to_owned() } else { format!("{n} keys") }));
    let lines = change.differences.iter().take(LISTED + 2).map(|key| {
        let say = |value: &serde_json::Value| cut(&super::change::said(value), CHANGED);
        format!("{}: {} → {}", key.field, say(&key.from), say(&key.to))
    });
    let mut lines: Vec<String> = lines.collect();
    if n > lines.len() {
        lines.push(format!("and {} more", n - lines.len()));
    }
    section.codes("In the file", lines);
}

fn escalation(section: &mut Section, facts: &Facts) {
    section.text("The experiment is", facts.status.map(|status| plain(status.as_str())));
    section.quote("It is about", facts.hypothesis.as_ref().and_then(|said| text(&said.title_says)));
}
