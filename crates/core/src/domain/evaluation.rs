//! What is kept and shown of an evaluation: the engine's own fields, and what they are a part of.

use std::ops::Deref;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Capped, Design, Direction, Document, ErrorBudget, EvidenceGrade, Plan, Stored};
use crate::stats::{
    Advice, Assessment, BeforeAfter, Evaluated, GuardrailResult, HealthCode, HealthFinding, RunningState, Severity,
    ShipRecord, ShownInterval, SidedP,
};

/// An evaluation without its memory, as it is kept with the experiment: with its error rate, the budget that this is a part
/// of, the e-value where it does not overflow, and the evidence grade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// What follows, in the engine's view.
    #[serde(rename = "verdict")]
    pub advice: Advice,
    /// What it rests on.
    #[serde(flatten)]
    pub numbers: Assessment,
    /// Constraints, in the order of the plan.
    pub guardrails: Vec<GuardrailResult>,
    /// Findings about the data, blocking ones first.
    pub health: Vec<HealthFinding>,
    /// The comparison of an experiment without a control group; observational.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<BeforeAfter>,
    /// Without a control group: mean level of the weeks before the launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_before: Option<f64>,
    /// Without a control group: mean level of the weeks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_after: Option<f64>,
    /// Error rate of this test.
    #[serde(default)]
    pub alpha: Option<f64>,
    /// What `alpha` is a part of.
    #[serde(default)]
    pub error_budget: Option<ErrorBudget>,
    /// Evidence; absent where it overflows.
    #[serde(default)]
    pub e_value: Option<f64>,
    /// The test that decides on success, and its looks; absent in results of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_test: Option<ShipRecord>,
    /// How strong the evidence is.
    #[serde(default)]
    pub grade: Option<EvidenceGrade>,
    /// What the cap of the metric did; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<Capped>,
    /// When the sources were asked.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub polled_at: Option<Timestamp>,
    /// How many readings were new.
    #[serde(default)]
    pub n_readings: Option<usize>,
}

impl Evaluation {
    /// `n_readings`: how many were new.
    #[must_use]
    pub fn of(plan: &Plan, evaluated: &Evaluated, polled_at: Timestamp, n_readings: usize) -> Self {
        let Evaluated { advice, numbers, guardrails, health, series, running } = evaluated;
        Self {
            advice: advice.clone(),
            numbers: *numbers,
            guardrails: guardrails.clone(),
            health: health.clone(),
            series: *series,
            level_before: series.and_then(|series| series.level_before),
            level_after: series.and_then(|series| series.level_after),
            alpha: Some(plan.alpha),
            error_budget: plan.error_budget,
            e_value: numbers.ln_e.map(f64::exp).filter(|e| e.is_finite()),
            ship_test: plan.ship.map(|test| ShipRecord::of(test, running)),
            grade: Some(EvidenceGrade::of(plan.design, health).max(plan.best_grade())),
            capped: None,
            polled_at: Some(polled_at),
            n_readings: Some(n_readings),
        }
    }

    /// The same with what the cap of the metric did.
    #[must_use]
    pub fn with_capped(self, capped: Option<Capped>) -> Self {
        Self { capped, ..self }
    }

    /// Levels before and after the launch of an experiment without a control group; `None` where there is one. Results of earlier
    /// versions called them levels of the control and the treatment.
    #[must_use]
    pub fn before_and_after(&self) -> Option<[Option<f64>; 2]> {
        self.series.is_some().then(|| {
            let Assessment { control_level, treatment_level, .. } = self.numbers;
            [self.level_before.or(control_level), self.level_after.or(treatment_level)]
        })
    }

    /// Takes over the sentences of an earlier reading of the same facts: their wording may have changed since, and a stored
    /// sentence stays as it was. A sentence about another recommendation or finding is not taken over.
    pub fn keep_sentences_of(&mut self, earlier: &Self) {
        if self.advice.recommendation == earlier.advice.recommendation {
            self.advice = earlier.advice.clone();
        }
        for finding in &mut self.health {
            if let Some(known) = earlier.health.iter().find(|known| known.code == finding.code) {
                finding.message.clone_from(&known.message);
            }
        }
    }

    /// The one interval that is shown beside the effect. `None` without one, and where the effect changed over time, so that no
    /// one number describes it.
    #[must_use]
    pub fn shown_interval(&self, direction: Direction) -> Option<ShownInterval> {
        (!self.has_drifted()).then(|| ShownInterval::of(&self.numbers, direction.into(), self.alpha)).flatten()
    }

    /// A p-value for success and one for harm; `None` where only the two-sided one is known.
    #[must_use]
    pub fn sided_p(&self, direction: Direction, success_threshold: f64) -> Option<SidedP> {
        SidedP::of(&self.numbers, direction.into(), success_threshold, self.ship_test.as_ref())
    }

    /// The first constraint that is crossed.
    #[must_use]
    pub fn crossed(&self) -> Option<&GuardrailResult> {
        self.guardrails.iter().find(|guard| guard.breached)
    }

    /// Whether the effect changed over time.
    #[must_use]
    pub fn has_drifted(&self) -> bool {
        self.has(HealthCode::EffectDrift)
    }

    /// Whether the source doubts its own answers.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.has(HealthCode::Sampled)
    }

    fn has(&self, code: HealthCode) -> bool {
        self.health.iter().any(|finding| finding.code == code)
    }
}

impl Deref for Evaluation {
    type Target = Assessment;
    fn deref(&self) -> &Assessment {
        &self.numbers
    }
}

impl Document for Evaluation {
    const NAME: &'static str = "evaluation";
    const HINT: &'static str = "run `outcome-runtime audit recompute`: it is computed again from the stored readings";
}

impl Document for RunningState {
    const NAME: &'static str = "running state";
    const HINT: &'static str = "run `outcome-runtime audit recompute`: it is computed again from the stored readings";
}

/// How an experiment ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conclusion {
    /// Why it ended, in the runtime's words.
    pub conclusion: String,
    /// The last evaluation; absent where nothing was ever measured.
    pub result: Option<Stored<Evaluation>>,
}

impl Document for Conclusion {
    const NAME: &'static str = "final result";
}

impl EvidenceGrade {
    /// How strong the evidence is, from the design and the health of the data.
    #[must_use]
    pub fn of(design: Design, health: &[HealthFinding]) -> Self {
        match design {
            Design::Randomised | Design::Attached => match health.iter().map(|finding| finding.severity).max() {
                None | Some(Severity::Note) => Self::A,
                Some(Severity::Warn) => Self::B,
                // Arms that cannot be compared tell no more than an anecdote.
                Some(Severity::Block) => Self::D,
            },
            // A change at the launch is told from one at any other date only by trying those.
            Design::BeforeAfter if health.iter().any(|f| f.code == HealthCode::PlaceboWithoutPower) => Self::D,
            Design::BeforeAfter => Self::C,
            Design::None => Self::D,
        }
    }
}
