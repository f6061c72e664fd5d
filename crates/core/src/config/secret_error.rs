//! Why a reference cannot be resolved.

use std::path::PathBuf;

use crate::error::Code;
use crate::ports::KeyringError;
use crate::sealing::SealingError;

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
    /// The variable or file holds the key that seals secrets.
    #[error("`{name}` holds the key of sealed secrets, which no reference may lead to")]
    IsKey {
        /// The variable, or the file as written.
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
    /// No secret of this name is sealed in the store.
    #[error("no secret `{name}` is sealed in this workspace's store")]
    NotSealed {
        /// Its name.
        name: String,
    },
    /// The keyring has no secret of this name.
    #[error("the keyring of the operating system has no secret `{name}` of this program")]
    NotInKeyring {
        /// Its name.
        name: String,
    },
    /// There is no workspace whose secrets could be looked up.
    #[error("there is no workspace here whose secret `{name}` could be looked up")]
    NoWorkspace {
        /// Name of the secret.
        name: String,
    },
    /// The keyring cannot be used.
    #[error("the secret `{name}` cannot be had from the keyring of the operating system: {cause}")]
    Keyring {
        /// Its name.
        name: String,
        /// Why.
        cause: KeyringError,
    },
    /// The sealed secret does not open.
    #[error(transparent)]
    Sealing(#[from] SealingError),
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
            Self::Unset { .. }
            | Self::Empty { .. }
            | Self::File { .. }
            | Self::Outside { .. }
            | Self::NotSealed { .. }
            | Self::NotInKeyring { .. }
            | Self::NoWorkspace { .. } => Code::SecretMissing,
            Self::Keyring { .. } => Code::KeyringUnavailable,
            Self::Sealing(error) => error.code(),
            Self::Malformed { .. } | Self::IsKey { .. } => Code::ConfigInvalid,
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
            Self::NotSealed { name } => format!("run `outcome-runtime secrets set {name}`, which reads the value without showing it"),
            Self::NotInKeyring { name } => {
                format!("run `outcome-runtime secrets set --keyring {name}`, which reads the value without showing it")
            }
            Self::NoWorkspace { .. } => {
                "run `outcome-runtime init` first; to check the file alone: `outcome-runtime validate --skip-env`".to_owned()
            }
            Self::Keyring { name, cause } => {
                let first = match cause {
                    KeyringError::NotBuilt => "use a program that was built with it",
                    KeyringError::Unavailable(_) => "start one for this account",
                    KeyringError::Silent(_) => "unlock it",
                };
                format!(
                    "{first}, or keep the secret elsewhere: `${{secret:{name}}}` is sealed in the store (`outcome-runtime secrets set \
                     {name}`), `${{{name}}}` is a variable, `${{file:path}}` a file"
                )
            }
            Self::Sealing(error) => error.hint(),
            Self::IsKey { .. } => "give the secret that is meant a name of its own".to_owned(),
            Self::Malformed { .. } => {
                "write `${NAME}`, `${NAME:-default}`, `${file:path}`, `${secret:NAME}` or `${keyring:NAME}`".to_owned()
            }
        }
    }
}

impl From<SecretError> for crate::Error {
    fn from(error: SecretError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint()).because(error)
    }
}
