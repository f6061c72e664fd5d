//! Why a secret cannot be sealed or opened.

use crate::error::{Code, Error};

/// Why a secret cannot be sealed or opened. **Invariant**: names and ids, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// Nobody gave this program a key.
    #[error("this program has no key that opens or seals secrets: `{variable}` is not set")]
    NoKey {
        /// The variable that would hold it.
        variable: &'static str,
    },
    /// A key that is none.
    #[error("the key of {place} cannot be used: {problem}")]
    BadKey {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two places name a key.
    #[error("both `{variable}` and `{variable}_FILE` are set")]
    TwoKeys {
        /// The variable.
        variable: &'static str,
    },
    /// It was sealed with another key.
    #[error("the secret `{name}` is sealed with the key {sealed_with}, and this program has {has}")]
    OtherKey {
        /// Name of the secret.
        name: String,
        /// Id of the key that opens it.
        sealed_with: String,
        /// What this program has, with the places.
        has: String,
    },
    /// The row is not what was sealed under this name.
    #[error(
        "the sealed row of the secret `{name}` was changed, or belongs to another name or workspace: it does not open"
    )]
    Changed {
        /// Name of the secret.
        name: String,
    },
    /// A value that cannot be a secret.
    #[error("the value of the secret `{name}` cannot be sealed: {problem}")]
    BadValue {
        /// Name of the secret.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl SealingError {
    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NoKey { .. } => Code::EncryptionKeyMissing,
            Self::BadKey { .. } | Self::TwoKeys { .. } => Code::EncryptionKeyInvalid,
            Self::OtherKey { .. } => Code::EncryptionKeyWrong,
            Self::Changed { .. } => Code::SecretChanged,
            Self::BadValue { .. } => Code::InvalidInput,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoKey { variable } => format!(
                "give it the key where this program runs, as `{variable}` or in a file that `{variable}_FILE` names; where there is none \
                 yet, `outcome-runtime secrets new-key` makes one"
            ),
            Self::BadKey { .. } => {
                "a key is 32 random bytes, as 64 hexadecimal digits or in base64; `outcome-runtime secrets new-key` \
                                    prints one"
                    .to_owned()
            }
            Self::TwoKeys { variable } => format!("unset one of them: `unset {variable}`"),
            Self::OtherKey { name, sealed_with, .. } => format!(
                "start it with the key whose id is {sealed_with}. Where that key is lost, so is the secret: \
                 `outcome-runtime secrets remove {name} --even-if-used`, then `outcome-runtime secrets set {name}`"
            ),
            Self::Changed { name } => format!(
                "somebody wrote to the database past the runtime: `outcome-runtime audit verify` says what. \
                 `outcome-runtime secrets set {name}` seals it again"
            ),
            Self::BadValue { .. } => "give text of 1 byte to 64 KiB without NUL".to_owned(),
        }
    }
}

impl From<SealingError> for Error {
    fn from(error: SealingError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint()).because(error)
    }
}
