//! Outcomes: what the file would change, storing it, activation with a measured baseline, and the ends.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::decide::Unlock;
use super::effects::StepContext;
use super::init::new_event;
use super::runtime::Runtime;
use super::steps::digest;
use crate::domain::{
    ArmSums, Assurance, Baseline, ExperimentStatus, Measurement, Outcome, OutcomeSpec, OutcomeState, OutcomeStatus,
    Reading, Verdict, Window,
};
use crate::error::{Code, Error, Result};
use crate::hypotheses::Plan;
use crate::ids::{MeasurementId, OutcomeId};
use crate::lifecycle::replay::OutcomeCreated;
use crate::lifecycle::{ExperimentEvent, OutcomeEvent};
use crate::principal::Principal;
use crate::store::Tx;

/// One difference between the file and what is stored.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Change {
    /// Path of the field, such as `target.to`.
    pub field: String,
    /// Stored value.
    pub from: Value,
    /// Value of the file.
    pub to: Value,
}

/// What applying the file would do to one outcome.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OutcomePlan {
    /// Its slug.
    pub outcome: String,
    /// `create`, `change`, `none`, or `missing_from_file`.
    pub action: String,
    /// The differences.
    pub changes: Vec<Change>,
    /// What it means beyond the fields, as sentences.
    pub consequences: Vec<String>,
}

/// What applying did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Applied {
    /// The plan that was carried out.
    pub outcomes: Vec<OutcomePlan>,
}

/// What activation found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Activated {
    /// Its slug.
    pub outcome: String,
    /// What was measured.
    pub baseline: Baseline,
    /// Until when.
    #[schemars(with = "String")]
    pub deadline: Timestamp,
    /// Who may write hypotheses now, and how.
    pub next: String,
}

impl Runtime {
    /// What [`Self::outcome_apply`] would do.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`] for a file with errors.
    pub async fn outcome_plan(&self) -> Result<Vec<OutcomePlan>> {
        let config = self.config()?;
        let mut tx = self.read().await?;
        let stored = tx.outcome_list(None).await?;
        let open = tx.experiment_list_open(None).await?;
        let mut plans = Vec::new();
        for spec in &config.outcomes {
            let known = stored.iter().find(|outcome| outcome.spec.slug == spec.slug);
            plans.push(match known {
                None => OutcomePlan {
                    outcome: spec.slug.to_string(),
                    action: "create".to_owned(),
                    changes: Vec::new(),
                    consequences: Vec::new(),
                },
                Some(outcome) => {
                    let changes = differences(&outcome.spec, spec)?;
                    let mut consequences = Vec::new();
                    if lowers_assurance(Some(&outcome.spec), spec) {
                        consequences.push("lowers the assurance of a gate: needs a passphrase".to_owned());
                    }
                    for experiment in open.iter().filter(|experiment| experiment.outcome == outcome.id) {
                        if voids(outcome, spec, experiment)? {
                            consequences.push(format!(
                                "voids the build of `{}`: its plan changes before its launch",
                                experiment.slug
                            ));
                        } else if experiment.state.status.is_polled() && !changes.is_empty() {
                            consequences.push(format!("`{}` keeps the plan it was launched with", experiment.slug));
                        }
                    }
                    OutcomePlan {
                        outcome: spec.slug.to_string(),
                        action: if changes.is_empty() { "none" } else { "change" }.to_owned(),
                        changes,
                        consequences,
                    }
                }
            });
            if known.is_none()
                && lowers_assurance(None, spec)
                && let Some(plan) = plans.last_mut()
            {
                plan.consequences.push("lets a gate be decided without a secret: needs a passphrase".to_owned());
            }
        }
        for outcome in &stored {
            if !config.outcomes.iter().any(|spec| spec.slug == outcome.spec.slug) && !is_over(outcome) {
                plans.push(OutcomePlan {
                    outcome: outcome.spec.slug.to_string(),
                    action: "missing_from_file".to_owned(),
                    changes: Vec::new(),
                    consequences: vec!["stays as it is; `outcome-runtime abandon` ends it".to_owned()],
                });
            }
        }
        Ok(plans)
    }

