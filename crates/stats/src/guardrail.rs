//! Guardrails: metrics that must not get worse (STATS.md 2.7).
//!
//! "No significant harm" is not "safe": `breached` and `non_inferior` are two different proofs, and there may be
//! neither.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::arms::compare;
use super::interval::finite;
use super::mixture::{Evidence, evidence, evidence_both_ways};
use super::phases::Gated;
use super::rare_events::{RareHarm, rare_harm};
use super::value_limit::{Days, ValueLimit, value_limit};
use super::{
    Alpha, Alternative, Contrast, Estimate, GuardrailNumbers, InvalidInput, Limit, Phase, Scope, Settings, Status, Tau,
    Tuning, boundary, combine_phases, rate_confidence,
};

/// Which way of moving is harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HarmDirection {
    /// More is worse (error rate, latency).
    Increase,
    /// Less is worse (payment success).
    Decrease,
}

/// How much harm is tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Margin {
    /// In metric units, >= 0.
    Absolute(f64),
    /// Relative to the absolute value of the control level, >= 0 (0.05 = 5 %).
    RelativeToControl(f64),
}

/// What was read for a guardrail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GuardrailReading<'a> {
    /// Both arms, compared.
    RelativeToControl(Comparison<'a>),
    /// A rate of the treatment arm against an absolute limit in (0, 1).
    RateLimit {
        /// Units with the event.
        successes: u64,
        /// Units.
        n: u64,
        /// The same of the rollout step that is watched by itself, where there is one.
        of_step: Option<Counts>,
        /// The bound.
        limit: Limit,
    },
    /// A bare value (a p95 latency) against an absolute limit.
    ValueLimit(ValueLimit),
}

/// Units of one arm, and those of them with the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Units with the event.
    pub successes: u64,
    /// Units.
    pub n: u64,
}

/// Both arms of a guardrail, and what is tolerated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison<'a> {
    /// Phases as for the primary metric.
    pub phases: &'a [Phase],
    /// Which way is harm.
    pub harm_direction: HarmDirection,
    /// Tolerated harm.
    pub margin: Margin,
    /// Mixture width in metric units; without it the margin, else the first gated poll.
    pub tau: Option<Tau>,
    /// Whether values may be negative.
    pub is_signed: bool,
    /// The same phases with the units that a proof of safety may rest on; all of them where absent.
    pub claimed: Option<&'a [Phase]>,
    /// Whether rare events are counted exactly before the start gate.
    pub counts_rare: bool,
}

/// One guardrail at one poll.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guardrail<'a> {
    /// Unique within the experiment; the key of its running state.
    pub name: &'a str,
    /// Whether shipping needs the proof of non-inferiority.
    pub must_prove: bool,
    /// The data.
    pub reading: GuardrailReading<'a>,
}

/// The one-sided pair of tests on a harm-signed effect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailTest {
    /// Harm-signed effect: positive is worse.
    pub harm: f64,
    /// One-sided lower bound of the harm.
    pub harm_lower: Option<f64>,
    /// One-sided upper bound of the harm.
    pub harm_upper: Option<f64>,
    /// Evidence against "no harm".
    pub ln_e_deteriorated: f64,
    /// Harm is above zero.
    pub deteriorated: bool,
    /// Evidence against "harm within the margin".
    pub ln_e_breached: f64,
    /// Harm is above the margin.
    pub breached: bool,
    /// Evidence against "harm at or beyond the margin".
    pub ln_e_non_inferior: f64,
    /// Harm is below the margin.
    pub non_inferior: bool,
}

impl GuardrailTest {
    /// What follows from a lower bound of the harm, where no mixture was made of it: nothing about safety.
    pub(super) fn of_lower_bound(harm: f64, lower: Option<f64>, margin: f64, ln_e: f64) -> Self {
        let (worse, breached) = (lower.is_some_and(|x| x > 0.0), lower.is_some_and(|x| x > margin));
        Self {
            harm,
            harm_lower: lower,
            harm_upper: None,
            ln_e_deteriorated: ln_e,
            deteriorated: worse,
            ln_e_breached: if breached { ln_e } else { 0.0 },
            breached,
            ln_e_non_inferior: 0.0,
            non_inferior: false,
        }
    }

