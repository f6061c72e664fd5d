//! Taking an experiment under guard that runs at a flag service already: its arms, shares and start are read there, and a human signs
//! the plan as it is. From then on it is watched, turned off when harm is proven, and nothing is claimed of it.

mod guard;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::Experiments;
use crate::characters::quotable;
use crate::config::Config;
use crate::domain::{
    AttachedFacts, Attachment, Author, Design, Experiment, GateType, GuardrailPlan, Hypothesis, InterventionKind,
    MeasurementPlan, Outcome, OutcomeStatus, Plan, Risk, RolloutPlan, Slug,
};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::lifecycle::ExperimentEvent;
use crate::ports::elsewhere::Elsewhere;
use crate::ports::flags::check_key;
use crate::ports::{FlagAct, FlagError, FlagService};
use crate::present::bound as in_words;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::applied::applied_hash;
use crate::usecases::kernel::attached_facts::{Seen, facts_of};
use crate::usecases::kernel::attached_flag::kept;
use crate::usecases::kernel::caps::find_caps_of;
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::gate_opening::{gate_url, pages};
use crate::usecases::kernel::lookup::outcome_named;
use crate::usecases::kernel::new_experiment::{free_experiment_slug, store_experiment};
use crate::usecases::kernel::planned::planned;
use crate::usecases::kernel::proposal::{require_active, require_exposures};
use crate::usecases::kernel::query_check::{check_queries, refuse_broken};
use crate::usecases::kernel::scale::scale_of_bound;
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::workspace_file::{config, flag_service};
use crate::usecases::signals::{FirstLook, first_look};

/// Longest that a guard can last, in days.
const MAX_DAYS: u32 = 365;
/// Without a deadline.
const DEFAULT_DAYS: u32 = 28;
/// Units of both arms before it counts as measured; harm is judged before.
const MIN_SAMPLE: u32 = 100;
/// Smallest effect worth finding where the outcome states none, as a share of its baseline.
/// A guard is there for large harm, which a small one would find later.
const MDE: f64 = 0.1;

/// What is to be guarded.
#[derive(Debug, Clone, Default)]
pub struct AttachRequest {
    /// The service, as the outcome file calls it.
    pub provider: String,
    /// Number, id or key of the experiment there.
    pub experiment: String,
    /// Slug or id of the outcome whose signal and constraints guard it; the active one when there is one only.
    pub outcome: Option<String>,
    /// What it must hold besides: `error_rate < 1%`.
    pub guards: Vec<String>,
    /// Metrics that must not get worse.
    pub metrics: Vec<String>,
    /// Since when units are counted, where that is not its start.
    pub since: Option<Timestamp>,
    /// How many days it is guarded from now on; to the outcome's deadline when absent.
    pub days: Option<u32>,
}

/// An experiment that waits to be signed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AttachAsked {
    /// Its slug here.
    pub experiment: String,
    /// The outcome that it is guarded by.
    pub outcome: String,
    /// The gate at which a human signs the plan.
    pub gate: String,
    /// The page of that gate.
    pub review_url: String,
    /// Its flag.
    pub flag_key: String,
    /// What was taken over.
    pub attached: AttachedFacts,
    /// What it must hold, each as a sentence.
    pub guards: Vec<String>,
    /// Until when it is guarded, in days since its start.
    pub days: u32,
}

