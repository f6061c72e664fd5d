//! Where the keys are: in a variable, or in a file that a variable names. A file is read at each use, so that a program that
//! runs takes a key that was replaced there.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::SealingError;
use super::key::EncryptionKey;

/// The variable of the key in use; with `_FILE` behind it, of the file that holds the key.
pub const VARIABLE: &str = "OUTCOME_RUNTIME_ENCRYPTION_KEY";
const FILE_VARIABLE: &str = "OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE";
/// The variable of the key that follows it.
pub const NEW_VARIABLE: &str = "OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY";
const NEW_FILE_VARIABLE: &str = "OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY_FILE";
/// Read where neither of the first two is set. Applications have variables of this name, too.
const SHORT_VARIABLE: &str = "ENCRYPTION_KEY";

/// Every variable that leads to a key: none of them is handed to another program, and no reference leads to one.
pub const KEY_VARIABLES: [&str; 5] = [VARIABLE, FILE_VARIABLE, NEW_VARIABLE, NEW_FILE_VARIABLE, SHORT_VARIABLE];
/// Those of them that name a file.
pub const KEY_FILE_VARIABLES: [&str; 2] = [FILE_VARIABLE, NEW_FILE_VARIABLE];

/// The longest file that is read as a key.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// Where a key is.
#[derive(Debug, Clone)]
pub enum KeyPlace {
    /// In a variable.
    Variable {
        /// Its name.
        name: &'static str,
        /// What it holds.
        value: SecretString,
    },
    /// In a file.
    File {
        /// The variable that names it.
        name: &'static str,
        /// The file.
        path: PathBuf,
    },
}

impl std::fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable { name, .. } => write!(f, "the variable `{name}`"),
            Self::File { name, path } => write!(f, "the file {} that `{name}` names", path.display()),
        }
    }
}

impl KeyPlace {
    fn read(&self) -> Result<EncryptionKey, SealingError> {
        let bad = |problem| SealingError::BadKey { place: self.to_string(), problem };
        match self {
            Self::Variable { value, .. } => EncryptionKey::parse(value.expose_secret()).map_err(bad),
            Self::File { path, .. } => {
                let text = read_short(path).map_err(|error| bad(format!("it cannot be read ({error})")))?;
                EncryptionKey::parse(&text).map_err(bad)
            }
        }
    }
}

fn read_short(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(MAX_KEY_FILE_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_KEY_FILE_BYTES {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is longer than 4 KiB"));
    }
    Ok(text)
}

/// Where this program's keys are.
#[derive(Debug, Clone, Default)]
pub struct KeyPlaces {
    current: Vec<KeyPlace>,
    new: Vec<KeyPlace>,
}

impl KeyPlaces {
    /// What the environment says. Nothing is read yet.
    #[must_use]
    pub fn of_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let variable =
            |name: &'static str| env(name).map(|value| KeyPlace::Variable { name, value: SecretString::from(value) });
        let file = |name: &'static str| env(name).map(|path| KeyPlace::File { name, path: PathBuf::from(path) });
        let mut current: Vec<KeyPlace> = variable(VARIABLE).into_iter().chain(file(FILE_VARIABLE)).collect();
        if current.is_empty() {
            current.extend(variable(SHORT_VARIABLE));
        }
        Self { current, new: variable(NEW_VARIABLE).into_iter().chain(file(NEW_FILE_VARIABLE)).collect() }
    }

    /// Whether nobody named a key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.is_empty() && self.new.is_empty()
    }

    /// The keys that can be read now. Where one of two cannot be, as in the middle of a rotation, the other is enough.
    ///
    /// # Errors
    /// As [`Self::read`], where none can be read.
    pub fn read_any(&self) -> Result<EncryptionKeys, SealingError> {
        let alone =
            |current: &[KeyPlace], new: &[KeyPlace]| Self { current: current.to_vec(), new: new.to_vec() }.read();
        self.read().or_else(|error| {
            let found = [alone(&self.current, &[]), alone(&[], &self.new)].into_iter().flatten();
            found.into_iter().find(|keys| !keys.is_empty()).ok_or(error)
        })
    }

    /// The keys, read now.
    ///
    /// # Errors
    /// [`SealingError::BadKey`], [`SealingError::TwoKeys`]. That there is none is no error before one is used.
    pub fn read(&self) -> Result<EncryptionKeys, SealingError> {
        let one = |places: &[KeyPlace], variable: &'static str| match places {
            [] => Ok(None),
            [place] => place.read().map(|key| Some((key, place.to_string()))),
            _ => Err(SealingError::TwoKeys { variable }),
        };
        Ok(EncryptionKeys { current: one(&self.current, VARIABLE)?, new: one(&self.new, NEW_VARIABLE)? })
    }
}

