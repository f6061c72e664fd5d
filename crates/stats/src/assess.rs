//! The numbers of one poll, without a word and without an allocation: what simulations and replays run in a loop.
//!
//! **Invariant**: assessing the same poll again, with the state it left, gives the same numbers and leaves the same
//! state.

use super::guardrail::{Alphas, evaluate_guardrail};
use super::harm::{Looks, total};
use super::health::Findings;
use super::phases::Gated;
use super::sample_size::whole_weeks;
use super::ship_test::{Measured, ShipPoll};
use super::{
    Alpha, Alternative, Assessment, Contrast, DecideInput, EpochReason, EpochStart, Estimate, Evaluation, Guardrail,
    GuardrailNumbers, GuardrailReading, GuardrailSummary, HarmTest, HealthCode, Interval, InvalidInput, Lasting, Phase,
    Recommendation, RunningState, Settings, ShipBound, Srm, SrmLevel, SrmStatus, Status, TestPlan, Tuning,
    TwoArmResult, boundary, combine_phases, decide, mixture, sample_ratio_mismatch, state,
};

/// What one poll comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessed {
    /// By the fixed order of STATS.md 2.8.
    pub recommendation: Recommendation,
    /// What it rests on.
    pub numbers: Assessment,
    /// What is known about the data.
    pub(super) findings: Findings,
}

/// Assesses one poll of one treatment against its control, and brings the state up to date.
///
/// A phase whose units shrank (a restatement) starts a new epoch with p = 1 and holds this poll; who knows the corrected
/// polls replays them from [`RunningState::restated`] before. A poll older than the last one is held and leaves no trace in
/// the state.
///
/// Source: STATS.md 2.0 to 2.8.
pub fn assess(input: &Evaluation<'_>, state: &mut RunningState) -> Assessed {
    assess_each(input, state, |_, _| {})
}

/// The same; `each` sees the numbers of every guardrail, in the order given.
pub(super) fn assess_each<'a>(
    input: &Evaluation<'a>,
    state: &mut RunningState,
    each: impl FnMut(&Guardrail<'a>, &GuardrailNumbers),
) -> Assessed {
    let is_out_of_order = state.as_of.is_some_and(|last| input.as_of < last);
    if is_out_of_order {
        // Rare, so a copy is the plain way to leave no trace.
        let mut copy = state.clone();
        return Assessor { input, state: &mut copy, is_new_poll: false, is_out_of_order }.run(each);
    }
    let is_new_poll = state.as_of.is_none_or(|last| input.as_of > last);
    open_epoch(state, input);
    let assessed = Assessor { input, state, is_new_poll, is_out_of_order }.run(each);
    state.as_of = Some(input.as_of);
    state.count(input.phases);
    assessed
}

struct Assessor<'s, 'i, 'a> {
    input: &'i Evaluation<'a>,
    state: &'s mut RunningState,
    is_new_poll: bool,
    is_out_of_order: bool,
}

