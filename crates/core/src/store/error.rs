//! From a driver's error to ours: locked, read-only, corrupt, full, newer and unreachable are told apart.

use sqlx::migrate::MigrateError;

use crate::error::{Code, Error};

/// The crate's error for a driver's error. Messages of the engine are kept as the cause; values never appear in ours.
pub(crate) fn db_error(error: sqlx::Error) -> Error {
    let (code, message, hint) = classify(&error);
    Error::new(code, message).hint(hint).because(error)
}

fn classify(error: &sqlx::Error) -> (Code, &'static str, &'static str) {
    const UNREACHABLE: (Code, &str, &str) = (
        Code::DatabaseUnavailable,
        "the database cannot be opened or reached",
        "check DATABASE_URL or the path, and that the server is running; `outcome-runtime doctor` shows the effective setting",
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

/// The crate's error for a failed migration.
pub(super) fn migrate_error(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => Error::new(
            Code::DatabaseNewer,
            format!("the database has schema {version}, which this version of the program does not support"),
        )
        .hint("use a newer version of the program; nothing was changed"),
        MigrateError::VersionMismatch(version) => Error::new(
            Code::DatabaseCorrupt,
            format!("schema step {version} of the database differs from this program's"),
        )
        .hint("the database was created by an unreleased or modified version"),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => db_error(error),
        other => Error::new(Code::DatabaseFailed, "the database's schema could not be updated").because(other),
    }
}
