//! What somebody who can write the database does to rows of ours.

use anyhow::{Context as _, Result};
use outcome_core::audit::{LogEntry, NewEvent};
use outcome_core::digest::sha256_hex;
use outcome_core::principal::Principal;
use outcome_core::store::{Class, declared_columns};
use outcome_tests::forger::{chained_again, following, writer_in};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::shop::Shop;
use super::step::POWERFUL;
use crate::tamper::insert_of;

/// Every table, and whether a written row of it must be found. Of the others `unseen` says why not.
pub(super) const TABLES: [(&str, bool); 29] = [
    ("workspace", true),
    ("member", true),
    ("member_opening", true),
    ("member_key", true),
    ("outcome", true),
    ("experiment", true),
    ("gate", true),
    ("decision", true),
    ("allocation_phase", true),
    ("learning", true),
    ("outbox", true),
    ("event", true),
    ("measurement", true),
    ("cohort", true),
    ("configuration", true),
    ("delivery", false),
    ("signal_health", false),
    ("session", false),
    ("agent_token", false),
    ("lease", false),
    ("job", false),
    ("worker", false),
    ("source_state", false),
    ("account", false),
    ("account_turn", false),
    ("raw_answer", false),
    ("retention", false),
    ("nonce", false),
    ("machine_clock", false),
];

/// Values that a column can take instead of its own; which one fits its type, the engine says.
pub(super) const OTHERS: [&str; 14] = [
    "NOT {c}",
    "{c} + 1",
    "{c} + interval '40 days'",
    "'{\"forged\": true}'",
    "'7d444840-9dc0-11d1-b245-5ffdce74fad2'",
    "x'7d4448409dc011d1b2455ffdce74fad2'",
    "'2020-01-01T00:00:00.000000Z'",
    "'running'",
    "'approved'",
    "NULL",
    "'forged'",
    "replace({c}, 'pending', 'approved')",
    "replace({c}, 'paused', 'running')",
    "replace({c}, '50', '100')",
];

/// A row of ours, written past the runtime.
#[derive(Debug, Clone)]
pub(super) enum Row {
    /// Another value in a column.
    Written {
        table: &'static str,
        column: &'static str,
        other: usize,
        row: u32,
    },
    /// A row that is gone, or all of them.
    Removed {
        table: &'static str,
        row: Option<u32>,
    },
    /// A row of another table's kind copied, with these values instead.
    Copied {
        table: &'static str,
        row: u32,
        other: u32,
    },
    /// The newest lines of the log are gone, and the head is the one before.
    Cut {
        lines: u32,
    },
    /// A line says something else, and every hash after it fits.
    Rehashed {
        line: u32,
    },
    /// A line, counted from the end, once more, with hashes that fit.
    Again {
        line: u32,
    },
    /// All rows of a table as they were when they were kept.
    Kept {
        table: &'static str,
    },
    Older {
        table: &'static str,
    },
    /// An edit of the file from the list, said to be applied for this reason, in a line whose hashes fit.
    Applied {
        powerful: usize,
        because: &'static str,
    },
    /// A statement as it stands here, on SQLite.
    Said(&'static str),
}

pub(super) fn any(rng: &mut StdRng) -> Row {
    let table = TABLES.choose(rng).map_or("event", |(table, _)| *table);
    match rng.random_range(0..15) {
        0..=5 => {
            let known = declared_columns();
            let columns: Vec<_> = known.iter().filter(|column| column.table == table).collect();
            let column = columns.choose(rng).map_or("id", |column| column.name);
            Row::Written { table, column, other: rng.random_range(0..OTHERS.len()), row: rng.random_range(0..100) }
        }
        6 => Row::Removed { table, row: Some(rng.random_range(0..100)) },
        7 => Row::Removed { table, row: None },
        8 => Row::Copied { table, row: rng.random_range(0..100), other: rng.random_range(0..1_000_000) },
        9 => Row::Cut { lines: rng.random_range(1..12) },
        10 => Row::Rehashed { line: rng.random_range(0..100) },
        11 => Row::Again { line: rng.random_range(0..100) },
        12 => Row::Kept { table },
        13 => Row::Applied {
            powerful: rng.random_range(0..POWERFUL.len()),
            because: if rng.random_bool(0.5) { "free" } else { "adopted" },
        },
        _ => Row::Older { table },
    }
}

/// A connection past the runtime.
pub(super) enum Store {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Store {
    pub(super) async fn of(shop: &Shop) -> Result<Self> {
        match &shop.database {
            Some(url) => Ok(Self::Postgres(outcome_tests::postgres::ours(url).await?)),
            None => {
                let options = SqliteConnectOptions::new().filename(shop.database_file()).foreign_keys(false);
                Ok(Self::Sqlite(SqliteConnection::connect_with(&options).await?))
            }
        }
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Rows that the statement wrote.
    pub(super) async fn write(&mut self, sql: &str) -> Result<u64> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Sqlite(c) => sqlx::query(sql).execute(c).await?.rows_affected(),
            Self::Postgres(c) => sqlx::query(sql).execute(c).await?.rows_affected(),
        })
    }

