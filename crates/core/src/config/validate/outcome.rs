//! One outcome, and what outcomes must not share.

use std::collections::HashMap;

use super::report::{At, Context, Problem, Reporter, Span, at_least_one, email, shown, text, unique};
use super::signal::{Parts, Role, signal};
use super::{constraint, gates, llm, mde, scope, target};
use crate::config::file::{ConstraintFile, OutcomeFile, PortfolioFile, RootFile, SignalFile, WeightsFile};
use crate::domain::{Design, OnConclusion, OutcomeSpec, Period, Portfolio, ScoreWeights, signal_of_limit};

/// Experiments at once, where an outcome does not say how many.
const DEFAULT_AT_ONCE: u32 = 3;

pub(super) fn outcomes(file: &RootFile, context: &Context, reporter: &mut Reporter<'_>) -> Vec<OutcomeSpec> {
    let Some(list) = &file.outcomes else { return Vec::new() };
    if list.value.is_empty() {
        let problem = Problem::error("config.empty", list.span, "the file declares no outcome");
        reporter
            .push(problem.valid("one or more outcomes").help("`outcome-runtime init` writes one as a starting point"));
    }
    let ids = list.value.iter().filter_map(|o| o.value.id.as_ref()).map(|id| (id.value.as_str(), id.span));
    unique(ids, "config.duplicate_id", "outcome", "give one of them another `id`", reporter);
    list.value.iter().filter_map(|file| outcome(&file.value, context, reporter)).collect()
}

/// How many experiments with a control group may run at the same time, over all outcomes.
pub(super) fn n_at_once(file: &RootFile) -> u32 {
    let outcomes = file.outcomes.iter().flat_map(|list| &list.value).map(|at| &at.value);
    outcomes
        .filter(|outcome| outcome.design.as_ref().is_none_or(|design| design.value.0 == Design::Randomised))
        .map(|outcome| {
            let limit = outcome.portfolio.as_ref().and_then(|portfolio| portfolio.value.max_concurrent.as_ref());
            limit.map_or(DEFAULT_AT_ONCE, |limit| limit.value)
        })
        .fold(0, u32::saturating_add)
}

fn outcome(file: &OutcomeFile, context: &Context, reporter: &mut Reporter<'_>) -> Option<OutcomeSpec> {
    let team: &[At<String>] = file.team.as_ref().map_or(&[], |team| team.value.as_slice());
    for at in file.owner.iter().chain(team) {
        email(at, reporter);
    }
    let design = file.design.as_ref().map_or(Design::Randomised, |at| at.value.0);
    let horizon = file.horizon.as_ref().map(|at| at.value);
    check_horizon(file.horizon.as_ref(), reporter);
    let primary = file
        .signal
        .as_ref()
        .and_then(|file| signal(&Parts::of_signal(&file.value, Role::Primary(design)), context, reporter));
    let secondary: &[At<SignalFile>] = file.secondary_signals.as_ref().map_or(&[], |list| list.value.as_slice());
    let constraints: &[At<ConstraintFile>] = file.constraints.as_ref().map_or(&[], |list| list.value.as_slice());
    check_names(file, secondary, constraints, reporter);
    check_staleness(file, reporter);
    llm::provider(file.llm_provider.as_ref(), reporter);
    let target_file = file.target.as_ref().map(|at| &at.value);
    let target = target_file.and_then(|file| target::target(file, horizon, reporter));
    for file in constraints {
        constraint::against_target(&file.value, primary.as_ref(), target_file, reporter);
    }
    let spec_parts = (
        mde::mde(file.mde.as_ref(), target_file, reporter),
        portfolio(file.portfolio.as_ref(), reporter),
        gates::gates(file.gates.as_ref(), context, reporter),
        scope::scope(file.scope.as_ref(), reporter),
        secondary
            .iter()
            .filter_map(|file| signal(&Parts::of_signal(&file.value, Role::Secondary), context, reporter))
            .collect::<Vec<_>>(),
        constraints
            .iter()
            .filter_map(|file| constraint::constraint(&file.value, context, reporter))
            .collect::<Vec<_>>(),
    );
    let (minimum_detectable_effect, portfolio, gates, scope, secondary_signals, constraints) = spec_parts;
    Some(OutcomeSpec {
        slug: file.id.as_ref()?.value.clone(),
        title: text(file.title.as_ref())?,
        description: text(file.description.as_ref()),
        owner: text(file.owner.as_ref()),
        team: team.iter().map(|at| at.value.clone()).collect(),
        signal: primary?,
        secondary_signals,
        target: target?,
        constraints,
        horizon: horizon?,
        minimum_detectable_effect,
        design,
        randomisation_unit: text(file.randomisation_unit.as_ref())?,
        exposure: text(file.exposure.as_ref()),
        staleness: file.staleness.as_ref()?.value,
        on_conclusion: file.on_conclusion.as_ref().map_or(OnConclusion::TurnOff, |at| at.value),
        ship_test: file.ship_test.as_ref().map(|at| at.value),
        portfolio: portfolio?,
        gates,
        scope,
        llm_provider: text(file.llm_provider.as_ref()),
    })
}