impl Experiments<'_> {
    /// Asks that an experiment which runs elsewhere is guarded: reads it, looks once at what is measured, and opens the gate at which a
    /// human signs. Nothing is changed at the service.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] where it does not run, has no exposures here or would be turned off at once,
    /// [`Code::InvalidInput`] for a guard that means nothing, and the service's errors.
    #[tracing::instrument(level = "debug", name = "experiments.attach", skip_all)]
    pub async fn attach(self, request: AttachRequest, by: &Principal) -> Result<AttachAsked> {
        let runtime = self.0;
        let config = config(runtime).await?;
        let applied = applied_hash(runtime, &mut runtime.read().await?).await?;
        let outcome = outcome_for(runtime, request.outcome.as_deref()).await?;
        let (found, place) = read(runtime, &config, &request).await?;
        let attachment = attachment(runtime, &config, &outcome, &request, &found, place)?;
        let since = attachment.started_at;
        let mut experiment = draft(runtime, &outcome, &request, &found, attachment, by)?;
        let plan = planned(&outcome.spec, &experiment);
        let caps = find_caps_of(runtime, &config, plan.signals(), since).await?;
        let plan = plan.with_caps(&caps);
        let seen = try_it(runtime, &config, &outcome, &experiment, &plan, since).await?;
        let mut tx = runtime.write().await?;
        let declared = outcome_named(&mut tx, &outcome.id.to_string()).await?;
        require_active(&declared)?;
        if declared.spec != outcome.spec || applied_hash(runtime, &mut tx).await? != applied {
            return Err(Error::new(Code::Conflict, "the outcome file was applied anew in the meantime")
                .hint("nothing was done; try again"));
        }
        let n_before = tx.experiment_count_of_flag(&experiment.hypothesis.flag_key).await?;
        let seen = Seen { control: seen.n_control, treatment: seen.n_treatment, before: n_before };
        let facts = facts_of(&experiment, Some(seen));
        experiment.slug = free_experiment_slug(&mut tx, &experiment.slug).await?;
        store_experiment(runtime, &mut tx, &experiment, by).await?;
        let event = ExperimentEvent::Attached { plan_hash: digest(&plan)?, caps };
        let context = StepContext { attached: facts.clone(), ..StepContext::default() };
        experiment_step(runtime, &mut tx, &outcome, &mut experiment, event, by, &context).await?;
        let asked = asked(runtime, &mut tx, &outcome, &experiment, &plan, facts).await?;
        tx.commit().await?;
        Ok(asked)
    }
}

/// The outcome that is named, or the only active one.
async fn outcome_for(runtime: &Runtime, named: Option<&str>) -> Result<Outcome> {
    let mut tx = runtime.read().await?;
    let outcome = match named {
        Some(named) => outcome_named(&mut tx, named).await?,
        None => {
            let mut active = tx.outcome_list(Some(OutcomeStatus::Active)).await?;
            match (active.pop(), active.len()) {
                (Some(only), 0) => only,
                (None, _) => {
                    return Err(Error::new(
                        Code::Conflict,
                        "there is no active outcome, whose signal and constraints would guard it",
                    )
                    .hint("`outcome-runtime activate OUTCOME` first"));
                }
                (Some(last), _) => {
                    let names: Vec<_> = active.iter().chain([&last]).map(|one| one.spec.slug.to_string()).collect();
                    return Err(Error::new(Code::InvalidInput, "several outcomes are active: say which one guards it")
                        .hint(format!("--outcome with one of {}", names.join(", "))));
                }
            }
        }
    };
    require_active(&outcome)?;
    if outcome.spec.design != Design::Randomised {
        return Err(Error::new(
            Code::Conflict,
            format!(
                "`{}` has no control group to compare with: its design is `{}`",
                outcome.spec.slug, outcome.spec.design
            ),
        )
        .hint("name an outcome with `design: randomised`, the default: its signal is read by variant"));
    }
    require_exposures(&outcome.spec)?;
    Ok(outcome)
}

