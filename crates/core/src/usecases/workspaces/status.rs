//! Everything at a glance.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::Workspaces;
use crate::digest::sha256_hex;
use crate::domain::{
    Capped, Closing, Direction, Evaluation, EvidenceGrade, ExperimentStatus, GateType, Measurement, Message, Outcome,
    OutcomeSpec, OutcomeStatus, PauseCause, Stored, text_enum,
};
use crate::error::Result;
use crate::ids::MemberId;
use crate::present::{Answer, Scale};
use crate::stats::{Recommendation, ShownInterval, SidedP};
use crate::store::{ExperimentGlance, GateGlance, QueuedMessage, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::answer::{Standing, answer};
use crate::usecases::kernel::applied::applied;
use crate::usecases::kernel::gate_opening::{gate_url, pages};
use crate::usecases::kernel::keyring::keyring_or_none;
use crate::usecases::kernel::people::People;
use crate::usecases::kernel::proposal::missing_exposures;
use crate::usecases::kernel::resting::resting;
use crate::usecases::kernel::signal_problem::problem;
use crate::usecases::kernel::unchecked::unchecked;
use crate::usecases::outbox::letter::subject;
use crate::usecases::outbox::messages::says;
use crate::usecases::outbox::stuck::{self, flag_problem};
use crate::usecases::outcomes::attainment::{Attainment, attainment};

text_enum! {
    /// How current a value is.
    pub enum Freshness { Fresh, Stale, Failing, NeverRead }
}

/// A value and how fresh it is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SignalLine {
    /// Name.
    pub name: String,
    /// Latest value.
    pub value: Option<f64>,
    /// Unit for people.
    pub unit: Option<String>,
    /// When it was read.
    #[schemars(with = "Option<String>")]
    pub measured_at: Option<Timestamp>,
    /// `fresh`, `stale`, `failing` or `never_read`.
    pub freshness: Freshness,
    /// When it will be read next.
    #[schemars(with = "Option<String>")]
    pub next_poll_at: Option<Timestamp>,
    /// What is wrong.
    pub problem: Option<String>,
}

/// An experiment in one line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ExperimentLine {
    /// Slug.
    pub experiment: String,
    /// Title, in its author's words.
    pub title_says: String,
    /// What it came to, in one sentence; null before the launch.
    pub answer: Option<Answer>,
    /// Where it stands.
    pub status: ExperimentStatus,
    /// Why it is paused.
    pub pause_cause: Option<PauseCause>,
    /// Estimated effect, treatment minus control; absent where it changed over time, so that no one number describes it.
    pub effect: Option<f64>,
    /// What the cap of the metric did; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<Capped>,
    /// The interval that decides, with its levels.
    pub interval: Option<ShownInterval>,
    /// Lower end of the two-sided confidence sequence of the estimate, which is not shown beside `interval`.
    pub ci_lower: Option<f64>,
    /// Its upper end.
    pub ci_upper: Option<f64>,
    /// A p-value for success and one for harm, valid at any time.
    pub p: Option<SidedP>,
    /// Two-sided p-value of the estimate, the smallest so far, valid at any time.
    pub p_value: Option<f64>,
    /// Evidence at the latest poll; absent where it overflows.
    pub e_value: Option<f64>,
    /// Error rate of its test: its part of the outcome's error budget.
    pub alpha: Option<f64>,
    /// Evidence grade, A to D.
    pub grade: Option<EvidenceGrade>,
    /// Findings about the data, the signals and the flag, as sentences; also when the latest evaluation cannot be read.
    pub health: Vec<String>,
    /// Units of the control; absent where there is none.
    pub n_control: Option<u64>,
    /// Units of the treatment; absent where there is no control.
    pub n_treatment: Option<u64>,
    /// Without a control group: level before the launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_before: Option<f64>,
    /// Without a control group: level after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_after: Option<f64>,
    /// The engine's recommendation at the latest poll.
    pub verdict: Option<Recommendation>,
    /// Why.
    pub reason: Option<String>,
    /// What would have to happen for a decision.
    pub next: Option<String>,
}

/// A gate in one line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct GateLine {
    /// Slug.
    pub gate: String,
    /// Type.
    pub gate_type: GateType,
    /// Slug of the experiment.
    pub experiment: Option<String>,
    /// Who holds it.
    pub holder: Option<String>,
    /// The member who holds it.
    #[serde(skip)]
    #[schemars(skip)]
    pub held_by: Option<MemberId>,
    /// Until when.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// Minutes left; negative when the time is over.
    pub minutes_left: i64,
    /// The page on which a human decides.
    pub review_url: String,
}