/// The keys of this program, each with its place in words: the one in use, and the one that follows it.
///
/// A program that has both opens what either of them sealed, so that a key is replaced while it runs.
#[derive(Debug)]
pub struct EncryptionKeys {
    current: Option<(EncryptionKey, String)>,
    new: Option<(EncryptionKey, String)>,
}

impl EncryptionKeys {
    fn all(&self) -> impl Iterator<Item = &(EncryptionKey, String)> {
        self.current.iter().chain(&self.new)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The key with this id.
    #[must_use]
    pub fn with_id(&self, id: &str) -> Option<&EncryptionKey> {
        self.all().map(|(key, _)| key).find(|key| key.id() == id)
    }

    /// The key in use.
    ///
    /// # Errors
    /// [`SealingError::NoKey`].
    pub fn current(&self) -> Result<&EncryptionKey, SealingError> {
        self.current.as_ref().map(|(key, _)| key).ok_or(SealingError::NoKey { variable: VARIABLE })
    }

    /// The key that follows it.
    ///
    /// # Errors
    /// [`SealingError::NoKey`].
    pub fn new_key(&self) -> Result<&EncryptionKey, SealingError> {
        self.new.as_ref().map(|(key, _)| key).ok_or(SealingError::NoKey { variable: NEW_VARIABLE })
    }

    /// Ids and places, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let each: Vec<String> = self.all().map(|(key, place)| format!("{} ({place})", key.id())).collect();
        each.join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const TWO: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn places(set: &'static [(&'static str, &'static str)]) -> KeyPlaces {
        KeyPlaces::of_env(&move |name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn our_own_variable_counts_before_the_short_one_and_two_are_refused() {
        let long = places(&[(VARIABLE, ONE), (SHORT_VARIABLE, "of an application")]).read().unwrap();
        let short = places(&[(SHORT_VARIABLE, TWO)]).read().unwrap();
        assert_eq!(long.current().unwrap().id(), short.current().unwrap().id());
        assert!(short.in_words().contains("`ENCRYPTION_KEY`"));
        let two = places(&[(VARIABLE, ONE), (FILE_VARIABLE, "/nowhere")]).read().unwrap_err();
        assert_eq!(two, SealingError::TwoKeys { variable: VARIABLE });
        let none = places(&[]).read().unwrap();
        assert_eq!(none.current().unwrap_err(), SealingError::NoKey { variable: VARIABLE });
        assert_eq!(none.new_key().unwrap_err(), SealingError::NoKey { variable: NEW_VARIABLE });
    }

    #[test]
    fn a_file_is_read_at_each_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let name = path.display().to_string();
        let places = KeyPlaces::of_env(&|wanted| (wanted == FILE_VARIABLE).then(|| name.clone()));
        assert!(matches!(places.read(), Err(SealingError::BadKey { .. })), "it is not there");
        std::fs::write(&path, format!("{ONE}\n")).unwrap();
        let first = places.read().unwrap().current().unwrap().id().to_owned();
        std::fs::write(&path, "ab".repeat(31) + "cd").unwrap();
        assert_ne!(places.read().unwrap().current().unwrap().id(), first);
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(places.read().unwrap_err().to_string().contains("longer than 4 KiB"));
    }

    #[test]
    fn no_error_and_no_debug_holds_a_key() {
        let places = places(&[(VARIABLE, ONE), (NEW_VARIABLE, "of an application")]);
        let error = places.read().unwrap_err();
        for said in [format!("{places:?}"), format!("{error:?} {error} {}", error.hint())] {
            assert!(!said.contains("0b0c0d") && !said.contains("of an application"), "{said}");
        }
    }
}
