//! What the tests compare with the engines: every statement and every column.

use super::columns::Column;
use super::db;
use super::{
    clocks, cohorts, configurations, deliveries, events, experiments, fold, gates, jobs, kept, learning_search,
    learnings, leases, measurements, members, nonces, outbox, outcomes, secrets, snapshots, source_states, workspaces,
};
use crate::address::Engine;

/// Every statement of ours with the engines it is for, so that a test can prepare each on a real server.
#[must_use]
pub fn all_statements() -> Vec<(&'static str, &'static [Engine])> {
    let both: &[&[&'static str]] = &[
        clocks::ALL,
        cohorts::ALL,
        configurations::ALL,
        db::ALL,
        deliveries::ALL,
        events::ALL,
        experiments::ALL,
        fold::ALL,
        gates::ALL,
        learnings::ALL,
        jobs::ALL,
        kept::ALL,
        leases::ALL,
        source_states::ALL,
        measurements::ALL,
        members::ALL,
        nonces::ALL,
        outbox::ALL,
        outcomes::ALL,
        secrets::ALL,
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
        .chain(fold::statements(Engine::Sqlite).iter().map(|sql| (sql.as_str(), &[Engine::Sqlite][..])))
        .chain(fold::statements(Engine::Postgres).iter().map(|sql| (sql.as_str(), &[Engine::Postgres][..])))
        .chain(learning_search::index::ALL.map(|sql| (sql, &[Engine::Sqlite][..])))
        .collect()
}

/// Every column of every table of ours. SQLite's full-text index and the table of migrations are not among them: the first
/// repeats `learning`, the second belongs to the migrations.
#[must_use]
pub fn declared_columns() -> Vec<Column> {
    [
        workspaces::Workspace::DECLARED,
        events::EventRow::DECLARED,
        members::Member::DECLARED,
        members::OpeningRow::DECLARED,
        members::KeyRow::DECLARED,
        members::AgentToken::DECLARED,
        members::Session::DECLARED,
        outcomes::OutcomeRow::DECLARED,
        experiments::ExperimentRow::DECLARED,
        experiments::AllocationPhase::DECLARED,
        gates::GateRow::DECLARED,
        gates::DecisionRow::DECLARED,
        cohorts::CohortRow::DECLARED,
        measurements::MeasurementRow::DECLARED,
        measurements::SignalHealth::DECLARED,
        learnings::LearningRow::DECLARED,
        leases::LeaseRow::DECLARED,
        jobs::QueuedJob::DECLARED,
        jobs::WorkerRow::DECLARED,
        kept::RawAnswerRow::DECLARED,
        kept::RetentionRow::DECLARED,
        source_states::SourceState::DECLARED,
        source_states::AccountRow::DECLARED,
        source_states::TurnRow::DECLARED,
        outbox::OutboxRow::DECLARED,
        deliveries::DeliveryRow::DECLARED,
        nonces::NonceRow::DECLARED,
        clocks::MachineClock::DECLARED,
        configurations::ConfigurationRow::DECLARED,
        secrets::StoredSecret::DECLARED,
    ]
    .concat()
}