    /// Stores what the file declares. Applying the same file again changes nothing.
    ///
    /// `unlock`: needed where the file lowers a gate's assurance.
    ///
    /// # Errors
    /// [`Code::ConfigInvalid`], [`Code::PassphraseNeeded`], [`Code::Conflict`] for an outcome that is over.
    pub async fn outcome_apply(&self, by: &Principal, unlock: Option<&Unlock>) -> Result<Applied> {
        let plans = self.outcome_plan().await?;
        let config = self.config()?;
        for spec in &config.outcomes {
            let Some(plan) = plans.iter().find(|plan| plan.outcome == spec.slug.as_str()) else { continue };
            match plan.action.as_str() {
                "create" => self.create_outcome(spec, by, unlock).await?,
                "change" => self.change_outcome(spec, by, unlock).await?,
                _ => {}
            }
        }
        Ok(Applied { outcomes: plans })
    }

    async fn create_outcome(&self, spec: &OutcomeSpec, by: &Principal, unlock: Option<&Unlock>) -> Result<()> {
        let now = self.now();
        let outcome = Outcome {
            id: self.ids.next::<OutcomeId>(),
            spec: spec.clone(),
            state: OutcomeState { status: OutcomeStatus::Draft, baseline: None, deadline: None },
            created_at: now,
            updated_at: now,
        };
        let spec_hash = digest(&outcome.spec)?;
        let consent = if lowers_assurance(None, spec) { Some(self.consent(&outcome, unlock).await?) } else { None };
        let mut tx = self.write().await?;
        tx.outcome_insert(&outcome, &spec_hash).await?;
        let created = OutcomeCreated { state: outcome.state.clone(), spec_hash: spec_hash.clone() };
        tx.event_append(new_event("outcome.created", outcome.id.into(), by, &created)?, now).await?;
        if let Some((decision, human)) = consent {
            let mut outcome = outcome;
            let event = OutcomeEvent::Applied { spec_hash, consent: Some(decision) };
            self.outcome_step(&mut tx, &mut outcome, None, event, &human).await?;
        }
        tx.commit().await
    }

    async fn change_outcome(&self, spec: &OutcomeSpec, by: &Principal, unlock: Option<&Unlock>) -> Result<()> {
        let mut tx = self.read().await?;
        let stored = Self::outcome_named(&mut tx, spec.slug.as_str()).await?;
        drop(tx);
        let mut wanted = stored.clone();
        wanted.spec = spec.clone();
        let consent =
            if lowers_assurance(Some(&stored.spec), spec) { Some(self.consent(&wanted, unlock).await?) } else { None };
        let mut tx = self.write().await?;
        let mut outcome = Self::outcome_named(&mut tx, spec.slug.as_str()).await?;
        for mut experiment in tx.experiment_list_open(Some(outcome.id)).await? {
            if voids(&outcome, spec, &experiment)? {
                let reason = "the outcome file changed its plan".to_owned();
                let event = ExperimentEvent::LaunchVoided { reason };
                let system = Principal::system("apply");
                self.experiment_step(&mut tx, &outcome, &mut experiment, event, &system, &StepContext::default())
                    .await?;
            }
        }
        let spec_hash = digest(spec)?;
        let (consent, by) = match consent {
            Some((decision, human)) => (Some(decision), human),
            None => (None, by.clone()),
        };
        let event = OutcomeEvent::Applied { spec_hash, consent };
        self.outcome_step(&mut tx, &mut outcome, Some(spec), event, &by).await?;
        tx.commit().await
    }

    async fn consent(
        &self,
        outcome: &Outcome,
        unlock: Option<&Unlock>,
    ) -> Result<(crate::signing::VerifiedDecision, Principal)> {
        let unlock = unlock.ok_or_else(|| {
            Error::new(
                Code::PassphraseNeeded,
                format!("`{}` lowers the assurance of a gate, which needs your passphrase", outcome.spec.slug),
            )
            .hint("run `outcome-runtime apply` on a terminal, or take `assurance: A2` out of the file")
        })?;
        self.sign_for_outcome(outcome, Verdict::AcceptPolicy, None, unlock, Assurance::A3).await
    }