/// An outcome with its experiments.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct OutcomeLine {
    /// Slug.
    pub outcome: String,
    /// Title, in people's words.
    pub title_says: String,
    /// Where it stands.
    pub status: OutcomeStatus,
    /// Which way is better.
    pub direction: Direction,
    /// Where it began, measured.
    pub baseline: Option<f64>,
    /// Where it should go.
    pub target: f64,
    /// How it stands against the target; absent before activation.
    pub attainment: Option<Attainment>,
    /// Until when.
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Timestamp>,
    /// The deciding signal.
    pub signal: SignalLine,
    /// Why experiments cannot be measured yet, such as queries that could not be tried, as sentences.
    pub unchecked: Vec<String>,
    /// Up to 20: those under way, then the newest others.
    pub experiments: Vec<ExperimentLine>,
    /// How many experiments are not listed.
    pub n_more: i64,
    /// How values of the signal are written for people.
    #[serde(skip)]
    pub scale: Scale,
    /// Whether nothing can be proposed because there is no table of exposures.
    #[serde(skip)]
    pub lacks_exposures: bool,
}

/// Everything at a glance.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Status {
    /// Name of the workspace.
    pub workspace: String,
    /// Now, by the workspace's clock.
    #[schemars(with = "String")]
    pub now: Timestamp,
    /// Outcomes.
    pub outcomes: Vec<OutcomeLine>,
    /// Gates that wait for a human, the most urgent first.
    pub gates: Vec<GateLine>,
    /// Why the outcome file in the work tree is not what counts, as a sentence; absent where it is.
    pub unapplied: Option<String>,
    /// Messages that could not be delivered yet, as sentences.
    pub undelivered: Vec<String>,
    /// Machines whose clock is not believed, as sentences.
    pub clocks: Vec<String>,
    /// Sources that do not answer and are left alone for a while, as sentences.
    pub resting_sources: Vec<String>,
    /// What people were not told, because the file declares no channel for it.
    pub without_channel: WithoutChannel,
    /// Messages that were given up: they are tried again only by hand.
    pub dead_letters: DeadLetters,
}

/// Messages that were given up.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct DeadLetters {
    /// How many.
    pub n: i64,
    /// The newest, in a line.
    pub newest: Option<String>,
    /// When it was decided to tell people.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
}

/// Notices for which there is no channel.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WithoutChannel {
    /// How many.
    pub n: i64,
    /// The newest, in a line.
    pub newest: Option<String>,
    /// When it was decided to tell people.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
}

/// Clocks of several machines may differ by this much.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(2);
/// How long it is said that the clock of a machine is not believed, when it is not looked at any more.
const DOUBT_SHOWN: SignedDuration = SignedDuration::from_hours(24);
/// Most experiments listed for one outcome.
const MAX_EXPERIMENTS: usize = 20;

impl Workspaces<'_> {
    /// Outcomes, experiments, gates and their health. `active_only` leaves out drafts and what is over.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "workspaces.status", skip_all)]
    pub async fn status(self, active_only: bool) -> Result<Status> {
        let mut tx = self.0.read().await?;
        let now = self.0.now();
        let wanted = active_only.then_some(OutcomeStatus::Active);
        let mut outcomes = Vec::new();
        for outcome in tx.outcome_list(wanted).await? {
            outcomes.push(outcome_line(self.0, &mut tx, &outcome).await?);
        }
        let pages = pages(self.0, &mut tx).await?;
        let ring = keyring_or_none(self.0, &mut tx).await;
        let people = People::of(&mut tx, &ring).await?;
        let line = |gate: GateGlance| GateLine {
            review_url: gate_url(&pages, gate.slug.as_str()),
            gate: gate.slug.to_string(),
            gate_type: gate.gate_type,
            experiment: gate.experiment.map(|slug| slug.to_string()),
            holder: gate.rules.holders.get(gate.state.holder).map(|holder| people.holder_shown(holder)),
            held_by: gate
                .rules
                .holders
                .get(gate.state.holder)
                .and_then(|it| people.holding(it))
                .map(|person| person.id),
            due_at: gate.state.due_at,
            minutes_left: gate.state.due_at.duration_since(now).as_mins(),
        };
        let gates = tx.gate_glances_open().await?.into_iter().map(line).collect();
        let undelivered = tx.outbox_open(20).await?.iter().filter_map(|message| undelivered(message, now)).collect();
        let without_channel = without_channel(&mut tx).await?;
        let doubts = tx.clock_doubts(now.checked_sub(DOUBT_SHOWN).unwrap_or(now)).await?;
        let clocks = doubts.into_iter().filter_map(|clock| clock.doubt).collect();
        let dead_letters = dead_letters(&mut tx, now).await?;
        Ok(Status {
            workspace: self.0.workspace.slug.clone(),
            now,
            outcomes,
            gates,
            unapplied: unapplied(self.0, &mut tx).await,
            undelivered,
            clocks,
            resting_sources: resting(&mut tx, now).await?,
            without_channel,
            dead_letters,
        })
    }
}