fn check_horizon(horizon: Option<&At<Period>>, reporter: &mut Reporter<'_>) {
    if let Some(horizon) = horizon.filter(|horizon| horizon.value < Period::from_days(7)) {
        let message = format!("a horizon of {} is shorter than a week", horizon.value);
        reporter.push(
            Problem::warning("config.horizon_short", horizon.span, message)
                .valid("1w or more; 4w to 12w are usual")
                .help("people behave differently on different days of the week: use a week or more"),
        );
    }
}

/// A signal that is read less often than it goes stale would pause every experiment between two readings.
fn check_staleness(file: &OutcomeFile, reporter: &mut Reporter<'_>) {
    let Some(staleness) = &file.staleness else { return };
    let interval = file.signal.as_ref().and_then(|signal| signal.value.poll_interval.as_ref());
    if let Some(interval) = interval.filter(|interval| interval.value >= staleness.value) {
        let message = format!(
            "the signal is read every {}, but counts as stale after {}: experiments would pause between two readings",
            interval.value, staleness.value
        );
        // A default has no place of its own.
        let is_written = |span: Span| span != file.at;
        let (at, other) =
            if is_written(staleness.span) { (staleness.span, interval.span) } else { (interval.span, staleness.span) };
        let mut problem = Problem::error("config.staleness_too_short", at, message);
        if is_written(other) && file.signal.as_ref().is_none_or(|signal| signal.value.at != other) {
            problem = problem.also(other, "and this");
        }
        reporter.push(
            problem
                .valid("`staleness` longer than `poll_interval`; twice or more is usual")
                .help(format!("write `staleness: {}`, or a shorter `poll_interval`", double(interval.value))),
        );
    }
}

fn double(period: Period) -> Period {
    Period::from_secs(period.as_secs().saturating_mul(2))
}

/// Readings are stored under the signal's name.
fn check_names(
    file: &OutcomeFile,
    secondary: &[At<SignalFile>],
    constraints: &[At<ConstraintFile>],
    reporter: &mut Reporter<'_>,
) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let primary =
        file.signal.iter().chain(secondary).filter_map(|at| at.value.name.as_ref().or(at.value.metric.as_ref()));
    for name in primary.chain(constraints.iter().filter_map(|at| at.value.signal.as_ref())) {
        if let Some(first) = seen.get(name.value.as_str()) {
            let message = format!("two signals of this outcome have the name `{}`", shown(&name.value));
            reporter.push(
                Problem::error("config.duplicate_signal", name.span, message)
                    .here("again here")
                    .also(*first, "first here")
                    .valid("each name only once in an outcome")
                    .help(
                        "give this one another name (`name` of a signal, `signal` of a constraint), keep its `metric`",
                    ),
            );
        } else {
            seen.insert(&name.value, name.span);
        }
    }
    // What was found about a limit has the name of its side.
    for (name, span) in &seen {
        if let Some((of, first)) = signal_of_limit(name).and_then(|of| seen.get_key_value(of)) {
            let message = format!("`{}` is what a limit of the signal `{}` is called", shown(name), shown(of));
            reporter.push(
                Problem::error("config.duplicate_signal", *span, message)
                    .here("the same name")
                    .also(*first, "the signal with that limit")
                    .valid("a name that does not end in ` (min)` or ` (max)`")
                    .help(
                        "give this one another name (`name` of a signal, `signal` of a constraint), keep its `metric`",
                    ),
            );
        }
    }
}

fn portfolio(file: Option<&At<PortfolioFile>>, reporter: &mut Reporter<'_>) -> Option<Portfolio> {
    let Some(file) = file else {
        return Some(Portfolio {
            max_concurrent: DEFAULT_AT_ONCE,
            candidates: 3,
            planned_experiments: None,
            weights: ScoreWeights::default(),
        });
    };
    let help = "leave it out: the default is 3";
    let max_concurrent = at_least_one(file.max_concurrent.as_ref(), "`max_concurrent`", help, reporter);
    let candidates = at_least_one(file.candidates.as_ref(), "`candidates`", help, reporter);
    let planned_experiments = match &file.planned_experiments {
        Some(planned) => Some(at_least_one(Some(planned), "`planned_experiments`", "leave it out", reporter)?),
        None => None,
    };
    let weights = match &file.weights {
        Some(weights) => weights_of(&weights.value, reporter),
        None => Some(ScoreWeights::default()),
    };
    Some(Portfolio { max_concurrent: max_concurrent?, candidates: candidates?, planned_experiments, weights: weights? })
}

fn weights_of(file: &WeightsFile, reporter: &mut Reporter<'_>) -> Option<ScoreWeights> {
    let all = [&file.impact, &file.risk, &file.speed, &file.learning];
    for weight in all.into_iter().flatten().filter(|weight| weight.value < 0.0) {
        let problem = Problem::error("config.out_of_range", weight.span, "a weight must not be negative");
        reporter.push(problem.valid("0 or more").help("write 0 to leave this term out"));
    }
    if all.into_iter().flatten().all(|weight| weight.value == 0.0) {
        let problem =
            Problem::error("config.out_of_range", file.at, "all weights are 0, so candidates cannot be ranked");
        reporter.push(problem.valid("at least one weight above 0").help("remove `weights` to use the defaults"));
    }
    Some(ScoreWeights {
        impact: file.impact.as_ref()?.value,
        risk: file.risk.as_ref()?.value,
        speed: file.speed.as_ref()?.value,
        learning: file.learning.as_ref()?.value,
    })
}
