//! `${NAME}`, `${NAME:-default}`, `${file:path}`, `${secret:NAME}` and `${keyring:NAME}` in the file's values, resolved when a value is
//! used. **Invariant**: an error names the variable, file or secret, never a value.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sealing::{KEY_FILE_VARIABLES, KEY_VARIABLES};
use secrecy::{ExposeSecret as _, SecretString};

use super::reference::{Part, parts};
use super::secret_error::SecretError;

/// The longest file that a `${file:}` reference reads, in bytes.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;

/// Where references look.
pub trait Env: Send + Sync {
    /// The value of a variable; `None` when it is not set.
    fn var(&self, name: &str) -> Option<String>;
    /// Whether a reference may read this file: a reference must not lead to whatever the account can read.
    fn may_read(&self, _path: &Path) -> bool {
        true
    }
    /// Whether a file holds a key of sealed secrets.
    fn is_key_file(&self, _path: &Path) -> bool {
        false
    }
    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn file(&self, path: &Path) -> std::io::Result<String>;
    /// The secrets that are stored; `None` where there is no workspace.
    fn stored(&self) -> Option<&dyn StoredSecrets> {
        None
    }
}

/// Secrets that were looked up before they are asked for: nothing waits here.
pub trait StoredSecrets: Send + Sync {
    /// A secret that is sealed in the workspace's store.
    ///
    /// # Errors
    /// [`SecretError::NotSealed`], [`SecretError::Sealing`].
    fn sealed(&self, name: &str) -> Result<SecretString, SecretError>;
    /// A secret of the operating system's keyring.
    ///
    /// # Errors
    /// [`SecretError::NotInKeyring`], [`SecretError::Keyring`].
    fn in_keyring(&self, name: &str) -> Result<SecretString, SecretError>;
}

/// This process's variables, files relative to the workspace's root, and the secrets that are stored.
#[derive(Clone)]
pub struct ProcessEnv {
    root: PathBuf,
    stored: Option<Arc<dyn StoredSecrets>>,
}

impl std::fmt::Debug for ProcessEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessEnv").field("root", &self.root).finish_non_exhaustive()
    }
}

impl ProcessEnv {
    /// `root`: the directory of the outcome file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), stored: None }
    }

    /// The same with the secrets of a workspace.
    #[must_use]
    pub fn with_stored(self, stored: Arc<dyn StoredSecrets>) -> Self {
        Self { stored: Some(stored), ..self }
    }
}

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn may_read(&self, path: &Path) -> bool {
        // One that is not there is missing, and not forbidden.
        let Ok(path) = self.root.join(path).canonicalize() else { return true };
        let roots = std::iter::once(self.root.clone()).chain(secrets_folders());
        roots.filter_map(|root| root.canonicalize().ok()).any(|root| path.starts_with(root))
    }

    fn is_key_file(&self, path: &Path) -> bool {
        let Ok(path) = self.root.join(path).canonicalize() else { return false };
        let keys = KEY_FILE_VARIABLES.iter().filter_map(std::env::var_os);
        keys.filter_map(|key| Path::new(&key).canonicalize().ok()).any(|key| key == path)
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        let path = self.root.join(path);
        if std::fs::metadata(&path)?.len() > MAX_SECRET_FILE_BYTES {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the file is longer than 64 KiB"));
        }
        std::fs::read_to_string(path)
    }

    fn stored(&self) -> Option<&dyn StoredSecrets> {
        self.stored.as_deref()
    }
}

/// Where secrets are kept outside of a workspace: what the system gave to this service, where containers have them, and the user's own.
fn secrets_folders() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let own = settings.map(|settings| settings.join("outcome-runtime/secrets"));
    folder("CREDENTIALS_DIRECTORY").into_iter().chain([PathBuf::from("/run/secrets")]).chain(own).collect()
}

/// The text with its references replaced. A file's trailing newline is dropped.
///
/// # Errors
/// [`SecretError`] when a variable is not set, a file cannot be read, or a reference is malformed.
pub fn resolve(text: &str, env: &dyn Env) -> Result<SecretString, SecretError> {
    let mut out = zeroize::Zeroizing::new(String::new());
    for part in parts(text)? {
        match part {
            Part::Plain(plain) => out.push_str(plain),
            Part::Var { name, .. } if KEY_VARIABLES.contains(&name) => {
                return Err(SecretError::IsKey { name: name.to_owned() });
            }
            Part::Var { name, default } => match (env.var(name), default) {
                (Some(value), _) if !value.is_empty() => out.push_str(&zeroize::Zeroizing::new(value)),
                (_, Some(default)) => out.push_str(default),
                (Some(_), None) => return Err(SecretError::Empty { name: name.to_owned() }),
                (None, None) => return Err(SecretError::Unset { name: name.to_owned() }),
            },
            Part::File { path } => {
                if env.is_key_file(Path::new(path)) {
                    return Err(SecretError::IsKey { name: path.to_owned() });
                }
                if !env.may_read(Path::new(path)) {
                    return Err(SecretError::Outside { path: path.into() });
                }
                let value =
                    env.file(Path::new(path)).map_err(|cause| SecretError::File { path: path.into(), cause })?;
                out.push_str(zeroize::Zeroizing::new(value).trim_end_matches(['\n', '\r']));
            }
            Part::Secret { name } => out.push_str(sealed(name, env)?.expose_secret()),
            Part::Keyring { name } => out.push_str(in_keyring(name, env)?.expose_secret()),
        }
    }
    Ok(SecretString::from(out.as_str()))
}

