//! One round of reading and judging: what the daemon does on a schedule and the CLI by hand.
//!
//! Sources are asked outside of any transaction; what they said, the evaluation and the step that follows are then written
//! in one. A failing source marks its signal, alerts, and never decides.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::deliver::flag_position;
use super::effects::StepContext;
use super::init::new_event;
use super::restatement::running_of;
use super::result::Latest;
use super::runtime::Runtime;
use super::series::Weeks;
use super::steps::digest;
use crate::connectors::VariantRequest;
use crate::domain::{
    ArmSums, Design, Experiment, ExperimentStatus, Measurement, Outcome, OutcomeStatus, PauseCause, Reading,
    SignalSpec, Variant, VariantReading, ViolationPolicy, Window,
};
use crate::error::{Code, Error, Result, error_chain};
use crate::evaluation::{Guard, PhaseReadings, Poll, evaluate_poll, evaluate_series, is_restated};
use crate::flags;
use crate::hypotheses::Plan;
use crate::ids::{ExperimentId, MeasurementId};
use crate::lifecycle::ExperimentEvent;
use crate::principal::Principal;
use crate::stats::{Blocks, Decision, Evaluated};
use crate::store::{AllocationPhase, Instant, SignalHealth, StoredReading, Tx};

/// What only one program does at a time: measuring.
pub(super) const POLL_LEASE: &str = "poll";

/// What is polled.
#[derive(Debug, Clone, Default)]
pub struct PollRequest {
    /// Slug or id of one outcome; all active ones when absent.
    pub outcome: Option<String>,
    /// Also read what is not due yet.
    pub is_forced: bool,
}

/// What one round did.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Polled {
    /// Signals of outcomes that were read.
    pub n_levels: u32,
    /// Experiments that were read.
    pub experiments: Vec<PolledExperiment>,
    /// Failures, as sentences; each is tried again.
    pub failures: Vec<String>,
    /// Outcomes whose deadline passed.
    pub expired: Vec<String>,
    /// True when another program was polling and nothing was done.
    pub is_skipped: bool,
}

/// What one round found about an experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PolledExperiment {
    /// Slug.
    pub experiment: String,
    /// Where it stands now.
    pub status: ExperimentStatus,
    /// The engine's verdict, where there was one.
    pub verdict: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Everything that was read for one experiment.
pub(super) struct Gathered {
    pub(super) phases: Vec<AllocationPhase>,
    primary: Vec<(i32, Reading<Vec<VariantReading>>)>,
    /// Instead of `primary`, where there is no control group.
    weeks: Option<Weeks>,
    guards: Vec<GatheredGuard>,
    failures: Vec<(String, Error)>,
    drift: Option<String>,
}

struct GatheredGuard {
    index: usize,
    by_variant: Vec<(i32, Reading<Vec<VariantReading>>)>,
    level: Option<Reading<ArmSums>>,
}

/// How long a rollout step is watched before the next one can be asked for: a full week.
const STEP_DAYS: i64 = 7;

impl Gathered {
    /// What the statistics are given; `None` without a reading of the primary signal.
    pub(super) fn poll(&self, plan: &Plan, experiment: &Experiment, now: Timestamp) -> Option<Poll> {
        let pct = |phase| self.phases.iter().find(|known| known.phase == phase).map_or(50, |known| known.treatment_pct);
        let phases = |readings: &[(i32, Reading<Vec<VariantReading>>)]| -> Vec<PhaseReadings> {
            let of = |(phase, reading): &(i32, Reading<Vec<VariantReading>>)| PhaseReadings {
                phase: *phase,
                treatment_pct: pct(*phase),
                arms: reading.data.clone(),
            };
            readings.iter().map(of).collect()
        };
        // A constraint that could not be read stays in: its required proof is then missing, and nothing ships.
        let guard = |index: usize| match self.guards.iter().find(|guard| guard.index == index) {
            Some(guard) => Guard {
                index,
                phases: phases(&guard.by_variant),
                level: guard.level.as_ref().map(|reading| reading.data),
            },
            None => Guard { index, phases: Vec::new(), level: None },
        };
        let as_of = match &self.weeks {
            Some(_) => now,
            None => self.primary.iter().map(|(_, reading)| reading.window.to).max()?,
        };
        Some(Poll {
            as_of,
            phases: phases(&self.primary),
            guards: (0..plan.guardrails.len()).map(guard).collect(),
            launched_at: experiment.launched_at.unwrap_or(now),
            is_sampled: self.primary.iter().any(|(_, reading)| !reading.warnings.is_empty()),
            has_flag_drift: self.drift.is_some(),
        })
    }
}

