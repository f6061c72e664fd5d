//! The address of the runtime's own database: read once, for every place that needs it.
//!
//! **Invariant**: what is shown of an address never has its password.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::error::{Code, Error, Result};

/// Where the runtime's tables are on PostgreSQL, unless the address says otherwise.
pub const SCHEMA: &str = "outcome_runtime";

/// Parameters of a PostgreSQL address that the driver knows.
const OF_DRIVER: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded, one file.
    Sqlite,
    /// A server.
    Postgres,
}

/// The address of the runtime's own database.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Location);

/// What an address comes to.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// An embedded database.
    File(PathBuf),
    /// A server's.
    Server {
        /// As its driver takes it, with its password.
        url: Url,
        /// Holds the runtime's tables.
        schema: String,
    },
}

impl Address {
    /// The database in the SQLite file at `path`.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self(Location::File(path))
    }

    /// Reads `sqlite:PATH` or `postgres://USER@HOST/NAME`.
    ///
    /// # Errors
    /// [`Code::DatabaseUnavailable`] for an address that is none of them, or that asks for what is not done.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let scheme = text.split_once(':').map_or(text, |(scheme, _)| scheme).to_ascii_lowercase();
        match scheme.as_str() {
            "sqlite" => sqlite(text.get("sqlite:".len()..).unwrap_or("")).map(|path| Self(Location::File(path))),
            "postgres" | "postgresql" => server(text).map(Self),
            _ => {
                let scheme: String = scheme.chars().filter(|c| !c.is_control()).take(20).collect();
                Err(refused(format!("`{scheme}:` is not a supported database")))
            }
        }
    }

    /// Which engine it names.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.0 {
            Location::File(_) => Engine::Sqlite,
            Location::Server { .. } => Engine::Postgres,
        }
    }

    /// The file of an embedded database.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Location::File(path) => Some(path),
            Location::Server { .. } => None,
        }
    }

    /// What is opened: a file, or a server with its password.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.0
    }
}

/// Without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Location::File(path) => write!(f, "sqlite:{}", path.display()),
            Location::Server { url, schema } => {
                let mut shown = url.clone();
                if shown.password().is_some() {
                    let _ = shown.set_password(Some("***"));
                }
                let pairs: Vec<(String, String)> = shown
                    .query_pairs()
                    .map(|(name, value)| {
                        let value = if name == "password" { "***".into() } else { value };
                        (name.into_owned(), value.into_owned())
                    })
                    .collect();
                shown.set_query(None);
                if !pairs.is_empty() || schema != SCHEMA {
                    let mut query = shown.query_pairs_mut();
                    query.extend_pairs(pairs);
                    if schema != SCHEMA {
                        query.append_pair("schema", schema);
                    }
                }
                f.write_str(shown.as_str())
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// The path behind `sqlite:`. Two slashes are no part of it; what has more of them is absolute.
fn sqlite(rest: &str) -> Result<PathBuf> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter {
            "mode=rwc" | "mode=rw" => {}
            "mode=memory" => return Err(in_memory()),
            "mode=ro" => return Err(refused("the runtime writes to its own database: `mode=ro` cannot be".to_owned())),
            other => {
                let name = other.split('=').next().unwrap_or_default();
                return Err(refused(format!("`{name}` is no parameter of the address of a SQLite file")));
            }
        }
    }
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.contains(":memory:") {
        return Err(in_memory());
    }
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|error| refused("the path of the SQLite file is not text".to_owned()).because(error))?;
    match path.strip_prefix('/') {
        _ if path.trim().is_empty() => Err(refused("the address names no file".to_owned())),
        Some(rest) => Ok(Path::new("/").join(rest.trim_start_matches('/'))),
        None => Ok(PathBuf::from(path.as_ref())),
    }
}

fn in_memory() -> Error {
    refused("a database in memory forgets decisions: it is refused".to_owned())
}

