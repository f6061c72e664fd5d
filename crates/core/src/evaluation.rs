//! From stored readings and a frozen plan to the statistics' input: one poll in, one evaluation out.
//!
//! It stands by itself on the map, between `hypotheses` (the plan) and the statistics, so that neither knows the other.
//!
//! **Invariant**: pure. The statistics know nothing of signals, and the use cases nothing of formulas.

mod unit_shares;
mod watched;

use std::collections::BTreeSet;
use std::ops::Deref;

use jiff::Timestamp;

use self::unit_shares::{is_often, n_both_of, n_of, n_other_of, share_of};
use self::watched::watched;
use crate::domain::{
    ArmSums, Capped, ConstraintBound, Direction, GuardrailPlan, Plan, Uncapped, Variant, VariantReading,
    names_of_limits,
};
use crate::error::{Code, Error, Result};
use crate::stats::{
    self, Alpha, Blocks, Comparison, Counts, DataHealth, Days, Evaluated, Evaluation, Guardrail, GuardrailReading,
    HarmDirection, Limit, Margin, Phase, PhaseCounts, RunningState, Scope, Tau, UnitCheck, ValueLimit, ValueRule,
};

/// The arms of one allocation phase.
#[derive(Debug, Clone)]
pub struct PhaseReadings {
    /// From 0.
    pub phase: i32,
    /// Declared share of the treatment, in percent, above 0 and below 100.
    pub treatment_pct: f64,
    /// What was read; an arm that nobody saw is missing.
    pub arms: Vec<VariantReading>,
}

/// What was read for one constraint of the plan.
#[derive(Debug, Clone)]
pub struct Guard {
    /// Position in the plan's guardrails.
    pub index: usize,
    /// By variant, where it can be.
    pub phases: Vec<PhaseReadings>,
    /// Over the whole population, where not.
    pub level: Option<ArmSums>,
    /// Whether the present split has been in use for the day that a level is of.
    pub is_full_day: bool,
}

/// Everything that one poll read.
#[derive(Debug, Clone)]
pub struct Poll {
    /// The primary signal.
    pub phases: Vec<PhaseReadings>,
    /// The constraints.
    pub guards: Vec<Guard>,
    /// When the experiment went live.
    pub launched_at: Timestamp,
    /// The end of the readings' window: it identifies the poll.
    pub as_of: Timestamp,
    /// The source doubts its own answer.
    pub is_sampled: bool,
    /// The flag is not where it was put.
    pub has_flag_drift: bool,
    /// Which phases count for what.
    pub scope: Scope,
}

/// What one poll led to. Its guardrail results know which constraint of the plan each of them is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What the statistics say.
    pub evaluated: Evaluated,
    /// What the cap of the metric did; absent without one.
    pub capped: Option<Capped>,
    /// Position in the plan's guardrails, for each guardrail result.
    positions: Vec<usize>,
}

impl Deref for Judged {
    type Target = Evaluated;
    fn deref(&self) -> &Evaluated {
        &self.evaluated
    }
}

impl Judged {
    fn new(evaluated: Evaluated, positions: Vec<usize>, poll: &Poll) -> Self {
        let capped = capped_of(poll, evaluated.numbers.effect);
        Self { evaluated, capped, positions }
    }

    /// The constraints of `plan` that are proven to be crossed; one with two limits comes once for each crossed limit.
    pub fn crossed<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a GuardrailPlan> {
        let results = self.evaluated.guardrails.iter().zip(&self.positions);
        results.filter(|(result, _)| result.breached).filter_map(|(_, position)| plan.guardrails.get(*position))
    }
}

/// Evaluates a poll; `None` when nobody has been exposed yet.
///
/// # Errors
/// [`Code::Internal`] for a plan that never should have been approved.
pub fn evaluate_poll(plan: &Plan, poll: &Poll, previous: Option<&RunningState>) -> Result<Option<Judged>> {
    with_input(plan, poll, |input, positions| {
        let evaluated = stats::evaluate(input, previous);
        Judged::new(if plan.attached.is_some() { watched(evaluated) } else { evaluated }, positions, poll)
    })
}

