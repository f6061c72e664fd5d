//! What is stored between two polls of one comparison.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guardrail::Memory;
use super::harm::Looks;
use super::value_limit::Days;
use super::{
    Alpha, ClaimLook, HarmTest, Lasting, Phase, RunningTest, Scope, TestPlan, Tuning, TuningSource, deletions,
};

/// Units counted in a phase; they can only grow, unless the source restated them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseCounts {
    /// Number of the phase.
    pub phase: u32,
    /// Units of control.
    pub n_control: u64,
    /// Units of treatment.
    pub n_treatment: u64,
}

impl PhaseCounts {
    /// Of the readings of a phase.
    #[must_use]
    pub fn of(phase: &Phase) -> Self {
        Self { phase: phase.number, n_control: phase.control.n(), n_treatment: phase.treatment.n() }
    }

    /// Whether `later` cannot follow `earlier`: more units of a known phase disappeared than deletions explain, or the phase is
    /// gone.
    #[must_use]
    pub fn shrank(earlier: &[Self], later: &[Phase]) -> bool {
        earlier.iter().any(|known| {
            let now = later.iter().map(Self::of).find(|now| now.phase == known.phase);
            now.is_none_or(|now| !deletions::explain(known.units(), now.units()))
        })
    }

    fn units(&self) -> [u64; 2] {
        [self.n_control, self.n_treatment]
    }

    /// The most that was ever counted.
    fn at_least(self, known: &[Self]) -> Self {
        let before = known.iter().find(|known| known.phase == self.phase);
        before.map_or(self, |before| Self {
            n_control: self.n_control.max(before.n_control),
            n_treatment: self.n_treatment.max(before.n_treatment),
            ..self
        })
    }
}

/// When the evidence first crossed `1 / alpha`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// Of the poll, in Unix seconds.
    pub as_of: i64,
    /// Units of both arms then.
    pub n_units: u64,
}

/// Why the evidence starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpochReason {
    /// Units within a phase shrank: the source corrected its past.
    Restatement,
    /// alpha or tau of the plan changed.
    PlanChanged,
    /// Phases before a mismatch of the arms do not count any more.
    PhasesLeftOut,
}

/// Start of the current epoch, unless it is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochStart {
    /// Of the poll, in Unix seconds.
    pub as_of: i64,
    /// Why.
    pub reason: EpochReason,
}

/// What a guardrail remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardrailState {
    /// Name of the guardrail.
    pub name: String,
    /// Frozen mixture width.
    pub tuning: Option<Tuning>,
    /// Days of a bare value.
    #[serde(flatten)]
    pub days: Days,
}

/// Version of the rules by which a poll is judged. 2: danger is judged apart, with a test of its own.
pub const RULES: u32 = 2;

/// Persisted between polls; pass it to the next [`evaluate`](super::evaluate()).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunningState {
    /// Counts restarts of the evidence, from 1.
    pub epoch: u32,
    /// Why and when this epoch started; `None` in the first.
    pub epoch_start: Option<EpochStart>,
    /// Newest poll, in Unix seconds; `None` before the first.
    pub as_of: Option<i64>,
    /// The alpha in use, split over treatments.
    pub alpha: Option<Alpha>,
    /// Frozen mixture width.
    pub tuning: Option<Tuning>,
    /// Frozen minimum detectable effect in metric units.
    pub mde_abs: Option<f64>,
    /// Strongest evidence and intersection of intervals in this epoch.
    pub test: RunningTest,
    /// First crossing in this epoch.
    pub first_crossing: Option<Crossing>,
    /// Strongest evidence for a sample-ratio mismatch in this epoch, >= 0.
    pub srm_max_ln_e: f64,
    /// Units by phase: the most that was counted since the source last corrected them.
    pub phases: Vec<PhaseCounts>,
    /// By guardrail.
    pub guardrails: Vec<GuardrailState>,
    /// Version of the rules by which the newest poll was judged; 1 in states that do not say.
    #[serde(default = "first_rules")]
    pub rules: u32,
    /// The latest look of the safety test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<HarmTest>,
    /// The same, of mature units, where units mature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_of_mature: Option<HarmTest>,
    /// The latest look at the rollout step that is watched by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_of_step: Option<HarmTest>,
    /// The same, of mature units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm_of_mature_on_step: Option<HarmTest>,
    /// The claim looks of this epoch, oldest first, where the plan has a known end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<ClaimLook>,
    /// Findings about the data that turn the flag off when they last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lasting: Vec<Lasting>,
    /// First phase of the running safety process.
    #[serde(default)]
    pub safety_from: u32,
    /// First phase that claims rest on.
    #[serde(default)]
    pub claims_from: u32,
    /// First phase of the rollout step that is watched by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_from: Option<u32>,
}

fn first_rules() -> u32 {
    1
}

