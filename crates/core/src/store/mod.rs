//! Storage on two engines: SQLite (embedded) and PostgreSQL (teams), one SQL text for both wherever the dialects allow.
//!
//! A use case opens [`Db::write`] once and commits it; reads use [`Db::read`]. Every row is scoped by its workspace: a
//! [`Tx`] belongs to one and adds it to each statement. Nothing outside of this module writes SQL for our own tables.

mod codec;
mod db;
mod error;
mod events;
mod experiments;
mod gates;
mod learning_search;
mod learnings;
mod leases;
mod measurements;
mod members;
mod migrate;
mod nonces;
mod outbox;
mod outcomes;
mod snapshots;
mod workspaces;

pub use codec::Instant;
pub use db::{Db, Engine, Tx};
pub use experiments::{AllocationPhase, ExperimentGlance};
pub use gates::GateGlance;
pub use learning_search::LearningQuery;
pub use learnings::StoredLearning;
pub use measurements::{SignalHealth, StoredReading};
pub use members::{AgentToken, Member, MemberKey, Session};
pub use outbox::Message;
pub use snapshots::{Measured, Origin, Snapshot};
pub use workspaces::Workspace;

pub(crate) use error::db_error;

/// Every statement of ours with the engines it is for, so that a test can prepare each on a real server.
#[must_use]
pub fn all_statements() -> Vec<(&'static str, &'static [Engine])> {
    let both: &[&[&'static str]] = &[
        db::ALL,
        events::ALL,
        experiments::ALL,
        gates::ALL,
        learnings::ALL,
        leases::ALL,
        measurements::ALL,
        members::ALL,
        nonces::ALL,
        outbox::ALL,
        outcomes::ALL,
        snapshots::ALL,
        workspaces::ALL,
    ];
    both.iter()
        .flat_map(|list| list.iter().map(|sql| (*sql, &[Engine::Sqlite, Engine::Postgres][..])))
        .chain(
            [&learning_search::SEARCH, &snapshots::READINGS, &snapshots::REMEMBER]
                .into_iter()
                .flat_map(|sql| [(sql.sqlite, &[Engine::Sqlite][..]), (sql.postgres, &[Engine::Postgres][..])]),
        )
        .chain(learning_search::index::ALL.map(|sql| (sql, &[Engine::Sqlite][..])))
        .collect()
}

/// A statement whose two dialects have nothing in common.
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// Defines statement constants and the list of them that the prepare test reads.
macro_rules! statements {
    ($($name:ident = $sql:expr;)+) => {
        $(const $name: &str = $sql;)+
        pub(super) const ALL: &[&str] = &[$($name),+];
    };
}
use statements;

/// Runs the same body on the concrete connection of either engine.
macro_rules! on_db {
    ($tx:expr, |$c:ident| $body:expr) => {
        match &mut $tx.conn {
            $crate::store::db::Conn::Sqlite(tx) => {
                let $c = &mut **tx;
                $body.map_err($crate::store::db_error)
            }
            $crate::store::db::Conn::Postgres(tx) => {
                let $c = &mut **tx;
                $body.map_err($crate::store::db_error)
            }
        }
    };
}
use on_db;