    /// Makes a draft the unit of work: reads its baseline from the source and starts the horizon.
    ///
    /// # Errors
    /// [`Code::BaselineFar`] when the baseline is far from `target.from`; the source's errors; [`Code::Conflict`].
    pub async fn outcome_activate(&self, reference: &str, unlock: &Unlock, accept_baseline: bool) -> Result<Activated> {
        let mut tx = self.read().await?;
        let outcome = Self::outcome_named(&mut tx, reference).await?;
        drop(tx);
        if outcome.state.status != OutcomeStatus::Draft {
            return Err(Error::new(
                Code::Conflict,
                format!("outcome `{}` is {}, only a draft can be activated", outcome.spec.slug, outcome.state.status),
            ));
        }
        let (baseline, reading) = self.measure_baseline(&outcome).await?;
        let from = outcome.spec.target.from;
        let far = (baseline.value - from).abs() > outcome.spec.target.baseline_tolerance * from.abs();
        if far && !accept_baseline {
            return Err(Error::new(
                Code::BaselineFar,
                format!(
                    "`{}` was measured at {:.6}, but `target.from` says {from}: more than {:.0} % apart",
                    outcome.spec.signal.name,
                    baseline.value,
                    outcome.spec.target.baseline_tolerance * 100.0
                ),
            )
            .hint("correct target.from (or the query), or accept the measured value with --accept-baseline"));
        }
        let (decision, by) = self.sign_for_outcome(&outcome, Verdict::Activate, None, unlock, Assurance::A2).await?;
        let now = self.now();
        let deadline = now.checked_add(outcome.spec.horizon.get()).unwrap_or(now);
        let mut tx = self.write().await?;
        let mut outcome = Self::outcome_named(&mut tx, reference).await?;
        self.store_level(&mut tx, &outcome, &outcome.spec.signal, &reading, now).await?;
        let event = OutcomeEvent::Activated { baseline: baseline.clone(), deadline, decision };
        self.outcome_step(&mut tx, &mut outcome, None, event, &by).await?;
        tx.commit().await?;
        Ok(Activated {
            next: format!(
                "let your agent call get_work_order for `{0}`, or hand in your own with `outcome-runtime experiment \
                 propose --outcome {0} --file FILE`",
                outcome.spec.slug
            ),
            outcome: outcome.spec.slug.to_string(),
            baseline,
            deadline,
        })
    }

    /// Gives an outcome up. Its open experiments stay where they are, to be ended one by one.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is over or experiments are under way.
    pub async fn outcome_abandon(&self, reference: &str, unlock: &Unlock) -> Result<OutcomeStatus> {
        self.end_outcome(reference, Verdict::Abandon, unlock, Assurance::A2).await
    }

    /// Confirms that an outcome is achieved.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is not active, or the metric is not there.
    pub async fn outcome_confirm(&self, reference: &str, unlock: &Unlock) -> Result<OutcomeStatus> {
        let mut tx = self.read().await?;
        let outcome = Self::outcome_named(&mut tx, reference).await?;
        let latest = tx.measurement_latest_level(outcome.id, &outcome.spec.signal.name).await?;
        let attainment = self.attainment(&mut tx, &outcome, latest.as_ref()).await?;
        drop(tx);
        if !attainment.is_met {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "`{}` is not at its target of {} yet: {}",
                    outcome.spec.slug, outcome.spec.target.to, attainment.says
                ),
            )
            .hint("`outcome-runtime status` shows the latest value; `outcome-runtime poll` reads it anew"));
        }
        self.end_outcome(reference, Verdict::ConfirmAchieved, unlock, Assurance::A3).await
    }

    async fn end_outcome(
        &self,
        reference: &str,
        verdict: Verdict,
        unlock: &Unlock,
        needed: Assurance,
    ) -> Result<OutcomeStatus> {
        let mut tx = self.read().await?;
        let outcome = Self::outcome_named(&mut tx, reference).await?;
        let open = tx.experiment_list_open(Some(outcome.id)).await?;
        drop(tx);
        if let Some(live) = open.iter().find(|experiment| experiment.state.status.is_polled()) {
            return Err(Error::new(Code::Conflict, format!("experiment `{}` is {}", live.slug, live.state.status))
                .hint("conclude it first: its flag is on"));
        }
        let (decision, by) = self.sign_for_outcome(&outcome, verdict, None, unlock, needed).await?;
        let mut tx = self.write().await?;
        let mut outcome = Self::outcome_named(&mut tx, reference).await?;
        let event = match verdict {
            Verdict::Abandon => OutcomeEvent::Abandoned { decision },
            _ => OutcomeEvent::Achieved { decision },
        };
        self.outcome_step(&mut tx, &mut outcome, None, event, &by).await?;
        tx.commit().await?;
        Ok(outcome.state.status)
    }

    /// Outcomes whose deadline has passed become expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outcome_sweep(&self) -> Result<Vec<String>> {
        let now = self.now();
        let by = Principal::system("deadline");
        let mut expired = Vec::new();
        let mut tx = self.write().await?;
        for mut outcome in tx.outcome_list(Some(OutcomeStatus::Active)).await? {
            if outcome.state.deadline.is_some_and(|deadline| deadline <= now) {
                self.outcome_step(&mut tx, &mut outcome, None, OutcomeEvent::Expired, &by).await?;
                expired.push(outcome.spec.slug.to_string());
            }
        }
        tx.commit().await?;
        Ok(expired)
    }

    async fn measure_baseline(&self, outcome: &Outcome) -> Result<(Baseline, Reading<ArmSums>)> {
        let now = self.now();
        let signal = &outcome.spec.signal;
        let window = Window { from: now.checked_sub(signal.aggregation.window().get()).unwrap_or(now), to: now };
        let reading = self.read_level(outcome, signal, window).await?.ok_or_else(|| {
            Error::new(Code::SignalShape, format!("nobody has pushed a reading of `{}` yet", signal.name))
                .hint("a source that pushes cannot be asked: push a first reading, then activate")
        })?;
        let value = reading.data.value().ok_or_else(|| {
            Error::new(Code::SignalShape, format!("`{}` has no units in the baseline's window", signal.name))
                .hint("check the query and that there is data before now")
        })?;
        let days = signal.aggregation.window().as_days();
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let daily_units = reading.data.n().map(|n| n as f64 / days);
        let baseline = Baseline {
            value,
            n: reading.data.n(),
            variance: unit_variance(&reading.data),
            daily_units,
            captured_at: now,
        };
        Ok((baseline, reading))
    }

    /// Stores a reading of the whole population.
    pub(super) async fn store_level(
        &self,
        tx: &mut Tx,
        outcome: &Outcome,
        signal: &crate::domain::SignalSpec,
        reading: &Reading<ArmSums>,
        at: Timestamp,
    ) -> Result<bool> {
        let measurement = Measurement {
            id: self.ids.next::<MeasurementId>(),
            outcome: outcome.id,
            experiment: None,
            signal: signal.name.clone(),
            variant: None,
            phase: None,
            measured_at: at,
            window: reading.window,
            sums: reading.data,
            source: signal.source.clone(),
            query_hash: reading.query_hash.clone(),
            raw_hash: reading.raw_hash.clone(),
        };
        let key = format!("level/{}/{}/{}", outcome.id, signal.name, reading.window.to);
        tx.measurement_insert(&measurement, &key).await
    }
}