    /// Writes a line as the last one.
    async fn appended(&mut self, entry: &LogEntry) -> Result<()> {
        self.write(&insert_of(entry, self.is_postgres())?).await?;
        self.write(&format!("UPDATE workspace SET log_seq = {}, log_head = '{}'", entry.seq, entry.hash)).await?;
        Ok(())
    }

    /// What a question answers, whose columns are all texts.
    pub(super) async fn read(&mut self, sql: &str) -> Result<Vec<Vec<String>>> {
        let sql = AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Sqlite(c) => {
                let rows = sqlx::query(sql).fetch_all(c).await?;
                rows.iter().map(|row| (0..row.len()).map(|n| text(row.try_get(n))).collect()).collect()
            }
            Self::Postgres(c) => {
                let rows = sqlx::query(sql).fetch_all(c).await?;
                rows.iter().map(|row| (0..row.len()).map(|n| text(row.try_get(n))).collect()).collect()
            }
        })
    }

    fn id(&self) -> &'static str {
        if self.is_postgres() { "ctid" } else { "rowid" }
    }

    /// A condition that names one row, whichever `row` is.
    async fn one(&mut self, table: &str, row: u32) -> Result<String> {
        let counted = self.read(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await?;
        let n: u32 = counted.first().and_then(|row| row.first()).context("no count")?.parse()?;
        let (id, offset) = (self.id(), row.checked_rem(n).unwrap_or(0));
        Ok(format!("{id} = (SELECT {id} FROM {table} ORDER BY {id} LIMIT 1 OFFSET {offset})"))
    }
}

fn text(found: Result<Option<String>, sqlx::Error>) -> String {
    found.ok().flatten().unwrap_or_default()
}

/// What a step did past the runtime.
pub(super) enum Wrote {
    /// Nothing.
    Nothing,
    /// A row that may go unseen.
    Allowed,
    /// A row that must be found.
    MustBeFound(String),
}

impl Row {
    pub(super) async fn write(&self, shop: &Shop, anchored: i64) -> Result<Wrote> {
        let mut store = Store::of(shop).await?;
        let done = self.written(&mut store, shop, anchored).await?;
        if let Store::Sqlite(connection) = store {
            connection.close().await?;
        }
        Ok(done)
    }

