//! The door for a running experiment: from one poll and what was remembered to a recommendation and what to remember.
//!
//! **Invariant**: evaluating the same poll again, with the state it returned, gives the same recommendation and the same
//! state.

use super::assess::{Assessed, PlanEnd, assess_each};
use super::{
    Advice, Assessment, Blocks, Evaluated, Evaluation, GuardrailResult, HealthCode, Recommendation, RunningState,
    SeriesVerdict, before_after, next_words, wording,
};

/// Evaluates one poll of one treatment against its control.
///
/// `previous`: the state returned by the last poll, `None` for the first. A phase whose units shrank (a restatement)
/// starts a new epoch with p = 1 and holds this poll. A poll older than the last one is held and not remembered.
///
/// Source: STATS.md 2.0 to 2.8.
#[must_use]
pub fn evaluate(input: &Evaluation<'_>, previous: Option<&RunningState>) -> Evaluated {
    let mut running = previous.cloned().unwrap_or_default();
    let mut guardrails = Vec::with_capacity(input.guardrails.len());
    let assessed = assess_each(input, &mut running, |guardrail, numbers| {
        guardrails.push(GuardrailResult { name: guardrail.name.to_owned(), numbers: *numbers });
    });
    let mut evaluated = Evaluated {
        advice: Advice { recommendation: assessed.recommendation, reason: String::new(), next: None },
        numbers: assessed.numbers,
        guardrails,
        health: assessed.findings.in_words(&assessed.numbers, input.health),
        series: None,
        running,
    };
    let n_units = evaluated.n_control.saturating_add(evaluated.n_treatment);
    let end = PlanEnd::reached(input, &evaluated.running, n_units, evaluated.is_success_threshold_met);
    evaluated.advice.reason = wording::reason(&evaluated, input, end);
    evaluated.advice.next = next_words::next(&evaluated, input);
    evaluated
}

impl Assessed {
    /// The same as [`evaluate`] hands back, without words and without the numbers of single guardrails: for simulations that ask
    /// the rules of the process at every poll. `running`: the state that the assessment left.
    #[must_use]
    pub fn without_words(self, running: RunningState) -> Evaluated {
        Evaluated {
            advice: Advice { recommendation: self.recommendation, reason: String::new(), next: None },
            numbers: self.numbers,
            guardrails: Vec::new(),
            health: self.findings.without_words(),
            series: None,
            running,
        }
    }
}

/// Evaluates one poll of an experiment without a control group.
///
/// `input` has no phases: its guardrails and the end of the plan count as always, and nothing ever ships. The level after
/// is compared with the level before; where it also moved at a date on which nothing happened, nothing is claimed.
///
/// Source: STATS.md 2.9.
#[must_use]
pub fn evaluate_before_after(
    input: &Evaluation<'_>,
    blocks: &Blocks<'_>,
    previous: Option<&RunningState>,
) -> Evaluated {
    let mut evaluated = evaluate(input, previous);
    let found = before_after(blocks, input.plan.alpha);
    if let (Some(ln_e), Some(ci)) = (found.test.ln_e, found.test.ci) {
        evaluated.running.test = evaluated.running.test.observe(ln_e, ci);
    }
    let test = &evaluated.running.test;
    evaluated.numbers = Assessment {
        status: found.test.status,
        effect: found.test.difference,
        standard_error: found.test.se,
        ci: found.test.ci,
        // Weeks are no arms: the levels are in `series`.
        control_level: None,
        treatment_level: None,
        ln_e: found.test.ln_e,
        ln_p_running: test.ln_p(),
        p_running: test.p(),
        is_significant: found.verdict == SeriesVerdict::Moved,
        ..evaluated.numbers
    };
    evaluated.series = Some(found);
    if found.lacks_placebos(blocks.rules) {
        evaluated.health.push(HealthCode::PlaceboWithoutPower.finding(&evaluated.numbers, input.health));
    }
    if matches!(evaluated.advice.recommendation, Recommendation::Continue | Recommendation::IterateInconclusive) {
        evaluated.advice.reason = wording::before_after(&found, blocks);
        evaluated.advice.next = None;
    }
    evaluated
}
