//! Which environment variable holds the address of the application's database: by the names that are usual, and by those that the
//! repository's own files mention. **Invariant**: a value is never shown, stored or written; one of `.env` is taken for a single look, and
//! only where it leads to a server on this machine: the file may be anybody's, and a password of the account's must not go to their host.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::repository::read_text;
use crate::settings::Env;

/// Files in which an application names its variables.
const FILES: [&str; 23] = [
    ".env",
    ".env.local",
    ".env.development",
    ".env.development.local",
    ".env.example",
    ".env.sample",
    ".env.template",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yml",
    "compose.yaml",
    "config/database.yml",
    "prisma/schema.prisma",
    "schema.prisma",
    "settings.py",
    "config/settings.py",
    "config/settings/base.py",
    "drizzle.config.ts",
    "knexfile.js",
    "config/runtime.exs",
    "config/config.exs",
    "app.json",
    "fly.toml",
];

/// Those of them whose values may be looked at.
const WITH_VALUES: [&str; 4] = [".env.development.local", ".env.local", ".env.development", ".env"];

/// Names that are looked for in the environment although no file mentions them.
const USUAL: [&str; 6] = ["APP_DATABASE_URL", "DATABASE_URL", "POSTGRES_URL", "POSTGRESQL_URL", "MYSQL_URL", "DB_URL"];

/// How such names end.
const ENDINGS: [&str; 12] = [
    "DATABASE_URL",
    "DB_URL",
    "POSTGRES_URL",
    "POSTGRESQL_URL",
    "PG_URL",
    "MYSQL_URL",
    "MARIADB_URL",
    "DATABASE_URI",
    "DB_URI",
    "DATABASE_DSN",
    "DATABASE_URL_READONLY",
    "DATABASE_REPLICA_URL",
];

/// Parts of names of something else.
const OTHERS: [&str; 9] = ["TEST", "SHADOW", "REDIS", "MONGO", "CACHE", "QUEUE", "OUTCOME_RUNTIME", "DIRECT", "CABLE"];

/// A variable that holds the address of a database.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The file that names it; `None` where only the environment does.
    pub(super) file: Option<&'static str>,
    pub(super) value: Value,
}

