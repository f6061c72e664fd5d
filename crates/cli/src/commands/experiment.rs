//! `experiment`: looking at experiments, and acting on them.

use outcome_core::Result;
use outcome_core::domain::{Evaluation, Experiment, Measurement, Surface, Variant, Verdict};
use outcome_core::present::{
    Scale, Section, Table as Facts, bound, capped, count, health, measured_constraints, p_value, percent, plain,
    relative, score, thresholds, when, words,
};
use outcome_core::usecases::{ActRequest, Brief, ExperimentView, Runtime, Unlock};

use super::report::Stands;
use super::{correct, gate_decide, propose};
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, Point, Table, chart, on_terminal, safe};

/// Columns of the chart.
const CHART_WIDTH: usize = 60;
/// Steps that are shown of what happened.
const LAST_STEPS: usize = 3;
/// Readings that the chart is made of, at most.
const MAX_READINGS: i64 = 4000;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Experiment) -> Result<Exit> {
    match args {
        args::Experiment::List { outcome, limit } => {
            let runtime = cx.open().await?;
            let found = runtime.experiments().list(outcome.as_deref(), limit).await?;
            cx.out.result(&found, |page| list(page, &found, runtime.now()))?;
        }
        args::Experiment::Show { experiment, full } => {
            let runtime = cx.open().await?;
            let view = runtime.experiments().show(&experiment).await?;
            let series = runtime.experiments().series(&experiment, MAX_READINGS).await?;
            cx.out.result(&view, |page| show(page, &view, &series, runtime.now(), full))?;
        }
        args::Experiment::Propose(args) => propose::run(cx, args).await?,
        args::Experiment::Pause(args) => act_or_ask(cx, args, Verdict::Pause).await?,
        args::Experiment::Kill(args) => act_or_ask(cx, args, Verdict::Kill).await?,
        args::Experiment::Resume(args) => act_signed(cx, args, Verdict::Resume).await?,
        args::Experiment::Detach(args) => act_signed(cx, args, Verdict::Detach).await?,
        args::Experiment::CorrectQuery(args) => correct::query(cx, args).await?,
        args::Experiment::ForgetReading(args) => correct::reading(cx, args).await?,
        args::Experiment::Retry { experiment } => {
            let runtime = cx.open().await?;
            let by = Cx::by();
            let status = runtime.builds().retry(&experiment, &by).await?;
            let done = Stands { experiment, status };
            cx.out.result(&done, |page| page.line(&format!("Experiment `{}` is {status}", safe(&done.experiment))))?;
        }
        args::Experiment::Brief { experiment } => {
            let brief = cx.open().await?.builds().brief(&experiment).await?;
            cx.out.result(&brief, |page| show_brief(page, &brief))?;
        }
    }
    Ok(Exit::OK)
}

/// What is done with a signature only.
async fn act_signed(cx: &Cx, args: args::Resume, verdict: Verdict) -> Result<()> {
    let runtime = cx.open().await?;
    let slug = runtime.experiments().show(&args.experiment).await?.experiment.slug.to_string();
    let unlock = cx.unlock(&runtime, &args.unlock, &format!("{verdict} {slug}")).await?;
    act(cx, &runtime, slug, verdict, args.note, args.member, unlock).await
}

async fn act_or_ask(cx: &Cx, args: args::Act, verdict: Verdict) -> Result<()> {
    let runtime = cx.open().await?;
    // Report an unknown name before asking for the passphrase.
    let view = runtime.experiments().show(&args.experiment).await?;
    let slug = view.experiment.slug.to_string();
    if args.unlock.unsigned {
        let done = runtime.experiments().act_unsigned(&slug, verdict, args.note.as_deref(), &Cx::by()).await?;
        return cx.out.result(&done, |page| gate_decide::unsigned(page, &done));
    }
    let unlock = cx.unlock(&runtime, &args.unlock.unlock, &format!("{verdict} {slug}")).await?;
    act(cx, &runtime, slug, verdict, args.note, args.member, unlock).await
}

