//! What every command needs: output, the terminal, and the workspace.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outcome_core::config::Vendors;
use outcome_core::principal::Principal;
use outcome_core::settings::{Overrides, Settings, process_env, root_of_new};
use outcome_core::usecases::{Runtime, Touching, Unlock};
use outcome_core::{Code, Error, Result};

use crate::args::{Command, Experiment, Globals, SSH_FOLDER, UnlockOrTouch};
use crate::output::Out;
use crate::ssh_keygen::SshKey;
use crate::terminal::Terminal;

/// How the program ends when nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Done.
    pub const OK: Self = Self(0);

    /// The exit code of an error, for findings that are a result.
    pub fn of(code: Code) -> Self {
        Self(code.exit_code())
    }
}

/// The surroundings of a command.
#[derive(Debug)]
pub struct Cx {
    /// Where output goes.
    pub out: Out,
    /// The human in front of us.
    pub terminal: Terminal,
    /// The working directory.
    pub cwd: PathBuf,
    /// Flags about where things are.
    pub overrides: Overrides,
}

impl Cx {
    /// From the flags. `vendors`: what an outcome file may name.
    pub fn new(globals: &Globals, command: &Command, vendors: &'static Vendors) -> Result<Self> {
        let cwd = std::env::current_dir()
            .map_err(|e| Error::new(Code::Io, "the working directory cannot be read").because(e))?;
        // In `experiment propose --file` the file is the hypothesis.
        let is_taken = matches!(command, Command::Experiment(Experiment::Propose(_)));
        let file = globals.file.clone().filter(|_| !is_taken);
        let overrides = Overrides { vendors, file, database: globals.database.clone() };
        Ok(Self { out: Out::new(globals), terminal: Terminal::new(globals.no_input), cwd, overrides })
    }

    /// Whoever runs this, without a signature.
    pub fn by() -> Principal {
        Principal::local(&whoami::username().unwrap_or_default())
    }

    /// What signs: the passphrase, or the key that is touched.
    pub async fn unlock(&self, runtime: &Runtime, flags: &UnlockOrTouch, what: &str) -> Result<Unlock> {
        let what = &format!("{what} in workspace `{}`", runtime.workspace().slug);
        let Some(file) = &flags.touch else { return self.terminal.unlock(&flags.unlock, what) };
        self.terminal.must_be_own(what)?;
        let key = match file == Path::new(SSH_FOLDER) {
            false => SshKey::at(&self.cwd.join(file))?,
            true => SshKey::enrolled(runtime).await?.ok_or_else(|| {
                Error::new(Code::InvalidInput, "no key in ~/.ssh is enrolled here as one that is touched")
                    .hint("give its file: `--key=FILE`; `outcome-runtime key list` shows the keys that count")
            })?,
        };
        Ok(Unlock::Touch(Touching::new(Arc::new(key))?))
    }

    /// The settings of the workspace here or above.
    pub fn settings(&self) -> Result<Settings> {
        Settings::discover(&self.cwd, &self.overrides, &process_env)
    }

    /// The workspace here or above.
    pub async fn open(&self) -> Result<Runtime> {
        Runtime::open(self.settings()?).await
    }

    /// Where a new workspace goes: the folder of `--file`, `OR_WORKSPACE`, the nearest outcome file, the root of the
    /// git repository, or here.
    pub fn root_of_new(&self) -> PathBuf {
        if let Some(file) = &self.overrides.file {
            return self.cwd.join(file.parent().unwrap_or(Path::new("")));
        }
        if let Some(path) = process_env("OR_WORKSPACE") {
            return self.cwd.join(path);
        }
        root_of_new(&self.cwd)
    }
}
