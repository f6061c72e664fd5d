//! Which database a first outcome file names.

use std::path::Path;

use secrecy::SecretString;
use serde::Serialize;

use super::repository::database_file;
use super::variables::{Value, is_address, variable};
use crate::error::{Code, Error, Result};
use crate::settings::Env;

/// The variable that the first file refers to where the address is a secret or not known.
pub(super) const VARIABLE: &str = "APP_DATABASE_URL";

/// The database to measure, as the first file names it.
#[derive(Debug, Serialize)]
pub struct FirstSource {
    /// Its address, or a reference to it.
    pub url: String,
    /// How it was found, as a sentence; `None` where it was given.
    pub found: Option<String>,
    /// The variable that has to be set where this program runs, and is not.
    pub unset: Option<String>,
    /// The file that has a value of it, which was read for this look.
    pub value_in: Option<&'static str>,
    /// The value for one look.
    #[serde(skip)]
    pub(super) look: Option<SecretString>,
    /// Whether there is anything to ask.
    #[serde(skip)]
    pub(super) can_be_asked: bool,
}

impl FirstSource {
    /// What somebody named: `sqlite:PATH`, an address of a server, or `${VARIABLE}`.
    pub(super) fn given(text: &str, (cwd, root): (&Path, &Path), env: Env<'_>) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = cwd.join(path.trim_start_matches("//"));
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            return Ok(Self::at(format!("sqlite:{shown}"), None));
        }
        if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            let is_set = env(name).is_some();
            let unset = (!is_set).then(|| name.to_owned());
            return Ok(Self { unset, can_be_asked: is_set, ..Self::at(text.to_owned(), None) });
        }
        let url = url::Url::parse(text).ok().filter(|_| is_address(text)).ok_or_else(|| {
            Error::new(Code::InvalidInput, "--source is not a database address")
                .hint("give sqlite:PATH, postgres://USER@HOST/DB, mysql://USER@HOST/DB, or ${VARIABLE}")
        })?;
        if url.password().is_none() {
            return Ok(Self::at(text.to_owned(), None));
        }
        // A secret is referred to, never written into the file.
        let found = format!("the address contains a password, so the file refers to {VARIABLE} instead");
        let source = Self::at(format!("${{{VARIABLE}}}"), Some(found));
        let is_same = env(VARIABLE).as_deref() == Some(text);
        let unset = (!is_same).then(|| VARIABLE.to_owned());
        Ok(Self { unset, look: Some(SecretString::from(text)), ..source })
    }

    /// A database file in the usual places, else the variable of the application.
    pub(super) fn found(root: &Path, env: Env<'_>) -> Self {
        if let Some(path) = database_file(root) {
            return Self::at(format!("sqlite:{path}"), Some(format!("found {path}")));
        }
        let Some(variable) = variable(root, env) else {
            let found = "no database was found: --source names one".to_owned();
            let source = Self::at(format!("${{{VARIABLE}}}"), Some(found));
            let is_set = env(VARIABLE).is_some();
            return Self { unset: (!is_set).then(|| VARIABLE.to_owned()), can_be_asked: is_set, ..source };
        };
        let name = &variable.name;
        let named = variable.file.map(|file| format!(", which {file} names")).unwrap_or_default();
        let found = match &variable.value {
            Value::Set => format!("{name}{named}: set in this environment"),
            Value::InFile { file, .. } => format!("{name}, read from {file} for this one look"),
            Value::NotLookedAt { file } => {
                format!(
                    "{name}: {file} has a value that is not looked at, because it leads to no server on this machine"
                )
            }
            Value::Missing => format!("{name}{named}: not set in this environment"),
            Value::SetToOther => format!("{name}: set to an address that is not of PostgreSQL, MySQL or SQLite"),
        };
        let is_set = matches!(variable.value, Value::Set);
        let source = Self::at(format!("${{{name}}}"), Some(found));
        let unset = (!is_set).then(|| name.clone());
        let (look, value_in) = match variable.value {
            Value::InFile { file, value } => (Some(value), Some(file)),
            Value::Set | Value::SetToOther | Value::NotLookedAt { .. } | Value::Missing => (None, None),
        };
        Self { unset, can_be_asked: is_set || look.is_some(), look, value_in, ..source }
    }

    fn at(url: String, found: Option<String>) -> Self {
        Self { url, found, unset: None, value_in: None, look: None, can_be_asked: true }
    }
}