/// Evaluates what the constraints alone say, where the primary signal could not be read. Only what speaks against the treatment
/// counts, and what it left in `running` must not be kept: the next whole poll goes on from before.
///
/// # Errors
/// As [`evaluate_poll`].
pub fn evaluate_guards(plan: &Plan, poll: &Poll, previous: Option<&RunningState>) -> Result<Judged> {
    let mut known = previous.cloned().unwrap_or_default();
    known.phases.clear();
    let poll = Poll { phases: Vec::new(), ..poll.clone() };
    with_any_input(plan, &poll, |input, positions| Judged::new(stats::evaluate(input, Some(&known)), positions, &poll))
}

/// The same without words, for polls on the way; false when nobody has been exposed yet.
///
/// # Errors
/// As [`evaluate_poll`].
pub fn assess_poll(plan: &Plan, poll: &Poll, state: &mut RunningState) -> Result<bool> {
    Ok(with_input(plan, poll, |input, _| stats::assess(input, state))?.is_some())
}

/// Whether a poll contradicts the one before: units of a phase shrank, so the source restated its past.
#[must_use]
pub fn is_restated(poll: &Poll, previous: &RunningState) -> bool {
    let is_in_order = previous.as_of.is_none_or(|last| poll.as_of.as_second() >= last);
    let phases = phases_of(&poll.phases);
    is_in_order && !phases.is_empty() && previous.is_restated_by(&phases)
}

/// A poll that restates the past, and the earlier polls as the source tells them now.
#[derive(Debug, Clone)]
pub struct Corrected {
    /// A new epoch whose evidence is that of the corrected polls.
    pub state: RunningState,
    /// How many of them counted.
    pub n_polls: usize,
}

/// What the statistics remember before they evaluate a poll that restates the past. `past`: the earlier polls as the source
/// tells them now, oldest first. Those that contradict the present poll, or a later one of them, are left out.
///
/// `None` when the poll restates nothing or no corrected poll is left: then [`evaluate_poll`] begins an empty epoch.
///
/// # Errors
/// As [`evaluate_poll`].
pub fn correct_past(plan: &Plan, poll: &Poll, past: &[Poll], previous: &RunningState) -> Result<Option<Corrected>> {
    let kept = consistent_past(poll, past);
    if kept.is_empty() || !is_restated(poll, previous) {
        return Ok(None);
    }
    let mut state = previous.restated(poll.as_of.as_second());
    // What is read again by variant begins a new row; an operational alarm that cannot be read again goes on.
    let indices: BTreeSet<usize> = kept.iter().flat_map(|poll| &poll.guards).map(|guard| guard.index).collect();
    let names: BTreeSet<String> = indices
        .into_iter()
        .flat_map(|index| {
            names_of(plan, index).into_iter().chain(plan.guardrails.get(index).map(|g| g.signal.name.clone()))
        })
        .collect();
    for guardrail in &mut state.guardrails {
        if names.contains(&guardrail.name) {
            guardrail.days = Days::default();
        }
    }
    for earlier in &kept {
        assess_poll(plan, earlier, &mut state)?;
    }
    // Readings in a row are those that were made.
    state.lasting.clone_from(&previous.lasting);
    Ok(Some(Corrected { state, n_polls: kept.len() }))
}

/// The polls before `poll` whose units only grow, up to `poll` itself; the newest are believed first.
fn consistent_past<'p>(poll: &Poll, past: &'p [Poll]) -> Vec<&'p Poll> {
    let (mut later_phases, mut later_as_of) = (phases_of(&poll.phases), poll.as_of.as_second());
    let mut kept = Vec::new();
    for earlier in past.iter().rev() {
        let (phases, as_of) = (phases_of(&earlier.phases), earlier.as_of.as_second());
        let counts: Vec<PhaseCounts> = phases.iter().map(PhaseCounts::of).collect();
        if !phases.is_empty() && as_of < later_as_of && !PhaseCounts::shrank(&counts, &later_phases) {
            kept.push(earlier);
            (later_phases, later_as_of) = (phases, as_of);
        }
    }
    kept.reverse();
    kept
}

