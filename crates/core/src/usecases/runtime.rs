//! An opened workspace: database, clock, ids, and the outcome file's connectors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::{Clock, FileClock, SystemClock};
use crate::config::{self, Config, ProcessEnv};
use crate::domain::Outcome;
use crate::error::{Code, Error, Result};
use crate::ids::{Ids, OutcomeId};
use crate::ports::{FlagService, Opening, SignalSource};
use crate::registry::Sources;
use crate::scope::GitRepo;
use crate::settings::Settings;
use crate::store::{Db, Tx, Workspace};

/// An opened workspace. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Runtime {
    pub(super) db: Db,
    pub(super) workspace: Workspace,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Ids,
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
            Error::new(
                Code::WorkspaceNotFound,
                format!("{} has not been set up as a workspace", settings.root.value.display()),
            )
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
                    "this workspace lives on a virtual clock, as demonstrations do"
                } else {
                    "a virtual clock may not move a real workspace"
                },
            )
            .hint("set or unset OUTCOME_RUNTIME_CLOCK_FILE accordingly"));
        }
        Ok(Self::assemble(db, workspace, settings, clock))
    }

    pub(super) fn assemble(db: Db, workspace: Workspace, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let ids = Ids::new(Arc::clone(&clock));
        Self { db, workspace, settings: Arc::new(settings), clock, ids, sources: Arc::default() }
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

    /// The page on which a human decides a gate.
    #[must_use]
    pub fn gate_url(&self, gate_slug: &str) -> String {
        format!("{}/gates/{gate_slug}", self.settings.app_url.value)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.settings.root.value.clone()
    }

    pub(super) async fn read(&self) -> Result<Tx> {
        self.db.read(self.workspace.id).await
    }

    pub(super) async fn write(&self) -> Result<Tx> {
        self.db.write(self.workspace.id).await
    }

    /// The git repository of the workspace.
    pub(super) async fn repo(&self) -> Result<GitRepo> {
        GitRepo::open(&self.settings.root.value).await.map_err(Error::from)
    }

    /// The outcome file as it is now.
    pub(super) fn config(&self) -> Result<Config> {
        let loaded = config::load(&self.settings.file.value, self.settings.vendors)?;
        loaded.config.ok_or_else(|| {
            let first = loaded
                .diagnostics
                .iter()
                .find(|d| d.is_error())
                .map(|d| format!("{}:{}:{}: {}", d.file, d.line, d.column, d.message))
                .unwrap_or_default();
            Error::new(Code::ConfigInvalid, first).hint("run `outcome-runtime validate` for all problems of the file")
        })
    }

    /// The connector `name`, opened once.
    pub(super) async fn source(&self, name: &str) -> Result<Arc<dyn SignalSource>> {
        let config = self.config()?;
        let spec = config.connectors.iter().find(|spec| spec.name == name).ok_or_else(|| {
            let known: Vec<_> = config.connectors.iter().map(|spec| spec.name.as_str()).collect();
            Error::new(Code::ConnectorUnknown, format!("no connector is called `{name}`")).hint(format!(
                "{} declares: {}",
                self.settings.file.value.display(),
                known.join(", ")
            ))
        })?;
        self.sources.get(spec, &self.settings.root.value, &self.resolver()).map_err(Error::from)
    }

    /// Turns references of the outcome file into values.
    pub(super) fn resolver(&self) -> impl Fn(&str) -> Result<secrecy::SecretString> + Send + Sync + use<> {
        let env = ProcessEnv::new(self.root());
        move |text: &str| config::secrets::resolve(text, &env).map_err(Error::from)
    }

    /// The flag service of the outcome file; `None` when it names none.
    pub(super) fn flag_service(&self) -> Result<Option<Box<dyn FlagService>>> {
        let Some(spec) = self.config()?.flags else { return Ok(None) };
        let opening = Opening { root: &self.settings.root.value, resolve: &self.resolver() };
        spec.settings.open(&opening).map(Some).map_err(Error::from)
    }

    /// The outcome with this slug or id.
    pub(super) async fn outcome_named(tx: &mut Tx, reference: &str) -> Result<Outcome> {
        let found = match reference.parse::<OutcomeId>() {
            Ok(id) => tx.outcome_get(id).await?,
            Err(_) => tx.outcome_by_slug(reference).await?,
        };
        found.ok_or_else(|| Error::not_found("outcome", reference).hint("`outcome-runtime status` lists what there is"))
    }
}

/// The clock that the settings ask for.
pub(super) fn clock_of(settings: &Settings) -> Result<Arc<dyn Clock>> {
    match &settings.clock_file {
        None => Ok(Arc::new(SystemClock)),
        Some(path) => FileClock::open(&path.value).map(|clock| Arc::new(clock) as Arc<dyn Clock>).map_err(|e| {
            Error::new(Code::Io, format!("the clock file {} cannot be read", path.value.display())).because(e)
        }),
    }
}
