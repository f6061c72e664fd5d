//! From a driver's error to ours: locked, read-only, corrupt, full, newer and unreachable are told apart.

use std::fmt::Display;
use std::path::Path;

use crate::error::{Code, Error, Result};
use crate::file_trouble::{FileTrouble, Need};

/// The crate's error for a driver's error. Messages of the engine are kept as the cause; values never appear in ours.
pub(crate) fn db_error(error: sqlx::Error) -> Error {
    let (code, message, hint) = classify(&error);
    Error::new(code, message).hint(hint).because(error)
}

/// The same for a file that was to be opened: what is wrong with it, where the disk shows that.
pub(super) fn file_error(error: sqlx::Error, path: &Path) -> Error {
    let code = classify(&error).0;
    let is_of_the_file =
        matches!(code, Code::DatabaseUnavailable | Code::DatabaseReadOnly | Code::DatabaseFull | Code::Io);
    let out = match is_of_the_file.then(|| FileTrouble::of(path, Need::Write)).flatten() {
        Some(trouble) => {
            let code = match trouble {
                FileTrouble::ReadOnlyDisk(_) | FileTrouble::Unwritable(_) | FileTrouble::NoIndex { .. } => {
                    Code::DatabaseReadOnly
                }
                FileTrouble::Full(_) => Code::DatabaseFull,
                FileTrouble::FolderMissing(_)
                | FileTrouble::Missing(_)
                | FileTrouble::NotAFile(_)
                | FileTrouble::Unreadable(_) => Code::DatabaseUnavailable,
            };
            Error::new(code, format!("the database cannot be opened, since {trouble}"))
                .hint(format!("{}; nothing was changed", trouble.advice()))
                .because(error)
        }
        None => db_error(error),
    };
    out.with("path", path.display().to_string())
}

fn classify(error: &sqlx::Error) -> (Code, &'static str, &'static str) {
    const UNREACHABLE: (Code, &str, &str) = (
        Code::DatabaseUnavailable,
        "the database cannot be opened or reached",
        "check OUTCOME_RUNTIME_DATABASE_URL, --database or the path, and that the server is running; `outcome-runtime doctor` shows the effective setting",
    );
    match error {
        sqlx::Error::Database(db) => {
            let code = db.code().unwrap_or_default().into_owned();
            // SQLite's extended result codes keep the primary code in their low byte.
            let sqlite = code.parse::<u32>().ok().filter(|_| code.len() != 5).map(|code| code & 0xff);
            match (sqlite, code.as_str()) {
                (Some(5 | 6), _) | (_, "55P03" | "40P01" | "40001") => (
                    Code::DatabaseLocked,
                    "another program holds the database's write lock",
                    "nothing was changed; try again in a moment",
                ),
                (Some(8), _) | (_, "25006") => (
                    Code::DatabaseReadOnly,
                    "the database cannot be written",
                    "check the permissions of the file and of its folder",
                ),
                (Some(11 | 26), _) | (_, "XX001" | "XX002") => (
                    Code::DatabaseCorrupt,
                    "the database is damaged",
                    "stop all programs, keep a copy of the file, and restore a backup; nothing was changed",
                ),
                (Some(13), _) | (_, "53100") => (
                    Code::DatabaseFull,
                    "the disk or the database is full",
                    "free some space and try again; nothing was changed",
                ),
                (Some(10), _) | (_, "58030") => (
                    Code::Io,
                    "the database's file could not be read or written",
                    "the disk may be full, over its quota, or failing; nothing was changed",
                ),
                (_, "42501" | "3F000") => (
                    Code::DatabaseFailed,
                    "the database user lacks a right, or its schema is not there",
                    "nothing was changed; a superuser can run `CREATE SCHEMA outcome_runtime AUTHORIZATION <user of the address>`, or name another database",
                ),
                (_, "42P07" | "42710") => (
                    Code::DatabaseFailed,
                    "a table, view or index of another application has a name that this program needs",
                    "nothing was changed; give this program a schema of its own: `?schema=NAME` in its address",
                ),
                (Some(14), _) | (_, "3D000" | "28P01" | "28000" | "57P03" | "53300") => UNREACHABLE,
                _ if db.is_unique_violation() => {
                    (Code::Conflict, "the same entry already exists", "nothing was changed; look at the existing entry")
                }
                _ => {
                    (Code::DatabaseFailed, "the database refused a statement", "nothing was changed; this may be a bug")
                }
            }
        }
        // Half an answer to a greeting is what is left of a connection that was cut.
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::Configuration(_) => UNREACHABLE,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => (
            Code::DatabaseCorrupt,
            "a stored value cannot be read",
            "another program wrote to the database, or it was created by another version; run `outcome-runtime audit verify`",
        ),
        _ => (Code::DatabaseFailed, "the database refused a statement", "nothing was changed; this may be a bug"),
    }
}

/// What a write that has to change exactly one row must have done. The error makes the use case drop its transaction, so
/// that nothing is kept of a step whose state was not stored.
///
/// Writes that may change no row do not come here; each says why.
pub(super) fn must_hit(n_rows: u64, table: &'static str, id: impl Display) -> Result<()> {
    must_hit_all(n_rows, 1, table, || id.to_string())
}

/// The same for `n_wanted` rows, of which `ids` tells.
pub(super) fn must_hit_all(n_rows: u64, n_wanted: usize, table: &'static str, ids: impl Fn() -> String) -> Result<()> {
    if usize::try_from(n_rows).is_ok_and(|n_rows| n_rows == n_wanted) {
        return Ok(());
    }
    let ids: String = ids().chars().take(200).collect();
    let message = match n_wanted {
        1 => format!("the database does not hold the {table} `{ids}` that was to be changed"),
        _ => format!("the database holds {n_rows} of {n_wanted} rows of `{table}` that were to be changed"),
    };
    Err(Error::new(Code::RowMissing, message)
        .hint("nothing was written; another program removed a row: run `outcome-runtime audit verify`")
        .with("table", table)
        .with("id", ids))
}
