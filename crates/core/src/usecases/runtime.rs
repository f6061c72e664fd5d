//! The handle to an opened workspace.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::kernel::tracked::must_not_be_tracked;
use crate::address::Address;
use crate::audit::ConfigurationApplied;
use crate::clock::{Clock, FileClock, ShiftedClock, SystemClock};
use crate::config::ConfigCache;
use crate::error::{Code, Error, Result};
use crate::ids::Ids;
use crate::registry::Sources;
use crate::settings::{Settings, Sourced};
use crate::store::{DatabaseFile, Db, Engine, Place, Tx, Workspace};
use crate::usecases::kernel::pointer::{must_be_known, remember};
use crate::usecases::kernel::sealing::SealTries;
use crate::usecases::kernel::turns::turn::Turns;
use crate::usecases::kernel::writer_key::writer;
use crate::usecases::signals::IngestQueue;

/// A line that was checked in this process, by its number: what it says decides nothing new when it is read again.
type CheckedConfiguration = Arc<Mutex<Option<(i64, ConfigurationApplied)>>>;

/// An opened workspace. Cheap to clone; all clones share connections.
#[derive(Clone)]
pub struct Runtime {
    pub(super) db: Db,
    /// The database's file where it is one: writing to a file that was removed succeeds and is lost.
    file: Option<DatabaseFile>,
    pub(super) workspace: Workspace,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Ids,
    pub(super) sources: Arc<Sources>,
    pub(super) configs: ConfigCache,
    /// What was checked of what is applied.
    pub(super) checked: CheckedConfiguration,
    /// Pushed messages that wait to be written.
    pub(super) ingests: IngestQueue,
    /// Who may ask a source now.
    pub(super) turns: Arc<Turns>,
    /// When cohorts were last looked at.
    pub(super) seals: Arc<SealTries>,
    /// Whose turn it is to write.
    writing: Arc<tokio::sync::Mutex<()>>,
    /// Told when something is due sooner than was known.
    pub(super) sooner: Arc<Notify>,
    /// Told when a flag is to be moved.
    pub(super) moved: Arc<Notify>,
}

impl Runtime {
    /// Opens the workspace that `settings` names.
    ///
    /// # Errors
    /// [`Code::WorkspaceNotFound`], [`Code::WorkspaceTracked`], [`Code::ClockMismatch`], or what the database says.
    pub async fn open(settings: Settings) -> Result<Self> {
        let clock = clock_of(&settings)?;
        Self::open_with_clock(settings, clock).await
    }