async fn act(
    cx: &Cx,
    runtime: &Runtime,
    experiment: String,
    verdict: Verdict,
    note: Option<String>,
    member: Option<String>,
    unlock: Unlock,
) -> Result<()> {
    let request = ActRequest { experiment, verdict, note, member, unlock, surface: Surface::Terminal };
    let done = runtime.experiments().act(request).await?;
    cx.out.result(&done, |page| gate_decide::decided(page, &done))
}

fn list(page: &mut Page, found: &[Experiment], now: jiff::Timestamp) {
    if found.is_empty() {
        page.line("There are no experiments yet.");
        page.hint(
            "let your agent call get_work_order, or submit your own hypothesis: `outcome-runtime experiment propose --help`",
        );
        return;
    }
    let mut table = Table::new(&["experiment", "status", "title", "changed"]);
    for experiment in found {
        let title: String = experiment.hypothesis.title.chars().take(60).collect();
        let changed = relative(now, experiment.updated_at);
        table.row(&[experiment.slug.as_str(), experiment.state.status.as_str(), &title, &changed]);
    }
    page.table(table);
}

fn show(page: &mut Page, view: &ExperimentView, series: &[Measurement], now: jiff::Timestamp, is_full: bool) {
    let scale = &on_terminal(&view.scale);
    let experiment = &view.experiment;
    page.head(&format!("Experiment {} · {}", experiment.slug, plain(experiment.state.status.as_str())));
    match &view.answer {
        Some(answer) => {
            page.strong("  ", &answer.says);
            if let Some(sure) = &answer.sure {
                page.text("  ", sure);
            }
        }
        None => page.quote(2, &experiment.hypothesis.title),
    }
    if let Some(pause) = &experiment.state.pause {
        page.warning(&format!("Paused ({}): {}", plain(pause.cause.as_str()), pause.detail));
    }
    for problem in view.signal_problems.iter().chain(&view.flag_problem) {
        let text = page.red(&safe(problem));
        page.line(&format!("  {text}"));
    }
    if is_full {
        plan(page, view, scale, now);
        result(page, view, scale);
    } else {
        constraints(page, view);
    }
    let points = |variant: Variant| line_of(series, variant);
    let rows = chart(&points(Variant::Control), &points(Variant::Treatment), CHART_WIDTH, scale);
    if !rows.is_empty() {
        page.head("Control (o) and treatment (*), cumulative since launch");
        for row in rows {
            page.line(&format!("  {row}"));
        }
    }
    page.head("What happened last");
    for past in view.history.iter().rev().take(LAST_STEPS).rev() {
        page.line(&format!("  {}  {} by {}", when(now, past.at), words(past.step.as_str()), safe(&past.by_name)));
        for says in past.says.iter().chain(&past.conditions_say) {
            page.quote(4, says);
        }
    }
    if is_full {
        page.head("What can happen next");
        let allowed = view.allowed.join(", ");
        page.text("  ", if allowed.is_empty() { "nothing: the experiment has ended" } else { &allowed });
    }
    for open in &view.gates {
        page.hint(&format!("next: `outcome-runtime gate decide {open}`"));
    }
    if !is_full {
        page.hint(&format!("the plan and every number: `outcome-runtime experiment show {} --full`", experiment.slug));
    }
}

/// The hypothesis, its rank, and how it is judged.
fn plan(page: &mut Page, view: &ExperimentView, scale: &Scale, now: jiff::Timestamp) {
    let experiment = &view.experiment;
    let hypothesis = &experiment.hypothesis;
    page.blank();
    page.field("outcome", &view.outcome);
    page.field("submitted", &format!("{} by {}", when(now, experiment.created_at), experiment.submitted_by));
    for (name, at) in [("launched", experiment.launched_at), ("concluded", experiment.concluded_at)] {
        if let Some(at) = at {
            page.field(name, &when(now, at));
        }
    }
    if let Some(commit) = &experiment.state.commit {
        page.field("commit", commit);
    }
    let rollout: Vec<_> = (0..hypothesis.rollout.n_steps()).filter_map(|step| hypothesis.rollout.pct(step)).collect();
    let shares: Vec<_> = rollout
        .iter()
        .enumerate()
        .map(|(step, pct)| if step == experiment.state.step { format!("[{pct} %]") } else { format!("{pct} %") })
        .collect();
    page.field("rollout", &shares.join(" -> "));
    page.field("flag", &hypothesis.flag_key);

    page.head("Hypothesis (in the author's words)");
    page.quote(2, &hypothesis.title);
    page.quote(2, &hypothesis.statement);
    page.quote(2, &format!("because {}", hypothesis.mechanism));
    page.section(&score(&experiment.score));
    if let Some(reason) = &experiment.score.dropped_because {
        page.warning(&format!("Not selected: {reason}"));
    }
    page.section(&thresholds(&hypothesis.measurement, view.design, scale));
}