impl<'a> Assessor<'_, '_, 'a> {
    fn run(self, each: impl FnMut(&Guardrail<'a>, &GuardrailNumbers)) -> Assessed {
        let Self { input, state, is_new_poll, is_out_of_order } = self;
        let plan = input.plan;
        let claimed = input.claims();
        let primary = Primary::of(input, state);
        let looks = HarmTest::look_at_all(input, &state.harm_looks(), state.tuning);
        state.keep_harm(&looks);
        let harm = HarmTest::worse(&looks);
        let mut findings = Findings::of_poll(input, primary.result.status);
        if let Some(start) = state.epoch_start.filter(|start| start.as_of == input.as_of) {
            // It belongs to the poll that started the epoch, also when that poll is repeated.
            findings.add(match start.reason {
                EpochReason::Restatement => HealthCode::Restated,
                EpochReason::PlanChanged => HealthCode::PlanChanged,
                EpochReason::PhasesLeftOut => HealthCode::PhasesLeftOut,
            });
        }
        if is_out_of_order {
            findings.add(HealthCode::OutOfOrder);
        }
        if !is_out_of_order && state.has_lost_units(input.phases) {
            findings.add(HealthCode::UnitsDeleted);
        }
        if is_new_poll {
            let phase = input.phases.iter().map(|phase| phase.number).max().unwrap_or(0);
            let lasts = |code| match code {
                HealthCode::BothArmsOften => input.health.is_both_now,
                HealthCode::UnknownVariantsOften => input.health.is_unknown_now,
                _ => false,
            };
            state.lasting = Lasting::after(&state.lasting, lasts, phase, input.as_of);
        }
        let srm_now = srm_over_phases(input.scope.claims(input.phases));
        if srm_now.status == SrmStatus::Invalid {
            findings.add(HealthCode::WeightsInvalid);
        }
        let n_control = total(claimed, |p| p.control.n());
        let n_treatment = total(claimed, |p| p.treatment.n());
        let n_units = n_control.saturating_add(n_treatment);
        state.srm_max_ln_e = state.srm_max_ln_e.max(srm_now.ln_e.unwrap_or(0.0));
        if !findings.block() {
            observe(state, &primary.result, input, n_units);
        }
        if state.test.has_drifted() {
            findings.add(HealthCode::EffectDrift);
        }
        let srm = running_srm(srm_now, state.srm_max_ln_e);
        let is_data_ok = !findings.block();
        match srm.level {
            SrmLevel::Clean => {}
            SrmLevel::Warn => findings.add(HealthCode::SrmSuspected),
            SrmLevel::Block => findings.add(HealthCode::SrmProven),
        }
        let guardrails = assess_guardrails(input, state, is_new_poll, each);
        if guardrails.is_any_incident {
            findings.add(HealthCode::Incident);
        }

        let min_runtime_days = whole_weeks(u64::from(plan.min_runtime_days));
        let is_min_sample_reached = n_units >= plan.min_sample_size;
        let is_min_runtime_met = input.elapsed_days >= min_runtime_days as f64;
        let is_trusted = is_data_ok && srm.level != SrmLevel::Block && !guardrails.is_any_incident;
        let may_claim = is_trusted && is_min_runtime_met && is_min_sample_reached;
        let ship = primary.ship(input, state, may_claim, n_units);
        // A bound stands from one claim look to the next, but not against what the units say today.
        let improvement = primary.improvement(plan);
        let ship_bound = ship
            .and_then(|ship| ship.lower)
            .filter(|_| improvement.is_some_and(|improvement| improvement > plan.success_threshold));
        let is_success = ship_bound.is_some_and(|bound| bound > plan.success_threshold);
        let numbers = Assessment {
            status: primary.result.status,
            effect: primary.result.effect,
            effect_shrunken: primary.shrunken(),
            standard_error: primary.result.variance.map(f64::sqrt),
            ci: primary.result.ci,
            ci_running: state.test.intersection(),
            lift: primary.result.lift,
            lift_ci: primary.result.lift_ci,
            control_level: primary.contrast.map(|c| c.control),
            treatment_level: primary.contrast.map(|c| c.treatment),
            ln_e: primary.result.ln_e,
            ln_p_running: state.test.ln_p(),
            p_running: state.test.p(),
            is_significant: state.first_crossing.is_some() && primary.result.ci.is_some_and(|ci| ci.excludes(0.0)),
            is_success_threshold_met: is_success,
            is_kill_threshold_exceeded: harm
                .and_then(|harm| harm.bound)
                .is_some_and(|bound| bound < plan.kill_threshold),
            futility_upper: primary.futility_upper(plan),
            n_control,
            n_treatment,
            is_min_sample_reached,
            is_min_runtime_met,
            min_runtime_days,
            srm,
            tuning: state.tuning,
            epoch: state.epoch,
            harm,
            ship,
            decision_ci: decision_interval(ship, harm, claimed).map(|ci| plan.direction.orient(ci)),
        };
        let recommendation = decide(&DecideInput {
            ship_bound,
            harm_bound: harm.and_then(|harm| harm.bound),
            success_threshold: plan.success_threshold,
            kill_threshold: plan.kill_threshold,
            mde: state.mde_abs,
            futility_upper: numbers.futility_upper,
            is_min_runtime_met: numbers.is_min_runtime_met && numbers.is_min_sample_reached,
            is_max_reached: PlanEnd::reached(input, state, n_units, is_success).is_some(),
            is_data_ok: is_data_ok && !guardrails.is_any_incident,
            srm: srm.level,
            guardrails,
        });
        Assessed { recommendation, numbers, findings }
    }
}

/// Its lower end decides on success, its upper end on harm. `None` where the two rest on different phases.
fn decision_interval(ship: Option<ShipBound>, harm: Option<HarmTest>, claimed: &[Phase]) -> Option<Interval> {
    let (lower, harm) = (ship?.lower, harm?);
    let is_same = claimed.first().is_some_and(|first| first.number == harm.from_phase);
    let interval = Interval { lower, upper: harm.bound };
    (is_same && !interval.is_empty()).then_some(interval)
}

/// What a plan is at its end by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlanEnd {
    Days,
    /// All error of its known end is spent.
    Information,
    Sample,
}