impl Default for RunningState {
    fn default() -> Self {
        Self {
            epoch: 1,
            epoch_start: None,
            as_of: None,
            alpha: None,
            tuning: None,
            mde_abs: None,
            test: RunningTest::default(),
            first_crossing: None,
            srm_max_ln_e: 0.0,
            phases: Vec::new(),
            guardrails: Vec::new(),
            rules: RULES,
            harm: None,
            harm_of_mature: None,
            harm_of_step: None,
            harm_of_mature_on_step: None,
            looks: Vec::new(),
            lasting: Vec::new(),
            safety_from: 0,
            claims_from: 0,
            step_from: None,
        }
    }
}

impl RunningState {
    /// Whether these readings contradict the last poll: the source restated its past.
    #[must_use]
    pub fn is_restated_by(&self, phases: &[Phase]) -> bool {
        PhaseCounts::shrank(&self.phases, phases)
    }

    /// Whether units disappeared that deletions explain.
    #[must_use]
    pub fn has_lost_units(&self, phases: &[Phase]) -> bool {
        phases.iter().map(PhaseCounts::of).any(|now| now.at_least(&self.phases) != now)
    }

    /// The latest looks of the safety test.
    pub(super) fn harm_looks(&self) -> Looks {
        Looks { of_all: [self.harm, self.harm_of_mature], of_step: [self.harm_of_step, self.harm_of_mature_on_step] }
    }

    pub(super) fn keep_harm(&mut self, looks: &Looks) {
        [self.harm, self.harm_of_mature] = looks.of_all;
        [self.harm_of_step, self.harm_of_mature_on_step] = looks.of_step;
    }

    /// A safety process that began anew has seen nothing yet.
    pub(super) fn enter(&mut self, scope: Scope) {
        let step_from = scope.step.map(|step| step.from);
        if self.step_from != step_from {
            self.step_from = step_from;
            self.keep_harm(&Looks { of_step: [None; 2], ..self.harm_looks() });
        }
        if self.safety_from != scope.safety_from {
            self.safety_from = scope.safety_from;
            self.keep_harm(&Looks::default());
            self.lasting.clear();
            for guardrail in &mut self.guardrails {
                guardrail.days = Days::default();
            }
        }
    }

    /// The beginning of the epoch that a restatement at `as_of` (Unix seconds) opens, as if no poll had been made yet:
    /// the corrected polls before `as_of` are then evaluated from it. Tunings are kept, they belong to the plan; so are the
    /// rows of polls beyond an operational limit, which are no evidence.
    #[must_use]
    pub fn restated(&self, as_of: i64) -> Self {
        let mut state = self.clone();
        state.start_epoch(EpochStart { as_of, reason: EpochReason::Restatement });
        state.as_of = None;
        state.looks.clear();
        state.phases.clear();
        state.keep_harm(&Looks::default());
        state
    }

    /// Whether the plan asks for another test than the one that is running.
    pub(super) fn is_changed_by(&self, plan: &TestPlan, from_plan: Option<Tuning>) -> bool {
        let Some(alpha) = self.alpha else {
            return false;
        };
        // Not bit by bit: a number may lose its last digit on its way through JSON.
        let is_same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs();
        let is_tuning_changed = match (from_plan, self.tuning) {
            (Some(want), Some(have)) => !is_same(want.tau.get(), have.tau.get()),
            (_, None) => false,
            // Frozen at the first gated poll; a plan that no longer states what it stated has changed.
            (None, Some(have)) => match have.source {
                TuningSource::Explicit | TuningSource::SuccessThreshold => true,
                TuningSource::MinimumDetectableEffect => plan.mde_relative.is_none(),
                TuningSource::PlannedSampleSize | TuningSource::Fallback => false,
            },
        };
        is_tuning_changed || !is_same(alpha.get(), plan.comparison_alpha().get())
    }

    /// Starts the evidence anew. A restatement keeps the tuning; a changed plan chooses it again.
    pub(super) fn start_epoch(&mut self, start: EpochStart) {
        self.epoch = self.epoch.saturating_add(1);
        self.epoch_start = Some(start);
        self.test = RunningTest::default();
        self.first_crossing = None;
        self.srm_max_ln_e = 0.0;
        match start.reason {
            // What was spent stays spent: only a replay can begin anew. The bounds rested on other data.
            EpochReason::Restatement | EpochReason::PhasesLeftOut => {
                for look in &mut self.looks {
                    look.bound = None;
                }
            }
            EpochReason::PlanChanged => {
                (self.tuning, self.mde_abs) = (None, None);
                self.looks.clear();
            }
        }
    }

    pub(super) fn count(&mut self, phases: &[Phase]) {
        self.rules = RULES;
        let known = std::mem::take(&mut self.phases);
        self.phases.extend(phases.iter().map(|phase| PhaseCounts::of(phase).at_least(&known)));
    }

    pub(super) fn guardrail_memory(&self, name: &str) -> Memory {
        let known = self.guardrails.iter().find(|g| g.name == name);
        known.map_or_else(Memory::default, |g| Memory { tuning: g.tuning, days: g.days })
    }

