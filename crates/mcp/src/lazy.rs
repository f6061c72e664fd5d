//! The workspace, opened at the first call that needs it, so that the list of tools never waits for a disk or a network.

use std::path::PathBuf;
use std::time::Duration;

use outcome_core::settings::{Overrides, Settings, process_env};
use outcome_core::usecases::Runtime;
use outcome_core::{Code, Error, Result};
use tokio::sync::OnceCell;

/// How long a database may take to answer for the first time.
const OPEN_LIMIT: Duration = Duration::from_secs(15);

/// A workspace that is opened once; after a failure the next call tries again.
#[derive(Default)]
pub(crate) struct LazyRuntime(OnceCell<Runtime>);

impl LazyRuntime {
    /// One that is open already.
    pub(crate) fn opened(runtime: Runtime) -> Self {
        Self(OnceCell::new_with(Some(runtime)))
    }

    /// The opened workspace.
    ///
    /// # Errors
    /// What hinders it, with the way to mend it.
    pub(crate) async fn get(&self) -> Result<&Runtime> {
        self.0.get_or_try_init(open).await
    }
}

async fn open() -> Result<Runtime> {
    let settings = settings()?;
    let shown = settings.database_shown();
    match tokio::time::timeout(OPEN_LIMIT, Runtime::open(settings)).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::new(
            Code::DatabaseUnavailable,
            format!("the database {shown} did not answer within {} seconds", OPEN_LIMIT.as_secs()),
        )
        .hint("see that it runs and that DATABASE_URL is right; `outcome-runtime doctor` checks both")),
    }
}

fn settings() -> Result<Settings> {
    let overrides = Overrides::default();
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
                "a human runs `outcome-runtime init` in the repository's root, or sets OR_WORKSPACE in the MCP \
                 client's configuration of this server",
            )
        })
}