/// Variance of one unit, where the sums give it.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn unit_variance(sums: &ArmSums) -> Option<f64> {
    match *sums {
        ArmSums::Proportion { n, successes } if n > 0 => {
            let p = successes as f64 / n as f64;
            Some(p * (1.0 - p))
        }
        ArmSums::Mean { n, sum, sum_squares } if n > 1 => {
            let n = n as f64;
            Some(((sum_squares - sum * sum / n) / (n - 1.0)).max(0.0))
        }
        _ => None,
    }
}

fn is_over(outcome: &Outcome) -> bool {
    !matches!(outcome.state.status, OutcomeStatus::Draft | OutcomeStatus::Active)
}

/// True when the new spec would change what a reported, not yet launched build was to be approved for.
fn voids(outcome: &Outcome, spec: &OutcomeSpec, experiment: &crate::domain::Experiment) -> Result<bool> {
    Ok(experiment.state.status == ExperimentStatus::AwaitingLaunchGate
        && experiment.outcome == outcome.id
        && experiment.state.plan_hash
            != Some(digest(&Plan::of(spec, &experiment.hypothesis, experiment.state.budget_part))?))
}

/// True when a gate could be decided less surely than before, or without a secret in a new outcome.
fn lowers_assurance(stored: Option<&OutcomeSpec>, wanted: &OutcomeSpec) -> bool {
    crate::domain::GateType::ALL.iter().any(|gate_type| {
        let before = stored.map_or(Assurance::A3, |spec| spec.gate_policy(*gate_type).assurance);
        wanted.gate_policy(*gate_type).assurance < before
    })
}

fn differences(stored: &OutcomeSpec, wanted: &OutcomeSpec) -> Result<Vec<Change>> {
    let json = |spec: &OutcomeSpec| {
        serde_json::to_value(spec).map_err(|e| Error::new(Code::Internal, "a spec cannot be written").because(e))
    };
    let mut changes = Vec::new();
    walk("", &json(stored)?, &json(wanted)?, &mut changes);
    Ok(changes)
}

fn walk(path: &str, from: &Value, to: &Value, changes: &mut Vec<Change>) {
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), changes);
            }
        }
        _ if from == to => {}
        _ => changes.push(Change { field: path.to_owned(), from: from.clone(), to: to.clone() }),
    }
}