    /// The same estimate, from which nothing follows about safety.
    fn without_proof(self) -> Self {
        Self { harm_upper: None, ln_e_non_inferior: 0.0, non_inferior: false, ..self }
    }

    /// The same estimate, from which nothing follows about harm.
    fn without_finding(self) -> Self {
        Self {
            harm_lower: None,
            ln_e_deteriorated: 0.0,
            deteriorated: false,
            ln_e_breached: 0.0,
            breached: false,
            ..self
        }
    }
}

/// Tests a harm-signed effect at zero and at `margin`.
///
/// `harm`: positive is worse. `margin`: absolute, >= 0. `alpha_breach`: for deteriorated, breached and the lower
/// bound, to be split over guardrails. `alpha_safe`: for non-inferiority and the upper bound, not to be split.
///
/// # Errors
/// [`InvalidInput`] for a negative margin or unrepresentable numbers.
///
/// Source: STATS.md 2.7.
pub fn guardrail_test(
    harm: &Estimate,
    margin: f64,
    tau: Tau,
    alpha_breach: Alpha,
    alpha_safe: Alpha,
) -> Result<GuardrailTest, InvalidInput> {
    if !(margin >= 0.0 && margin.is_finite()) {
        return Err(InvalidInput::Parameter);
    }
    let zero = Settings { alpha: alpha_breach, tau, alternative: Alternative::Greater, null: 0.0 };
    let Evidence { r, ln_e: ln_e_deteriorated, .. } = evidence(harm, &zero)?;
    let (ln_e_breached, ln_e_non_inferior) = evidence_both_ways(harm, tau, margin)?;
    let se = harm.variance.standard_error();
    let half_width = |alpha| se * boundary(r, alpha, Alternative::Greater);
    let below = half_width(alpha_breach);
    let above = if alpha_safe == alpha_breach { below } else { half_width(alpha_safe) };
    Ok(GuardrailTest {
        harm: harm.delta,
        harm_lower: finite(harm.delta - below),
        harm_upper: finite(harm.delta + above),
        ln_e_deteriorated,
        deteriorated: alpha_breach.rejects(ln_e_deteriorated),
        ln_e_breached,
        breached: alpha_breach.rejects(ln_e_breached),
        ln_e_non_inferior,
        non_inferior: alpha_safe.rejects(ln_e_non_inferior),
    })
}

/// What a guardrail remembers between polls.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Memory {
    /// Frozen mixture width.
    pub(super) tuning: Option<Tuning>,
    /// Days of a bare value.
    pub(super) days: Days,
}

/// Alphas shared by all guardrails of an experiment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alphas {
    /// Per guardrail: killing is an OR over all of them.
    pub(super) breach: Alpha,
    /// The same for the rollout step that is watched by itself.
    pub(super) of_step: Option<Alpha>,
    /// Shipping is an AND, which needs no correction.
    pub(super) safe: Alpha,
}

/// Evaluates one guardrail; `new_poll`: when the data are as of, `None` for a repeated poll, which must not count twice.
pub(super) fn evaluate_guardrail(
    guardrail: &Guardrail<'_>,
    alphas: Alphas,
    memory: Memory,
    new_poll: Option<i64>,
    scope: Scope,
) -> (GuardrailNumbers, Memory) {
    let refused = |status| (GuardrailNumbers::without_numbers(guardrail.must_prove, status), memory);
    match guardrail.reading {
        GuardrailReading::RelativeToControl(comparison) => match comparison.evaluate_in(scope, alphas, memory.tuning) {
            Ok(Compared { test, bound, tuning, is_exact }) => {
                let result = GuardrailNumbers {
                    value: Some(test.harm),
                    lower: test.harm_lower,
                    upper: test.harm_upper,
                    bound: Some(bound),
                    ln_e_breached: Some(test.ln_e_breached),
                    deteriorated: test.deteriorated,
                    breached: test.breached,
                    non_inferior: test.non_inferior,
                    is_exact,
                    ..GuardrailNumbers::without_numbers(guardrail.must_prove, Status::Ok)
                };
                (result, Memory { tuning: tuning.or(memory.tuning), ..memory })
            }
            Err(status) => refused(status),
        },
        GuardrailReading::RateLimit { successes, n, of_step, limit } => {
            match rate_limits(guardrail, Counts { successes, n }, of_step, limit, alphas) {
                Ok(result) => (result, memory),
                Err(reason) => refused(reason.into()),
            }
        }
        GuardrailReading::ValueLimit(reading) => {
            let (found, days) = value_limit(&reading, memory.days, new_poll, scope.is_off);
            (GuardrailNumbers { must_prove: guardrail.must_prove, ..found }, Memory { days, ..memory })
        }
    }
}