impl Runtime {
    /// Reads what is due, evaluates, takes the steps that follow, and delivers messages.
    ///
    /// # Errors
    /// When the database fails, or the named outcome is unknown. Failing sources are in the result.
    pub async fn poll(&self, request: &PollRequest) -> Result<Polled> {
        let Some(holder) = self.take_poll_lease().await? else {
            return Ok(Polled { is_skipped: true, ..Polled::default() });
        };
        let done = self.poll_round(request).await;
        self.release_poll_lease(&holder).await?;
        done
    }

    /// Keeps everybody else from measuring; returns who holds the lease, or `None` while somebody else does.
    pub(super) async fn take_poll_lease(&self) -> Result<Option<String>> {
        let now = self.now();
        let holder = hex::encode(self.ids.bytes::<8>());
        let mut tx = self.write().await?;
        let until = now.checked_add(SignedDuration::from_mins(5)).unwrap_or(now);
        let is_ours = tx.lease_take(POLL_LEASE, &holder, until, now).await?;
        tx.commit().await?;
        Ok(is_ours.then_some(holder))
    }

    /// Lets others measure again.
    pub(super) async fn release_poll_lease(&self, holder: &str) -> Result<()> {
        let mut tx = self.write().await?;
        tx.lease_release(POLL_LEASE, holder).await?;
        tx.commit().await
    }

    async fn poll_round(&self, request: &PollRequest) -> Result<Polled> {
        self.gate_sweep().await?;
        let mut done = Polled { expired: self.outcome_sweep().await?, ..Polled::default() };
        let mut tx = self.read().await?;
        let outcomes = match &request.outcome {
            Some(reference) => vec![Self::outcome_named(&mut tx, reference).await?],
            None => tx.outcome_list(None).await?,
        };
        drop(tx);
        for outcome in outcomes.iter().filter(|outcome| outcome.state.status != OutcomeStatus::Draft) {
            if outcome.state.status == OutcomeStatus::Active {
                self.poll_levels(outcome, request.is_forced, &mut done).await?;
            }
            self.poll_experiments(outcome, request.is_forced, &mut done).await?;
        }
        for failed in self.deliver().await?.into_iter().filter(|delivered| !delivered.is_done) {
            done.failures.push(format!("{}: {}", failed.kind, failed.outcome));
        }
        Ok(done)
    }

    async fn poll_levels(&self, outcome: &Outcome, is_forced: bool, done: &mut Polled) -> Result<()> {
        for signal in std::iter::once(&outcome.spec.signal).chain(&outcome.spec.secondary_signals) {
            if !self.is_due(outcome.id.0, &signal.name, is_forced).await? {
                continue;
            }
            let now = self.now();
            let window = Window { from: now.checked_sub(signal.aggregation.window().get()).unwrap_or(now), to: now };
            let reading = self.read_level(outcome, signal, window).await;
            let mut tx = self.write().await?;
            match reading {
                Ok(Some(reading)) => {
                    self.store_level(&mut tx, outcome, signal, &reading, now).await?;
                    self.health_ok(&mut tx, outcome.id.0, signal).await?;
                    done.n_levels += 1;
                }
                Ok(None) => {}
                Err(error) => {
                    let text = self.health_failed(&mut tx, outcome.id.0, signal, &error).await?;
                    done.failures.push(text);
                }
            }
            tx.commit().await?;
        }
        Ok(())
    }