    /// Opens the workspace with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with_clock(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_on(settings, clock, None).await
    }

    /// Opens another workspace; where it is in the same database, both share connections.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_beside(&self, settings: Settings) -> Result<Self> {
        let clock = clock_of(&settings)?;
        Self::open_on(settings, clock, Some(self)).await
    }

    async fn open_on(settings: Settings, clock: Arc<dyn Clock>, beside: Option<&Self>) -> Result<Self> {
        let settings = Settings { database: find_database(&settings).await?, ..settings };
        let missing = || no_workspace(&settings);
        let db = match beside.filter(|beside| beside.settings.database.value == settings.database.value) {
            Some(beside) => beside.db.clone(),
            None => Db::open(&settings.database.value).await?,
        };
        let known = db.workspace_list().await?;
        let pointer = settings.read_workspace_file()?;
        let workspace = match &pointer {
            Some(file) => {
                must_be_known(&settings, file)?;
                known.into_iter().find(|workspace| workspace.id == file.workspace)
            }
            // Without the file a database with a single workspace leaves no doubt.
            None => Some(known).filter(|known| known.len() == 1).and_then(|known| known.into_iter().next()),
        }
        .ok_or_else(missing)?;
        if workspace.is_virtual_clock != clock.is_virtual() {
            let (message, hint) = if workspace.is_virtual_clock {
                let hint = "name the file of its clock: a demonstration keeps it in its folder, so there \
                    `export OUTCOME_RUNTIME_CLOCK_FILE=.clock`";
                ("this workspace uses a virtual clock, as demonstrations do", hint)
            } else {
                ("a real workspace cannot use a virtual clock", "run `unset OUTCOME_RUNTIME_CLOCK_FILE`")
            };
            return Err(Error::new(Code::ClockMismatch, message).hint(hint));
        }
        if let Some(file) = &pointer {
            remember(&settings, file)?;
        }
        Ok(assemble(db, workspace, settings, clock))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// The same workspace by a clock that shows `now` at this instant.
    pub(super) fn showing(&self, now: jiff::Timestamp) -> Self {
        Self { clock: Arc::new(ShiftedClock::showing(Arc::clone(&self.clock), now)), ..self.clone() }
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

    /// Where the database's file is now; a database of a server is always where it was.
    #[must_use]
    pub fn database_place(&self) -> Place {
        self.file.as_ref().map_or(Place::Same, DatabaseFile::place)
    }

    pub(super) async fn read(&self) -> Result<Tx> {
        self.db.read(self.workspace.id).await
    }

    pub(super) async fn write(&self) -> Result<Tx> {
        // Who waits for the workspace's lock on a server holds one of few connections, so that of this program one waits at a time. SQLite has
        // one writing connection anyway.
        let turn = match self.db.engine() {
            Engine::Postgres => Some(Arc::clone(&self.writing).lock_owned().await),
            Engine::Sqlite => None,
        };
        Ok(self.db.write(self.workspace.id).await?.remembering(self.settings.seen()).in_turn(turn))
    }
}

pub(super) fn assemble(db: Db, workspace: Workspace, settings: Settings, clock: Arc<dyn Clock>) -> Runtime {
    let ids = Ids::new(Arc::clone(&clock));
    Runtime {
        file: DatabaseFile::of(&settings.database.value),
        db: db.written_by(writer(&settings, &ids)),
        workspace,
        settings: Arc::new(settings),
        clock,
        ids,
        sources: Arc::default(),
        configs: ConfigCache::default(),
        checked: CheckedConfiguration::default(),
        ingests: IngestQueue::default(),
        turns: Arc::default(),
        seals: Arc::default(),
        writing: Arc::default(),
        sooner: Arc::default(),
        moved: Arc::default(),
    }
}

fn no_workspace(settings: &Settings) -> Error {
    let root = settings.root.value.display();
    if matches!(settings.read_workspace_file(), Ok(Some(_))) {
        let message = format!("{root} is a workspace, and its database is not here: {}", settings.database_shown());
        return Error::new(Code::WorkspaceNotFound, message).hint(
            "it belongs to another account or another home than this one, or was removed: name it with --database, or put a backup \
             there",
        );
    }
    if settings.known_workspace().is_some() {
        let message = format!("{root} was a workspace of this account, and its .outcome folder was removed");
        return Error::new(Code::WorkspaceNotFound, message).hint("`outcome-runtime init --link` points to it again");
    }
    Error::new(Code::WorkspaceNotFound, format!("{root} is not a workspace yet"))
        .hint("run `outcome-runtime init` there")
}

/// The database of the workspace. `DATABASE_URL` is the application's: it is looked at only where no other place has the workspace, and
/// counts only where this workspace is in it.
///
/// # Errors
/// [`Code::WorkspaceNotFound`] where there is none, [`Code::WorkspaceTracked`].
pub(super) async fn find_database(settings: &Settings) -> Result<Sourced<Address>> {
    must_not_be_tracked(settings).await?;
    let is_there = settings.database.value.path().is_none_or(Path::exists);
    if is_there {
        return Ok(settings.database.clone());
    }
    let own = settings.read_workspace_file()?;
    let (Some(text), Some(own)) = (&settings.application_database, own) else { return Err(no_workspace(settings)) };
    let address = Address::parse(text)?;
    if address.path().is_some_and(|path| !path.exists()) {
        return Err(no_workspace(settings));
    }
    match Db::open(&address).await {
        Ok(db) => {
            let known = db.workspace_list().await?;
            db.close().await;
            if known.iter().all(|workspace| workspace.id != own.workspace) {
                return Err(no_workspace(settings));
            }
        }
        Err(error) if error.code() == Code::DatabaseEmpty => return Err(no_workspace(settings)),
        // What it holds is told by whoever opens it.
        Err(error) if error.code() == Code::DatabaseOlder => {}
        Err(error) => return Err(error),
    }
    Ok(Sourced { value: address, from: "environment DATABASE_URL, where `init` set it up".to_owned() })
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