/// A secret of the workspace's store.
pub(super) fn sealed(name: &str, env: &dyn Env) -> Result<SecretString, SecretError> {
    env.stored().ok_or_else(|| SecretError::NoWorkspace { name: name.to_owned() })?.sealed(name)
}

/// A secret of the operating system's keyring.
pub(super) fn in_keyring(name: &str, env: &dyn Env) -> Result<SecretString, SecretError> {
    env.stored().ok_or_else(|| SecretError::NoWorkspace { name: name.to_owned() })?.in_keyring(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Env for Fixed {
        fn var(&self, name: &str) -> Option<String> {
            match name {
                "HOST" => Some("db.internal".to_owned()),
                "NOTHING" => Some(String::new()),
                "PW" => Some("hunter2".to_owned()),
                _ => None,
            }
        }
        fn file(&self, path: &Path) -> std::io::Result<String> {
            if path == Path::new("secrets/pw") {
                return Ok("from-file\n".to_owned());
            }
            Err(std::io::ErrorKind::NotFound.into())
        }
        fn stored(&self) -> Option<&dyn StoredSecrets> {
            Some(self)
        }
    }

    impl StoredSecrets for Fixed {
        fn sealed(&self, name: &str) -> Result<SecretString, SecretError> {
            match name {
                "PG_URL" => Ok(SecretString::from("postgres://app:${PW}@db/x")),
                _ => Err(SecretError::NotSealed { name: name.to_owned() }),
            }
        }
        fn in_keyring(&self, name: &str) -> Result<SecretString, SecretError> {
            match name {
                "PG_URL" => Ok(SecretString::from("of the keyring")),
                _ => Err(SecretError::NotInKeyring { name: name.to_owned() }),
            }
        }
    }

    fn resolved(text: &str) -> Result<String, String> {
        resolve(text, &Fixed).map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn replaces_variables_defaults_and_files() {
        for (text, value) in [
            ("plain $5 text", "plain $5 text"),
            ("postgres://app:${PW}@${HOST}/x", "postgres://app:hunter2@db.internal/x"),
            ("${MISSING:-fallback}", "fallback"),
            ("${NOTHING:-fallback}", "fallback"),
            ("${MISSING:-}", ""),
            ("${file:secrets/pw}", "from-file"),
            // What a secret says is no reference.
            ("<${secret:PG_URL}>", "<postgres://app:${PW}@db/x>"),
            ("${keyring:PG_URL}-${PW}", "of the keyring-hunter2"),
        ] {
            assert_eq!(resolved(text), Ok(value.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_reference_and_no_other_value() {
        for (text, named) in [
            ("${PW}-${MISSING}", "MISSING"),
            ("${PW}-${NOTHING}", "NOTHING"),
            ("${PW}-${file:nowhere}", "nowhere"),
            ("${PW}-${open", "not closed"),
            ("${PW}-${a b}", "no variable name"),
            ("${PW}-${secret:OTHER}", "`OTHER`"),
            ("${PW}-${keyring:OTHER}", "`OTHER`"),
            ("${PW}-${secret:}", "`${secret:}` names no secret"),
            ("${PW}-${secret:PG_URL:-x}", "`${secret:}` names no secret"),
            ("${PW}-${keyring:a b}", "`${keyring:}` names no secret"),
        ] {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(named), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn without_a_workspace_nothing_is_stored() {
        let env = ProcessEnv::new("/");
        for text in ["${secret:PG_URL}", "${keyring:PG_URL}"] {
            let error = resolve(text, &env).unwrap_err();
            assert!(matches!(&error, SecretError::NoWorkspace { name } if name == "PG_URL"), "{error}");
            assert!(error.hint().contains("outcome-runtime init"), "{}", error.hint());
        }
    }

    #[test]
    fn a_file_outside_of_the_workspace_is_not_read_whatever_leads_there() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("key"), "the account's own").unwrap();
        std::fs::write(folder.path().join("key"), "ours\n").unwrap();
        std::os::unix::fs::symlink(outside.path().join("key"), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("folder")).unwrap();
        let env = ProcessEnv::new(folder.path());
        let said = |path: &str| {
            let found = resolve(&format!("${{file:{path}}}"), &env);
            found.map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
        };
        assert_eq!(said("key"), Ok("ours".to_owned()));
        assert_eq!(said(folder.path().join("key").to_str().unwrap()), Ok("ours".to_owned()));
        let parent = format!("../{}/key", outside.path().file_name().unwrap().to_string_lossy());
        for path in [outside.path().join("key").to_str().unwrap(), &parent, "link", "folder/key", "/etc/passwd"] {
            assert!(said(path).unwrap_err().contains("outside of the workspace"), "{path}");
        }
        assert!(said("nowhere").unwrap_err().contains("cannot be read"));
    }
}
