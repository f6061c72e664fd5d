//! Where things are: flags, then environment, then the workspace's files, then defaults. `doctor` prints each value with
//! its origin.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::address::Address;
use crate::checkout::{in_main_checkout, is_work_tree_of};
use crate::config::Vendors;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::sealing::KeyPlaces;
use crate::seen::Seen;
use crate::stores::{DATABASE_FILE, IDENTITY_FILE, Stores, WorkspaceFile};

/// Name of the folder of a workspace's own files, in the repository's root and ignored by git.
pub const FOLDER: &str = ".outcome";
/// Name of the outcome file.
pub const OUTCOME_FILE: &str = "outcome.yaml";

/// The variable that names the runtime's own database.
pub const DATABASE_VARIABLE: &str = "OUTCOME_RUNTIME_DATABASE_URL";

/// Most bytes of a [`WorkspaceFile`].
const MAX_IDENTITY: u64 = 4096;

/// What a value is said to come from that nobody set.
const DEFAULT: &str = "default";

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
    /// The stores of this account; absent where it has no home: a workspace's folder in the repository is its store then.
    #[serde(skip)]
    pub stores: Option<Stores>,
    /// Address of the pages where the applied file names none.
    pub pages: Sourced<String>,
    /// Where the keys are that open sealed secrets.
    #[serde(skip)]
    pub encryption_keys: KeyPlaces,
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
            (None, None) => found_from(cwd, state_folder(env).map(Seen::in_folder).as_ref())?,
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
            None => Sourced::new(root.value.join(OUTCOME_FILE), DEFAULT),
        };
        let stores = data_folder(env).map(Stores::in_folder);
        let database = if let Some(url) = &overrides.database {
            Sourced::new(Address::parse(url)?, "flag --database")
        } else if let Some(url) = env(DATABASE_VARIABLE) {
            Sourced::new(Address::parse(&url)?, "environment OUTCOME_RUNTIME_DATABASE_URL")
        } else if let Some(home) = env("OUTCOME_RUNTIME_HOME") {
            Sourced::new(Address::file(Path::new(&home).join("outcome.db")), "environment OUTCOME_RUNTIME_HOME")
        } else {
            Sourced::new(Address::file(PathBuf::new()), DEFAULT)
        };
        // Never from the environment: whoever starts the program would choose where a human types their passphrase.
        let pages = Sourced::new("http://127.0.0.1:8787".to_owned(), DEFAULT);
        let settings = Self {
            root,
            work_tree: None,
            file,
            database,
            application_database: env("DATABASE_URL"),
            clock_file: env("OUTCOME_RUNTIME_CLOCK_FILE")
                .map(|path| Sourced::new(PathBuf::from(path), "environment OUTCOME_RUNTIME_CLOCK_FILE")),
            pages,
            state_folder: state_folder(env),
            stores,
            encryption_keys: KeyPlaces::of_env(env),
            vendors: overrides.vendors,
        };
        Ok(settings.of_known())
    }

    /// These settings with the database of the workspace that the folder belongs to now, unless somebody named one.
    #[must_use]
    pub fn of_known(mut self) -> Self {
        if self.has_default_database() {
            self.database.value = Address::file(self.default_database());
        }
        self
    }

    /// Whether nobody named the database.
    #[must_use]
    pub fn has_default_database(&self) -> bool {
        self.database.from == DEFAULT
    }

    /// In the account's store of this workspace. In the workspace's folder only where there is no store: older programs made it there,
    /// or the account has no home.
    fn default_database(&self) -> PathBuf {
        let in_folder = self.folder().join(DATABASE_FILE);
        let (Some(stores), Ok(Some(file))) = (&self.stores, self.read_workspace_file()) else { return in_folder };
        let store = stores.database_of(file.workspace);
        if !store.exists() && in_folder.exists() { in_folder } else { store }
    }

    /// A database in the workspace's folder that is not used, because the workspace has a store.
    #[must_use]
    pub fn unused_database(&self) -> Option<PathBuf> {
        let in_folder = self.folder().join(DATABASE_FILE);
        let is_other = self.has_default_database() && self.database.value.path() != Some(in_folder.as_path());
        (is_other && in_folder.exists()).then_some(in_folder)
    }

    /// The store in which the database would be safe from what happens to the repository, where it lies in that.
    #[must_use]
    pub fn better_store(&self) -> Option<PathBuf> {
        let stores = self.stores.as_ref()?;
        let is_here = self.has_default_database() && self.database.value.path()?.starts_with(self.folder());
        let file = self.read_workspace_file().ok()??;
        is_here.then(|| stores.folder_of(file.workspace))
    }

    /// These settings for the new workspace that gets this id.
    #[must_use]
    pub fn of_new(mut self, workspace: WorkspaceId) -> Self {
        if let Some(stores) = &self.stores
            && self.has_default_database()
        {
            self.database.value = Address::file(stores.database_of(workspace));
        }
        self
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
        self.folder().join(IDENTITY_FILE)
    }

    /// Whether the folder belongs to a workspace already, also one whose file cannot be read.
    #[must_use]
    pub fn is_workspace(&self) -> bool {
        self.read_workspace_file().map_or(true, |file| file.is_some())
    }

    /// The workspace that this account knows for the folder.
    #[must_use]
    pub fn known_workspace(&self) -> Option<WorkspaceFile> {
        self.seen()?.workspace_of(&self.real_root())
    }

    /// The [`WorkspaceFile`] in the workspace's folder; `None` when there is none. Whoever can write to the repository can write it:
    /// [`Self::known_workspace`] is what the account itself knows.
    ///
    /// # Errors
    /// [`Code::Io`] when it cannot be read, or is none.
    pub fn read_workspace_file(&self) -> Result<Option<WorkspaceFile>> {
        let path = self.workspace_file();
        let broken = |message: &str| {
            Error::new(Code::Io, format!("{} {message}", path.display())).hint(
                "if you did not change it yourself, find out who did; remove it, and `outcome-runtime init --link` points to the \
                 workspace of this folder again",
            )
        };
        match read_small(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| broken("is damaged").because(e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(broken("cannot be read").because(e)),
        }
    }
}

