//! What the log holds of each row: at commit, the columns that count are read back and their digests go into a line of their own, so
//! that `audit verify` finds a row that was changed, inserted, removed or brought back from before.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::columns::{Class, Column, ROWS};
use super::db::{Conn, Tx, on_db};
use super::error::db_error;
use super::statement::statements;
use super::touched::{RowKey, Touched};
use super::{cohorts, experiments, gates, learnings, measurements, members, outbox, outcomes, secrets, workspaces};
use crate::address::Engine;
use crate::audit::{EventKind, FoldedRow, FoldedTable, NewEvent, RowsStored};
use crate::digest::sha256_hex;
use crate::error::{Code, Error, Result};
use crate::principal::Principal;

statements! {
    ROWS_OF_TABLE = "
        SELECT seq FROM event
        WHERE workspace_id = $1 AND subject_id = $1 AND kind = 'workspace.rows' AND payload LIKE $2 LIMIT 1";
    ROWS_BEGIN = "
        SELECT MAX(seq) FROM event
        WHERE workspace_id = $1 AND subject_id = $1 AND kind = 'workspace.rows' AND payload LIKE '{\"is_beginning\":true,%'";
}

/// How the rows of a table are read.
impl FoldedTable {
    /// The columns that name a row, beside the workspace's.
    fn key(self) -> &'static [&'static str] {
        match self {
            Self::AllocationPhase => &["experiment_id", "phase"],
            Self::Decision => &["signature"],
            Self::Secret => &["name"],
            Self::Cohort
            | Self::Experiment
            | Self::Gate
            | Self::Learning
            | Self::Measurement
            | Self::Member
            | Self::MemberKey
            | Self::Outbox
            | Self::Outcome
            | Self::Workspace => &["id"],
        }
    }

    fn declared(self) -> &'static [Column] {
        match self {
            Self::AllocationPhase => experiments::AllocationPhase::DECLARED,
            Self::Cohort => cohorts::CohortRow::DECLARED,
            Self::Decision => gates::DecisionRow::DECLARED,
            Self::Experiment => experiments::ExperimentRow::DECLARED,
            Self::Gate => gates::GateRow::DECLARED,
            Self::Learning => learnings::LearningRow::DECLARED,
            Self::Measurement => measurements::MeasurementRow::DECLARED,
            Self::Member => members::Member::DECLARED,
            Self::MemberKey => members::KeyRow::DECLARED,
            Self::Outbox => outbox::OutboxRow::DECLARED,
            Self::Outcome => outcomes::OutcomeRow::DECLARED,
            Self::Secret => secrets::StoredSecret::DECLARED,
            Self::Workspace => workspaces::Workspace::DECLARED,
        }
    }

    /// The columns that count. The head of the log is no part of what the log holds.
    fn columns(self) -> impl Iterator<Item = &'static str> {
        let counts = |column: &&Column| {
            column.class == Class::Folded && column.only.is_none() && !matches!(column.name, "log_seq" | "log_head")
        };
        self.declared().iter().filter(counts).map(|column| column.name)
    }

    /// The column that says whose row it is.
    fn owner(self) -> &'static str {
        if self == Self::Workspace { "id" } else { "workspace_id" }
    }

    /// Which rows the log holds, where it does not hold all of them.
    fn only(self) -> &'static str {
        if self == Self::Measurement { " AND experiment_id IS NULL" } else { "" }
    }

    /// A row as its key and its content, both as text.
    fn select(self, engine: Engine) -> String {
        let text = |name: &str| match engine {
            Engine::Sqlite => format!("quote({name})"),
            Engine::Postgres => format!("{name}::text"),
        };
        let key = |name: &&str| match engine {
            Engine::Sqlite => {
                format!("CASE typeof({name}) WHEN 'blob' THEN lower(hex({name})) ELSE CAST({name} AS TEXT) END")
            }
            Engine::Postgres => format!("replace({name}::text, '-', '')"),
        };
        let keys: Vec<String> = self.key().iter().map(key).collect();
        let columns: Vec<String> = self.columns().map(text).collect();
        let array = if engine == Engine::Sqlite { "json_array" } else { "jsonb_build_array" };
        format!(
            "SELECT {} AS k, CAST({array}({}) AS TEXT) AS content FROM {} WHERE {} = $1{}",
            keys.join(" || '/' || "),
            columns.join(", "),
            self.as_str(),
            self.owner(),
            self.only()
        )
    }

    /// [`ROWS`] rows by their ids.
    fn select_rows(self, engine: Engine) -> String {
        let ids: Vec<String> = (2..ROWS + 2).map(|number| format!("${number}")).collect();
        format!("{} AND id IN ({})", self.select(engine), ids.join(", "))
    }

    fn select_one(self, engine: Engine) -> String {
        let more = self.key().iter().enumerate().map(|(at, name)| format!(" AND {name} = ${}", at + 2));
        format!("{}{}", self.select(engine), more.collect::<String>())
    }
}

