//! One run: units arrive, polls are judged, and what follows is what the process would do.
//!
//! **Invariant**: no rule is written here. The statistics judge a poll, [`crate::lifecycle`] says which event follows, and what a
//! gate recommends is [`GateAdvice`]; the human of a run does what the gate recommends.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngExt as _};
use rand_distr::{Binomial, Distribution as _, Poisson};

use super::input::{DryRun, GuardrailPolicy};
use super::population::{Population, Sums, impossible};
use crate::domain::{ExperimentStatus, PauseCause};
use crate::error::Result;
use crate::lifecycle::{AnalysisCause, ExperimentEvent, Failing, GateAdvice, PollFindings, Standing, event_after_poll};
use crate::stats::{
    Comparison, DataHealth, Evaluated, Evaluation, Guardrail, GuardrailReading, Phase, Recommendation, RunningState,
    Scope, assess,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Ship,
    Futile,
    Inconclusive,
    Paused(PauseCause),
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ended {
    pub(super) how: Ending,
    /// From 1.
    pub(super) day: u32,
    /// When the flag went off, in days since the launch; `None` when the treatment was shipped.
    pub(super) off_at_days: Option<f64>,
}

/// One run that goes on.
pub(super) struct Run<'a, R> {
    plan: &'a DryRun,
    effect: f64,
    rng: R,
    /// Control, treatment.
    arms: [Arm; 2],
    state: RunningState,
    status: ExperimentStatus,
    /// What the open gate recommends and since when.
    gate: Option<(GateAdvice, Timestamp)>,
    /// Newest first.
    analyses: Vec<(AnalysisCause, Timestamp)>,
    /// In days since the launch.
    outage: (f64, f64),
    /// The first of the failures in a row.
    failing_since: Option<Timestamp>,
}

impl<'a, R: Rng> Run<'a, R> {
    pub(super) fn new(plan: &'a DryRun, effect: f64, mut rng: R) -> Self {
        let length = plan.mishaps.outage_days;
        // Drawn only where it is used: a run without mishaps is the same run as ever.
        let from = if length > 0.0 { rng.random_range(0.0..f64::from(plan.n_days()) - length) } else { 0.0 };
        let arm = Arm::new(plan.guardrails.len());
        Self {
            plan,
            effect,
            rng,
            arms: [arm.clone(), arm],
            state: RunningState::default(),
            status: ExperimentStatus::Running,
            gate: None,
            analyses: Vec::new(),
            outage: (from, from + length),
            failing_since: None,
        }
    }

    /// Plays it to its end.
    pub(super) fn play(mut self) -> Result<Ended> {
        let n_polls = self.plan.longest_days() * self.plan.polls_per_day;
        for poll in 1..=n_polls {
            let day = (poll - 1) / self.plan.polls_per_day;
            self.units_of(day as usize)?;
            let elapsed_days = f64::from(poll) / f64::from(self.plan.polls_per_day);
            let found = self.judge(poll, elapsed_days);
            if let Some(ended) = self.follow(found, poll, elapsed_days) {
                return Ok(ended);
            }
        }
        let how = match self.gate {
            Some((GateAdvice::Ship, _)) => Ending::Ship,
            _ => Ending::Inconclusive,
        };
        Ok(self.ended(how, n_polls, f64::from(self.plan.longest_days())))
    }