impl PlanEnd {
    /// `None` while the plan goes on. `n_units`: of both arms. A success that was found waits for its proofs of safety and for healthy
    /// data until the planned days are over.
    pub(super) fn reached(
        input: &Evaluation<'_>,
        state: &RunningState,
        n_units: u64,
        is_success: bool,
    ) -> Option<Self> {
        let plan = input.plan;
        if plan.max_days.is_some_and(|days| input.elapsed_days >= f64::from(days)) {
            return Some(Self::Days);
        }
        if plan.max_sample_size.is_some_and(|n| n_units >= n) {
            return Some(Self::Sample);
        }
        let is_spent = state.looks.last().is_some_and(|look| look.is_last);
        (is_spent && !is_success).then_some(Self::Information)
    }
}

/// Starts a new epoch when the source restated its past or the plan asks for another test.
fn open_epoch(state: &mut RunningState, input: &Evaluation<'_>) {
    let as_of = input.as_of;
    state.enter(input.scope);
    if state.is_restated_by(input.phases) {
        state.start_epoch(EpochStart { as_of, reason: EpochReason::Restatement });
        state.phases.clear();
        state.keep_harm(&Looks::default());
    } else if state.as_of.is_some() && state.claims_from != input.scope.claims_from {
        state.start_epoch(EpochStart { as_of, reason: EpochReason::PhasesLeftOut });
    } else if state.is_changed_by(input.plan, tuning_from_plan(input.plan)) {
        state.start_epoch(EpochStart { as_of, reason: EpochReason::PlanChanged });
    }
    state.claims_from = input.scope.claims_from;
    state.alpha = Some(input.plan.comparison_alpha());
}

fn tuning_from_plan(plan: &TestPlan) -> Option<Tuning> {
    let waits_for_baseline = plan.fixed_mde().is_none() && plan.mde_relative.is_some();
    let threshold = if waits_for_baseline { 0.0 } else { plan.success_threshold };
    Tuning::from_plan(plan.tau, plan.fixed_mde(), threshold)
}

/// The primary metric at one poll.
struct Primary {
    result: TwoArmResult,
    contrast: Option<Contrast>,
    estimate: Option<Estimate>,
}

impl Primary {
    /// Tests the primary metric and freezes tau and the minimum detectable effect as soon as they are known.
    fn of(input: &Evaluation<'_>, state: &mut RunningState) -> Self {
        let plan = input.plan;
        state.mde_abs = state.mde_abs.or_else(|| plan.fixed_mde());
        state.tuning = state.tuning.or_else(|| tuning_from_plan(plan));
        Self::tested(input, state).unwrap_or_else(|status| Self {
            result: TwoArmResult::without_numbers(status),
            contrast: None,
            estimate: None,
        })
    }

    fn tested(input: &Evaluation<'_>, state: &mut RunningState) -> Result<Self, Status> {
        let plan = input.plan;
        let alpha = plan.comparison_alpha();
        let gated = Gated::of(input.claims(), plan.is_signed)?;
        let contrast = combine_phases(&gated.contrasts, 1.0)?;
        let estimate = contrast.against(1.0)?;
        state.mde_abs = state.mde_abs.or_else(|| plan.mde_at(contrast.control));
        let tuning = state
            .tuning
            .or_else(|| Tuning::from_plan(plan.tau, state.mde_abs, plan.success_threshold))
            .or_else(|| {
                let planned = plan.max_sample_size;
                Tuning::from_first_poll(alpha, estimate.variance, gated.units, planned)
            })
            .ok_or(InvalidInput::OutOfRange)?;
        state.tuning = Some(tuning);
        let settings = Settings { alpha, tau: tuning.tau, alternative: Alternative::TwoSided, null: 0.0 };
        let result = TwoArmResult::of_contrast(&contrast, &settings);
        Ok(Self { result, contrast: Some(contrast), estimate: Some(estimate) })
    }

    /// The estimated effect, in the good direction.
    fn improvement(&self, plan: &TestPlan) -> Option<f64> {
        let effect = self.result.effect?;
        plan.direction.orient(Interval::new(effect, effect)).lower
    }