/// The experiment as its service has it.
async fn read(runtime: &Runtime, config: &Config, request: &AttachRequest) -> Result<(Elsewhere, Option<String>)> {
    let applied = config.flags.as_ref().map(|flags| flags.kind);
    if applied != Some(request.provider.as_str()) {
        let now = applied.map_or("none".to_owned(), |kind| format!("`{kind}`"));
        let provider = quotable(&request.provider, 60);
        return Err(Error::new(
            Code::Conflict,
            format!("the flag service that is applied is {now}, and the experiment is said to be at `{provider}`"),
        )
        .hint("name that service in `feature_flags` of outcome.yaml, then `outcome-runtime apply`"));
    }
    let service =
        flag_service(runtime, config).await?.ok_or_else(|| Error::new(Code::Internal, "a flag service went away"))?;
    let elsewhere = service.elsewhere().ok_or_else(|| {
        let kinds: Vec<_> =
            runtime.settings.vendors.flags.iter().filter(|one| one.has_experiments).map(|one| one.kind).collect();
        Error::new(Code::InvalidInput, format!("experiments of {} cannot be attached in this version", service.name()))
            .hint(format!("those of {} can", kinds.join(", ")))
    })?;
    let found = elsewhere.experiment(&request.experiment).await.map_err(cannot_be_guarded)?;
    let found = found.map(kept).ok_or_else(|| {
        Error::not_found("experiment", &request.experiment)
            .hint(format!("{} has none with this number, id or key, or the token cannot see it", service.name()))
    })?;
    check_key(&found.flag_key).map_err(Error::from)?;
    let why = match &found.idle {
        Some(how) => format!("this experiment does not run at {}: it {how}", service.name()),
        None if !found.is_on => {
            format!(
                "the flag `{}` of this experiment is off at {}: there is nothing to guard",
                found.flag_key,
                service.name()
            )
        }
        None => {
            can_be_turned_off(service.as_ref(), &found).await?;
            return Ok((found, service.place()));
        }
    };
    Err(Error::new(Code::Conflict, why).hint("start the experiment there, then attach it"))
}

/// A guard that could not turn anything off would be found out on the day of harm.
async fn can_be_turned_off(service: &dyn FlagService, found: &Elsewhere) -> Result<()> {
    if let Some(problem) = &found.off_problem {
        return Err(Error::new(Code::Conflict, format!("turned off, it would not be off: {problem}"))
            .hint("mend that at the service, then attach the experiment"));
    }
    let rights = service.rights().await.map_err(Error::from)?;
    let off = rights.iter().find(|right| right.act == FlagAct::Off);
    match off.filter(|right| right.is_allowed == Some(false)) {
        None => Ok(()),
        Some(right) => {
            let why = right.detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
            Err(Error::new(Code::Conflict, format!("the token of {} may not turn a flag off{why}", service.name()))
                .hint("`outcome-runtime flags role` prints the rights that it must give"))
        }
    }
}

/// What is set up in a way that cannot be guarded is a fact about the experiment, and not about a flag of ours.
fn cannot_be_guarded(error: FlagError) -> Error {
    match error {
        FlagError::Foreign { problem, .. } => {
            Error::new(Code::Conflict, format!("this experiment cannot be guarded: {problem}"))
                .hint("the runtime guards experiments with two arms that a flag deals in whole percents")
        }
        other => other.into(),
    }
}