    async fn poll_experiments(&self, outcome: &Outcome, is_forced: bool, done: &mut Polled) -> Result<()> {
        let mut tx = self.read().await?;
        let open = tx.experiment_list_under_way(Some(outcome.id)).await?;
        drop(tx);
        for experiment in open.iter().filter(|experiment| experiment.state.status.is_polled()) {
            let plan = match read_plan(experiment) {
                Ok(plan) => plan,
                Err(error) => {
                    done.failures.push(format!("{}: {}", experiment.slug, error.message()));
                    continue;
                }
            };
            // A constraint may be read more often than the primary signal: whatever is due first brings the round.
            let mut is_due = false;
            for signal in plan_signals(&plan) {
                is_due |= self.is_due(experiment.id.0, &signal.name, is_forced).await?;
            }
            if !is_due {
                continue;
            }
            match self.poll_experiment(outcome, experiment, &plan, &mut done.failures).await {
                Ok(polled) => done.experiments.push(polled),
                // One experiment in trouble (a tampered row, say) must not keep the others from being watched.
                Err(error) => {
                    tracing::error!(experiment = %experiment.slug, code = %error.code(), "Polling failed: {error}");
                    done.failures.push(format!("{}: {}", experiment.slug, error_chain(&error)));
                }
            }
        }
        Ok(())
    }

    async fn poll_experiment(
        &self,
        outcome: &Outcome,
        experiment: &Experiment,
        plan: &Plan,
        failures: &mut Vec<String>,
    ) -> Result<PolledExperiment> {
        let now = self.now();
        let gathered = self.gather(outcome, experiment, plan, now).await?;
        let reread = self.reread(experiment, plan, &gathered, now).await?;
        failures.extend(reread.iter().filter_map(|reread| reread.failure.clone()));
        let mut tx = self.write().await?;
        let mut experiment = Self::experiment_named(&mut tx, &experiment.id.to_string()).await?;
        let poll = gathered.poll(plan, &experiment, now);
        let previous = running_of(&experiment);
        // Somebody else may have polled meanwhile: what is stored now decides.
        let restated = poll.as_ref().zip(previous.as_ref()).filter(|(poll, previous)| is_restated(poll, previous));
        let reread = reread.unwrap_or_default();
        let readings = self.store_readings(&mut tx, outcome, &experiment, plan, &gathered, now).await?;
        let n_reread = match restated {
            Some(_) => self.store_reread(&mut tx, outcome, &experiment, plan, &reread, now).await?,
            None => 0,
        };
        if readings + n_reread > 0 {
            self.log_readings(&mut tx, experiment.id, now).await?;
        }
        for signal in plan_signals(plan) {
            match gathered.failures.iter().find(|(name, _)| *name == signal.name) {
                Some((_, error)) => {
                    failures.push(self.health_failed(&mut tx, experiment.id.0, signal, error).await?);
                }
                None => self.health_ok(&mut tx, experiment.id.0, signal).await?,
            }
        }
        let corrected = match restated {
            Some(restated) => self.correct(&mut tx, &experiment, plan, restated, &reread, now).await?,
            None => None,
        };
        let evaluated = match (&poll, &gathered.weeks) {
            (Some(poll), None) => evaluate_poll(plan, poll, corrected.as_ref().or(previous.as_ref()))?,
            (Some(poll), Some(Weeks { pre, post, .. })) => {
                let blocks = Blocks { pre, post, target: plan.target.unwrap_or(f64::MAX) };
                Some(evaluate_series(plan, poll, &blocks, previous.as_ref())?)
            }
            (None, _) => None,
        };
        if let Some(evaluated) = &evaluated {
            remember(&mut experiment, plan, evaluated, now, readings)?;
        }
        tx.experiment_update(&experiment).await?;
        if experiment.state.status.is_evaluated() {
            let status = self.signal_state(&mut tx, outcome, &experiment, plan, now).await?;
            self.follow(&mut tx, outcome, &mut experiment, plan, &gathered, evaluated.as_ref(), status).await?;
        }
        tx.commit().await?;
        Ok(PolledExperiment {
            experiment: experiment.slug.to_string(),
            status: experiment.state.status,
            verdict: evaluated.as_ref().and_then(|e| json!(e.verdict.decision).as_str().map(ToOwned::to_owned)),
            reason: evaluated.map(|e| e.verdict.reason),
        })
    }