/// Whether the file in the work tree is what is applied.
async fn unapplied(runtime: &Runtime, tx: &mut Tx) -> Option<String> {
    let (text, _) = runtime.configs.load(&runtime.settings.file.value, runtime.settings.vendors).await.ok()?;
    let name =
        runtime.settings.file.value.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match applied(runtime, tx).await {
        Ok(Some(applied)) if applied.hash == sha256_hex(&text) => None,
        Ok(Some(_)) => Some(format!("{name} differs from what is applied, and what is applied counts")),
        Ok(None) => Some(format!("{name} is not applied yet, so nothing of it counts")),
        Err(error) => Some(format!("what is applied cannot be used: {}", error.message())),
    }
}

/// A sentence about a message that was tried and has not arrived.
fn undelivered(queued: &QueuedMessage, now: Timestamp) -> Option<String> {
    let error = queued.last_error.as_deref()?;
    match &queued.message {
        // Why it failed is part of the sentence.
        Ok(Message::Flag(position)) => Some(stuck::sentence(queued, position, now)),
        Ok(Message::Notice(_)) | Err(_) => {
            let tries = if queued.attempts == 1 { "1 try".to_owned() } else { format!("{} tries", queued.attempts) };
            Some(format!("{} (not delivered after {tries}): {error}", says(queued, now)))
        }
    }
}

async fn dead_letters(tx: &mut Tx, now: Timestamp) -> Result<DeadLetters> {
    let (n, newest) = tx.outbox_closed_as(Closing::DeadLetter).await?;
    let at = newest.as_ref().map(|newest| newest.created_at);
    Ok(DeadLetters { n, newest: newest.map(|newest| says(&newest, now)), at })
}

async fn without_channel(tx: &mut Tx) -> Result<WithoutChannel> {
    let (n, newest) = tx.outbox_closed_as(Closing::NoChannel).await?;
    let at = newest.as_ref().map(|newest| newest.created_at);
    let newest = newest.and_then(|newest| match newest.message {
        Ok(Message::Notice(notice)) => Some(subject(&notice)),
        Ok(Message::Flag(_)) | Err(_) => None,
    });
    Ok(WithoutChannel { n, newest, at })
}

async fn outcome_line(runtime: &Runtime, tx: &mut Tx, outcome: &Outcome) -> Result<OutcomeLine> {
    let spec = &outcome.spec;
    let latest = tx.measurement_latest_level(outcome.id, &spec.signal.name).await?;
    let listed = tx.experiment_glances(outcome.id, MAX_EXPERIMENTS).await?;
    let total: i64 = tx.experiment_counts_of(outcome.id).await?.into_iter().map(|(_, count)| count).sum();
    let n_listed = i64::try_from(listed.len()).unwrap_or(i64::MAX);
    let scale = spec.scale(latest.as_ref().map(|reading| &reading.sums));
    Ok(OutcomeLine {
        outcome: spec.slug.to_string(),
        title_says: spec.title.clone(),
        status: outcome.state.status,
        direction: spec.target.direction,
        baseline: outcome.state.baseline.as_ref().map(|baseline| baseline.value),
        target: spec.target.to,
        attainment: match outcome.state.baseline {
            Some(_) => Some(attainment(tx, outcome, runtime.now()).await?),
            None => None,
        },
        deadline: outcome.state.deadline,
        signal: signal_line(runtime, tx, outcome, latest.as_ref()).await?,
        unchecked: unmeasured(tx, outcome).await?,
        experiments: experiment_lines(tx, spec, &scale, listed, runtime.now()).await?,
        n_more: (total - n_listed).max(0),
        scale,
        lacks_exposures: missing_exposures(spec).is_some(),
    })
}

/// Why experiments cannot be measured yet.
async fn unmeasured(tx: &mut Tx, outcome: &Outcome) -> Result<Vec<String>> {
    let is_over = match outcome.state.status {
        OutcomeStatus::Draft | OutcomeStatus::Active => false,
        OutcomeStatus::Achieved | OutcomeStatus::Abandoned | OutcomeStatus::Expired => true,
    };
    let missing = if is_over { None } else { missing_exposures(&outcome.spec) };
    Ok(missing.into_iter().chain(unchecked(tx, outcome.id.0).await?).collect())
}