/// Turns a poll into the statistics' input; `None` when nobody has been exposed yet.
/// `then` also gets, for each guardrail of the input, its position in the plan's guardrails.
fn with_input<T>(plan: &Plan, poll: &Poll, then: impl FnOnce(&Evaluation<'_>, Vec<usize>) -> T) -> Result<Option<T>> {
    if phases_of(&poll.phases).is_empty() {
        return Ok(None);
    }
    with_any_input(plan, poll, then).map(Some)
}

fn with_any_input<T>(plan: &Plan, poll: &Poll, then: impl FnOnce(&Evaluation<'_>, Vec<usize>) -> T) -> Result<T> {
    let phases = phases_of(&poll.phases);
    let claimed = claimed_of(&poll.phases);
    let claimed = claimed.as_deref().map(phases_of);
    let stats_plan = stats_plan(plan)?;
    let guard_phases: Vec<GuardPhases> = poll.guards.iter().map(|guard| GuardPhases::of(plan, guard)).collect();
    let names: Vec<[String; 2]> = poll.guards.iter().map(|guard| names_of(plan, guard.index)).collect();
    let (positions, guardrails): (Vec<usize>, Vec<Guardrail<'_>>) = poll
        .guards
        .iter()
        .zip(&guard_phases)
        .zip(&names)
        .flat_map(|((guard, phases), names)| guardrails_of(plan, guard, phases, names, poll.scope))
        .unzip();
    let evaluation = Evaluation {
        cohorts: claimed.as_deref().map(|claimed| cohorts(plan, poll, claimed)),
        plan: &stats_plan,
        phases: &phases,
        elapsed_days: poll.as_of.duration_since(poll.launched_at).as_secs_f64() / 86_400.0,
        as_of: poll.as_of.as_second(),
        guardrails: &guardrails,
        health: health_of(plan, poll),
        scope: poll.scope,
    };
    Ok(then(&evaluation, positions))
}

/// Evaluates a poll of an experiment without a control group, from weekly levels before and after its launch.
///
/// # Errors
/// [`Code::Internal`] for a plan that never should have been approved.
pub fn evaluate_series(
    plan: &Plan,
    poll: &Poll,
    blocks: &Blocks<'_>,
    previous: Option<&RunningState>,
) -> Result<Judged> {
    let stats_plan = stats_plan(plan)?;
    let names: Vec<[String; 2]> = poll.guards.iter().map(|guard| names_of(plan, guard.index)).collect();
    let none = GuardPhases::default();
    let (positions, guardrails): (Vec<usize>, Vec<Guardrail<'_>>) = poll
        .guards
        .iter()
        .zip(&names)
        .flat_map(|(guard, names)| guardrails_of(plan, guard, &none, names, poll.scope))
        .filter(|(_, guardrail)| !matches!(guardrail.reading, GuardrailReading::RelativeToControl(_)))
        .unzip();
    let evaluation = Evaluation {
        cohorts: None,
        plan: &stats_plan,
        phases: &[],
        elapsed_days: poll.as_of.duration_since(poll.launched_at).as_secs_f64() / 86_400.0,
        as_of: poll.as_of.as_second(),
        guardrails: &guardrails,
        health: health_of(plan, poll),
        scope: poll.scope,
    };
    Ok(Judged::new(stats::evaluate_before_after(&evaluation, blocks, previous), positions, poll))
}

pub(crate) fn stats_plan(plan: &Plan) -> Result<stats::TestPlan> {
    let bad = |e: stats::StatsError| Error::new(Code::Internal, "the approved plan cannot be evaluated").because(e);
    let measurement = &plan.hypothesis.measurement;
    Ok(stats::TestPlan {
        alpha: Alpha::try_new(plan.alpha).map_err(bad)?,
        tau: Some(Tau::try_new(plan.tau).map_err(bad)?),
        mde_abs: Some(measurement.minimum_detectable_effect),
        direction: plan.direction.into(),
        success_threshold: measurement.success_threshold,
        kill_threshold: measurement.kill_threshold,
        min_sample_size: u64::from(measurement.min_sample_size),
        max_days: Some(measurement.duration_days),
        ship: plan.ship_test(),
        is_signed: plan.is_signed(&plan.signal),
        shares_with_steps: plan.shares_with_steps,
        ..stats::TestPlan::default()
    })
}

/// The same phases with the units that may be claimed on; `None` where the queries are the user's own, and nobody knows which these are.
fn claimed_of(readings: &[PhaseReadings]) -> Option<Vec<PhaseReadings>> {
    let is_known = readings.iter().flat_map(|phase| &phase.arms).any(|arm| arm.cohort.is_some());
    let claimed = |arm: &VariantReading| {
        VariantReading::new(arm.variant, arm.cohort.map_or_else(|| arm.sums.of_nobody(), |cohort| cohort.claimed))
    };
    let of = |phase: &PhaseReadings| PhaseReadings { arms: phase.arms.iter().map(claimed).collect(), ..*phase };
    is_known.then(|| readings.iter().map(of).collect())
}

/// What the cap did, over the phases that claims rest on. `effect`: with the cap.
///
/// Phases are weighted by their units, as n control times n treatment over their sum, so that one in which the split was another counts as
/// much as it knows.
fn capped_of(poll: &Poll, effect: Option<f64>) -> Option<Capped> {
    let counts = |phase: &&PhaseReadings| u32::try_from(phase.phase).unwrap_or(0) >= poll.scope.claims_from;
    let phases: Vec<&PhaseReadings> = poll.phases.iter().filter(counts).collect();
    let arm = |phase: &PhaseReadings, wanted: Variant| {
        let found = phase.arms.iter().find(|arm| arm.variant == wanted)?;
        Some((found.sums.n()?, found.cohort?))
    };
    let is_capped =
        |phase: &&PhaseReadings| phase.arms.iter().any(|arm| arm.cohort.is_some_and(|c| c.uncapped.is_some()));
    phases.iter().find(|phase| is_capped(phase))?;
    let share = |wanted: Variant| {
        let all = phases.iter().filter_map(|phase| arm(phase, wanted));
        let (cut, n) = all.fold((0, 0), |(cut, n), (units, cohort)| (cut + cohort.n_capped, n + units));
        share_of(cut, n)
    };
    let (mut sum, mut weight) = (0.0, 0.0);
    for phase in &phases {
        let level = |wanted: Variant| {
            let (_, cohort) = arm(phase, wanted)?;
            let n = share_of(cohort.claimed.n()?, 1);
            let Uncapped { sum, den } = cohort.uncapped?;
            let level = sum / den.unwrap_or(n);
            level.is_finite().then_some((n, level))
        };
        if let (Some((n, control)), Some((m, treatment))) = (level(Variant::Control), level(Variant::Treatment)) {
            let units = n * m / (n + m);
            sum += units * (treatment - control);
            weight += units;
        }
    }
    let uncapped = (weight > 0.0).then(|| sum / weight);
    let is_turned = effect.zip(uncapped).is_some_and(|(with, without)| with * without < 0.0);
    Some(Capped {
        control_share: share(Variant::Control),
        treatment_share: share(Variant::Treatment),
        effect: uncapped,
        is_turned,
    })
}

fn cohorts<'a>(plan: &Plan, poll: &Poll, claimed: &'a [Phase]) -> stats::Cohorts<'a> {
    let share = |of: fn(&[VariantReading]) -> i64| {
        let shares = poll.phases.iter().map(|phase| share_of(of(&phase.arms), n_of(&phase.arms)));
        shares.fold(0.0, f64::max)
    };
    stats::Cohorts {
        claimed,
        judges_so_far: plan.signal.contract.as_ref().is_some_and(|contract| contract.is_safe_so_far()),
        both_share: share(n_both_of),
        other_share: share(n_other_of),
    }
}

/// What is known about the quality of a poll.
fn health_of(plan: &Plan, poll: &Poll) -> DataHealth {
    let newest = poll.phases.iter().max_by_key(|phase| phase.phase);
    let often = |of: fn(&[VariantReading]) -> i64| newest.is_some_and(|phase| is_often(&phase.arms, of(&phase.arms)));
    let known = DataHealth {
        is_sampled: poll.is_sampled,
        has_flag_drift: poll.has_flag_drift,
        is_both_now: often(n_both_of),
        is_unknown_now: often(n_other_of),
        ..DataHealth::default()
    };
    if !plan.asks_for_units {
        return known;
    }
    let (n_both, of_units) = seen_in_both(&poll.phases);
    let is_of_another = |arm: &VariantReading| arm.units.is_some_and(|units| units.same_as.is_some());
    DataHealth {
        units: unit_check(poll),
        n_both,
        n_both_of: of_units,
        has_numbers_of_another: poll.phases.iter().flat_map(|phase| &phase.arms).any(is_of_another),
        ..known
    }
}

/// Whether the queries counted different units, as they say themselves. Of constraints only those that say so are looked at.
fn unit_check(poll: &Poll) -> UnitCheck {
    if poll.phases.is_empty() {
        return UnitCheck::NotAsked;
    }
    let primary = arms_of(&poll.phases).map(|(n, n_units)| n_units.map(|n_units| (n, n_units)));
    let Some(primary) = primary.collect::<Option<Vec<_>>>() else { return UnitCheck::Unchecked };
    let guards = poll.guards.iter().map(|guard| {
        let said: Vec<_> = arms_of(&guard.phases).filter_map(|(n, n_units)| Some((n, n_units?))).collect();
        said
    });
    let total = |arms: &[(u64, u64)]| {
        arms.iter().fold((0_u64, 0_u64), |(n, n_units), arm| (n.saturating_add(arm.0), n_units.saturating_add(arm.1)))
    };
    let all: Vec<Vec<(u64, u64)>> = std::iter::once(primary).chain(guards).collect();
    let is_wrong = |(n, n_units): &(u64, u64)| n != n_units;
    // The first signal that counts something else than units is named with its own numbers; of two arms that are wrong in turn, one.
    let wrong = all.iter().find_map(|arms| {
        let one = arms.iter().copied().find(is_wrong)?;
        Some(Some(total(arms)).filter(is_wrong).unwrap_or(one))
    });
    let (n, n_units) = wrong.unwrap_or_else(|| all.first().map_or((0, 0), |arms| total(arms)));
    UnitCheck::Counted { n, n_units }
}

/// What was counted in each arm, and how many different units those are, where the query says so.
fn arms_of(phases: &[PhaseReadings]) -> impl Iterator<Item = (u64, Option<u64>)> {
    let units = |n: i64| u64::try_from(n).ok();
    phases.iter().flat_map(|phase| &phase.arms).filter_map(move |arm| {
        Some((units(arm.sums.n()?)?, arm.units.and_then(|counted| counted.n_units).and_then(units)))
    })
}

/// Units that saw both arms, and all units, of the phase with the largest share of them.
fn seen_in_both(phases: &[PhaseReadings]) -> (u64, u64) {
    let units = |n: i64| u64::try_from(n).unwrap_or(0);
    let of = |phase: &PhaseReadings| (units(n_both_of(&phase.arms)), units(n_of(&phase.arms)));
    let larger = |a: (u64, u64), b: (u64, u64)| {
        let is_more = u128::from(b.0) * u128::from(a.1.max(1)) > u128::from(a.0) * u128::from(b.1.max(1));
        if is_more { b } else { a }
    };
    phases.iter().map(of).reduce(larger).unwrap_or_default()
}

fn phases_of(readings: &[PhaseReadings]) -> Vec<Phase> {
    readings
        .iter()
        .filter_map(|reading| {
            let arm = |wanted: Variant| reading.arms.iter().find(|arm| arm.variant == wanted).map(|arm| arm.sums);
            let (control, treatment) = match (arm(Variant::Control), arm(Variant::Treatment)) {
                (Some(control), Some(treatment)) => (control, treatment),
                (Some(control), None) => (control, control.of_nobody()),
                (None, Some(treatment)) => (treatment.of_nobody(), treatment),
                (None, None) => return None,
            };
            Some(Phase {
                number: u32::try_from(reading.phase).unwrap_or(0),
                control_weight: 100.0 - reading.treatment_pct,
                treatment_weight: reading.treatment_pct,
                control: stats_sums(&control)?,
                treatment: stats_sums(&treatment)?,
            })
        })
        .collect()
}

/// Sums as the statistics take them; a bare value has no units and cannot be tested.
pub(crate) fn stats_sums(sums: &ArmSums) -> Option<stats::ArmSums> {
    let units = |n: i64| u64::try_from(n).ok();
    Some(match *sums {
        ArmSums::Proportion { n, successes } => {
            stats::ArmSums::Proportion { n: units(n)?, successes: units(successes)? }
        }
        ArmSums::Mean { n, sum, sum_squares } => stats::ArmSums::Mean { n: units(n)?, sum, sum_squares },
        ArmSums::Ratio { n, num, num_squares, den, den_squares, num_den } => stats::ArmSums::Ratio {
            n: units(n)?,
            numerator_sum: num,
            numerator_sum_squares: num_squares,
            denominator_sum: den,
            denominator_sum_squares: den_squares,
            cross_sum: num_den,
        },
        ArmSums::Cuped { n, sum, sum_squares, cov_sum, cov_sum_squares, cross_sum } => stats::ArmSums::Cuped {
            n: units(n)?,
            sum,
            sum_squares,
            covariate_sum: cov_sum,
            covariate_sum_squares: cov_sum_squares,
            cross_sum,
        },
        ArmSums::Value { .. } => return None,
    })
}

fn names_of(plan: &Plan, index: usize) -> [String; 2] {
    names_of_limits(plan.guardrails.get(index).map_or("constraint", |guardrail| guardrail.signal.name.as_str()))
}

/// What a constraint is compared on.
#[derive(Default)]
struct GuardPhases {
    /// What harm is looked for in: all units so far where values can only grow, else those whose window is over.
    judged: Vec<Phase>,
    /// What a proof of safety may rest on, where it is known: units whose window is over.
    claimed: Option<Vec<Phase>>,
}

impl GuardPhases {
    fn of(plan: &Plan, guard: &Guard) -> Self {
        let contract = plan.guardrails.get(guard.index).and_then(|planned| planned.signal.contract.as_deref());
        let claimed = claimed_of(&guard.phases).map(|claimed| phases_of(&claimed));
        let waits = contract.is_some_and(|contract| !contract.is_safe_so_far());
        let judged = match &claimed {
            Some(claimed) if waits => claimed.clone(),
            _ => phases_of(&guard.phases),
        };
        Self { judged, claimed }
    }
}

/// The guardrails that a constraint comes to, each with the constraint's position in the plan.
fn guardrails_of<'a>(
    plan: &'a Plan,
    guard: &Guard,
    on: &'a GuardPhases,
    names: &'a [String; 2],
    scope: Scope,
) -> Vec<(usize, Guardrail<'a>)> {
    let Some(planned) = plan.guardrails.get(guard.index) else { return Vec::new() };
    let guardrails = match &planned.bound {
        ConstraintBound::NotWorse { direction, margin, must_prove } => vec![Guardrail {
            name: planned.signal.name.as_str(),
            must_prove: *must_prove,
            reading: GuardrailReading::RelativeToControl(Comparison {
                phases: &on.judged,
                harm_direction: match direction {
                    Direction::Increase => HarmDirection::Decrease,
                    Direction::Decrease => HarmDirection::Increase,
                },
                margin: Margin::Absolute(*margin),
                tau: None,
                is_signed: plan.is_signed(&planned.signal),
                claimed: on.claimed.as_deref(),
                counts_rare: plan.counts_rare,
            }),
        }],
        ConstraintBound::Limits { min, max } => {
            let [name_min, name_max] = names;
            [min.map(|min| (name_min, Limit::Min(min))), max.map(|max| (name_max, Limit::Max(max)))]
                .into_iter()
                .flatten()
                .map(|(name, limit)| Guardrail {
                    name,
                    must_prove: false,
                    reading: limit_reading(plan, guard, limit, planned, scope),
                })
                .collect()
        }
    };
    guardrails.into_iter().map(|guardrail| (guard.index, guardrail)).collect()
}

/// What is compared with an absolute limit: the treatment's rate where units are counted, else the bare value.
fn limit_reading<'a>(
    plan: &Plan,
    guard: &Guard,
    limit: Limit,
    planned: &GuardrailPlan,
    scope: Scope,
) -> GuardrailReading<'a> {
    let grows = planned.signal.contract.as_ref().is_some_and(|contract| contract.is_safe_so_far());
    let waits = matches!(limit, Limit::Min(_)) || !grows;
    let treatment_since = |first: u32| -> Vec<ArmSums> {
        guard
            .phases
            .iter()
            .filter(|phase| u32::try_from(phase.phase).unwrap_or(0) >= first)
            .flat_map(|phase| &phase.arms)
            .filter(|arm| arm.variant == Variant::Treatment)
            // A value that can still grow is not below a limit yet.
            .map(|arm| match (arm.cohort, waits) {
                (Some(cohort), true) => cohort.claimed,
                _ => arm.sums,
            })
            .collect()
    };
    let treatment = treatment_since(scope.safety_from);
    let in_unit_interval = matches!(limit, Limit::Min(x) | Limit::Max(x) if x > 0.0 && x < 1.0);
    if let Some(Counts { successes, n }) = counts_of(&treatment).filter(|_| in_unit_interval) {
        let of_step = scope.step.and_then(|step| counts_of(&treatment_since(step.from)));
        return GuardrailReading::RateLimit { successes, n, of_step, limit };
    }
    let bare = treatment.last().copied().or(guard.level);
    GuardrailReading::ValueLimit(ValueLimit {
        value: bare.and_then(|sums| sums.value()),
        n: bare.and_then(|sums| sums.n()).and_then(|n| u64::try_from(n).ok()),
        limit,
        consecutive: planned.consecutive,
        rule: value_rule(plan, guard, planned),
    })
}