/// What a comparison came to.
struct Compared {
    test: GuardrailTest,
    /// The tolerated harm, absolute.
    bound: f64,
    /// The mixture width that is kept; `None` where nothing was mixed.
    tuning: Option<Tuning>,
    /// Whether rare events were counted.
    is_exact: bool,
}

impl<'a> Comparison<'a> {
    /// Of values that are never negative, all of whose units count for everything.
    #[must_use]
    pub fn new(phases: &'a [Phase], harm_direction: HarmDirection, margin: Margin) -> Self {
        Self { phases, harm_direction, margin, tau: None, is_signed: false, claimed: None, counts_rare: false }
    }
}

impl Comparison<'_> {
    /// Harm is looked for in the phases of the safety process, and in those of a rollout step that is watched by itself.
    fn evaluate_in(&self, scope: Scope, alphas: Alphas, frozen: Option<Tuning>) -> Result<Compared, Status> {
        let all = self.evaluate_over(scope, alphas, frozen)?;
        let (Some(phases), Some(breach)) = (scope.of_step(self.phases), alphas.of_step) else { return Ok(all) };
        let frozen = frozen.or(all.tuning);
        let own = Comparison { phases, ..*self }.evaluate_or_count(Alphas { breach, ..alphas }, frozen);
        Ok(match own {
            Ok(own) if own.test.breached && !all.test.breached => Compared {
                test: GuardrailTest {
                    harm_upper: all.test.harm_upper,
                    ln_e_non_inferior: all.test.ln_e_non_inferior,
                    non_inferior: all.test.non_inferior,
                    ..own.test
                },
                is_exact: own.is_exact,
                ..all
            },
            Ok(_) | Err(_) => all,
        })
    }

    /// Harm is looked for in the phases of the safety process, the proof of safety in those that claims rest on.
    fn evaluate_over(&self, scope: Scope, alphas: Alphas, frozen: Option<Tuning>) -> Result<Compared, Status> {
        let within = |phases| Comparison { phases, ..*self }.evaluate_or_count(alphas, frozen);
        let (safety, claims) = (scope.safety(self.phases), scope.claims(self.claimed.unwrap_or(self.phases)));
        if self.claimed.is_none() && safety.len() == claims.len() {
            return within(safety);
        }
        let (harm, proof) = match (within(safety), within(claims)) {
            (Ok(harm), Ok(proof)) => (harm, proof),
            (Err(status @ Status::Invalid { .. }), _) => return Err(status),
            // Too little on the step to find harm is no reason to doubt the proof, and an older phase none to overlook harm.
            (Err(_), Ok(proof)) => return Ok(Compared { test: proof.test.without_finding(), ..proof }),
            (Ok(harm), Err(_)) => return Ok(Compared { test: harm.test.without_proof(), ..harm }),
            (Err(status), Err(_)) => return Err(status),
        };
        let test = GuardrailTest {
            harm_upper: proof.test.harm_upper,
            ln_e_non_inferior: proof.test.ln_e_non_inferior,
            non_inferior: proof.test.non_inferior,
            ..harm.test
        };
        Ok(Compared { test, bound: proof.bound, tuning: harm.tuning.or(proof.tuning), is_exact: harm.is_exact })
    }

    fn evaluate_or_count(&self, alphas: Alphas, frozen: Option<Tuning>) -> Result<Compared, Status> {
        let counted = |phases: &[Phase]| {
            let margin_at = |rate: f64| match self.margin {
                Margin::Absolute(margin) => margin,
                Margin::RelativeToControl(share) => share * rate,
            };
            let is_more_harm = self.harm_direction == HarmDirection::Increase;
            let RareHarm { harm, lower, margin, ln_e } = rare_harm(phases, is_more_harm, margin_at, alphas.breach)?;
            let test = GuardrailTest::of_lower_bound(harm, lower, margin, ln_e);
            Some(Compared { test, bound: margin, tuning: None, is_exact: true })
        };
        match self.evaluate(alphas, frozen) {
            Ok((test, bound, tuning)) => {
                // What a phase with many units says does not hide the events of one with few.
                let few: SmallVec<[Phase; 2]> =
                    self.phases.iter().filter(|phase| self.is_counted(phase)).copied().collect();
                let breached = counted(&few).filter(|counted| counted.test.breached);
                let found = breached.map(|counted| Compared { tuning: Some(tuning), ..counted });
                Ok(found.unwrap_or(Compared { test, bound, tuning: Some(tuning), is_exact: false }))
            }
            Err(status @ (Status::InsufficientSample { .. } | Status::ZeroVariance)) if self.counts_rare => {
                counted(self.phases).ok_or(status)
            }
            Err(status) => Err(status),
        }
    }

    /// Whether a phase has too few events for the mixture.
    fn is_counted(&self, phase: &Phase) -> bool {
        let status = compare(&phase.control, &phase.treatment, self.is_signed).map(drop);
        self.counts_rare && matches!(status, Err(Status::InsufficientSample { .. } | Status::ZeroVariance))
    }

    fn evaluate(&self, alphas: Alphas, frozen: Option<Tuning>) -> Result<(GuardrailTest, f64, Tuning), Status> {
        let gated = Gated::of(self.phases, self.is_signed)?;
        let effect = combine_phases(&gated.contrasts, 1.0)?;
        let sign = match self.harm_direction {
            HarmDirection::Increase => 1.0,
            HarmDirection::Decrease => -1.0,
        };
        // Harm beyond m|Q| is a statement about P - kQ alone: no baseline has to be frozen.
        let (margin_abs, step) = match self.margin {
            Margin::Absolute(margin) => (margin, 0.0),
            Margin::RelativeToControl(m) => (m * effect.control.abs(), sign * m * effect.control.signum()),
        };
        if !(margin_abs >= 0.0 && margin_abs.is_finite()) {
            return Err(InvalidInput::Parameter.into());
        }
        let harm = harm_signed(&effect, 1.0, sign)?;
        let tuning = match frozen.or_else(|| Tuning::from_plan(self.tau, Some(margin_abs), 0.0)) {
            Some(tuning) => tuning,
            None => {
                let alpha = alphas.breach.doubled();
                Tuning::from_first_poll(alpha, harm.variance, gated.units, None).ok_or(InvalidInput::OutOfRange)?
            }
        };
        let null = if matches!(self.margin, Margin::Absolute(_)) { margin_abs } else { 0.0 };
        let at_zero = guardrail_test(&harm, null, tuning.tau, alphas.breach, alphas.safe)?;
        if null > 0.0 || margin_abs <= 0.0 {
            return Ok((at_zero, margin_abs, tuning));
        }
        let at = |k: f64| {
            let shifted = harm_signed(&combine_phases(&gated.contrasts, k)?, k, sign)?;
            guardrail_test(&shifted, 0.0, tuning.tau, alphas.breach, alphas.safe)
        };
        let at_margin = at(1.0 + step)?;
        let mut ln_e_breached = at_margin.ln_e_breached;
        if at_margin.breached {
            // Harm beyond m|Q| is harm beyond mQ and beyond -mQ. Both are asked, since near zero the sign of Q is unknown.
            ln_e_breached = ln_e_breached.min(at(1.0 - step)?.ln_e_breached).min(at_zero.ln_e_deteriorated);
        }
        let test = GuardrailTest {
            ln_e_breached,
            breached: alphas.breach.rejects(ln_e_breached),
            ln_e_non_inferior: at_margin.ln_e_non_inferior,
            non_inferior: at_margin.non_inferior,
            ..at_zero
        };
        Ok((test, margin_abs, tuning))
    }
}

