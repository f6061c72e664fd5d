//! Where the file is, and reading it. The only place of this module that touches the disk, besides [`super::secrets`].

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::reporter::Vendors;
use super::secrets::Env;
use super::{Config, Diagnostic, MAX_FILE_BYTES, parse};
use crate::error::Code;

/// The file's name.
pub const FILE_NAME: &str = "outcome.yaml";

/// Why there is nothing to parse.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file up to the root of the repository.
    #[error("there is no outcome.yaml in `{}` or above it", start.display())]
    NotFound {
        /// Where the search began.
        start: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not text.
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file is too large to be an outcome file.
    #[error("`{}` is larger than 2 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound { .. } => Code::ConfigNotFound,
            Self::Read { .. } => Code::Io,
            Self::NotText { .. } | Self::TooLarge { .. } => Code::ConfigInvalid,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => {
                "`outcome-runtime init` writes one as a starting point; `--file` names a file elsewhere"
            }
            Self::Read { .. } => "check that the path is a file and that you have permission to read it",
            Self::NotText { .. } => "save it as UTF-8",
            Self::TooLarge { .. } => {
                "check that this is the right file; move long SQL statements into views of the database"
            }
        }
    }
}

impl From<ConfigError> for crate::Error {
    fn from(error: ConfigError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint()).because(error)
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct Loaded {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub source: String,
    /// Present when there is no error.
    pub config: Option<Config>,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// The nearest `outcome.yaml` from `start` upwards. The search ends at the root of the git repository, and outside of a
/// repository at `start` itself, so that a file in a parent directory is never picked up by accident.
///
/// # Errors
/// [`ConfigError::NotFound`].
pub fn locate(start: &Path) -> Result<PathBuf, ConfigError> {
    let root = start.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(start);
    start
        .ancestors()
        .take_while(|dir| dir.starts_with(root))
        .map(|dir| dir.join(FILE_NAME))
        .find(|path| path.is_file())
        .ok_or_else(|| ConfigError::NotFound { start: start.to_owned() })
}

/// Reads and checks a file, without looking at the environment.
///
/// # Errors
/// [`ConfigError`] when there is no text to parse; what is wrong in the text stands in the diagnostics.
pub fn load(path: &Path, vendors: &Vendors) -> Result<Loaded, ConfigError> {
    load_with(path, vendors, None)
}

/// Like [`load`]; with `env`, references that cannot be resolved are errors.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, vendors: &Vendors, env: Option<&dyn Env>) -> Result<Loaded, ConfigError> {
    let source = read(path)?;
    let parsed = parse(&source, &path.display().to_string(), vendors, env);
    Ok(Loaded { path: path.to_owned(), source, config: parsed.config, diagnostics: parsed.diagnostics })
}

pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |cause| ConfigError::Read { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    std::fs::File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|_| ConfigError::NotText { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_goes_up_to_the_repository_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("repo/a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir_all(dir.path().join("repo/.git")).unwrap();
        std::fs::write(dir.path().join(FILE_NAME), "").unwrap();
        assert!(matches!(locate(&inner), Err(ConfigError::NotFound { .. })));
        std::fs::write(dir.path().join("repo").join(FILE_NAME), "").unwrap();
        assert_eq!(locate(&inner).unwrap(), dir.path().join("repo").join(FILE_NAME));
    }

    #[test]
    fn a_missing_file_and_one_that_is_no_text_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        assert!(matches!(load(&path, &Vendors::NONE), Err(ConfigError::Read { .. })));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(load(&path, &Vendors::NONE), Err(ConfigError::NotText { .. })));
    }
}
