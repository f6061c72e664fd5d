//! `${NAME}`, `${NAME:-default}` and `${file:path}` in the file's values, resolved when a value is used.
//! **Invariant**: an error names the variable or file, never a value.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::error::Code;

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
    /// The text of a file.
    ///
    /// # Errors
    /// When it cannot be read.
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// This process's variables, and files relative to the workspace's root.
#[derive(Debug, Clone)]
pub struct ProcessEnv {
    root: PathBuf,
}

impl ProcessEnv {
    /// `root`: the directory of the outcome file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
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

    fn file(&self, path: &Path) -> std::io::Result<String> {
        let path = self.root.join(path);
        if std::fs::metadata(&path)?.len() > MAX_SECRET_FILE_BYTES {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the file is longer than 64 KiB"));
        }
        std::fs::read_to_string(path)
    }
}

/// Where secrets are kept outside of a workspace: what the system gave to this service, where containers have them, and the user's own.
fn secrets_folders() -> Vec<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
    let own = settings.map(|settings| settings.join("outcome-runtime/secrets"));
    folder("CREDENTIALS_DIRECTORY").into_iter().chain([PathBuf::from("/run/secrets")]).chain(own).collect()
}

/// Why a reference cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("the environment variable `{name}` is not set")]
    Unset {
        /// Its name.
        name: String,
    },
    /// The variable is there and has no text.
    #[error("the environment variable `{name}` is empty")]
    Empty {
        /// Its name.
        name: String,
    },
    /// The file lies where no reference may lead.
    #[error("the file `{}` of a `${{file:}}` reference is outside of the workspace and of the folders for secrets", path.display())]
    Outside {
        /// As written.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the file `{}` of a `${{file:}}` reference cannot be read", path.display())]
    File {
        /// As written.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// `${` without `}`, or a name that is none.
    #[error("a `${{...}}` reference is malformed: {problem}")]
    Malformed {
        /// What is wrong.
        problem: String,
    },
}

impl SecretError {
    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Unset { .. } | Self::Empty { .. } | Self::File { .. } | Self::Outside { .. } => Code::SecretMissing,
            Self::Malformed { .. } => Code::ConfigInvalid,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unset { name } | Self::Empty { name } => {
                format!("set it where this program runs (`export {name}=...`), or give a default: `${{{name}:-...}}`")
            }
            Self::File { path, .. } => {
                format!("create `{}`; the path is relative to the directory of outcome.yaml", path.display())
            }
            Self::Outside { .. } => "put it below the directory of outcome.yaml, in ~/.config/outcome-runtime/secrets, in /run/secrets or in \
                                     the folder of systemd's credentials"
                .to_owned(),
            Self::Malformed { .. } => "write `${NAME}`, `${NAME:-default}` or `${file:path}`".to_owned(),
        }
    }
}

impl From<SecretError> for crate::Error {
    fn from(error: SecretError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint()).because(error)
    }
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part<'t> {
    Plain(&'t str),
    Var { name: &'t str, default: Option<&'t str> },
    File { path: &'t str },
}

/// Splits a value at its references.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, SecretError> {
    let malformed = |problem: &str| SecretError::Malformed { problem: problem.to_owned() };
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if !before.is_empty() {
            out.push(Part::Plain(before));
        }
        let (inside, behind) = after.split_once('}').ok_or_else(|| malformed("`${` is not closed by `}`"))?;
        out.push(part(inside)?);
        rest = behind;
    }
    if !rest.is_empty() {
        out.push(Part::Plain(rest));
    }
    Ok(out)
}

fn part(inside: &str) -> Result<Part<'_>, SecretError> {
    let malformed = |problem: &str| SecretError::Malformed { problem: problem.to_owned() };
    if let Some(path) = inside.strip_prefix("file:") {
        return match path.trim() {
            "" => Err(malformed("`${file:}` names no file")),
            path => Ok(Part::File { path }),
        };
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name {
        Ok(Part::Var { name, default })
    } else {
        Err(malformed("there is no variable name between `${` and `}`"))
    }
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
            Part::Var { name, default } => match (env.var(name), default) {
                (Some(value), _) if !value.is_empty() => out.push_str(&zeroize::Zeroizing::new(value)),
                (_, Some(default)) => out.push_str(default),
                (Some(_), None) => return Err(SecretError::Empty { name: name.to_owned() }),
                (None, None) => return Err(SecretError::Unset { name: name.to_owned() }),
            },
            Part::File { path } => {
                if !env.may_read(Path::new(path)) {
                    return Err(SecretError::Outside { path: path.into() });
                }
                let value =
                    env.file(Path::new(path)).map_err(|cause| SecretError::File { path: path.into(), cause })?;
                out.push_str(zeroize::Zeroizing::new(value).trim_end_matches(['\n', '\r']));
            }
        }
    }
    Ok(SecretString::from(out.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

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
        ] {
            let error = resolved(text).unwrap_err();
            assert!(error.contains(named), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
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