/// The units of all of them together; `None` where they are no counts, or there are none.
fn counts_of(all: &[ArmSums]) -> Option<Counts> {
    let mut counts = Counts { successes: 0, n: 0 };
    for sums in all {
        let Some(stats::ArmSums::Proportion { n, successes }) = stats_sums(sums) else { return None };
        counts = Counts { successes: counts.successes + successes, n: counts.n + n };
    }
    (!all.is_empty()).then_some(counts)
}

/// Without a control group everybody has the treatment, so that a value of everybody is its own.
fn value_rule(plan: &Plan, guard: &Guard, planned: &GuardrailPlan) -> ValueRule {
    match planned.also_pause_on_level {
        None => ValueRule::InARow,
        Some(_) if !is_of_everybody(guard, planned) => ValueRule::OfTreatment,
        Some(also_pauses) => {
            ValueRule::OfEverybody { pauses: also_pauses || !plan.design.has_control(), is_full_day: guard.is_full_day }
        }
    }
}

/// Whether a constraint is read over everybody. A poll without any reading is told by what is asked, so that nothing changes its
/// meaning by being absent.
fn is_of_everybody(guard: &Guard, planned: &GuardrailPlan) -> bool {
    match (planned.signal.has_variants(), planned.signal.has_level()) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => guard.phases.is_empty() && guard.level.is_some(),
    }
}
