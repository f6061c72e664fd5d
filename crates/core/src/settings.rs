//! Where things are: flags, then environment, then the workspace's files, then defaults. `doctor` prints each value with
//! its origin.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::checkout::{in_main_checkout, is_work_tree_of};
use crate::config::Vendors;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::seen::Seen;

/// Name of the folder of a workspace's own files, in the repository's root and ignored by git.
pub const FOLDER: &str = ".outcome";
/// Name of the outcome file.
pub const OUTCOME_FILE: &str = "outcome.yaml";

/// The variable that names the runtime's own database.
pub const DATABASE_VARIABLE: &str = "OUTCOME_RUNTIME_DATABASE_URL";

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// For example `flag --file`, `environment OUTCOME_RUNTIME_DATABASE_URL`, `default`.
    pub from: String,
}

impl<T> Sourced<T> {
    fn new(value: T, from: &str) -> Self {
        Self { value, from: from.to_owned() }
    }
}

/// What the program brings along, and what its command line said.
#[derive(Debug, Clone)]
pub struct Overrides {
    /// What an outcome file may name.
    pub vendors: &'static Vendors,
    /// `--file`: path of the outcome file.
    pub file: Option<PathBuf>,
    /// `--database`.
    pub database: Option<String>,
}

impl Overrides {
    /// Nothing on the command line.
    #[must_use]
    pub fn new(vendors: &'static Vendors) -> Self {
        Self { vendors, file: None, database: None }
    }
}

/// The identity of a workspace, kept in its folder: which row of the database it is, and which root key it trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceFile {
    /// Its id.
    pub workspace: WorkspaceId,
    /// Fingerprint of the root key.
    pub root_fingerprint: String,
}

/// The effective settings of a program.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// The repository's root.
    pub root: Sourced<PathBuf>,
    /// The folder in a linked git work tree in which the program runs; its commits are meant by `HEAD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_tree: Option<PathBuf>,
    /// The outcome file.
    pub file: Sourced<PathBuf>,
    /// The runtime's own database.
    #[serde(skip)]
    pub database: Sourced<Address>,
    /// What `DATABASE_URL` says: the application's variable, which names our database only where `init` has put it there.
    #[serde(skip)]
    pub application_database: Option<String>,
    /// File of a virtual clock, for demonstrations.
    pub clock_file: Option<Sourced<PathBuf>>,
    /// Folder of this account in which is kept what was seen of each log; absent where the account has no home.
    #[serde(skip)]
    pub state_folder: Option<PathBuf>,
    /// Address of the pages where the applied file names none.
    pub pages: Sourced<String>,
    /// What the outcome file may name.
    #[serde(skip)]
    pub vendors: &'static Vendors,
}

/// Reads an environment variable; a parameter so that tests need not change the process.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. Empty values count as absent, and so do values in which a client left `${` in place.
#[must_use]
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty() && !value.contains("${"))
}

impl Settings {
    /// Finds the workspace of `cwd` by walking up, at most to the root of the git repository: to the nearest folder that was
    /// set up as one, and else to the nearest with an `outcome.yaml`. A linked git work tree belongs to the workspace of its
    /// main checkout.
    ///
    /// # Errors
    /// [`Code::WorkspaceNotFound`] when there is none.
    pub fn discover(cwd: &Path, overrides: &Overrides, env: Env<'_>) -> Result<Self> {
        let root = match (&overrides.file, env("OR_WORKSPACE")) {
            (Some(file), _) => {
                let folder =
                    file.parent().filter(|p| !p.as_os_str().is_empty()).map_or(cwd.to_path_buf(), |p| cwd.join(p));
                Sourced::new(folder, "flag --file")
            }
            (None, Some(path)) => Sourced::new(cwd.join(path), "environment OR_WORKSPACE"),
            (None, None) => found_from(cwd)?,
        };
        let work_tree = is_work_tree_of(cwd, &root.value).then(|| cwd.to_path_buf());
        Ok(Self { work_tree, ..Self::at(root, overrides, env)? })
    }