fn result(page: &mut Page, view: &ExperimentView, scale: &Scale) {
    let experiment = &view.experiment;
    let Some(result) = experiment.last_result() else { return };
    page.head(if experiment.final_result.is_some() { "Final result" } else { "Result so far" });
    let result = match result {
        Ok(result) => result,
        Err(problem) => {
            let text = page.red(&safe(&problem));
            page.line(&format!("  {text}"));
            return;
        }
    };
    page.long_field(
        "recommends",
        &format!("{}: {}", words(result.advice.recommendation.as_str()), result.advice.reason),
    );
    if let Some(effect) = result.effect {
        let so_far = if result.has_drifted() { "  on average so far: it changed over time" } else { "" };
        page.field("effect", &format!("{}{so_far}", scale.change(effect)));
    }
    let direction = view.direction;
    match result.shown_interval(direction) {
        Some(shown) => page.long_field("interval", &shown.in_words(scale)),
        None if result.has_drifted() => page.field("interval", "none: no one number describes it"),
        None => {}
    }
    for (label, said) in capped(result, scale) {
        page.long_field(&label.to_lowercase(), &said);
    }
    levels(page, result, scale);
    let threshold = experiment.hypothesis.measurement.success_threshold;
    match result.sided_p(direction, threshold) {
        Some(p) => {
            page.field("p (always valid)", &format!("{} of success, {} of harm", p_value(p.better), p_value(p.worse)));
        }
        None => page.field("p (always valid)", &format!("{} two-sided, smallest so far", p_value(result.p_running))),
    }
    if let Some(alpha) = result.alpha {
        let whole = result.error_budget.map_or_else(String::new, |budget| {
            let halved = match budget.corrections {
                0 => String::new(),
                n => format!(
                    ", halved {} by corrections after the launch (with what it could claim before, up to {})",
                    if n == 1 { "once".to_owned() } else { format!("{n} times") },
                    percent(alpha * (2.0_f64.powi(i32::try_from(n).unwrap_or(i32::MAX).saturating_add(1)) - 1.0))
                ),
            };
            format!(", a part of the {} that all experiments of the outcome share{halved}", percent(budget.alpha))
        });
        page.field("alpha", &format!("{}{whole}", percent(alpha)));
    }
    if let Some(grade) = result.grade {
        page.field("evidence", &format!("grade {grade}"));
    }
    if let Some(next) = &result.advice.next {
        page.field("to decide", &safe(next));
    }
    constraints(page, view);
}

/// What the data and the constraints say, where something must not be overlooked.
fn constraints(page: &mut Page, view: &ExperimentView) {
    let experiment = &view.experiment;
    let Some(Ok(result)) = experiment.last_result() else { return };
    for warning in health(&result.health) {
        page.warning(&warning);
    }
    let plan = experiment.plan.as_ref().and_then(|plan| plan.shown().ok());
    let constraints = measured_constraints(&result.guardrails, |name| {
        let planned = plan?.guardrail_of(name)?;
        let known = view.scales.iter().find(|(signal, _)| *signal == planned.signal.name);
        Some((known.map(|(_, scale)| on_terminal(scale)).unwrap_or_default(), planned.bound.clone()))
    });
    if let Some(constraints) = constraints.unless_empty() {
        page.section(&constraints);
    }
}