/// The content of a small file, and of nothing else: a link, a device or a pipe in its place came from whoever made the repository.
fn read_small(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut text = Vec::new();
    file.take(MAX_IDENTITY + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_IDENTITY {
        return Err(std::io::Error::other("it is too long"));
    }
    Ok(text)
}

/// The folders in which this account keeps the data of its workspaces, and what is its own.
#[must_use]
pub fn account_folders(env: Env<'_>) -> Vec<PathBuf> {
    [data_folder(env), state_folder(env)].into_iter().flatten().collect()
}

/// Where programs of this account keep what is theirs and is no data.
fn state_folder(env: Env<'_>) -> Option<PathBuf> {
    Some(user_folder(env, "XDG_STATE_HOME", ".local/state")?.join("outcome-runtime"))
}

/// Where this account keeps its data.
fn data_folder(env: Env<'_>) -> Option<PathBuf> {
    Some(user_folder(env, "XDG_DATA_HOME", ".local/share")?.join("outcome-runtime"))
}

fn user_folder(env: Env<'_>, variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = absolute(variable).or_else(|| absolute("LOCALAPPDATA"));
    own.or_else(|| Some(absolute("HOME")?.join(below_home)))
}

/// The workspace above `cwd`, or above its place in the main checkout. A folder that this account knows as one counts without its
/// pointer, too.
fn found_from(cwd: &Path, seen: Option<&Seen>) -> Result<Sourced<PathBuf>> {
    let real = |folder: &Path| folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let is_known = |folder: &Path| seen.is_some_and(|seen| seen.workspace_of(&real(folder)).is_some());
    let is_workspace = |folder: &&Path| folder.join(FOLDER).is_dir() || is_known(folder);
    if let Some(folder) = up_to_repository(cwd).find(is_workspace) {
        return Ok(Sourced::new(folder.to_path_buf(), "found above the working directory"));
    }
    if let Some(main) = in_main_checkout(cwd) {
        let is_one = |folder: &&Path| is_workspace(folder) || folder.join(OUTCOME_FILE).is_file();
        let known = up_to_repository(&main).find(is_workspace);
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