fn attachment(
    runtime: &Runtime,
    config: &Config,
    outcome: &Outcome,
    request: &AttachRequest,
    found: &Elsewhere,
    place: Option<String>,
) -> Result<Attachment> {
    let now = runtime.now();
    let started_at = match (request.since, found.started_at) {
        (Some(since), Some(start)) if since < start => {
            return Err(Error::new(Code::InvalidInput, format!("it began at {start}, which is after `--since`"))
                .hint("leave `--since` out, or name an instant after its start"));
        }
        (Some(since), _) => since,
        (None, Some(start)) => start,
        (None, None) => {
            return Err(Error::new(Code::InvalidInput, "the service does not say when this experiment began")
                .hint("say it: `--since 2026-11-03T09:00:00Z`; units are counted from then on"));
        }
    };
    if started_at >= now {
        return Err(Error::new(
            Code::InvalidInput,
            format!("{started_at} lies ahead: units are counted from the past"),
        )
        .hint("name the instant since when the arms are dealt as they are now"));
    }
    let mut guards = Vec::new();
    for text in &request.guards {
        guards.push(guard::guard(text, config, &outcome.spec)?);
    }
    for name in &request.metrics {
        guards.push(guard::metric(name, config, &outcome.spec)?);
    }
    for (index, one) in guards.iter().enumerate() {
        if guards.iter().take(index).any(|other| other.signal.name == one.signal.name) {
            return Err(Error::new(Code::InvalidInput, format!("`{}` is guarded twice", one.signal.name))
                .hint("state one limit for each signal"));
        }
    }
    Ok(Attachment {
        provider: request.provider.clone(),
        reference: found.reference.clone(),
        name_says: found.name.clone(),
        control: found.control.clone(),
        treatment: found.treatment.clone(),
        treatment_pct: found.treatment_pct,
        started_at,
        began_at: found.started_at,
        deal: found.deal.clone(),
        place,
        metrics_say: found.metrics.clone(),
        page: found.page.clone(),
        guards,
    })
}

fn draft(
    runtime: &Runtime,
    outcome: &Outcome,
    request: &AttachRequest,
    found: &Elsewhere,
    attached: Attachment,
    by: &Principal,
) -> Result<Experiment> {
    let spec = &outcome.spec;
    let level = outcome.state.baseline.as_ref().map_or(spec.target.from, |baseline| baseline.value);
    let effect = spec.minimum_detectable_effect.map_or((MDE * level).abs(), |mde| mde.absolute(level));
    let mde = if effect > 0.0 { effect } else { (spec.target.to - spec.target.from).abs() };
    let name = if attached.name_says.is_empty() { found.flag_key.clone() } else { attached.name_says.clone() };
    let hypothesis = Hypothesis {
        statement: format!(
            "`{}` runs against `{}` at {} since {}, and does no harm",
            attached.treatment, attached.control, request.provider, attached.started_at
        ),
        mechanism: "It was made elsewhere, and is only guarded here".to_owned(),
        expected_improvement: mde,
        confidence: 0.5,
        intervention: InterventionKind::ConfigChange,
        intervention_description: "Nothing is built: it runs already".to_owned(),
        touched_paths: Vec::new(),
        flag_key: found.flag_key.clone(),
        measurement: MeasurementPlan {
            duration_days: days(outcome, request, attached.started_at, runtime.now())?,
            min_sample_size: MIN_SAMPLE,
            success_threshold: mde,
            kill_threshold: 0.0,
            minimum_detectable_effect: mde,
        },
        rollout: RolloutPlan { initial_pct: attached.treatment_pct, steps: Vec::new() },
        effort_hours: 0.0,
        risk: Risk::Medium,
        is_reversible: true,
        tags: vec!["attached".to_owned()],
        title: name.clone(),
    };
    let (id, slug) = (runtime.ids.next::<ExperimentId>(), Slug::from_title(&name));
    let mut experiment = Experiment::draft(id, slug, outcome.id, hypothesis, by.clone(), runtime.now());
    experiment.author = Author::Human;
    experiment.state.attached = Some(Box::new(attached));
    Ok(experiment)
}

/// For how long it is guarded, counted from its start. What is asked for is counted from now.
fn days(outcome: &Outcome, request: &AttachRequest, since: Timestamp, now: Timestamp) -> Result<u32> {
    let whole = |time: SignedDuration| u32::try_from(time.as_hours() / 24 + 1).unwrap_or(0);
    let so_far = whole(now.duration_since(since));
    if so_far >= MAX_DAYS {
        return Err(Error::new(
            Code::InvalidInput,
            format!("it has run for {so_far} days, and units can be counted over {MAX_DAYS} at most"),
        )
        .hint("`--since` with a later instant to count from"));
    }
    let left = match (request.days, outcome.state.deadline) {
        (Some(days), _) => days,
        (None, Some(deadline)) => whole(deadline.duration_since(now)),
        (None, None) => DEFAULT_DAYS,
    };
    if left == 0 {
        return Err(Error::new(Code::InvalidInput, "it would be guarded for no time at all")
            .hint("`--days 28` guards it for 28 days from now on"));
    }
    Ok(so_far.saturating_add(left).min(MAX_DAYS))
}