/// What is known of its value.
#[derive(Debug)]
pub(super) enum Value {
    /// It is set in the environment.
    Set,
    /// It is set in the environment, to something that no source reads.
    SetToOther,
    /// A file has one that may be looked at: it leads to a server on this machine.
    InFile { file: &'static str, value: SecretString },
    /// A file has one that may not.
    NotLookedAt { file: &'static str },
    /// It is nowhere.
    Missing,
}

/// The variable to read from, where there is one.
pub(super) fn variable(root: &Path, env: Env<'_>) -> Option<Variable> {
    let texts: Vec<(&'static str, String)> =
        FILES.iter().filter_map(|file| Some((*file, read_text(root, file)?))).collect();
    let mut found: Vec<Variable> = Vec::new();
    let in_files = texts.iter().flat_map(|(file, text)| names_in(text).map(move |name| (name, Some(*file))));
    let usual = USUAL.iter().filter(|name| env(name).is_some()).map(|name| (*name, None));
    for (name, file) in in_files.chain(usual) {
        if !found.iter().any(|known| known.name == name) {
            let value = value_of(name, &texts, env);
            found.push(Variable { name: name.to_owned(), file, value });
        }
    }
    // What can be asked goes first; a user who can only read before one who can do more.
    found.into_iter().min_by_key(|variable| {
        let rank = match variable.value {
            Value::Set => 0,
            Value::InFile { .. } => 1,
            Value::NotLookedAt { .. } => 2,
            Value::Missing => 3,
            Value::SetToOther => 4,
        };
        let is_usual = variable.name != "APP_DATABASE_URL";
        let is_for_reading = ["READ", "REPLICA"].iter().any(|part| variable.name.contains(part));
        (rank, is_usual, !is_for_reading, variable.name != "DATABASE_URL")
    })
}

/// Names of variables with addresses of databases.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| is_name(word))
}

fn is_name(word: &str) -> bool {
    word.len() <= 60
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        && ENDINGS.iter().any(|ending| word.ends_with(ending))
        && !OTHERS.iter().any(|other| word.contains(other))
}

fn value_of(name: &str, texts: &[(&'static str, String)], env: Env<'_>) -> Value {
    if let Some(value) = env(name) {
        return if is_address(&value) { Value::Set } else { Value::SetToOther };
    }
    for file in WITH_VALUES {
        let Some((_, text)) = texts.iter().find(|(known, _)| *known == file) else { continue };
        let Some(value) = assigned(text, name) else { continue };
        if leads_here(value.expose_secret()) {
            return Value::InFile { file, value };
        }
        return Value::NotLookedAt { file };
    }
    Value::Missing
}

/// The value of `NAME=value`, as the files of dotenv have it, without what stands for something else.
fn assigned(text: &str, name: &str) -> Option<SecretString> {
    let line = text.lines().find_map(|line| {
        let line = line.trim();
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })?;
    let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
    let value = match quote {
        Some(quote) => line.get(1..)?.split(quote).next()?,
        None => line.split(" #").next()?.trim(),
    };
    (!value.is_empty() && !value.contains('$')).then(|| SecretString::from(value))
}

/// Whether a source can read it.
pub(super) fn is_address(value: &str) -> bool {
    ["postgres://", "postgresql://", "mysql://", "mariadb://", "sqlite:"].iter().any(|scheme| value.starts_with(scheme))
}

/// Whether it is a server on this machine and nothing in it leads elsewhere.
fn leads_here(value: &str) -> bool {
    let is_server = is_address(value) && !value.starts_with("sqlite:");
    let Some(url) = url::Url::parse(value).ok().filter(|_| is_server) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let harmless = ["schema", "connection_limit", "pool_timeout", "connect_timeout", "charset", "encoding"];
    is_here && url.query_pairs().all(|(key, _)| harmless.contains(&key.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], env: &[(&str, &str)]) -> Option<Variable> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        variable(root.path(), &env)
    }

    #[test]
    fn the_variable_is_found_in_the_environment_and_in_usual_files() {
        let url = "postgres://app:hunter2@db.example.com/shop";
        for (files, env, expected) in [
            (&[][..], &[("DATABASE_URL", url)][..], Some("DATABASE_URL")),
            (&[], &[("DATABASE_URL", url), ("APP_DATABASE_URL", url)], Some("APP_DATABASE_URL")),
            (&[(".env.example", "REDIS_URL=\nDATABASE_URL=\n")], &[], Some("DATABASE_URL")),
            (&[("prisma/schema.prisma", "url = env(\"MAIN_DB_URL\")")], &[], Some("MAIN_DB_URL")),
            (&[("config/database.yml", "url: <%= ENV['SHOP_DATABASE_URL'] %>")], &[], Some("SHOP_DATABASE_URL")),
            (&[(".env", "TEST_DATABASE_URL=x\nSHADOW_DATABASE_URL=x\n")], &[], None),
            (&[(".env", "DATABASE_URL=x\nDATABASE_URL_READONLY=x\n")], &[], Some("DATABASE_URL_READONLY")),
            (&[(".env", "OUTCOME_RUNTIME_DATABASE_URL=x")], &[], None),
            (&[], &[], None),
        ] {
            let found = found(files, env);
            assert_eq!(found.as_ref().map(|found| found.name.as_str()), expected, "{files:?}");
            assert!(!format!("{found:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_value_of_a_file_is_looked_at_only_where_it_leads_to_this_machine() {
        for (value, is_read) in [
            ("postgres://app:pw@localhost:5432/shop", true),
            ("\"postgres://app:pw@127.0.0.1/shop?schema=public\"", true),
            ("postgres://app:pw@db.example.com/shop", false),
            ("postgres://localhost/shop?host=db.example.com", false),
            ("postgres://localhost/shop?sslkey=/home/me/key", false),
            ("sqlite:/home/me/.mozilla/cookies.sqlite", false),
            ("postgres://${HOST}/shop", false),
        ] {
            let found = found(&[(".env", &format!("export DATABASE_URL={value}\n"))], &[]).unwrap();
            assert_eq!(matches!(found.value, Value::InFile { .. }), is_read, "{value}");
        }
    }
}
