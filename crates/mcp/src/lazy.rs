//! The workspace, opened at the first call that needs it, so that the list of tools never waits for a disk or a network.

use std::path::PathBuf;
use std::time::Duration;

use outcome_core::config::Vendors;
use outcome_core::settings::{Overrides, Settings, process_env};
use outcome_core::usecases::{Place, Runtime};
use outcome_core::{Code, Error, Result};
use tokio::sync::Mutex;

/// How long a database may take to answer for the first time.
const OPEN_LIMIT: Duration = Duration::from_secs(15);

/// A workspace that is opened once, and again when another file has replaced its database; after a failure the next call
/// tries again.
pub(crate) struct LazyRuntime {
    vendors: &'static Vendors,
    opened: Mutex<Option<Runtime>>,
}

impl LazyRuntime {
    /// One that is already open.
    pub(crate) fn opened(runtime: Runtime) -> Self {
        let vendors = runtime.settings().vendors;
        Self { vendors, opened: Mutex::new(Some(runtime)) }
    }

    /// One that is opened at its first use. `vendors`: what its outcome file may name.
    pub(crate) fn new(vendors: &'static Vendors) -> Self {
        Self { vendors, opened: Mutex::default() }
    }

    /// The opened workspace.
    ///
    /// # Errors
    /// Why it cannot be opened, with the way to fix it.
    pub(crate) async fn get(&self) -> Result<Runtime> {
        let mut opened = self.opened.lock().await;
        if let Some(runtime) = &*opened {
            match runtime.database_place() {
                Place::Same => return Ok(runtime.clone()),
                Place::Replaced => {}
                Place::Gone => return Err(moved(runtime)),
            }
        }
        let runtime = open(self.vendors).await?;
        *opened = Some(runtime.clone());
        Ok(runtime)
    }
}

fn moved(runtime: &Runtime) -> Error {
    let shown = runtime.settings().database_shown();
    Error::new(Code::DatabaseUnavailable, format!("the database {shown} was moved or removed while this server ran"))
        .hint(
            "restore the file and call again; a restart is not needed. A human can restore a backup. Nothing was changed",
        )
}

async fn open(vendors: &'static Vendors) -> Result<Runtime> {
    let settings = settings(vendors)?;
    let shown = settings.database_shown();
    match tokio::time::timeout(OPEN_LIMIT, Runtime::open(settings)).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::new(
            Code::DatabaseUnavailable,
            format!("the database {shown} did not answer within {} seconds", OPEN_LIMIT.as_secs()),
        )
        .hint(
            "check that it runs and that OUTCOME_RUNTIME_DATABASE_URL is correct; `outcome-runtime doctor` checks both",
        )),
    }
}

fn settings(vendors: &'static Vendors) -> Result<Settings> {
    let overrides = Overrides::new(vendors);
    let cwd = std::env::current_dir()
        .map_err(|e| Error::new(Code::Io, "the working directory of this server cannot be read").because(e))?;
    Settings::discover(&cwd, &overrides, &process_env)
        .or_else(|error| {
            // Some clients start their servers elsewhere and name the project in a variable.
            match process_env("CLAUDE_PROJECT_DIR") {
                Some(project) => Settings::discover(&PathBuf::from(project), &overrides, &process_env),
                None => Err(error),
            }
        })
        .map_err(|error| {
            Error::new(error.code(), error.message().to_owned()).hint(
                "a human must run `outcome-runtime init` in the repository's root, or set OR_WORKSPACE in the MCP \
                 client's configuration of this server",
            )
        })
}