    async fn written(&self, store: &mut Store, shop: &Shop, anchored: i64) -> Result<Wrote> {
        match self {
            Self::Written { table, column, other, row } => {
                let one = store.one(table, *row).await?;
                let new = OTHERS.get(*other).copied().unwrap_or("NULL").replace("{c}", column);
                let set =
                    format!("UPDATE {table} SET {column} = {new} WHERE {one} AND {column} IS DISTINCT FROM {new}");
                // What does not fit the column's type is refused by the engine.
                let n = store.write(&set).await.unwrap_or(0);
                let known = declared_columns();
                let class = known.iter().find(|known| known.table == *table && known.name == *column);
                let counts = class.is_some_and(|known| known.class == Class::Folded && known.only.is_none());
                Ok(self.wrote(n, counts && must_be_found(table)))
            }
            Self::Removed { table, row } => {
                let which = match row {
                    Some(row) => format!("WHERE {}", store.one(table, *row).await?),
                    None => String::new(),
                };
                let n = store.write(&format!("DELETE FROM {table} {which}")).await.unwrap_or(0);
                Ok(self.wrote(n, must_be_found(table)))
            }
            Self::Copied { table, row, other } => {
                let one = store.one(table, *row).await?;
                let names: Vec<&str> = declared_columns()
                    .iter()
                    .filter(|known| known.table == *table && known.only.is_none())
                    .map(|known| known.name)
                    .collect();
                let values: Vec<String> =
                    names.iter().map(|name| copied_value(name, *other, store.is_postgres())).collect();
                let (names, values) = (names.join(", "), values.join(", "));
                let n = store
                    .write(&format!("INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {one}"))
                    .await;
                // A configuration that nobody applied is a proposal, as anybody may make.
                Ok(self.wrote(n.unwrap_or(0), must_be_found(table) && *table != "configuration"))
            }
            Self::Cut { lines } => {
                let lines_now = exported(shop)?;
                let Some(keep) = lines_now.len().checked_sub(*lines as usize + 1).and_then(|n| lines_now.get(n)) else {
                    return Ok(Wrote::Nothing);
                };
                let n = store.write(&format!("DELETE FROM event WHERE seq > {}", keep.seq)).await?;
                store
                    .write(&format!("UPDATE workspace SET log_seq = {}, log_head = '{}'", keep.seq, keep.hash))
                    .await?;
                Ok(self.wrote(n, keep.seq < anchored))
            }
            Self::Rehashed { line } => {
                let mut lines = exported(shop)?;
                let Some(at) = (*line as usize).checked_rem(lines.len()) else { return Ok(Wrote::Nothing) };
                let changed = lines.get(at).map_or(0, |line| line.seq);
                if let Some(line) = lines.get_mut(at)
                    && let Some(payload) = line.payload.as_object_mut()
                {
                    payload.insert("note".to_owned(), "reviewed by security".into());
                }
                let writer = writer_in(&shop.writer_file()).ok();
                for entry in chained_again(lines, writer.as_ref())?.iter().skip(at) {
                    store.write(&format!("DELETE FROM event WHERE seq = {}", entry.seq)).await?;
                    store.appended(entry).await?;
                }
                Ok(self.wrote(1, changed <= anchored || writer.is_none()))
            }
            Self::Again { line } => {
                let lines = exported(shop)?;
                let Some(old) = (*line as usize).checked_rem(lines.len()).and_then(|at| lines.iter().nth_back(at))
                else {
                    return Ok(Wrote::Nothing);
                };
                let last = lines.last().context("no line")?;
                let event = NewEvent {
                    kind: old.event_kind()?,
                    subject: old.subject,
                    principal: old.principal.clone(),
                    payload: old.payload.clone(),
                };
                let writer = writer_in(&shop.writer_file()).ok();
                let entry = following(&lines, writer.as_ref(), last.at, event)?;
                store.appended(&entry).await?;
                // A line that no member signs is one that the runtime itself would write for anybody in this account.
                let says = |key| entry.payload.get(key).is_some();
                Ok(self.wrote(1, says("decision") || says("rows") || writer.is_none()))
            }
            Self::Applied { powerful, because } => {
                let lines = exported(shop)?;
                let Some(old) = lines.iter().rev().find(|line| line.kind == "configuration.applied") else {
                    return Ok(Wrote::Nothing);
                };
                let (from, to) = POWERFUL.get(*powerful).copied().unwrap_or_default();
                let text = super::shop::file().replace(from, to);
                let mut payload = old.payload.clone();
                payload["previous"] = payload["hash"].take();
                payload["hash"] = sha256_hex(&text).into();
                payload["because"] = serde_json::json!({ "kind": because });
                if *because == "free" {
                    payload["because"]["drafts"] = serde_json::json!([]);
                }
                let last = lines.last().context("no line")?;
                let event = NewEvent {
                    kind: old.event_kind()?,
                    subject: old.subject,
                    principal: Principal::local("x"),
                    payload,
                };
                let entry = following(&lines, writer_in(&shop.writer_file()).ok().as_ref(), last.at, event)?;
                store
                    .write(&format!(
                        "INSERT INTO configuration (workspace_id, hash, content, proposed_at)
                         SELECT workspace_id, '{}', '{}', proposed_at FROM configuration LIMIT 1",
                        sha256_hex(&text),
                        text.replace('\'', "''")
                    ))
                    .await?;
                store.appended(&entry).await?;
                Ok(self.wrote(1, true))
            }
            Self::Said(sql) => Ok(self.wrote(store.write(sql).await?, false)),
            Self::Kept { table } => {
                store.write(&format!("DROP TABLE IF EXISTS kept_{table}")).await?;
                store.write(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await?;
                Ok(Wrote::Nothing)
            }
            Self::Older { table } => {
                let is_kept = store.read(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM kept_{table}")).await.is_ok();
                if !is_kept {
                    return Ok(Wrote::Nothing);
                }
                let n = store.read(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM (SELECT * FROM {table} EXCEPT SELECT * FROM kept_{table}) AS x")).await;
                let differs = n.ok().and_then(|rows| rows.into_iter().flatten().next()).is_some_and(|n| n != "0");
                let names: Vec<&str> = declared_columns()
                    .iter()
                    .filter(|known| known.table == *table && known.only.is_none())
                    .map(|known| known.name)
                    .collect();
                let names = names.join(", ");
                store.write(&format!("DELETE FROM {table}")).await?;
                store.write(&format!("INSERT INTO {table} ({names}) SELECT {names} FROM kept_{table}")).await?;
                // Which of the differing columns count is not told apart here: what is asked is that nothing of it decides.
                Ok(if differs { Wrote::Allowed } else { Wrote::Nothing })
            }
        }
    }

    fn wrote(&self, n: u64, counts: bool) -> Wrote {
        match (n, counts) {
            (0, _) => Wrote::Nothing,
            (_, false) => Wrote::Allowed,
            (_, true) => Wrote::MustBeFound(format!("{self:?}")),
        }
    }
}

fn must_be_found(table: &str) -> bool {
    TABLES.iter().any(|(known, must)| *known == table && *must)
}

/// The value of a copied row's column: keys are new.
fn copied_value(name: &str, other: u32, is_postgres: bool) -> String {
    match name {
        "id" if is_postgres => format!("'7d444840-9dc0-11d1-b245-{other:012x}'"),
        "id" => format!("x'7d4448409dc011d1b245{other:012x}'"),
        "natural_key" | "slug" | "signature" | "token_hash" | "hash" | "email" => format!("{name} || '{other}'"),
        "seq" | "phase" => format!("{name} + {other}"),
        _ => name.to_owned(),
    }
}

/// The lines of the log, as they are exported.
pub(super) fn exported(shop: &Shop) -> Result<Vec<LogEntry>> {
    let text = shop.attacker(&[])?.run(&["audit", "export"]).unwrap_or_default();
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