    /// What happens at the source until the next poll.
    fn units_of(&mut self, day: usize) -> Result<()> {
        let Self { plan, rng, arms: [control, treatment], .. } = self;
        let day = day % plan.days.len().max(1);
        let Some(of) = plan.days.get(day) else { return Ok(()) };
        let polls_per_day = f64::from(plan.polls_per_day);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of at most a billion or so"
        )]
        let n = Poisson::new(of.units / polls_per_day).map_err(impossible)?.sample(rng) as u64;
        let mut n_treatment = Binomial::new(n, plan.treatment_share).map_err(impossible)?.sample(rng);
        let n_control = n - n_treatment;
        if plan.mishaps.lost_treatment > 0.0 {
            n_treatment =
                Binomial::new(n_treatment, 1.0 - plan.mishaps.lost_treatment).map_err(impossible)?.sample(rng);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a year of polls")]
        let n_slots = (plan.mishaps.delay_days * polls_per_day).round() as usize;
        for (arm, n, effect) in [(control, n_control, 0.0), (treatment, n_treatment, self.effect)] {
            arm.expose(day, n, n_slots, rng)?;
            arm.arrive(plan, effect, rng)?;
            if plan.mishaps.daily_deletions > 0.0 {
                arm.delete(plan.mishaps.daily_deletions / polls_per_day, rng)?;
            }
        }
        Ok(())
    }

    /// Reads and judges; `None` while the source is away.
    fn judge(&mut self, poll: u32, elapsed_days: f64) -> Option<Evaluated> {
        let (from, to) = self.outage;
        if (from..to).contains(&elapsed_days) {
            self.failing_since.get_or_insert(self.plan.at(poll));
            return None;
        }
        self.failing_since = None;
        let Self { plan, arms: [control, treatment], state, .. } = self;
        let kind = plan.days.first().map_or(Population::Rate { rate: 0.5 }, |day| day.population);
        let phases = [plan.phase(&kind, &control.primary, &treatment.primary)];
        let guard_phases: Vec<[Phase; 1]> = plan
            .guardrails
            .iter()
            .zip(control.guards.iter().zip(&treatment.guards))
            .map(|(policy, (control, treatment))| [plan.phase(&policy.population, control, treatment)])
            .collect();
        let guardrails: Vec<Guardrail<'_>> =
            plan.guardrails.iter().zip(&guard_phases).map(|(policy, phases)| policy.reading(phases)).collect();
        let input = Evaluation {
            cohorts: None,
            plan: &plan.plan,
            phases: &phases,
            elapsed_days,
            as_of: plan.at(poll).as_second(),
            guardrails: &guardrails,
            health: DataHealth::default(),
            scope: Scope::default(),
        };
        let assessed = assess(&input, state);
        Some(assessed.without_words(std::mem::take(state)))
    }

    /// Takes the steps that follow from a poll; the end of the run, if it is one.
    fn follow(&mut self, found: Option<Evaluated>, poll: u32, elapsed_days: f64) -> Option<Ended> {
        // Between this poll and the next the runtime tries a failing source again.
        let until = match (&found, self.failing_since) {
            (None, Some(_)) => self.outage.1.min(elapsed_days + 1.0 / f64::from(self.plan.polls_per_day)),
            _ => elapsed_days,
        };
        let now = at_days(until);
        let failing = self.failing_since.map(|since| Failing { detail: "", n_attempts: attempts(since, now), since });
        let findings = PollFindings { failing, evaluated: found.as_ref(), ..PollFindings::default() };
        let ended = loop {
            let event = event_after_poll(&findings, &self.standing(now));
            let is_sample = event == Some(ExperimentEvent::SampleReached);
            let ended = event.and_then(|event| self.take(event, found.as_ref(), now, poll, until));
            if ended.is_some() || !is_sample {
                break ended;
            }
        };
        let ended = ended.or_else(|| self.answer(found.as_ref(), now, poll, elapsed_days));
        if let Some(evaluated) = found {
            self.state = evaluated.running;
        }
        ended
    }

    fn standing(&self, now: Timestamp) -> Standing<'_> {
        Standing {
            status: self.status,
            on_since: Some(at_days(0.0)),
            now,
            launched_at: Some(at_days(0.0)),
            duration_days: self.plan.n_days(),
            min_sample_size: self.plan.plan.min_sample_size,
            success_threshold: self.plan.plan.success_threshold,
            keeps_flag: self.plan.keeps_flag,
            is_guarded: self.plan.is_guarded,
            step_began_at: Some(at_days(0.0)),
            is_last_step: true,
            analyses: &self.analyses,
            gate: self.gate,
            is_gate_empty: false,
        }
    }

    fn take(
        &mut self,
        event: ExperimentEvent,
        found: Option<&Evaluated>,
        now: Timestamp,
        poll: u32,
        off_at: f64,
    ) -> Option<Ended> {
        match event {
            ExperimentEvent::SampleReached => self.status = ExperimentStatus::Measuring,
            ExperimentEvent::AutoPaused { cause, .. } => return Some(self.ended(Ending::Paused(cause), poll, off_at)),
            ExperimentEvent::KilledByRule { .. } => {
                return Some(self.ended(Ending::Paused(PauseCause::Constraint), poll, off_at));
            }
            ExperimentEvent::AnalysisDue { .. } if self.plan.is_guarded => {
                return Some(self.ended(Ending::Inconclusive, poll, off_at));
            }
            ExperimentEvent::AnalysisDue { cause, .. } => {
                self.analyses.insert(0, (cause, now));
                self.open(found, now);
            }
            ExperimentEvent::Rejudged { .. } => self.open(found, now),
            // The flag is off and what was measured is frozen: the answer comes when the human comes.
            ExperimentEvent::Concluded { cause, .. } => {
                let how = match cause {
                    AnalysisCause::KillFutility => Ending::Futile,
                    AnalysisCause::Ship
                    | AnalysisCause::IterateGuardrailUnproven
                    | AnalysisCause::IterateInconclusive
                    | AnalysisCause::EndOfPlan
                    | AnalysisCause::StepTooSmall => Ending::Inconclusive,
                };
                let answered = poll + self.plan.polls_until_answer();
                return Some(self.ended(how, answered, off_at));
            }
            // Steps of a rollout and acts of humans are not played.
            ExperimentEvent::Proposed
            | ExperimentEvent::Attached { .. }
            | ExperimentEvent::PortfolioSuperseded { .. }
            | ExperimentEvent::ReportedBuilt { .. }
            | ExperimentEvent::ReportedFailed { .. }
            | ExperimentEvent::Retried
            | ExperimentEvent::PausedLocally { .. }
            | ExperimentEvent::LaunchVoided { .. }
            | ExperimentEvent::StepMeasured
            | ExperimentEvent::Decided { .. }
            | ExperimentEvent::Corrected { .. } => {}
        }
        None
    }

    fn open(&mut self, found: Option<&Evaluated>, now: Timestamp) {
        self.status = ExperimentStatus::AwaitingAnalysisGate;
        self.gate = Some((advice(found), now));
    }

    /// The human comes, and does what the gate recommends by then.
    fn answer(&mut self, found: Option<&Evaluated>, now: Timestamp, poll: u32, elapsed_days: f64) -> Option<Ended> {
        let (advice, opened_at) = self.gate?;
        let waited_days = now.duration_since(opened_at).as_secs_f64() / 86_400.0;
        if waited_days + 1e-9 < self.plan.mishaps.answer_after_days {
            return None;
        }
        let recommendation = found.map(|found| found.advice.recommendation);
        let how = match advice {
            GateAdvice::Ship => Ending::Ship,
            GateAdvice::Kill if recommendation == Some(Recommendation::KillFutility) => Ending::Futile,
            GateAdvice::Kill | GateAdvice::Iterate => Ending::Inconclusive,
            GateAdvice::Extend | GateAdvice::Resume => {
                (self.gate, self.status) = (None, ExperimentStatus::Measuring);
                return None;
            }
        };
        Some(self.ended(how, poll, elapsed_days))
    }

    fn ended(&self, how: Ending, poll: u32, off_at_days: f64) -> Ended {
        let day = poll.div_ceil(self.plan.polls_per_day).min(self.plan.longest_days());
        Ended { how, day, off_at_days: (how != Ending::Ship).then_some(off_at_days) }
    }
}