    /// Asks the sources. Nothing is written here.
    async fn gather(
        &self,
        outcome: &Outcome,
        experiment: &Experiment,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Gathered> {
        let mut tx = self.read().await?;
        let phases = tx.phase_list(experiment.id).await?;
        drop(tx);
        let mut gathered =
            Gathered { phases, primary: vec![], weeks: None, guards: vec![], failures: vec![], drift: None };
        let failed = if plan.design == Design::Randomised {
            let readings = self.read_phases(experiment, &plan.signal, &gathered.phases, now).await;
            readings.map(|readings| gathered.primary = readings).err()
        } else {
            let weeks = self.read_weeks(experiment, &plan.signal, now).await;
            weeks.map(|weeks| gathered.weeks = Some(weeks)).err()
        };
        gathered.failures.extend(failed.map(|error| (plan.signal.name.clone(), error)));
        for (index, guardrail) in plan.guardrails.iter().enumerate() {
            let signal = &guardrail.signal;
            let by_variant = self.reads_by_variant(signal)?;
            let found = if by_variant {
                self.read_phases(experiment, signal, &gathered.phases, now).await.map(|by_variant| GatheredGuard {
                    index,
                    by_variant,
                    level: None,
                })
            } else {
                let from = now.checked_sub(signal.aggregation.window().get()).unwrap_or(now);
                self.read_level(outcome, signal, Window { from, to: now }).await.map(|level| GatheredGuard {
                    index,
                    by_variant: vec![],
                    level,
                })
            };
            match found {
                Ok(guard) => gathered.guards.push(guard),
                Err(error) => gathered.failures.push((signal.name.clone(), error)),
            }
        }
        gathered.drift = self.flag_drift(experiment).await?;
        Ok(gathered)
    }

    /// One reading for each allocation phase. A source that pushes has nothing to be asked: its latest readings are taken.
    pub(super) async fn read_phases(
        &self,
        experiment: &Experiment,
        signal: &SignalSpec,
        phases: &[AllocationPhase],
        now: Timestamp,
    ) -> Result<Vec<(i32, Reading<Vec<VariantReading>>)>> {
        let launched_at = experiment.launched_at.unwrap_or(now);
        let mut readings = Vec::new();
        for phase in phases {
            let to = phase.ended_at.map_or(now, |ended| ended.0).min(now);
            let window = Window { from: phase.started_at.0, to };
            if window.from >= window.to {
                continue;
            }
            let reading = if self.is_pushed(&signal.source)? {
                self.latest_pushed(experiment.id, signal, phase.phase, window).await?
            } else {
                let request = VariantRequest {
                    experiment: experiment.slug.clone(),
                    flag_key: experiment.hypothesis.flag_key.clone(),
                    window,
                    launched_at,
                    as_of: now,
                };
                let source = self.source(&signal.source).await?;
                Some(source.by_variant(signal, &request).await.map_err(Error::from)?)
            };
            if let Some(reading) = reading {
                readings.push((phase.phase, reading));
            }
        }
        Ok(readings)
    }

    async fn latest_pushed(
        &self,
        experiment: ExperimentId,
        signal: &SignalSpec,
        phase: i32,
        window: Window,
    ) -> Result<Option<Reading<Vec<VariantReading>>>> {
        let mut tx = self.read().await?;
        let mut data = Vec::new();
        let mut latest: Option<Measurement> = None;
        for variant in [Variant::Control, Variant::Treatment] {
            if let Some(found) = tx.measurement_latest(experiment, &signal.name, phase, variant).await? {
                data.push(VariantReading { variant, sums: found.sums });
                latest = Some(found);
            }
        }
        Ok(latest.map(|found| Reading {
            data,
            window: Window { from: window.from, to: found.window.to },
            query_hash: found.query_hash,
            raw_hash: found.raw_hash,
            warnings: Vec::new(),
        }))
    }

    pub(super) async fn read_level(
        &self,
        outcome: &Outcome,
        signal: &SignalSpec,
        window: Window,
    ) -> Result<Option<Reading<ArmSums>>> {
        if self.is_pushed(&signal.source)? {
            let mut tx = self.read().await?;
            let latest = tx.measurement_latest_level(outcome.id, &signal.name).await?;
            return Ok(latest.map(|found| Reading {
                data: found.sums,
                window: found.window,
                query_hash: found.query_hash,
                raw_hash: found.raw_hash,
                warnings: Vec::new(),
            }));
        }
        let source = self.source(&signal.source).await?;
        source.level(signal, window).await.map(Some).map_err(Error::from)
    }

    /// Stores what was read. Returns the number of new readings.
    async fn store_readings(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: &Experiment,
        plan: &Plan,
        gathered: &Gathered,
        now: Timestamp,
    ) -> Result<usize> {
        let mut n_new = 0;
        let guards = gathered.guards.iter().filter_map(|guard| {
            plan.guardrails.get(guard.index).map(|guardrail| (&guardrail.signal, &guard.by_variant))
        });
        for (signal, readings) in std::iter::once((&plan.signal, &gathered.primary)).chain(guards) {
            if self.is_pushed(&signal.source)? {
                continue;
            }
            for (phase, reading) in readings {
                for measurement in self.measurements(outcome, experiment, signal, *phase, reading, now) {
                    let arm = measurement.variant.map_or("", |variant| variant.as_str());
                    let key = format!("poll/{}/{}/{phase}/{arm}/{now}", experiment.id, signal.name);
                    n_new += usize::from(tx.measurement_insert(&measurement, &key).await?);
                }
            }
        }
        for guard in &gathered.guards {
            let (Some(reading), Some(guardrail)) = (&guard.level, plan.guardrails.get(guard.index)) else { continue };
            let signal = &guardrail.signal;
            let measurement = self.level(experiment, signal, reading, now);
            let key = format!("poll/{}/{}/level/{now}", experiment.id, signal.name);
            n_new += usize::from(tx.measurement_insert(&measurement, &key).await?);
        }
        if let Some(weeks) = &gathered.weeks {
            n_new += self.store_weeks(tx, experiment, &plan.signal, &weeks.new, now).await?;
        }
        Ok(n_new)
    }

    /// A reading by variant as it is stored, an arm each.
    pub(super) fn measurements(
        &self,
        outcome: &Outcome,
        experiment: &Experiment,
        signal: &SignalSpec,
        phase: i32,
        reading: &Reading<Vec<VariantReading>>,
        now: Timestamp,
    ) -> Vec<Measurement> {
        let stored = |arm: &VariantReading| Measurement {
            id: self.ids.next::<MeasurementId>(),
            outcome: outcome.id,
            experiment: Some(experiment.id),
            signal: signal.name.clone(),
            variant: Some(arm.variant),
            phase: Some(phase),
            measured_at: now,
            window: reading.window,
            sums: arm.sums,
            source: signal.source.clone(),
            query_hash: reading.query_hash.clone(),
            raw_hash: reading.raw_hash.clone(),
        };
        reading.data.iter().map(stored).collect()
    }

    /// A reading of everybody in an experiment, whatever they saw.
    pub(super) fn level(
        &self,
        experiment: &Experiment,
        signal: &SignalSpec,
        reading: &Reading<ArmSums>,
        now: Timestamp,
    ) -> Measurement {
        Measurement {
            id: self.ids.next::<MeasurementId>(),
            outcome: experiment.outcome,
            experiment: Some(experiment.id),
            signal: signal.name.clone(),
            variant: None,
            phase: None,
            measured_at: now,
            window: reading.window,
            sums: reading.data,
            source: signal.source.clone(),
            query_hash: reading.query_hash.clone(),
            raw_hash: reading.raw_hash.clone(),
        }
    }

    /// Logs the digest of the readings that were stored for an experiment at an instant.
    pub(super) async fn log_readings(&self, tx: &mut Tx, experiment: ExperimentId, at: Timestamp) -> Result<()> {
        let stored = tx.measurement_of_poll(experiment, at).await?;
        let payload =
            json!({ "key": format!("{experiment}@{at}"), "digest": readings_digest(&stored)?, "n": stored.len() });
        let by = Principal::system("poll");
        tx.event_append(new_event("experiment.measured", experiment.into(), &by, &payload)?, at).await?;
        Ok(())
    }

    /// The detail of a signal that has had no good reading for longer than the outcome allows.
    async fn signal_state(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: &Experiment,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Option<String>> {
        let health = tx.signal_health_get(experiment.id.0, &plan.signal.name).await?;
        let last = health.and_then(|health| health.last_ok_at).map(|at| at.0).or(experiment.launched_at).unwrap_or(now);
        let age = now.duration_since(last);
        Ok((age > outcome.spec.staleness.get()).then(|| {
            format!(
                "no good reading of `{}` since {last}, longer than {} allows",
                plan.signal.name, outcome.spec.staleness
            )
        }))
    }

    /// The step that a poll leads to, if any. The first that applies ends the round.
    #[expect(clippy::too_many_arguments, reason = "all of one poll; a struct would only rename them")]
    async fn follow(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        experiment: &mut Experiment,
        plan: &Plan,
        gathered: &Gathered,
        evaluated: Option<&Evaluated>,
        stale: Option<String>,
    ) -> Result<()> {
        let by = Principal::system("poll");
        let pause = |cause: PauseCause, detail: String| Some(ExperimentEvent::AutoPaused { cause, detail });
        let decision = evaluated.map(|evaluated| evaluated.verdict.decision);
        let reason = evaluated.map(|evaluated| evaluated.verdict.reason.clone()).unwrap_or_default();
        let event = if let Some(drift) = &gathered.drift {
            pause(PauseCause::FlagDrift, drift.clone())
        } else if let Some(detail) = stale {
            pause(PauseCause::StaleSignal, detail)
        } else {
            match decision {
                Some(Decision::KillGuardrail | Decision::HoldAlert) if kills(plan, evaluated) => {
                    Some(ExperimentEvent::KilledByRule { detail: reason.clone() })
                }
                Some(Decision::KillGuardrail | Decision::HoldAlert) => pause(PauseCause::Constraint, reason.clone()),
                Some(Decision::KillHarm) => pause(PauseCause::KillThreshold, reason.clone()),
                Some(Decision::HoldDataQuality | Decision::HoldSrm) | None => None,
                Some(
                    Decision::Ship
                    | Decision::KillFutility
                    | Decision::IterateGuardrailUnproven
                    | Decision::IterateInconclusive
                    | Decision::Continue,
                ) => self.calm_step(tx, experiment, evaluated, &reason).await?,
            }
        };
        let Some(event) = event else { return Ok(()) };
        let is_sample = event == ExperimentEvent::SampleReached;
        let context = StepContext {
            recommendation: evaluated.map(recommendation),
            conclusion: Some(reason.clone()),
            ..StepContext::default()
        };
        self.experiment_step(tx, outcome, experiment, event, &by, &context).await?;
        if is_sample && let Some(due) = self.calm_step(tx, experiment, evaluated, &reason).await? {
            self.experiment_step(tx, outcome, experiment, due, &by, &context).await?;
        }
        Ok(())
    }

    /// Steps that nothing speaks against: sample reached, analysis due, rollout step measured.
    async fn calm_step(
        &self,
        tx: &mut Tx,
        experiment: &Experiment,
        evaluated: Option<&Evaluated>,
        reason: &str,
    ) -> Result<Option<ExperimentEvent>> {
        let Some(evaluated) = evaluated else { return Ok(None) };
        Ok(match experiment.state.status {
            ExperimentStatus::Running if evaluated.is_min_sample_reached => Some(ExperimentEvent::SampleReached),
            ExperimentStatus::Running | ExperimentStatus::Measuring => match evaluated.verdict.decision {
                decision @ (Decision::Ship
                | Decision::KillFutility
                | Decision::IterateGuardrailUnproven
                | Decision::IterateInconclusive) => self.analysis_due(tx, experiment, decision, reason).await?,
                _ => None,
            },
            ExperimentStatus::Scaling => {
                let phases = tx.phase_list(experiment.id).await?;
                let began = phases.last().map(|phase| phase.started_at.0);
                let is_over = began.is_some_and(|began| self.now().duration_since(began).as_hours() >= STEP_DAYS * 24);
                is_over.then_some(ExperimentEvent::StepMeasured)
            }
            _ => None,
        })
    }

    /// Opens the analysis once for a verdict. After a human said `extend`, futility is not brought up again before the end of
    /// the plan, and the others after a week at the earliest.
    async fn analysis_due(
        &self,
        tx: &mut Tx,
        experiment: &Experiment,
        decision: Decision,
        reason: &str,
    ) -> Result<Option<ExperimentEvent>> {
        let days = i64::from(experiment.hypothesis.measurement.duration_days);
        let is_over = experiment.launched_at.is_some_and(|at| self.now().duration_since(at).as_hours() >= days * 24);
        let is_futile = decision == Decision::KillFutility;
        let verdict = match json!(decision).as_str() {
            Some(_) if is_futile && is_over => "end_of_plan".to_owned(),
            name => name.unwrap_or_default().to_owned(),
        };
        let lines = tx.event_steps_of_subject(experiment.id.0, 10_000).await?;
        let last = lines.iter().find(|line| {
            line.kind == "experiment.analysis_due"
                && line.payload.get("verdict").and_then(Value::as_str) == Some(verdict.as_str())
        });
        let is_due = last.is_none_or(|line| {
            (!is_futile || is_over) && self.now().duration_since(line.at).as_hours() >= STEP_DAYS * 24
        });
        Ok(is_due.then(|| ExperimentEvent::AnalysisDue { verdict, reason: reason.to_owned() }))
    }

    /// Where the flag is, when it is not where it was put. A message that is still waiting explains a difference, and an
    /// unreachable service is no drift.
    async fn flag_drift(&self, experiment: &Experiment) -> Result<Option<String>> {
        if !experiment.state.status.is_evaluated() {
            return Ok(None);
        }
        let mut tx = self.read().await?;
        let prefix = format!("flag/{}/", experiment.id);
        let is_waiting = tx.outbox_open(200).await?.iter().any(|message| message.natural_key.starts_with(&prefix));
        drop(tx);
        let Some(service) = self.flag_service()? else { return Ok(None) };
        if is_waiting {
            return Ok(None);
        }
        let pct = experiment.hypothesis.rollout.pct(experiment.state.step).unwrap_or(0);
        let key = &experiment.hypothesis.flag_key;
        match flags::drift(service.as_ref(), &flag_position(key, pct)).await {
            Ok(None) => Ok(None),
            Ok(Some(drift)) => Ok(Some(match drift.found {
                Some(found) => format!("the flag `{key}` is {found}, but was put {}", drift.expected),
                None => format!("the flag `{key}` is gone, but was put {}", drift.expected),
            })),
            Err(error) => {
                tracing::warn!(flag = %key, "The flag could not be read: {error}");
                Ok(None)
            }
        }
    }

    pub(super) fn is_pushed(&self, source: &str) -> Result<bool> {
        let config = self.config()?;
        Ok(config
            .connectors
            .iter()
            .any(|spec| spec.name == source && matches!(spec.kind, crate::config::ConnectorKind::Webhook(_))))
    }

    fn reads_by_variant(&self, signal: &SignalSpec) -> Result<bool> {
        Ok(signal.query.by_variant.is_some() || self.is_pushed(&signal.source)?)
    }

    async fn is_due(&self, subject: uuid::Uuid, signal: &str, is_forced: bool) -> Result<bool> {
        if is_forced {
            return Ok(true);
        }
        let mut tx = self.read().await?;
        let health = tx.signal_health_get(subject, signal).await?;
        Ok(health.is_none_or(|health| health.due_at.0 <= self.now()))
    }

    async fn health_ok(&self, tx: &mut Tx, subject: uuid::Uuid, signal: &SignalSpec) -> Result<()> {
        let now = self.now();
        let interval = signal.poll_interval.get();
        // Jitter of up to 5 % keeps many signals from asking a source at the same instant; never later than the interval.
        let [jitter] = self.ids.bytes::<1>();
        let early = interval / 5120 * i32::from(jitter);
        let next = now.checked_add(interval.checked_sub(early).unwrap_or(interval)).unwrap_or(now);
        let health = SignalHealth {
            signal: signal.name.clone(),
            due_at: Instant(next),
            last_ok_at: Some(Instant(now)),
            failures: 0,
            breaches: 0,
            last_error: None,
        };
        tx.signal_health_put(subject, &health).await
    }

    /// Marks a failed reading: backoff, and one alert for a row of failures.
    async fn health_failed(
        &self,
        tx: &mut Tx,
        subject: uuid::Uuid,
        signal: &SignalSpec,
        error: &Error,
    ) -> Result<String> {
        let now = self.now();
        let before = tx.signal_health_get(subject, &signal.name).await?;
        let failures = before.as_ref().map_or(0, |health| health.failures) + 1;
        let wait = SignedDuration::from_mins(1 << failures.clamp(0, 8)).min(signal.poll_interval.get());
        let text: String = error_chain(error).chars().take(500).collect();
        let health = SignalHealth {
            signal: signal.name.clone(),
            due_at: Instant(now.checked_add(wait).unwrap_or(now)),
            last_ok_at: before.and_then(|health| health.last_ok_at),
            failures,
            breaches: 0,
            last_error: Some(text.clone()),
        };
        tx.signal_health_put(subject, &health).await?;
        if failures == 1 {
            let message = json!({ "signal": signal.name, "source": signal.source, "error": text });
            let key = format!("signal/{subject}/{}/{now}", signal.name);
            tx.outbox_insert(self.ids.next(), "notify", &key, &message, now).await?;
            tracing::error!(signal = %signal.name, source = %signal.source, "A signal could not be read: {text}");
        }
        Ok(format!("`{}` from `{}`: {text}", signal.name, signal.source))
    }

    /// Readings of the whole population of an outcome's signal, oldest first.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn outcome_series(&self, reference: &str, limit: i64) -> Result<Vec<Measurement>> {
        let mut tx = self.read().await?;
        let outcome = Self::outcome_named(&mut tx, reference).await?;
        let mut series = tx.measurement_levels(outcome.id, &outcome.spec.signal.name, limit).await?;
        series.reverse();
        Ok(series)
    }
}

/// The signals that a plan reads: the primary one first.
pub(super) fn plan_signals(plan: &Plan) -> impl Iterator<Item = &SignalSpec> {
    std::iter::once(&plan.signal).chain(plan.guardrails.iter().map(|guardrail| &guardrail.signal))
}

/// The plan that was fixed at launch.
fn read_plan(experiment: &Experiment) -> Result<Plan> {
    let value =
        experiment.plan.clone().ok_or_else(|| Error::new(Code::Internal, "a launched experiment has no plan"))?;
    let plan: Plan = serde_json::from_value(value)
        .map_err(|e| Error::new(Code::StateTampered, "the stored plan cannot be read").because(e))?;
    if experiment.state.plan_hash.as_ref() != Some(&digest(&plan)?) {
        return Err(Error::new(Code::StateTampered, "the stored plan is not the one that was approved")
            .hint("somebody wrote into the database; run `outcome-runtime audit verify`"));
    }
    Ok(plan)
}

/// SHA-256 over what a poll stored, in a fixed order.
pub(super) fn readings_digest(readings: &[StoredReading]) -> Result<String> {
    let line = |StoredReading { measurement: m, origin }: &StoredReading| match origin.reread_of() {
        None => json!([m.signal, m.phase, m.variant, m.window, m.sums, m.query_hash, m.raw_hash]),
        Some(of) => json!([m.signal, m.phase, m.variant, m.window, m.sums, m.query_hash, m.raw_hash, of]),
    };
    digest(&readings.iter().map(line).collect::<Vec<Value>>())
}

/// Keeps the evaluation with the experiment.
fn remember(
    experiment: &mut Experiment,
    plan: &Plan,
    evaluated: &Evaluated,
    now: Timestamp,
    n_readings: usize,
) -> Result<()> {
    let json = |e: serde_json::Error| Error::new(Code::Internal, "an evaluation cannot be written").because(e);
    experiment.running = Some(serde_json::to_value(&evaluated.running).map_err(json)?);
    let latest = Latest::of(plan, evaluated, now, n_readings);
    experiment.current_result = Some(serde_json::to_value(latest).map_err(json)?);
    Ok(())
}

/// What the engine would do, in a sentence for the gate. Deterministic.
fn recommendation(evaluated: &Evaluated) -> String {
    let advice = match evaluated.verdict.decision {
        Decision::Ship => "ship",
        Decision::KillHarm | Decision::KillGuardrail | Decision::KillFutility => "kill",
        Decision::IterateInconclusive | Decision::IterateGuardrailUnproven => "iterate",
        Decision::HoldDataQuality | Decision::HoldSrm | Decision::HoldAlert | Decision::Continue => "extend",
    };
    format!("{advice}: {}", evaluated.verdict.reason)
}

/// True when a crossed constraint's own entry says `on_violation: kill`.
fn kills(plan: &Plan, evaluated: Option<&Evaluated>) -> bool {
    let policies: BTreeMap<&str, ViolationPolicy> =
        plan.guardrails.iter().map(|g| (g.signal.name.as_str(), g.on_violation)).collect();
    evaluated.is_some_and(|evaluated| {
        evaluated.guardrails.iter().any(|result| {
            let name = result.name.split(' ').next().unwrap_or_default();
            (result.breached || result.is_alerting) && policies.get(name) == Some(&ViolationPolicy::Kill)
        })
    })
}
