//! A JSON file that flagd reads, for development and demonstrations.
//! <https://flagd.dev/reference/flag-definitions/>,
//! <https://flagd.dev/reference/custom-operations/fractional-operation/>
//!
//! Other flags, and fields that we do not know, stay as they are. The file is replaced in one step under a lock, and
//! one that is not understood is not touched.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use std::sync::Arc;

use outcome_core::config::vendor::{Decode as _, FlagVendor, Keymap, Node, Reporter, references};
use outcome_core::ports::flags::{check_key, check_pct};
use outcome_core::ports::{
    FlagAct, FlagAnswers, FlagError, FlagService, FlagSettings, FlagState, Opening, ResolveSecret, Right,
};
use outcome_core::yaml_map;

/// A JSON file that flagd reads. For development.
pub(crate) const VENDOR: FlagVendor = FlagVendor {
    kind: "flagd_file",
    example: "path: flags.json",
    keys: Keymap::new(FlagdFile::FIELDS, |generator| generator.subschema_for::<FlagdFile>()),
    role: ROLE,
    has_experiments: false,
    read,
};

const ROLE: &str = "\
The account that runs the daemon must be able to write the flag file and its folder.
flagd and its SDKs need to read it, nothing else.";

yaml_map! {
    /// Settings of `flagd_file`.
    FlagdFile("the config of `flagd_file`") {
        /// The flag file, such as `flags.json`, relative to the repository's root.
        required(signed) path: String,
    }
}

#[derive(Debug)]
struct FlagdSettings {
    path: String,
}

impl FlagSettings for FlagdSettings {
    fn to_json(&self) -> Value {
        json!({ "path": self.path })
    }

    fn answers(&self) -> FlagAnswers {
        FlagAnswers {
            service: NAME,
            place: Some(self.path.clone()),
            value_type: "boolean",
            treatment: true,
            control: false,
            ask: "an OpenFeature SDK with its flagd provider (for one machine with the resolver `file` on that path), \
                  getBooleanValue(KEY, false) with the unit's id as targetingKey",
            is_flagd: true,
        }
    }