/// Looks once at everything that will guard it.
async fn try_it(
    runtime: &Runtime,
    config: &Arc<Config>,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    since: Timestamp,
) -> Result<FirstLook> {
    let problems = check_queries(runtime, config, plan.signals().cloned().collect()).await?;
    refuse_broken(problems, "nothing can be guarded that cannot be measured")?;
    let seen = first_look(runtime, config, outcome, experiment, plan, since).await?;
    let refused = |message: String, hint: &str| Err(Error::new(Code::Conflict, message).hint(hint.to_owned()));
    if let Some(danger) = &seen.danger {
        return refused(
            format!("it would be turned off at once: {danger}"),
            "where that is true, turn it off there; where the shares were changed since its start, count from then on with `--since`",
        );
    }
    if let Some((signal, error)) = seen.failures.first() {
        return Err(Error::new(
            error.code(),
            format!("`{signal}` cannot be read, so it guards nothing: {}", error.message()),
        )
        .hint(error.hint_text().unwrap_or("mend the source, then attach it").to_owned()));
    }
    let FirstLook { n_control, n_treatment, .. } = seen;
    if n_control == 0 || n_treatment == 0 {
        let attached = experiment.state.attached.as_ref();
        let arms = attached.map_or_else(String::new, |at| {
            format!("`{}` is the control and `{}` the treatment", at.control, at.treatment)
        });
        return refused(
            format!(
                "`{}` has {n_control} units of the control and {n_treatment} of the treatment of the flag `{}` since {since}: they cannot be \
                 compared",
                plan.signal.source, experiment.hypothesis.flag_key
            ),
            &format!(
                "at the service {arms}; what your application logs for each belongs in `variants` of that source's `exposures`, with this \
                 key of the flag"
            ),
        );
    }
    if let Some(signal) = &seen.blind {
        return refused(
            format!("nothing was read of `{signal}` for the treatment, so it would guard nobody"),
            "its source must know this flag and its arms, or give a value of everybody; or leave that guard out",
        );
    }
    if let Some(doubt) = &seen.doubt {
        return refused(format!("it cannot be judged: {doubt}"), "mend the data of its source, then attach it");
    }
    Ok(seen)
}

async fn asked(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: &Experiment,
    plan: &Plan,
    facts: Option<AttachedFacts>,
) -> Result<AttachAsked> {
    let lost = || Error::new(Code::Internal, "the gate of an attachment is not there");
    let open = tx.gate_list_open().await?;
    let gate = open
        .into_iter()
        .map(|(gate, _)| gate)
        .find(|gate| gate.experiment == Some(experiment.id) && gate.gate_type == GateType::LaunchApproval);
    let gate = gate.ok_or_else(lost)?.slug.to_string();
    let mut guards = vec![format!("`{}` no worse than the control", plan.signal.name)];
    for GuardrailPlan { signal, bound, .. } in &plan.guardrails {
        let scale = scale_of_bound(tx, experiment.id, signal, bound).await?.unwrap_or_default();
        guards.push(format!("`{}` {}", signal.name, in_words(bound, &scale)));
    }
    let pages = pages(runtime, tx).await?;
    Ok(AttachAsked {
        experiment: experiment.slug.to_string(),
        outcome: outcome.spec.slug.to_string(),
        review_url: gate_url(&pages, &gate),
        gate,
        flag_key: experiment.hypothesis.flag_key.clone(),
        attached: facts.ok_or_else(lost)?,
        guards,
        days: plan.hypothesis.measurement.duration_days,
    })
}