fn server(text: &str) -> Result<Location> {
    let mut url = Url::parse(text)
        .map_err(|error| refused("the address of the database cannot be read".to_owned()).because(error))?;
    let mut schema = SCHEMA.to_owned();
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in url.query_pairs() {
        match (name.as_ref(), value.as_ref()) {
            ("schema", value) => schema = schema_named(value)?,
            ("ssl", "true" | "1" | "require") => kept.push(("sslmode".to_owned(), "require".to_owned())),
            ("ssl", "false" | "0") => kept.push(("sslmode".to_owned(), "disable".to_owned())),
            // The driver binds no channel; who only prefers it loses nothing that he asked for.
            ("channel_binding", "prefer" | "disable") => {}
            ("channel_binding", _) => {
                return Err(refused("`channel_binding=require` is not supported".to_owned()).hint(
                    "leave it out, and use `sslmode=verify-full` with `sslrootcert`, which proves who the server is",
                ));
            }
            (known, value) if OF_DRIVER.contains(&known) => kept.push((known.to_owned(), value.to_owned())),
            (other, _) => {
                let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(refused(format!("`{other}` is no parameter of the address that this program knows"))
                    .hint(format!("known are: schema, ssl, channel_binding, {}", OF_DRIVER.join(", "))));
            }
        }
    }
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(Location::Server { url, schema })
}

/// A schema's name goes into statements, so it is a plain one.
fn schema_named(name: &str) -> Result<String> {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.len() <= 63
        && !name.starts_with("pg_");
    if is_plain {
        return Ok(name.to_owned());
    }
    Err(refused("the `schema` of the address is not a plain name".to_owned())
        .hint("lower-case letters, digits and `_`, not beginning with a digit or `pg_`"))
}

fn refused(message: String) -> Error {
    Error::new(Code::DatabaseUnavailable, message)
        .hint("write sqlite:PATH or postgres://USER@HOST/NAME, with --database or in OUTCOME_RUNTIME_DATABASE_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathBuf {
        Address::parse(text).unwrap().path().unwrap().to_path_buf()
    }

    #[test]
    fn slashes_and_parameters_mean_what_they_mean_elsewhere() {
        for (text, want) in [
            ("sqlite:app.db", "app.db"),
            ("sqlite://app.db", "app.db"),
            ("sqlite:/tmp/app.db", "/tmp/app.db"),
            ("sqlite:///tmp/app.db", "/tmp/app.db"),
            ("sqlite:////tmp/app.db", "/tmp/app.db"),
            ("SQLITE:app.db?mode=rwc", "app.db"),
            ("sqlite:a%20b.db", "a b.db"),
        ] {
            assert_eq!(path(text), Path::new(want), "{text}");
        }
        for text in [
            "sqlite:",
            "sqlite::memory:",
            "sqlite:app.db?mode=memory",
            "sqlite:app.db?mode=ro",
            "sqlite:app.db?cache=shared",
            "mysql://app@127.0.0.1/x",
            "app.db",
            "",
        ] {
            assert_eq!(Address::parse(text).unwrap_err().code(), Code::DatabaseUnavailable, "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown_wherever_it_stands() {
        for text in [
            "postgres://app:S3cr3t@db.example.com/x",
            "postgres://db.example.com/x?user=app&password=S3cr3t",
            "postgres://app:S3cr3t@db.example.com/x?password=S3cr3t&schema=ours",
        ] {
            let address = Address::parse(text);
            let shown = match &address {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error:?}"),
            };
            assert!(!shown.contains("S3cr3t"), "{shown}");
            assert!(address.is_err() || shown.contains("***"), "{shown}");
        }
    }

    #[test]
    fn parameters_are_honoured_or_refused() {
        let schema = |text: &str| match Address::parse(text).unwrap().location() {
            Location::Server { schema, .. } => schema.clone(),
            Location::File(_) => panic!("{text} is no server"),
        };
        assert_eq!(schema("postgres://db.example.com/x?ssl=true&channel_binding=prefer"), SCHEMA);
        assert_eq!(schema("postgresql://db.example.com/x?schema=team_a&sslmode=require"), "team_a");
        let address = Address::parse("postgres://db.example.com/x?schema=team_a&ssl=true").unwrap();
        assert_eq!(address.to_string(), "postgres://db.example.com/x?sslmode=require&schema=team_a");
        assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
        for text in [
            "postgres://db.example.com/x?schema=public;drop",
            "postgres://db.example.com/x?schema=pg_catalog",
            "postgres://db.example.com/x?channel_binding=require",
            "postgres://db.example.com/x?pgbouncer=true",
        ] {
            assert_eq!(Address::parse(text).unwrap_err().code(), Code::DatabaseUnavailable, "{text}");
        }
    }
}