    /// The lower bound of the improvement; the poll may be a claim look, which `state` then remembers.
    fn ship(
        &self,
        input: &Evaluation<'_>,
        state: &mut RunningState,
        may_claim: bool,
        n_units: u64,
    ) -> Option<ShipBound> {
        let plan = input.plan;
        let estimate = self.estimate.filter(|_| self.result.status == Status::Ok)?;
        let poll = ShipPoll {
            measured: Measured {
                improvement: Estimate { delta: self.improvement(plan)?, ..estimate },
                mde: state.mde_abs,
                tau: state.tuning?.tau,
            },
            two_sided: self.result.ci.map(|ci| plan.direction.orient(ci)),
            alpha: plan.comparison_alpha(),
            elapsed_days: input.elapsed_days,
            first_day: u32::try_from(whole_weeks(u64::from(plan.min_runtime_days))).unwrap_or(u32::MAX),
            n_units,
            as_of: input.as_of,
            may_claim,
        };
        Some(plan.ship.bound(&poll, &mut state.looks))
    }

    fn shrunken(&self) -> Option<f64> {
        Some(mixture::shrunken(self.result.effect?, self.result.r?))
    }

    /// Own alpha of 0.10: stopping for futility cannot raise the type I error.
    fn futility_upper(&self, plan: &TestPlan) -> Option<f64> {
        let (effect, r) = (self.result.effect?, self.result.r?);
        let se = self.result.variance?.sqrt();
        let half_width = se * boundary(r, Alpha::FUTILITY, Alternative::Greater);
        let both = Interval::new(effect - half_width, effect + half_width);
        plan.direction.orient(both).upper
    }
}

fn observe(state: &mut RunningState, primary: &TwoArmResult, input: &Evaluation<'_>, n_units: u64) {
    if let (Some(ln_e), Some(ci)) = (primary.ln_e, primary.ci) {
        state.test = state.test.observe(ln_e, ci);
        if state.first_crossing.is_none() && input.plan.comparison_alpha().rejects(ln_e) {
            state.first_crossing = Some(state::Crossing { as_of: input.as_of, n_units });
        }
    }
}

/// Each phase against its own weights; evidence multiplies.
fn srm_over_phases(phases: &[Phase]) -> Srm {
    let mut ln_e = 0.0;
    for phase in phases {
        let control = (phase.control.n(), phase.control_weight);
        let treatment = (phase.treatment.n(), phase.treatment_weight);
        let one = sample_ratio_mismatch(&[control, treatment]);
        match one.ln_e {
            Some(evidence) => ln_e += evidence,
            None => return one,
        }
    }
    Srm::from_ln_e(ln_e)
}

/// Evidence of this poll with p and level over all polls: what was proven once is not unproven by more traffic.
fn running_srm(now: Srm, max_ln_e: f64) -> Srm {
    match now.status {
        SrmStatus::Ok => Srm { ln_e: now.ln_e, ..Srm::from_ln_e(now.ln_e.map_or(max_ln_e, |ln_e| ln_e.max(max_ln_e))) },
        SrmStatus::TrafficOnZeroWeightArm | SrmStatus::Invalid => now,
    }
}

fn assess_guardrails<'a>(
    input: &Evaluation<'a>,
    state: &mut RunningState,
    is_new_poll: bool,
    mut each: impl FnMut(&Guardrail<'a>, &GuardrailNumbers),
) -> GuardrailSummary {
    let claims = |reading: &GuardrailReading<'_>| match reading {
        GuardrailReading::RelativeToControl(_) | GuardrailReading::RateLimit { .. } => true,
        GuardrailReading::ValueLimit(_) => false,
    };
    let n_claims = input.guardrails.iter().filter(|g| claims(&g.reading)).count();
    let safe = input.plan.guardrail_alpha;
    let budget = safe.split(n_claims).halved(input.scope.n_restarts);
    let of_step = input.scope.step.map(|step| TestPlan::part_of_step(budget, step));
    let alphas = Alphas { breach: input.plan.part_of_all(budget), of_step, safe };
    let mut summary = GuardrailSummary::default();
    for guardrail in input.guardrails {
        let memory = state.guardrail_memory(guardrail.name);
        let (numbers, memory) =
            evaluate_guardrail(guardrail, alphas, memory, is_new_poll.then_some(input.as_of), input.scope);
        state.remember_guardrail(guardrail.name, memory);
        each(guardrail, &numbers);
        summary = summary.and(numbers.flags());
    }
    summary
}