    /// The settings for a workspace whose root is known, as `init` needs them.
    ///
    /// # Errors
    /// [`Code::DatabaseUnavailable`] for an address that cannot be used.
    pub fn at(root: Sourced<PathBuf>, overrides: &Overrides, env: Env<'_>) -> Result<Self> {
        let file = match &overrides.file {
            Some(file) => Sourced::new(file.clone(), "flag --file"),
            None => Sourced::new(root.value.join(OUTCOME_FILE), "default"),
        };
        let default_path = root.value.join(FOLDER).join("outcome.db");
        let database = if let Some(url) = &overrides.database {
            Sourced::new(Address::parse(url)?, "flag --database")
        } else if let Some(url) = env(DATABASE_VARIABLE) {
            Sourced::new(Address::parse(&url)?, "environment OUTCOME_RUNTIME_DATABASE_URL")
        } else if let Some(home) = env("OUTCOME_RUNTIME_HOME") {
            Sourced::new(Address::file(Path::new(&home).join("outcome.db")), "environment OUTCOME_RUNTIME_HOME")
        } else {
            Sourced::new(Address::file(default_path), "default")
        };
        // Never from the environment: whoever starts the program would choose where a human types their passphrase.
        let pages = Sourced::new("http://127.0.0.1:8787".to_owned(), "default");
        Ok(Self {
            root,
            work_tree: None,
            file,
            database,
            application_database: env("DATABASE_URL"),
            clock_file: env("OUTCOME_RUNTIME_CLOCK_FILE")
                .map(|path| Sourced::new(PathBuf::from(path), "environment OUTCOME_RUNTIME_CLOCK_FILE")),
            pages,
            state_folder: state_folder(env),
            vendors: overrides.vendors,
        })
    }

    /// What this account saw of logs.
    #[must_use]
    pub fn seen(&self) -> Option<Seen> {
        self.state_folder.clone().map(Seen::in_folder)
    }

    /// The repository's root as the file system names it.
    #[must_use]
    pub fn real_root(&self) -> PathBuf {
        self.root.value.canonicalize().unwrap_or_else(|_| self.root.value.clone())
    }

    /// Settings for the folder `root`, with nothing but defaults and the environment.
    ///
    /// # Errors
    /// As [`Self::at`].
    pub fn for_root(root: &Path, overrides: &Overrides, env: Env<'_>) -> Result<Self> {
        Self::at(Sourced::new(root.to_path_buf(), "given"), overrides, env)
    }

    /// The workspace's folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.value.join(FOLDER)
    }

    /// The database's address without its password.
    #[must_use]
    pub fn database_shown(&self) -> String {
        self.database.value.to_string()
    }

    /// Path of [`WorkspaceFile`].
    #[must_use]
    pub fn workspace_file(&self) -> PathBuf {
        self.folder().join("workspace.json")
    }

    /// Reads [`WorkspaceFile`]; `None` when there is none.
    ///
    /// # Errors
    /// [`Code::Io`] when it cannot be read.
    pub fn read_workspace_file(&self) -> Result<Option<WorkspaceFile>> {
        let path = self.workspace_file();
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|e| Error::new(Code::Io, format!("{} is damaged", path.display())).because(e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new(Code::Io, format!("{} cannot be read", path.display())).because(e)),
        }
    }
}

/// Where programs of this account keep what is theirs and is no data.
fn state_folder(env: Env<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("LOCALAPPDATA"));
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("outcome-runtime"))
}

/// The workspace above `cwd`, or above its place in the main checkout.
fn found_from(cwd: &Path) -> Result<Sourced<PathBuf>> {
    let above = up_to_repository(cwd).find(|folder| folder.join(FOLDER).is_dir());
    if let Some(folder) = above {
        return Ok(Sourced::new(folder.to_path_buf(), "found above the working directory"));
    }
    if let Some(main) = in_main_checkout(cwd) {
        let is_one = |folder: &&Path| folder.join(FOLDER).is_dir() || folder.join(OUTCOME_FILE).is_file();
        let known = up_to_repository(&main).find(|folder| folder.join(FOLDER).is_dir());
        if let Some(folder) = known.or_else(|| up_to_repository(&main).find(is_one)) {
            return Ok(Sourced::new(folder.to_path_buf(), "found in the main checkout of this git work tree"));
        }
    }
    nearest_file(cwd).map(|folder| Sourced::new(folder, "found above the working directory")).ok_or_else(|| {
        Error::new(
            Code::WorkspaceNotFound,
            format!(
                "there is no {OUTCOME_FILE} in {} or above it, up to the root of the git repository",
                cwd.display()
            ),
        )
        .hint("run `outcome-runtime init` in the repository's root, or pass the file with --file")
    })
}

/// Where a workspace begins that is set up from `cwd`: at the nearest outcome file, which may be a package's own, and else at
/// the root of the git repository. In a linked work tree that is the main checkout's.
#[must_use]
pub fn root_of_new(cwd: &Path) -> PathBuf {
    let start = in_main_checkout(cwd).unwrap_or_else(|| cwd.to_path_buf());
    nearest_file(&start).unwrap_or_else(|| {
        start.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&start).to_path_buf()
    })
}

fn nearest_file(cwd: &Path) -> Option<PathBuf> {
    up_to_repository(cwd).find(|folder| folder.join(OUTCOME_FILE).is_file()).map(Path::to_path_buf)
}

/// The folders from `cwd` to the root of its git repository.
fn up_to_repository(cwd: &Path) -> impl Iterator<Item = &Path> {
    let mut is_over = false;
    cwd.ancestors().take_while(move |folder| {
        let is_in = !is_over;
        is_over = folder.join(".git").exists();
        is_in
    })
}