    /// `fractional` takes units out of the control as the share grows.
    fn keeps_arms(&self) -> Option<bool> {
        Some(false)
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn FlagService>, FlagError> {
        Ok(Box::new(FlagFile::open(opening.root, &self.path, opening.resolve)?))
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>> {
    let path = FlagdFile::decode(node, reporter)?.path?;
    references(&path, reporter);
    Some(Arc::new(FlagdSettings { path: path.value }))
}

const NAME: &str = "flagd file";
/// Largest file, in bytes.
const MAX_FILE: u64 = 10 * 1024 * 1024;
/// How long to wait for another writer.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// A flagd file.
#[derive(Debug, Clone)]
struct FlagFile {
    root: PathBuf,
    /// As declared.
    path: String,
}

/// What a write changes in a flag.
struct Change {
    description: String,
    /// `None`: only make the flag, when it is not there.
    set: Option<(bool, u8)>,
}

impl FlagFile {
    fn open(root: &Path, path: &str, resolve: &dyn ResolveSecret) -> Result<Self, FlagError> {
        let resolved = resolve.resolve(path).map_err(|error| FlagError::Config {
            problem: error.message().to_owned(),
            hint: error.hint_text().unwrap_or("write `path` without references").to_owned(),
        })?;
        let path = resolved.expose_secret();
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if path.is_empty() || !inside || Path::new(path).file_name().is_none() {
            return Err(FlagError::Config {
                problem: format!("`{path}` is not a path below the workspace's root"),
                hint: "write `path` relative to the workspace's root, without `..`, as in flags/flagd.json".to_owned(),
            });
        }
        Ok(Self { root: root.to_owned(), path: path.to_owned() })
    }

    fn io(&self, action: &'static str) -> impl Fn(io::Error) -> FlagError {
        let file = self.path.clone();
        move |cause| FlagError::Io { file: file.clone(), action, cause }
    }

    fn unreadable(&self, problem: impl Into<String>) -> FlagError {
        FlagError::Unreadable { place: self.path.clone(), problem: problem.into() }
    }

    /// The file itself, whose directory is really below the root and which is no link.
    fn file(&self) -> Result<PathBuf, FlagError> {
        let file = self.root.join(&self.path);
        let root = self.root.canonicalize().map_err(self.io("reading"))?;
        // The nearest directory that is there: the ones below it are made by the write.
        let real = file
            .ancestors()
            .skip(1)
            .map(Path::canonicalize)
            .find(|real| !real.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound));
        if !real.transpose().map_err(self.io("reading"))?.is_some_and(|real| real.starts_with(root)) {
            return Err(self.unreadable("its directory is a link that leads out of the workspace"));
        }
        match fs::symlink_metadata(&file) {
            Ok(meta) if !meta.is_file() => Err(self.unreadable("it is not an ordinary file")),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.io("reading")(error)),
            _ => Ok(file),
        }
    }

    /// The whole document; an empty one when there is no file.
    fn load(&self, file: &Path) -> Result<Map<String, Value>, FlagError> {
        let mut text = String::new();
        match File::open(file) {
            Ok(open) => open.take(MAX_FILE + 1).read_to_string(&mut text).map_err(self.io("reading"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(self.io("reading")(error)),
        };
        if text.len() as u64 > MAX_FILE {
            return Err(self.unreadable(format!("it is larger than {MAX_FILE} bytes")));
        }
        let document: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| self.unreadable(format!("it is not a JSON object: {error}")))?;
        match document.get("flags") {
            None | Some(Value::Object(_)) => Ok(document),
            Some(_) => Err(self.unreadable("`flags` is not an object")),
        }
    }

    fn read_sync(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        let document = self.load(&self.file()?)?;
        document.get("flags").and_then(|flags| flags.get(key)).map(|flag| state(key, flag)).transpose()
    }

    /// Whether a write would work; nothing is written.
    fn is_writable(&self) -> Result<bool, FlagError> {
        let file = self.file()?;
        self.load(&file)?;
        let folder = file.ancestors().skip(1).find(|folder| folder.is_dir());
        let Some(folder) = folder else { return Ok(false) };
        let tried = folder.join(".outcome-runtime-asks");
        let is_writable = OpenOptions::new().create(true).truncate(false).write(true).open(&tried).is_ok();
        let _ = fs::remove_file(tried);
        Ok(is_writable)
    }

    fn write_sync(&self, key: &str, change: &Change) -> Result<FlagState, FlagError> {
        let file = self.file()?;
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).map_err(self.io("making its directory"))?;
        }
        let _lock = self.lock(&file)?;
        let mut document = self.load(&file)?;
        if document.is_empty() {
            document.insert("$schema".to_owned(), json!("https://flagd.dev/schema/v0/flags.json"));
        }
        let flags = document.entry("flags").or_insert_with(|| json!({}));
        let Some(flags) = flags.as_object_mut() else { return Err(self.unreadable("`flags` is not an object")) };
        let flag = match flags.get_mut(key) {
            Some(flag) => {
                match change.set {
                    None => return state(key, flag),
                    // However it is set up, whoever asks gets the default of the code.
                    Some((false, _)) => disable(flag),
                    Some((true, pct)) => {
                        refuse_foreign(key, flag)?;
                        put(flag, true, pct);
                    }
                }
                flag.clone()
            }
            None => {
                let mut flag = json!({
                    "state": "DISABLED",
                    "variants": { "control": false, "treatment": true },
                    "defaultVariant": "control",
                    "metadata": { "description": change.description, "owner": "outcome-runtime" },
                });
                let (is_on, pct) = change.set.unwrap_or((false, 0));
                put(&mut flag, is_on, pct);
                flags.insert(key.to_owned(), flag.clone());
                flag
            }
        };
        self.replace(&file, &document)?;
        state(key, &flag)
    }

    /// Waits for the lock beside the file. The system gives it back when this program ends, however it ends.
    fn lock(&self, file: &Path) -> Result<File, FlagError> {
        let beside = sibling(file, ".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(beside);
        let lock = lock.map_err(self.io("opening its lock"))?;
        let deadline = Instant::now() + LOCK_LIMIT;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let waited_secs = LOCK_LIMIT.as_secs();
                    return Err(FlagError::Locked { file: self.path.clone(), waited_secs });
                }
                Err(fs::TryLockError::Error(error)) => return Err(self.io("locking")(error)),
            }
        }
    }

    /// Writes a new file beside the old one and renames it: a reader sees the one or the other, also after a crash.
    fn replace(&self, file: &Path, document: &Map<String, Value>) -> Result<(), FlagError> {
        let mut text = serde_json::to_string_pretty(document).map_err(|error| self.unreadable(error.to_string()))?;
        text.push('\n');
        let temporary = sibling(file, ".tmp");
        let write = || {
            let mut new = File::create(&temporary)?;
            if let Ok(old) = fs::metadata(file) {
                new.set_permissions(old.permissions())?;
            }
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            fs::rename(&temporary, file)?;
            match file.parent() {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            self.io("writing")(error)
        })
    }

    /// Files are small and locks short, but a lock may be waited for: not on the runtime's threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, FlagError> + Send + 'static,
    ) -> Result<T, FlagError> {
        let this = self.clone();
        match tokio::task::spawn_blocking(move || work(&this)).await {
            Ok(out) => out,
            Err(error) => Err(self.io("working on it")(io::Error::other(error))),
        }
    }

    async fn write(&self, key: &str, change: Change) -> Result<FlagState, FlagError> {
        check_key(key)?;
        let key = key.to_owned();
        self.blocking(move |this| this.write_sync(&key, &change)).await
    }
}