fn harm_signed(contrast: &Contrast, k: f64, sign: f64) -> Result<Estimate, InvalidInput> {
    let estimate = contrast.against(k)?;
    Ok(Estimate { delta: sign * estimate.delta, ..estimate })
}

/// The rate of all phases of the safety process, and of a rollout step that is watched by itself where that one alone is beyond the limit.
fn rate_limits(
    guardrail: &Guardrail<'_>,
    all: Counts,
    of_step: Option<Counts>,
    limit: Limit,
    alphas: Alphas,
) -> Result<GuardrailNumbers, InvalidInput> {
    let of_all = rate_limit(guardrail, all, limit, alphas)?;
    let (Some(counts), Some(breach)) = (of_step.filter(|_| !of_all.breached), alphas.of_step) else {
        return Ok(of_all);
    };
    let own = rate_limit(guardrail, counts, limit, Alphas { breach, ..alphas })?;
    Ok(if own.breached { GuardrailNumbers { non_inferior: of_all.non_inferior, ..own } } else { of_all })
}

fn rate_limit(
    guardrail: &Guardrail<'_>,
    Counts { successes, n }: Counts,
    limit: Limit,
    alphas: Alphas,
) -> Result<GuardrailNumbers, InvalidInput> {
    let breach = rate_confidence(successes, n, limit.get(), alphas.breach)?;
    let safe = rate_confidence(successes, n, limit.get(), alphas.safe)?;
    let (breached, non_inferior) = match limit {
        Limit::Max(x) => (breach.ci.lower.is_some_and(|l| l > x), safe.ci.upper.is_some_and(|u| u < x)),
        Limit::Min(x) => (breach.ci.upper.is_some_and(|u| u < x), safe.ci.lower.is_some_and(|l| l > x)),
    };
    let (lower, upper) = match limit {
        Limit::Max(_) => (breach.ci.lower, safe.ci.upper),
        Limit::Min(_) => (safe.ci.lower, breach.ci.upper),
    };
    Ok(GuardrailNumbers {
        value: breach.rate,
        lower,
        upper,
        bound: Some(limit.get()),
        ln_e_breached: Some(breach.ln_e),
        breached,
        non_inferior,
        ..GuardrailNumbers::without_numbers(guardrail.must_prove, Status::Ok)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArmSums;

    fn mean(mean: f64, sd: f64) -> ArmSums {
        let n = 10_000;
        let units = n as f64;
        ArmSums::Mean { n, sum: units * mean, sum_squares: units * (mean * mean + sd * sd) }
    }

    fn at_margin(control: ArmSums, treatment: ArmSums, m: f64) -> GuardrailTest {
        let phases = [Phase { number: 1, control_weight: 1.0, treatment_weight: 1.0, control, treatment }];
        let comparison = Comparison {
            tau: Some(Tau::try_new(30.0).unwrap()),
            is_signed: true,
            ..Comparison::new(&phases, HarmDirection::Increase, Margin::RelativeToControl(m))
        };
        let alphas = Alphas { breach: Alpha::DEFAULT, of_step: None, safe: Alpha::DEFAULT };
        comparison.evaluate(alphas, None).unwrap().0
    }

    #[test]
    fn a_control_level_of_unknown_sign_breaches_no_relative_margin() {
        // Control is -1 with a standard error of 10, so it may be +30; then treatment at 10 would be harmless. With the
        // estimated sign alone, P - 0.1 Q is seven standard errors above 0.
        let noisy = at_margin(mean(-1.0, 1000.0), mean(10.0, 100.0), 0.9);
        assert!(!noisy.breached && !noisy.deteriorated, "{noisy:?}");
        // The harm itself is clear, but 35 would be within the margin of +20.
        let harmful = at_margin(mean(-1.0, 1000.0), mean(35.0, 100.0), 0.9);
        assert!(harmful.deteriorated && !harmful.breached, "{harmful:?}");
        let known = at_margin(mean(-1.0, 1.0), mean(10.0, 100.0), 0.9);
        assert!(known.breached && known.deteriorated, "{known:?}");
    }
}
