//! Jobs under way: taken from the queue, asked side by side, and written one after the other as their sources answer.
//!
//! **Invariant**: a source that hangs delays only what is read from it. What could not be written is given back, so that somebody
//! reads it again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::experiment::{Asked, PolledExperiment, ask_experiment, take_danger, take_experiment};
use super::levels::{AskedLevel, LevelJob, Levels, ask_level};
use super::polled::Polled;
use super::source_clocks::SourceClocks;
use super::sources::Job;
use crate::config::Config;
use crate::domain::Outcome;
use crate::error::{Result, error_chain};
use crate::ids::{ExperimentId, OutcomeId};
use crate::store::{JobHolder, QueuedJob, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::history::plan_of;
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::queue::{SOONEST, next_look, signals_of};
use crate::usecases::kernel::worker::{Claimed, UnderWay, Wish, Worker};
use crate::usecases::kernel::workspace_file::config;
use crate::usecases::outbox::aim::is_broken;
use crate::usecases::outbox::tampered::off_without_history;

/// How long the clock of a source is known.
const CLOCKS_KEPT: Duration = Duration::from_mins(1);

/// Jobs under way.
pub(super) struct Collecting {
    runtime: Runtime,
    worker: Worker,
    /// Whether an experiment is read although none of its signals is due.
    is_forced: bool,
    /// The clock is not believed: nothing is scheduled, kept or claimed, only danger is looked for, up to this instant.
    doubtful_until: Option<Timestamp>,
    clocks: (SourceClocks, Instant),
    asking: JoinSet<Answer>,
    /// What came in and was not looked at: nothing, where levels waited long enough.
    next: Option<Option<std::result::Result<(Id, Answer), JoinError>>>,
    jobs: HashMap<Id, QueuedJob>,
    levels: Levels,
    /// Jobs that could not be written, to be given back.
    left: Vec<QueuedJob>,
    /// It may hold something without knowing of it.
    is_unsure: bool,
    experiments: Vec<(Uuid, PolledExperiment)>,
    done: Polled,
    /// A flag was moved since this was asked last.
    has_moved_a_flag: bool,
}

/// What the sources of a job said.
enum Answer {
    Experiment(Arc<Config>, Arc<Job>, Box<Result<Asked>>),
    Level(Box<AskedLevel>),
}

/// What a job of the queue comes to.
enum Found {
    Experiment(Box<Job>),
    Level(Box<LevelJob>),
    /// Nothing is to be read before then.
    Later(Timestamp),
    /// It cannot be read, for a reason that time does not mend.
    Broken(String),
    /// There is nothing to be read any more.
    Gone,
}

impl Collecting {
    pub(super) fn new(runtime: Runtime, is_forced: bool, doubtful_until: Option<Timestamp>) -> Self {
        Self {
            worker: Worker::new(&runtime),
            runtime,
            is_forced,
            doubtful_until,
            clocks: (SourceClocks::default(), Instant::now()),
            asking: JoinSet::new(),
            next: None,
            jobs: HashMap::new(),
            levels: Levels::default(),
            left: Vec::new(),
            is_unsure: false,
            experiments: Vec::new(),
            done: Polled::default(),
            has_moved_a_flag: false,
        }
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Makes what is wanted due now, where everything is to be read.
    pub(super) async fn wake(&self, wish: Wish) -> Result<()> {
        if self.is_forced { self.worker.wake(&self.runtime, wish).await } else { Ok(()) }
    }

    /// Whether somebody recomputes, and nothing was taken.
    pub(super) fn is_skipped(&self) -> bool {
        self.done.is_skipped
    }

    /// Says that nothing was done.
    pub(super) fn skip(&mut self) {
        self.done.is_skipped = true;
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.asking.is_empty() && self.next.is_none() && self.levels.until().is_none()
    }

    /// Whether a flag was moved since this was asked last.
    pub(super) fn has_moved_a_flag(&mut self) -> bool {
        std::mem::take(&mut self.has_moved_a_flag)
    }

    /// What was done since this was asked last.
    pub(super) fn take_done(&mut self) -> Polled {
        let mut done = std::mem::take(&mut self.done);
        // In the order in which they were created, whichever source was the fastest.
        self.experiments.sort_unstable_by_key(|(id, _)| *id);
        done.experiments = self.experiments.drain(..).map(|(_, polled)| polled).collect();
        done.failures.sort_unstable();
        done
    }

    /// Takes jobs and begins to ask; how many were taken. Where somebody recomputes, nothing is, and the round is skipped.
    pub(super) async fn claim(&mut self, wish: Wish) -> Result<usize> {
        self.give_back().await?;
        if self.is_unsure {
            self.worker.give_back_unknown(&self.runtime, &self.known()).await?;
            self.is_unsure = false;
        }
        self.worker.holds(self.jobs.len() + self.levels.len() + self.left.len());
        self.is_unsure = true;
        let n_jobs = self.claim_now(wish).await?;
        self.is_unsure = false;
        Ok(n_jobs)
    }

    /// Looks for what it holds without knowing of it, at the next claim.
    pub(super) fn is_unsure(&mut self) {
        self.is_unsure = true;
    }

    /// The jobs that are under way, wait to be written, or are to be given back.
    fn known(&self) -> Vec<QueuedJob> {
        self.jobs.values().cloned().chain(self.levels.jobs()).chain(self.left.iter().cloned()).collect()
    }

    async fn claim_now(&mut self, wish: Wish) -> Result<usize> {
        let mut under_way = UnderWay::default();
        self.jobs.values().for_each(|job| under_way.add(job));
        let jobs = match self.worker.claim(&self.runtime, wish, &under_way).await? {
            Claimed::Jobs(jobs) => jobs,
            Claimed::Recomputing => {
                self.done.is_skipped = true;
                return Ok(0);
            }
        };
        let n_jobs = jobs.len();
        self.begin(jobs).await?;
        Ok(n_jobs)
    }

    /// Begins to ask. What cannot be begun is given back.
    async fn begin(&mut self, jobs: Vec<QueuedJob>) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let all = jobs.clone();
        match self.find_all(jobs).await {
            Ok(found) => self.ask_all(found).await,
            Err(error) => {
                self.left.extend(all);
                Err(error)
            }
        }
    }

    async fn find_all(&mut self, jobs: Vec<QueuedJob>) -> Result<Vec<(QueuedJob, Found)>> {
        if self.clocks.1.elapsed() > CLOCKS_KEPT {
            self.clocks = (SourceClocks::default(), Instant::now());
        }
        let mut outcomes: HashMap<OutcomeId, Option<Arc<Outcome>>> = HashMap::new();
        let mut tx = self.runtime.read().await?;
        let mut found = Vec::new();
        for job in jobs {
            let what = self.find_one(&mut tx, &job, &mut outcomes).await;
            // A row that cannot be read keeps nobody else from being read.
            let what =
                what.unwrap_or_else(|error| Found::Broken(format!("{}: {}", job.subject_id, error_chain(&error))));
            found.push((job, what));
        }
        Ok(found)
    }

    async fn find_one(
        &self,
        tx: &mut Tx,
        job: &QueuedJob,
        outcomes: &mut HashMap<OutcomeId, Option<Arc<Outcome>>>,
    ) -> Result<Found> {
        let outcome = match outcomes.get(&job.outcome_id) {
            Some(outcome) => outcome.clone(),
            None => {
                let outcome = tx.outcome_get(job.outcome_id).await?.map(Arc::new);
                outcomes.insert(job.outcome_id, outcome.clone());
                outcome
            }
        };
        self.find(tx, job, outcome).await
    }

    async fn ask_all(&mut self, found: Vec<(QueuedJob, Found)>) -> Result<()> {
        let known = config(&self.runtime).await;
        let mut over = Vec::new();
        for (job, found) in found {
            match (found, &known) {
                (Found::Experiment(asked), Ok(config)) => self.ask_about(job, *asked, Arc::clone(config)),
                (Found::Experiment(asked), Err(error)) => {
                    self.done.failures.push(format!("{}: {}", asked.experiment.slug, error_chain(error)));
                    over.push((job, self.soon()));
                }
                (Found::Level(level), known) => self.ask_for(job, *level, known.as_ref().ok().cloned()),
                (Found::Later(due_at), _) => over.push((job, due_at)),
                (Found::Broken(said), _) => {
                    self.done.failures.push(said);
                    over.push((job, self.soon()));
                }
                (Found::Gone, _) => over.push((job, self.later())),
            }
        }
        if let Err(error) = self.finish(&over).await {
            self.left.extend(over.into_iter().map(|(job, _)| job));
            return Err(error);
        }
        Ok(())
    }

    /// What a job comes to. Experiments that wait with their flag off are left as they are, once there is a result: a correction can take
    /// it away.
    async fn find(&self, tx: &mut Tx, job: &QueuedJob, outcome: Option<Arc<Outcome>>) -> Result<Found> {
        let Some(outcome) = outcome else { return Ok(Found::Gone) };
        if !job.signal.is_empty() {
            let signal = signals_of(&outcome).find(|signal| signal.name == job.signal).cloned();
            return Ok(match signal {
                Some(signal) => Found::Level(Box::new(LevelJob { job: job.clone(), outcome, signal })),
                None => Found::Gone,
            });
        }
        let Some(experiment) = tx.experiment_get(ExperimentId(job.subject_id)).await? else { return Ok(Found::Gone) };
        if !experiment.state.status.is_polled() {
            return Ok(Found::Gone);
        }
        let plan = match plan_of(&experiment) {
            Ok(plan) => plan,
            Err(error) => return Ok(Found::Broken(format!("{}: {}", experiment.slug, error.message()))),
        };
        let phases = tx.phase_list(experiment.id).await?;
        let is_frozen = experiment.state.status.is_waiting() && experiment.current_result.is_some();
        let is_doubtful = self.doubtful_until.is_some();
        if !is_on(&phases) && (is_frozen || is_doubtful) {
            let interval = plan.signals().map(|signal| signal.poll_interval.get()).min().unwrap_or(SOONEST);
            return Ok(Found::Later(after(self.runtime.now(), interval)));
        }
        // A constraint may be read more often than the primary signal: whatever is due first brings the look.
        let due_at = next_look(&plan, &tx.signal_health_list(experiment.id.0).await?, self.runtime.now());
        if due_at > self.runtime.now() && !self.is_forced && !is_doubtful {
            return Ok(Found::Later(due_at));
        }
        let clocks = self.clocks.0.clone();
        Ok(Found::Experiment(Box::new(Job { outcome: Outcome::clone(&outcome), experiment, plan, phases, clocks })))
    }

    fn ask_about(&mut self, job: QueuedJob, asked: Job, config: Arc<Config>) {
        let (runtime, until, asked) = (self.runtime.clone(), self.doubtful_until, Arc::new(asked));
        let task = self.asking.spawn(async move {
            let answer = ask_experiment(&runtime, &config, Arc::clone(&asked), until).await;
            Answer::Experiment(config, asked, Box::new(answer))
        });
        self.jobs.insert(task.id(), job);
    }

    fn ask_for(&mut self, job: QueuedJob, level: LevelJob, config: Option<Arc<Config>>) {
        let (runtime, clocks) = (self.runtime.clone(), self.clocks.0.clone());
        let task = self
            .asking
            .spawn(async move { Answer::Level(Box::new(ask_level(&runtime, config, &clocks, level).await)) });
        self.jobs.insert(task.id(), job);
    }

    /// Waits until there is something to be written. Nothing is lost where it is not waited for.
    pub(super) async fn ready(&mut self) {
        if self.next.is_none() {
            let next = match self.levels.until() {
                Some(until) => timeout_at(until, self.asking.join_next_with_id()).await.ok().flatten(),
                None => self.asking.join_next_with_id().await,
            };
            self.next = Some(next);
        }
    }

    /// Waits for the next answer and writes what it says, or what waited long enough.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn step(&mut self) -> Result<()> {
        self.ready().await;
        match self.next.take().flatten() {
            None => self.store_levels().await,
            Some(Ok((id, Answer::Level(asked)))) => {
                self.jobs.remove(&id);
                if self.levels.add(*asked) { self.store_levels().await } else { Ok(()) }
            }
            Some(Ok((id, Answer::Experiment(config, job, asked)))) => {
                let Some(queued) = self.jobs.remove(&id) else { return Ok(()) };
                self.take(&config, &job, &queued, *asked).await;
                Ok(())
            }
            Some(Err(error)) => {
                self.note_panic(&error);
                Ok(())
            }
        }
    }

    async fn store_levels(&mut self) -> Result<()> {
        let jobs = self.levels.jobs();
        let stored = self.levels.store(&self.runtime, &self.worker).await.inspect_err(|_| self.left.extend(jobs))?;
        self.done.n_levels += stored.n_levels;
        self.done.failures.extend(stored.failures);
        Ok(())
    }

    /// Writes what the sources of one experiment said. One experiment in trouble (a tampered row, say) does not keep the others from
    /// being watched.
    async fn take(&mut self, config: &Config, job: &Job, queued: &QueuedJob, asked: Result<Asked>) {
        let (runtime, worker, failures) = (&self.runtime, &self.worker, &mut self.done.failures);
        let has_drifted = asked.as_ref().is_ok_and(Asked::has_drifted);
        let taken = match asked {
            Ok(asked) if self.doubtful_until.is_some() => take_danger(runtime, worker, queued, asked, failures).await,
            Ok(asked) => take_experiment(runtime, worker, queued, config, asked, failures).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(polled) => {
                self.has_moved_a_flag |= polled.status != job.experiment.state.status || has_drifted;
                self.experiments.push((queued.subject_id, polled));
            }
            Err(error) => {
                let slug = &job.experiment.slug;
                tracing::error!(experiment = %slug, code = %error.code(), "Polling failed: {error}");
                self.done.failures.push(format!("{slug}: {}", error_chain(&error)));
                if is_broken(&error) {
                    let off = off_without_history(&self.runtime, job.experiment.id).await;
                    self.has_moved_a_flag |= off.as_ref().is_ok_and(|is_off| *is_off);
                    self.done.failures.extend(off.err().map(|error| format!("{slug}: {}", error_chain(&error))));
                }
                self.left.push(queued.clone());
            }
        }
    }

    fn note_panic(&mut self, error: &JoinError) {
        tracing::error!("Asking a source ended early, which is a bug in this program: {error}");
        self.done.failures.push("asking a source ended early, which is a bug in this program".to_owned());
        self.left.extend(self.jobs.remove(&error.id()));
    }

    /// Gives back what could not be written.
    async fn give_back(&mut self) -> Result<()> {
        let left: Vec<_> = self.left.iter().map(|job| (job.clone(), self.soon())).collect();
        self.finish(&left).await?;
        self.left.clear();
        Ok(())
    }

    async fn finish(&self, over: &[(QueuedJob, Timestamp)]) -> Result<()> {
        if over.is_empty() {
            return Ok(());
        }
        let jobs: Vec<&QueuedJob> = over.iter().map(|(job, _)| job).collect();
        let (mut tx, holders) = self.worker.write(&self.runtime, &jobs).await?;
        for ((job, due_at), _) in over.iter().zip(holders).filter(|(_, holder)| *holder == JobHolder::Us) {
            self.worker.finish(&mut tx, job, *due_at).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends what is under way without waiting for it, and gives everything back.
    pub(super) async fn leave(mut self) -> Result<()> {
        self.asking.abort_all();
        let stored = self.store_levels().await;
        self.worker.leave(&self.runtime).await?;
        stored
    }

    fn soon(&self) -> Timestamp {
        after(self.runtime.now(), SignedDuration::from_mins(1))
    }

    fn later(&self) -> Timestamp {
        after(self.runtime.now(), SignedDuration::from_mins(10))
    }
}

fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(now)
}