/// The statements of all tables, for a test that prepares them.
pub(super) fn statements(engine: Engine) -> &'static [String] {
    static SQLITE: LazyLock<Vec<String>> = LazyLock::new(|| all(Engine::Sqlite));
    static POSTGRES: LazyLock<Vec<String>> = LazyLock::new(|| all(Engine::Postgres));
    fn all(engine: Engine) -> Vec<String> {
        let by_id = FoldedTable::ALL.iter().filter(|table| table.key() == ["id"]);
        let rows = by_id.map(|table| table.select_rows(engine));
        FoldedTable::ALL.iter().flat_map(|table| [table.select(engine), table.select_one(engine)]).chain(rows).collect()
    }
    match engine {
        Engine::Sqlite => &SQLITE,
        Engine::Postgres => &POSTGRES,
    }
}

/// Rows of one line.
const PER_LINE: usize = 500;

impl Tx {
    /// Remembers what a row is before it is written for the first time in this transaction.
    pub(super) async fn touch(&mut self, table: FoldedTable, key: RowKey) -> Result<()> {
        if !self.touched.contains_key(&(table, key.clone())) {
            let before = self.content_of(table, &key).await?.map(|content| sha256_hex(&content));
            self.touched.insert((table, key), before);
        }
        Ok(())
    }

    /// The same of many rows with an id.
    pub(super) async fn touch_all(&mut self, table: FoldedTable, ids: &[Uuid]) -> Result<()> {
        let new = ids.iter().map(|id| (table, RowKey::Id(*id))).filter(|key| !self.touched.contains_key(key));
        let new: Touched = new.map(|key| (key, None)).collect();
        let many = self.contents_of_many(&new).await?;
        for (table, key) in new.into_keys() {
            match many.get(&(table, key.to_string())) {
                Some(content) => {
                    self.touched.insert((table, key), Some(sha256_hex(content)));
                }
                None => self.touch(table, key).await?,
            }
        }
        Ok(())
    }

    /// Writes down what the rows that were written hold now.
    pub(super) async fn fold_touched(&mut self) -> Result<()> {
        let touched = std::mem::take(&mut self.touched);
        let many = self.contents_of_many(&touched).await?;
        let mut rows = Vec::with_capacity(touched.len());
        for ((table, key), before) in touched {
            let name = key.to_string();
            let after = match many.get(&(table, name.clone())) {
                Some(content) => Some(content.clone()),
                None => self.content_of(table, &key).await?,
            };
            let after = after.map(|content| sha256_hex(&content));
            // A row that was written as it was is no news, and a line about it could be said again unseen.
            if before != after {
                rows.push((table, name, before, after));
            }
        }
        self.note_rows(rows, false).await
    }

    /// The contents of rows with an id, where a table has many of them: [`ROWS`] in one question.
    async fn contents_of_many(&mut self, touched: &Touched) -> Result<BTreeMap<(FoldedTable, String), String>> {
        let mut by_table: BTreeMap<FoldedTable, Vec<Uuid>> = BTreeMap::new();
        for (table, key) in touched.keys() {
            if let RowKey::Id(id) = key {
                by_table.entry(*table).or_default().push(*id);
            }
        }
        let mut found = BTreeMap::new();
        let workspace = self.workspace;
        for (table, ids) in by_table {
            for ids in ids.as_chunks::<ROWS>().0 {
                let (sqlite, postgres) = (table.select_rows(Engine::Sqlite), table.select_rows(Engine::Postgres));
                let rows: Vec<(String, String)> = match &mut self.conn {
                    Conn::Sqlite(c) => {
                        let query = sqlx::query_as(AssertSqlSafe(sqlite)).bind(workspace);
                        ids.iter().fold(query, |query, id| query.bind(*id)).fetch_all(&mut **c).await
                    }
                    Conn::Postgres(c) => {
                        let query = sqlx::query_as(AssertSqlSafe(postgres)).bind(workspace);
                        ids.iter().fold(query, |query, id| query.bind(*id)).fetch_all(&mut **c).await
                    }
                }
                .map_err(db_error)?;
                found.extend(rows.into_iter().map(|(key, content)| ((table, key), content)));
            }
        }
        Ok(found)
    }