/// `.name<suffix>` in the same directory.
fn sibling(file: &Path, suffix: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!(".{name}{suffix}"))
}

fn targeting(pct: u8) -> Value {
    json!({
        "fractional": [
            { "cat": [{ "var": "$flagd.flagKey" }, { "var": "targetingKey" }] },
            ["treatment", pct],
            ["control", 100_u8.saturating_sub(pct)],
        ],
    })
}

fn put(flag: &mut Value, is_on: bool, pct: u8) {
    if let Some(flag) = flag.as_object_mut() {
        flag.insert("state".to_owned(), json!(if is_on { "ENABLED" } else { "DISABLED" }));
        flag.insert("targeting".to_owned(), targeting(pct));
    }
}

fn disable(flag: &mut Value) {
    if let Some(flag) = flag.as_object_mut() {
        flag.insert("state".to_owned(), json!("DISABLED"));
    }
}

/// What the flag does: a disabled one gives the default of the code, and one that is on must be as we write it.
fn state(key: &str, flag: &Value) -> Result<FlagState, FlagError> {
    if flag.get("state").and_then(Value::as_str) == Some("DISABLED") {
        return Ok(FlagState::off(key));
    }
    refuse_foreign(key, flag)
}

/// Its position, if it is one of ours: its variants, its default and its targeting as we write them.
fn refuse_foreign(key: &str, flag: &Value) -> Result<FlagState, FlagError> {
    let foreign = |problem: &str| FlagError::Foreign { key: key.to_owned(), problem: problem.to_owned() };
    let is_on = match flag.get("state").and_then(Value::as_str) {
        Some("ENABLED") => true,
        Some("DISABLED") => false,
        _ => return Err(foreign("its `state` is neither ENABLED nor DISABLED")),
    };
    let variants = flag.get("variants").and_then(Value::as_object);
    if !variants.is_some_and(|variants| variants.contains_key("control") && variants.contains_key("treatment")) {
        return Err(foreign("it has no variants `control` and `treatment`"));
    }
    if flag.get("defaultVariant").and_then(Value::as_str) != Some("control") {
        return Err(foreign("its `defaultVariant` is not `control`"));
    }
    let treatment_pct = match flag.get("targeting") {
        None => 0,
        Some(Value::Object(rules)) if rules.is_empty() => 0,
        Some(rules) => (0..=100).find(|pct| *rules == targeting(*pct)).ok_or_else(|| {
            foreign("its `targeting` is not a split of control and treatment in percent by targeting key")
        })?,
    };
    Ok(FlagState { key: key.to_owned(), is_on, treatment_pct })
}

#[async_trait]
impl FlagService for FlagFile {
    fn name(&self) -> &str {
        NAME
    }

    fn place(&self) -> Option<String> {
        Some(self.path.clone())
    }

    async fn ensure(&self, key: &str, description: &str) -> Result<FlagState, FlagError> {
        self.write(key, Change { description: description.to_owned(), set: None }).await
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        check_pct(treatment_pct)?;
        self.write(key, Change { description: String::new(), set: Some((true, treatment_pct)) }).await
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        self.write(key, Change { description: String::new(), set: Some((false, 0)) }).await
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        check_key(key)?;
        let key = key.to_owned();
        self.blocking(move |this| this.read_sync(&key)).await
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        let is_allowed = self.blocking(|this| this.is_writable()).await?;
        let detail = (!is_allowed).then(|| format!("{} or its folder cannot be written by this account", self.path));
        let read = Right { act: FlagAct::Read, is_allowed: Some(true), detail: None };
        let write = |act| Right { act, is_allowed: Some(is_allowed), detail: detail.clone() };
        Ok(vec![read, write(FlagAct::Create), write(FlagAct::Rollout), write(FlagAct::Off)])
    }
}
