//! How the plan of an experiment follows from its outcome and its hypothesis.

use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{
    self, Attachment, Constraint, Design, ErrorBudget, GuardrailPlan, Hypothesis, OnConclusion, OutcomeSpec, Period,
    Plan, SignalCaps, SignalSpec,
};
use crate::stats::{Alpha, Information, SeriesRules, ShipTest, known_end_constant};

/// Probability to find an effect of exactly the minimum detectable size.
const POWER: f64 = 0.8;

impl Plan {
    /// The plan that follows from an outcome, a hypothesis and its part of the outcome's error budget.
    ///
    /// `budget_part`: from 0; `None` for an experiment that was reported before budgets were shared.
    #[must_use]
    pub fn of(outcome: &OutcomeSpec, hypothesis: &Hypothesis, budget_part: Option<u32>) -> Self {
        let error_budget = budget_part.map(|part| ErrorBudget {
            alpha: outcome.alpha(),
            part,
            planned: outcome.planned_experiments(),
            corrections: 0,
        });
        let guardrails: Vec<GuardrailPlan> = outcome
            .constraints
            .iter()
            .filter_map(|constraint| match constraint {
                Constraint::Signal { signal, bound, consecutive, on_violation, also_pause_on_level } => {
                    Some(GuardrailPlan {
                        signal: signal.clone(),
                        bound: bound.clone(),
                        consecutive: *consecutive,
                        on_violation: *on_violation,
                        also_pause_on_level: Some(*also_pause_on_level),
                    })
                }
                Constraint::Rule { .. } => None,
            })
            .collect();
        let alpha = error_budget.map_or(outcome.alpha(), |budget| budget.share());
        let has_negative_values = std::iter::once(&outcome.signal)
            .chain(guardrails.iter().map(|guardrail| &guardrail.signal))
            .any(SignalSpec::has_negative_values);
        Self {
            version: 1,
            outcome: outcome.slug.to_string(),
            hypothesis: hypothesis.clone(),
            signal: outcome.signal.clone(),
            direction: outcome.target.direction,
            alpha,
            error_budget,
            tau: hypothesis.measurement.minimum_detectable_effect,
            ship: (outcome.design == Design::Randomised).then(|| ship_test(outcome, hypothesis, alpha)),
            target: (outcome.design != Design::Randomised).then_some(outcome.target.to),
            series: (outcome.design != Design::Randomised).then_some(SeriesRules::Adjusted),
            design: outcome.design,
            randomisation_unit: outcome.randomisation_unit.clone(),
            exposure: outcome.exposure.clone(),
            guardrails,
            on_conclusion: outcome.on_conclusion,
            // A metric of `metrics` counts units by construction; without a control group weeks are compared.
            asks_for_units: outcome.design == Design::Randomised && outcome.signal.contract.is_none(),
            counts_rare: outcome.design == Design::Randomised,
            knows_signs: outcome.design == Design::Randomised && has_negative_values,
            shares_with_steps: outcome.design == Design::Randomised && !hypothesis.rollout.steps.is_empty(),
            attached: None,
        }
    }

    /// The plan of an experiment that runs elsewhere: it is watched and nothing is claimed of it, so it takes no part of the outcome's
    /// error budget, and its end leaves the flag as it is.
    #[must_use]
    pub fn guarding(mut self, attached: Option<&Attachment>) -> Self {
        let Some(attached) = attached else { return self };
        self.guardrails.extend(attached.guards.iter().cloned());
        let is_signed = self.signals().any(SignalSpec::has_negative_values);
        let hourly = |signal: &mut SignalSpec| signal.poll_interval = signal.poll_interval.min(Period::from_hours(1));
        hourly(&mut self.signal);
        self.guardrails.iter_mut().for_each(|guardrail| hourly(&mut guardrail.signal));
        Self {
            design: Design::Attached,
            error_budget: None,
            ship: None,
            on_conclusion: OnConclusion::Hold,
            knows_signs: is_signed,
            attached: Some(Box::new(attached.clone())),
            ..self
        }
    }

    /// The plan with the numbers that the quantiles of its metrics came to.
    #[must_use]
    pub fn with_caps(mut self, caps: &[SignalCaps]) -> Self {
        let guards = self.guardrails.iter_mut().map(|guardrail| &mut guardrail.signal);
        for signal in std::iter::once(&mut self.signal).chain(guards) {
            let found = caps.iter().find(|caps| caps.signal == signal.name);
            if let (Some(contract), Some(found)) = (&mut signal.contract, found)
                && contract.asks_quantile().is_some()
            {
                contract.caps = Some(found.caps);
            }
        }
        self
    }