    async fn note_rows(&mut self, rows: Vec<FoldedRow>, is_beginning: bool) -> Result<()> {
        for rows in rows.chunks(PER_LINE) {
            let payload = serde_json::to_value(RowsStored { rows: rows.to_vec(), is_beginning })
                .map_err(|e| Error::new(Code::Internal, "a line about rows cannot be written").because(e))?;
            let event = NewEvent {
                kind: EventKind::RowsStored,
                subject: self.workspace.into(),
                principal: Principal::system("store"),
                payload,
            };
            // By the clock of the step that the rows belong to.
            let at = self.event_last_at().await?.unwrap_or_default();
            self.event_append(event, at).await?;
        }
        Ok(())
    }

    /// Writes down every row as it is: the beginning, for a workspace whose log held none before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fold_everything(&mut self) -> Result<()> {
        self.touched.clear();
        self.fold_beginning(FoldedTable::ALL).await
    }

    /// Writes down every row of tables of which the log held none before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fold_beginning(&mut self, tables: &[FoldedTable]) -> Result<()> {
        let mut all = Vec::new();
        for table in tables {
            let rows = self.folded_rows(*table).await?;
            all.extend(rows.into_iter().map(|(key, digest)| (*table, key, None, Some(digest))));
        }
        self.note_rows(all, true).await
    }

    /// Whether a line of the log holds a row of a table.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holds_rows_of(&mut self, table: FoldedTable) -> Result<bool> {
        let named = format!("%[\"{table}\",%");
        let found: Option<i64> = on_db!(self, |c| sqlx::query_scalar(ROWS_OF_TABLE)
            .bind(self.workspace)
            .bind(named)
            .fetch_optional(c)
            .await)?;
        Ok(found.is_some())
    }

    /// The last line in which rows of before were taken into the log as they lay there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows_begin_at(&mut self) -> Result<Option<i64>> {
        on_db!(self, |c| sqlx::query_scalar(ROWS_BEGIN).bind(self.workspace).fetch_one(c).await)
    }

    /// Key and digest of every row of a table.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn folded_rows(&mut self, table: FoldedTable) -> Result<BTreeMap<String, String>> {
        let workspace = self.workspace;
        let rows: Vec<(String, String)> = match &mut self.conn {
            Conn::Sqlite(c) => {
                let sql = AssertSqlSafe(table.select(Engine::Sqlite));
                sqlx::query_as(sql).bind(workspace).fetch_all(&mut **c).await
            }
            Conn::Postgres(c) => {
                let sql = AssertSqlSafe(table.select(Engine::Postgres));
                sqlx::query_as(sql).bind(workspace).fetch_all(&mut **c).await
            }
        }
        .map_err(db_error)?;
        Ok(rows.into_iter().map(|(key, content)| (key, sha256_hex(&content))).collect())
    }

    async fn content_of(&mut self, table: FoldedTable, key: &RowKey) -> Result<Option<String>> {
        /// Binds a key's parts.
        macro_rules! found {
            ($c:expr, $engine:expr, $workspace:expr) => {{
                let query =
                    sqlx::query_as::<_, (String, String)>(AssertSqlSafe(table.select_one($engine))).bind($workspace);
                match key {
                    RowKey::Id(id) => query.bind(*id),
                    RowKey::Part(id, part) => query.bind(*id).bind(*part),
                    RowKey::Text(text) => query.bind(text.clone()),
                }
                .fetch_optional(&mut **$c)
                .await
            }};
        }
        let workspace = self.workspace;
        let row = match &mut self.conn {
            Conn::Sqlite(c) => found!(c, Engine::Sqlite, workspace),
            Conn::Postgres(c) => found!(c, Engine::Postgres, workspace),
        }
        .map_err(db_error)?;
        Ok(row.map(|(_, content)| content))
    }
}
