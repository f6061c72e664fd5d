//! The use cases: the only doors that the MCP server, the daemon and the CLI call. Each one loads, decides with the pure
//! modules, and stores state, event and outgoing messages in one transaction.
//!
//! [`Runtime`] is the handle to an opened workspace. One folder a noun; each has one door type, reached through the handle
//! (`runtime.gates().decide(..)`), whose methods are the use cases. Everything else is a free function, imported by name;
//! what several nouns need is in `kernel`.

mod audit_log;
mod builds;
mod experiments;
mod gates;
mod hypotheses;
mod kernel;
mod learnings;
mod outbox;
mod outcomes;
mod sessions;
mod signals;
mod workspaces;

use std::path::Path;
use std::sync::Arc;

use crate::clock::{Clock, FileClock, SystemClock};
use crate::error::{Code, Error, Result};
use crate::ids::Ids;
use crate::registry::Sources;
use crate::settings::Settings;
use crate::store::{Db, Tx, Workspace};

pub use crate::hypotheses::Problem;
pub use audit_log::{
    AnchorPlace, AuditLog, Proof, ProofExperiment, ProofLogged, ProofMethod, ProofPhase, ProofPoll, ProofReading,
    ProofRecorded, ProofSnapshot, ProofStep, RecomputeRequest, Recomputed, RecomputedExperiment, Verification,
};
pub use builds::{
    Brief, BriefHypothesis, BriefLearning, BuildReport, BuildReported, Building, Builds, Refusal, ScopeCheckRequest,
};
pub use experiments::{ActRequest, DryRunView, ExperimentView, Experiments};
pub use gates::{DecideRequest, Decided, GateOpenRequest, GateView, Gates};
pub use hypotheses::{
    FeasibilityHint, Hypotheses, Rejected, Submission, Submitted, UnderWay, WorkOrder, WorkOrderGoal,
    WorkOrderLearning, WorkOrderSignal,
};
pub use kernel::{DryRunRequest, HistoryPoint, HistoryPoll, LimitedSignal, Limits, Unlock};
pub use learnings::{LearningView, Learnings};
pub use outbox::{Delivered, Outbox};
pub use outcomes::{Activated, Applied, Attainment, Change, OutcomePlan, Outcomes};
pub use sessions::{PageSession, Sessions, SignIn};
pub use signals::{Ingested, PollRequest, Polled, PolledExperiment, Signals};
pub use workspaces::{
    ExperimentLine, Finding, FindingLevel, GateLine, InitRequest, Initialised, OutcomeLine, SignalLine, Status,
    Workspaces,
};

/// An opened workspace. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Runtime {
    db: Db,
    workspace: Workspace,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    ids: Ids,
    sources: Arc<Sources>,
}

impl Runtime {
    /// Opens the workspace that `settings` names.
    ///
    /// # Errors
    /// [`Code::WorkspaceNotFound`], [`Code::ClockMismatch`], or what the database says.
    pub async fn open(settings: Settings) -> Result<Self> {
        let clock = clock_of(&settings)?;
        Self::open_with_clock(settings, clock).await
    }

    /// Opens the workspace with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with_clock(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let missing = || {
            Error::new(Code::WorkspaceNotFound, format!("{} is not a workspace yet", settings.root.value.display()))
                .hint("run `outcome-runtime init` there")
        };
        if let Some(path) = settings.database.value.strip_prefix("sqlite:")
            && !Path::new(path.trim_start_matches("//")).exists()
        {
            return Err(missing());
        }
        let db = Db::open(&settings.database.value).await?;
        let known = db.workspace_list().await?;
        let workspace = match settings.read_workspace_file()? {
            Some(file) => known.into_iter().find(|workspace| workspace.id == file.workspace),
            // Without the file a database with a single workspace leaves no doubt.
            None => Some(known).filter(|known| known.len() == 1).and_then(|known| known.into_iter().next()),
        }
        .ok_or_else(missing)?;
        if workspace.is_virtual_clock != clock.is_virtual() {
            return Err(Error::new(
                Code::ClockMismatch,
                if workspace.is_virtual_clock {
                    "this workspace uses a virtual clock, as demonstrations do"
                } else {
                    "a real workspace cannot use a virtual clock"
                },
            )
            .hint("set or unset OUTCOME_RUNTIME_CLOCK_FILE"));
        }
        Ok(assemble(db, workspace, settings, clock))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The effective settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Ids and random bytes.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    async fn read(&self) -> Result<Tx> {
        self.db.read(self.workspace.id).await
    }

    async fn write(&self) -> Result<Tx> {
        self.db.write(self.workspace.id).await
    }

    /// The use cases about outcomes.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes<'_> {
        Outcomes(self)
    }

    /// The use cases about experiments.
    #[must_use]
    pub fn experiments(&self) -> Experiments<'_> {
        Experiments(self)
    }

    /// The use cases about hypotheses.
    #[must_use]
    pub fn hypotheses(&self) -> Hypotheses<'_> {
        Hypotheses(self)
    }

    /// The use cases about builds.
    #[must_use]
    pub fn builds(&self) -> Builds<'_> {
        Builds(self)
    }

    /// The use cases about gates.
    #[must_use]
    pub fn gates(&self) -> Gates<'_> {
        Gates(self)
    }

    /// The use cases about signals and their sources.
    #[must_use]
    pub fn signals(&self) -> Signals<'_> {
        Signals(self)
    }

    /// The use cases about learnings.
    #[must_use]
    pub fn learnings(&self) -> Learnings<'_> {
        Learnings(self)
    }

    /// The use cases about the audit log.
    #[must_use]
    pub fn audit_log(&self) -> AuditLog<'_> {
        AuditLog(self)
    }

    /// The use cases about the workspace as a whole.
    #[must_use]
    pub fn workspaces(&self) -> Workspaces<'_> {
        Workspaces(self)
    }

    /// The use cases about sessions and tokens.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }

    /// The use cases about messages that wait.
    #[must_use]
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }
}

fn assemble(db: Db, workspace: Workspace, settings: Settings, clock: Arc<dyn Clock>) -> Runtime {
    let ids = Ids::new(Arc::clone(&clock));
    Runtime { db, workspace, settings: Arc::new(settings), clock, ids, sources: Arc::default() }
}

/// The clock that the settings ask for.
fn clock_of(settings: &Settings) -> Result<Arc<dyn Clock>> {
    match &settings.clock_file {
        None => Ok(Arc::new(SystemClock)),
        Some(path) => FileClock::open(&path.value).map(|clock| Arc::new(clock) as Arc<dyn Clock>).map_err(|e| {
            Error::new(Code::Io, format!("the clock file {} cannot be read", path.value.display())).because(e)
        }),
    }
}