fn advice(found: Option<&Evaluated>) -> GateAdvice {
    GateAdvice::of(found.map(|found| (&found.advice, found.health.as_slice())), None)
}

/// Attempts that the runtime makes at a source that fails: each wait is twice the one before, from two minutes.
fn attempts(since: Timestamp, now: Timestamp) -> u32 {
    let minutes = now.duration_since(since).as_secs_f64() / 60.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the logarithm of a year of minutes")]
    let n_waits = (minutes.max(0.0) / 2.0 + 1.0).log2() as u32;
    1 + n_waits
}

/// An instant of the run; it starts with the Unix epoch.
pub(super) fn at_days(days: f64) -> Timestamp {
    let since = SignedDuration::try_from_secs_f64(days * 86_400.0).unwrap_or(SignedDuration::ZERO);
    Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// One arm at the source.
#[derive(Debug, Clone)]
struct Arm {
    primary: Sums,
    guards: Vec<Sums>,
    /// Units whose value arrives at the next polls: the day of their exposure, and how many.
    pending: VecDeque<Vec<(usize, u64)>>,
}

impl Arm {
    fn new(n_guards: usize) -> Self {
        Self { primary: Sums::default(), guards: vec![Sums::default(); n_guards], pending: VecDeque::new() }
    }

    /// Exposes units whose values arrive at this poll and the next `n_slots`, evenly.
    fn expose(&mut self, day: usize, n: u64, n_slots: usize, rng: &mut impl Rng) -> Result<()> {
        self.primary.expose(n);
        for guard in &mut self.guards {
            guard.expose(n);
        }
        let mut left = n;
        for slot in 0..=n_slots {
            let share = 1.0 / (n_slots - slot + 1) as f64;
            let now = if slot == n_slots { left } else { Binomial::new(left, share).map_err(impossible)?.sample(rng) };
            left -= now;
            if self.pending.len() <= slot {
                self.pending.push_back(Vec::new());
            }
            if let Some(units) = self.pending.get_mut(slot) {
                units.push((day, now));
            }
        }
        Ok(())
    }

    /// The values that arrive at this poll. No guardrail is harmed.
    fn arrive(&mut self, plan: &DryRun, effect: f64, rng: &mut impl Rng) -> Result<()> {
        for (day, n) in self.pending.pop_front().unwrap_or_default() {
            let Some(day) = plan.days.get(day) else { continue };
            self.primary.arrive(&day.population, effect, n, rng)?;
            for (guard, policy) in self.guards.iter_mut().zip(&plan.guardrails) {
                guard.arrive(&policy.population, 0.0, n, rng)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, share: f64, rng: &mut impl Rng) -> Result<()> {
        self.primary.delete(share, rng)?;
        self.guards.iter_mut().try_for_each(|guard| guard.delete(share, rng))
    }
}

impl DryRun {
    fn phase(&self, kind: &Population, control: &Sums, treatment: &Sums) -> Phase {
        Phase {
            number: 0,
            control_weight: 1.0 - self.treatment_share,
            treatment_weight: self.treatment_share,
            control: control.read(kind),
            treatment: treatment.read(kind),
        }
    }

    fn at(&self, poll: u32) -> Timestamp {
        at_days(f64::from(poll) / f64::from(self.polls_per_day))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a year of polls")]
    fn polls_until_answer(&self) -> u32 {
        (self.mishaps.answer_after_days * f64::from(self.polls_per_day)).ceil() as u32
    }
}

impl GuardrailPolicy {
    fn reading<'a>(&'a self, phases: &'a [Phase]) -> Guardrail<'a> {
        Guardrail {
            name: &self.name,
            must_prove: self.must_prove,
            reading: GuardrailReading::RelativeToControl(Comparison {
                counts_rare: true,
                ..Comparison::new(phases, self.harm_direction, self.margin)
            }),
        }
    }
}