/// Levels and units of the arms; without a control group, levels by week before and after the launch.
fn levels(page: &mut Page, result: &Evaluation, scale: &Scale) {
    if let Some((series, [before, after])) = result.series.zip(result.before_and_after()) {
        let level = |level: Option<f64>| level.map_or_else(|| "unknown".to_owned(), |level| scale.level(level));
        let expected = series.level_expected.map_or_else(String::new, |x| format!(" (expected {})", scale.level(x)));
        page.field("by week", &format!("before {}, after {}{expected}", level(before), level(after)));
        if series.n_before > 0 {
            page.field("weeks", &format!("{} before, {} after", series.n_before, series.n_after));
        }
        return;
    }
    if let (Some(control), Some(treatment)) = (result.control_level, result.treatment_level) {
        page.field("levels", &format!("control {}, treatment {}", scale.level(control), scale.level(treatment)));
    }
    page.field("units", &format!("control {}, treatment {}", count(result.n_control), count(result.n_treatment)));
}

/// The readings of one arm over time; of several allocation phases the latest that was read.
fn line_of(series: &[Measurement], variant: Variant) -> Vec<Point> {
    let mut points: Vec<(i64, i32, f64)> = Vec::new();
    for reading in series.iter().filter(|reading| reading.variant == Some(variant)) {
        let Some(value) = reading.sums.value() else { continue };
        let (at, phase) = (reading.measured_at.as_second(), reading.phase.unwrap_or(0));
        match points.last_mut() {
            Some(last) if last.0 == at && last.1 <= phase => *last = (at, phase, value),
            Some(last) if last.0 == at => {}
            _ => points.push((at, phase, value)),
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^52")]
    points.into_iter().map(|(at, _, value)| (at as f64, value)).collect()
}

fn show_brief(page: &mut Page, brief: &Brief) {
    page.head(&format!("Brief of {} · {}", brief.experiment, brief.status));
    let said = &brief.hypothesis;
    page.field("outcome", &brief.outcome);
    page.field("build on", brief.base_commit.as_deref().unwrap_or("-"));
    page.field("flag", &brief.flag_key);
    page.field("unit", &brief.randomisation_unit);
    for (title, says) in
        [("Why the last build failed", &brief.last_failure_says), ("What to do differently", &brief.rework_says)]
    {
        if let Some(says) = says {
            page.head(title);
            page.quote(2, says);
        }
    }
    let mut hypothesis = Section::new("Hypothesis");
    hypothesis.quote("Title", Some(&said.title_says));
    hypothesis.quote("Statement", Some(&said.statement_says));
    hypothesis.quote("Why it should work", Some(&said.mechanism_says));
    hypothesis.quote("The change", Some(&said.intervention_says));
    hypothesis.text("Kind of change", Some(words(said.intervention.as_str())));
    hypothesis.codes("Declared paths", said.declared_paths.clone());
    let mut scope = Section::new("Paths");
    scope.codes("May be changed", brief.scope.allowed_paths.clone());
    scope.codes("Must not be changed", brief.scope.forbidden_paths.clone());
    let mut limits = Section::new("Limits and rules");
    let guardrails = &brief.constraints.guardrails;
    limits.table = (!guardrails.is_empty()).then(|| Facts {
        heads: vec!["Signal", "Limit"],
        lines: guardrails
            .iter()
            .map(|limited| vec![limited.signal.clone(), bound(&limited.bound, &Scale::default())])
            .collect(),
    });
    brief.constraints.rules_say.iter().for_each(|rule| limits.quote("Rule", Some(rule)));
    brief.conditions.iter().for_each(|condition| limits.quote("Condition", Some(condition)));
    let mut learnings = Section::new("Learnt before");
    for learning in &brief.learnings {
        let kind = words(learning.finding_type.as_str());
        learnings.text("Finding", Some(format!("{} ({kind}, grade {})", learning.finding, learning.grade)));
    }
    for section in [hypothesis, scope, limits, learnings].into_iter().filter_map(Section::unless_empty) {
        page.section(&section);
    }
    page.head("How it is wired");
    for sentence in brief.wiring() {
        page.item(&sentence);
    }
    if let Some(code) = &brief.code {
        page.head(&format!("Code to begin with ({})", code.language));
        page.quote(2, &code.code);
    }
    page.head("Done when");
    for sentence in &brief.definition_of_done {
        page.item(sentence);
    }
}