async fn signal_line(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    latest: Option<&Measurement>,
) -> Result<SignalLine> {
    let signal = &outcome.spec.signal;
    let health = tx.signal_health_get(outcome.id.0, &signal.name).await?;
    let now = runtime.now();
    let age = latest.map(|measurement| now.duration_since(measurement.measured_at));
    let failing = health.as_ref().filter(|health| health.failures > 0).and_then(problem);
    let freshness = match (&failing, age) {
        (Some(_), _) => Freshness::Failing,
        (None, None) => Freshness::NeverRead,
        // A reading of the future was made by a clock that was wrong.
        (None, Some(age)) if age > outcome.spec.staleness.get() || age < -CLOCKS_DIFFER => Freshness::Stale,
        (None, Some(_)) => Freshness::Fresh,
    };
    Ok(SignalLine {
        name: signal.name.clone(),
        value: latest.and_then(|measurement| measurement.sums.value()),
        unit: signal.unit.clone(),
        measured_at: latest.map(|measurement| measurement.measured_at),
        freshness,
        next_poll_at: health.map(|health| health.due_at.0),
        problem: failing,
    })
}

async fn experiment_lines(
    tx: &mut Tx,
    spec: &OutcomeSpec,
    scale: &Scale,
    listed: Vec<ExperimentGlance>,
    now: Timestamp,
) -> Result<Vec<ExperimentLine>> {
    let failing = match listed.is_empty() {
        true => Vec::new(),
        false => tx.outbox_flags_failing().await?,
    };
    let mut lines = Vec::with_capacity(listed.len());
    for experiment in listed {
        let health = match experiment.state.status.is_polled() {
            true => tx.signal_health_list(experiment.id.0).await?,
            false => Vec::new(),
        };
        let flag = failing.iter().find(|queued| queued.subject == Some(experiment.id.0));
        let mut line = experiment_line(tx, experiment, spec, scale).await?;
        line.health.extend(flag.and_then(|queued| flag_problem(queued, now)));
        line.health.extend(health.iter().filter_map(problem));
        lines.push(line);
    }
    Ok(lines)
}

async fn experiment_line(
    tx: &mut Tx,
    experiment: ExperimentGlance,
    spec: &OutcomeSpec,
    scale: &Scale,
) -> Result<ExperimentLine> {
    let direction = spec.target.direction;
    let (result, unreadable) = match experiment.current_result.as_ref().map(Stored::shown) {
        Some(Ok(result)) => (Some(result), None),
        Some(Err(problem)) => (None, Some(problem)),
        None => (None, None),
    };
    let weekly = result.and_then(Evaluation::before_and_after);
    let findings = result.into_iter().flat_map(|result| &result.health).map(|finding| finding.message.clone());
    let turned = result.and_then(|result| result.capped).filter(|capped| capped.is_turned);
    let turned = turned.map(|_| "without its cap the effect has the other sign".to_owned());
    let standing = Standing {
        experiment: experiment.id,
        state: &experiment.state,
        result,
        launched_at: experiment.launched_at,
        measurement: &experiment.measurement,
    };
    Ok(ExperimentLine {
        answer: answer(tx, spec, scale, &standing).await?,
        status: experiment.state.status,
        pause_cause: experiment.state.pause.as_ref().map(|pause| pause.cause),
        effect: result.filter(|result| !result.has_drifted()).and_then(|result| result.effect),
        capped: result.and_then(|result| result.capped),
        interval: result.and_then(|result| result.shown_interval(direction)),
        ci_lower: result.and_then(|result| result.ci?.lower),
        ci_upper: result.and_then(|result| result.ci?.upper),
        p: result.and_then(|result| result.sided_p(direction, experiment.measurement.success_threshold)),
        p_value: result.map(|result| result.p_running),
        e_value: result.and_then(|result| result.e_value),
        alpha: result.and_then(|result| result.alpha),
        grade: result.and_then(|result| result.grade),
        health: unreadable.into_iter().chain(findings).chain(turned).collect(),
        n_control: result.filter(|_| weekly.is_none()).map(|result| result.n_control),
        n_treatment: result.filter(|_| weekly.is_none()).map(|result| result.n_treatment),
        level_before: weekly.and_then(|[before, _]| before),
        level_after: weekly.and_then(|[_, after]| after),
        verdict: result.map(|result| result.advice.recommendation),
        reason: result.map(|result| result.advice.reason.clone()),
        next: result.and_then(|result| result.advice.next.clone()),
        experiment: experiment.slug.to_string(),
        title_says: experiment.title,
    })
}