    /// The plan in the form of the version that reported it: where `reported`, the hash of then, is that of an earlier version's form, that
    /// version's rules stay.
    #[must_use]
    pub fn in_the_form_of(self, reported: Option<&str>) -> Self {
        // Newest first; a form lacks what it lacks for good.
        let without_shares = Self { shares_with_steps: false, ..self.clone() };
        let without_signs = Self { knows_signs: false, ..without_shares.clone() };
        let without_counts = Self { counts_rare: false, ..without_signs.clone() };
        let without_test = Self { ship: None, asks_for_units: false, ..without_counts.clone() };
        let without_series = Self { series: None, ..without_test.clone() };
        let mut without_levels = without_series.clone();
        for guardrail in &mut without_levels.guardrails {
            guardrail.also_pause_on_level = None;
        }
        let is_reported = |form: &Self| reported.is_some() && form.hash().ok().as_deref() == reported;
        [without_shares, without_signs, without_counts, without_test, without_series, without_levels]
            .into_iter()
            .find(is_reported)
            .unwrap_or(self)
    }

    /// SHA-256 of its canonical JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn hash(&self) -> Result<String, serde_json::Error> {
        canonical_json(self).map(sha256_hex)
    }
}

/// The test that decides on success, frozen with everything that it needs. A known end has 80 % power at the minimum detectable effect.
fn ship_test(outcome: &OutcomeSpec, hypothesis: &Hypothesis, alpha: f64) -> ShipTest {
    let measurement = &hypothesis.measurement;
    let mde = measurement.minimum_detectable_effect;
    let known_end = || {
        let constant = known_end_constant(Alpha::try_new(alpha).ok()?, POWER).ok()?;
        // Six digits: the constant is an integral, and its last ones are the machine's.
        let max_information = format!("{:.5e}", constant.c / (mde * mde)).parse().ok()?;
        let max_information = Information::try_new(max_information).ok()?;
        Some(ShipTest::KnownEnd { max_information, days: measurement.duration_days })
    };
    match outcome.ship_test() {
        // An alpha too small to be spent has no known end.
        domain::ShipTest::KnownEnd => known_end().unwrap_or(ShipTest::CutNormal),
        domain::ShipTest::OpenEnd => ShipTest::CutNormal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypotheses::check::tests::{hypothesis, outcome};

    fn without_control() -> Plan {
        let outcome = OutcomeSpec { design: Design::BeforeAfter, ..outcome() };
        Plan::of(&outcome, &hypothesis(), None)
    }

    #[test]
    fn a_plan_that_was_reported_before_levels_were_adjusted_compares_means() {
        let today = without_control();
        assert_eq!(today.series_rules(), SeriesRules::Adjusted);
        let earlier = Plan { series: None, ..today.clone() };
        let reported = earlier.hash().unwrap();
        let kept = today.clone().in_the_form_of(Some(&reported));
        assert_eq!((kept.series_rules(), kept.hash().unwrap()), (SeriesRules::Means, reported));
        for reported in [None, Some(today.hash().unwrap())] {
            assert_eq!(today.clone().in_the_form_of(reported.as_deref()), today);
        }
        assert_eq!(today.clone().in_the_form_of(Some("of another plan")), today);
    }

    #[test]
    fn a_plan_that_was_reported_before_steps_shared_a_budget_keeps_one_for_each() {
        let mut idea = hypothesis();
        idea.rollout.steps = vec![80];
        let today = Plan::of(&outcome(), &idea, None);
        assert!(today.shares_with_steps);
        let earlier = Plan { shares_with_steps: false, ..today.clone() };
        let kept = today.clone().in_the_form_of(Some(&earlier.hash().unwrap()));
        assert_eq!(kept, earlier);
        idea.rollout.steps.clear();
        let one = Plan::of(&outcome(), &idea, None);
        assert!(!one.shares_with_steps && !canonical_json(&one).unwrap().contains("shares_with_steps"));
        assert!(!canonical_json(&one).unwrap().contains("knows_signs"), "no metric has negative values");
    }

    #[test]
    fn a_plan_with_a_control_group_is_the_same_as_before() {
        let plan = Plan::of(&outcome(), &hypothesis(), None);
        assert!(!canonical_json(&plan).unwrap().contains("series"));
    }
}