    pub(super) fn remember_guardrail(&mut self, name: &str, memory: Memory) {
        let Memory { tuning, days } = memory;
        match self.guardrails.iter_mut().find(|g| g.name == name) {
            Some(known) => (known.tuning, known.days) = (tuning, days),
            None => self.guardrails.push(GuardrailState { name: name.to_owned(), tuning, days }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArmSums, HealthCode, Interval, Step, Tau};

    #[test]
    fn a_restatement_keeps_the_tuning_and_forgets_the_evidence() {
        let tuning = Tuning { tau: Tau::try_new(0.02).unwrap(), source: TuningSource::Explicit };
        let days = Days { n_consecutive: 2, counted_at: Some(900) };
        let guardrail = GuardrailState { name: "delay".to_owned(), tuning: Some(tuning), days };
        let before = RunningState {
            epoch: 3,
            as_of: Some(900),
            alpha: Some(Alpha::DEFAULT),
            tuning: Some(tuning),
            mde_abs: Some(0.02),
            test: RunningTest { max_ln_e: 7.5, ci: Interval::new(0.01, 0.03) },
            first_crossing: Some(Crossing { as_of: 800, n_units: 5000 }),
            srm_max_ln_e: 4.0,
            phases: vec![PhaseCounts { phase: 0, n_control: 3000, n_treatment: 3000 }],
            guardrails: vec![guardrail.clone()],
            ..RunningState::default()
        };
        let want = RunningState {
            epoch: 4,
            epoch_start: Some(EpochStart { as_of: 1000, reason: EpochReason::Restatement }),
            alpha: Some(Alpha::DEFAULT),
            tuning: Some(tuning),
            mde_abs: Some(0.02),
            guardrails: vec![guardrail],
            ..RunningState::default()
        };
        assert_eq!(before.restated(1000), want);
    }

    #[test]
    fn counts_that_shrink_or_vanish_cannot_follow() {
        let of = |number, control, treatment| Phase {
            number,
            control_weight: 1.0,
            treatment_weight: 1.0,
            control: ArmSums::Proportion { n: control, successes: 0 },
            treatment: ArmSums::Proportion { n: treatment, successes: 0 },
        };
        let earlier = [of(0, 10, 10), of(1, 5, 5)].map(|phase| PhaseCounts::of(&phase));
        assert!(!PhaseCounts::shrank(&earlier, &[of(0, 10, 10), of(1, 5, 6), of(2, 1, 1)]));
        assert!(PhaseCounts::shrank(&earlier, &[of(0, 10, 10), of(1, 5, 4)]));
        assert!(PhaseCounts::shrank(&earlier, &[of(0, 9, 20), of(1, 5, 5)]));
        assert!(PhaseCounts::shrank(&earlier, &[of(1, 5, 5)]));
        assert!(!PhaseCounts::shrank(&[], &[]));
    }

    #[test]
    fn the_most_that_was_counted_is_remembered_so_that_small_losses_do_not_add_up() {
        let of = |control, treatment| Phase {
            number: 0,
            control_weight: 1.0,
            treatment_weight: 1.0,
            control: ArmSums::Proportion { n: control, successes: 0 },
            treatment: ArmSums::Proportion { n: treatment, successes: 0 },
        };
        let mut state = RunningState::default();
        for (control, treatment) in [(1000, 1000), (996, 1001), (995, 1000)] {
            state.count(&[of(control, treatment)]);
        }
        assert_eq!(state.phases, [PhaseCounts { phase: 0, n_control: 1000, n_treatment: 1001 }]);
    }

    #[test]
    fn a_new_step_forgets_the_looks_of_the_one_before_and_a_new_process_all_of_them() {
        let look = |as_of| {
            Some(HarmTest {
                as_of,
                from_phase: 0,
                alpha: Alpha::HARM,
                n_control: 100,
                n_treatment: 100,
                effect: 0.0,
                bound: None,
                ln_e: 0.0,
            })
        };
        let lasting = Lasting { code: HealthCode::BothArmsOften, phase: 0, n: 2, since: 1, until: 2 };
        let days = Days { n_consecutive: 2, counted_at: Some(900) };
        let mut state = RunningState {
            harm: look(1),
            harm_of_mature: look(2),
            harm_of_step: look(3),
            harm_of_mature_on_step: look(4),
            lasting: vec![lasting],
            guardrails: vec![GuardrailState { name: "delay".to_owned(), tuning: None, days }],
            ..RunningState::default()
        };
        let before = state.clone();
        state.enter(Scope::default());
        assert_eq!(state, before, "the same scope");
        let step = Scope { step: Some(Step { from: 1, number: 1 }), ..Scope::default() };
        state.enter(step);
        assert_eq!(state.harm_looks(), Looks { of_all: [look(1), look(2)], of_step: [None; 2] });
        assert_eq!((state.lasting.len(), state.guardrails[0].days), (1, days));
        state.enter(Scope { safety_from: 1, ..step });
        assert_eq!(state.harm_looks(), Looks::default());
        assert_eq!((state.lasting.len(), state.guardrails[0].days), (0, Days::default()));
    }

    #[test]
    fn a_state_that_does_not_say_by_which_rules_it_was_judged_is_of_the_first() {
        let mut stored = serde_json::to_value(RunningState::default()).unwrap();
        stored.as_object_mut().unwrap().remove("rules");
        assert_eq!(serde_json::from_value::<RunningState>(stored).unwrap().rules, 1);
    }
}
