//! Whether the columns of a metric fit each other. MySQL, SQLite and Snowflake compare a number with a text without a word: the one as
//! doubles, which loses digits and the index, the other as never equal, the third as numbers; and SQLite compares instants as the texts
//! that they are. The others refuse both themselves.
//!
//! Source: METRICS.md 2.8.

use outcome_core::domain::{Contract, Relation, SignalSpec, Via};
use outcome_core::ports::ReadError;

use super::bind::{Params, Statement};
use super::dialect::Dialect;
use super::fragments::relation;
use super::table::Cell;
use super::{SqlSource, TimeFormat};

/// Rows of a column that are looked at.
const ROWS: u32 = 200;
/// Rows in which another way of writing an instant is looked for.
const INSTANTS: u32 = 100_000;

/// A column of the user's.
#[derive(Debug, Clone, Copy)]
struct Column<'c> {
    rows: &'c Relation,
    name: &'c str,
}

impl Column<'_> {
    /// For people.
    fn shown(&self) -> String {
        match self.rows {
            Relation::Table(table) => format!("`{table}.{}`", self.name),
            Relation::Sql(_) => format!("`{}` of its `sql`", self.name),
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Numbers,
    Texts,
    Both,
}

impl Holds {
    fn in_words(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Texts => "texts",
            Self::Both => "numbers and texts",
        }
    }
}

impl SqlSource {
    /// As [`outcome_core::ports::SignalSource::fits`].
    pub(super) async fn fits_together(&self, signal: &SignalSpec) -> Result<(), ReadError> {
        let (Some(contract), dialect) = (signal.contract.as_deref(), self.engine.dialect()) else { return Ok(()) };
        if !dialect.compares_unlike_types() {
            return Ok(());
        }
        for (one, other) in joined_columns(contract) {
            let (Some(of_one), Some(of_other)) = (self.holds(signal, one).await?, self.holds(signal, other).await?)
            else {
                continue;
            };
            if of_one != of_other || of_one == Holds::Both {
                let problem = format!(
                    "metric `{}` joins {}, which holds {}, to {}, which holds {}",
                    signal.metric,
                    one.shown(),
                    of_one.in_words(),
                    other.shown(),
                    of_other.in_words()
                );
                let cast = format!("CAST(user_id AS {})", dialect.text());
                return Err(self.misfit_of(
                    problem,
                    format!("make them alike in an `sql:` in place of a `table:`, with `{cast}` for instance"),
                ));
            }
        }
        if dialect == Dialect::Sqlite {
            let exposures = &contract.exposures;
            let mut instants = vec![Column { rows: &exposures.rows, name: &exposures.at }];
            let facts = contract.all_events().into_iter();
            instants.extend(facts.map(|events| Column { rows: &events.fact.rows, name: &events.fact.at }));
            for column in instants {
                self.are_written_alike(signal, column).await?;
            }
        }
        Ok(())
    }

    fn misfit_of(&self, problem: String, hint: String) -> ReadError {
        ReadError::Config { source_name: self.name.clone(), problem: self.redactor.clean(&problem), hint }
    }

    /// What a column holds; `None` where there is nothing in it.
    async fn holds(&self, signal: &SignalSpec, Column { rows, name }: Column<'_>) -> Result<Option<Holds>, ReadError> {
        let from = self.of_metric(signal, relation(self.engine.dialect(), rows))?;
        let cells =
            self.cells(signal, &format!("SELECT {name} FROM {from} WHERE {name} IS NOT NULL LIMIT {ROWS}")).await?;
        let holds = cells.iter().filter_map(|row| match row.first()? {
            Cell::Int(_) | Cell::Float(_) => Some(Holds::Numbers),
            Cell::Text(_) => Some(Holds::Texts),
            Cell::Null | Cell::Bool(_) | Cell::Other(_) | Cell::Ignored => None,
        });
        Ok(holds.reduce(|a, b| if a == b { a } else { Holds::Both }))
    }

    /// Instants of a column must be written in one way, and in the one that `time_format` says.
    async fn are_written_alike(&self, signal: &SignalSpec, column: Column<'_>) -> Result<(), ReadError> {
        let Column { rows, name } = column;
        let from = self.of_metric(signal, relation(self.engine.dialect(), rows))?;
        let sql = format!(
            "SELECT typeof(or_at), substr(or_at, 11, 1), substr(or_at, 20, 1), substr(or_at, -6, 1) IN ('+', '-') FROM (SELECT {name} AS or_at FROM {from}
  WHERE {name} IS NOT NULL LIMIT {INSTANTS}) or_r GROUP BY 1, 2, 3, 4 LIMIT 20"
        );
        let ways = self.cells(signal, &sql).await?;
        let text = |row: &[Cell], at: usize| match row.get(at) {
            Some(Cell::Text(text)) => text.clone(),
            _ => String::new(),
        };
        // A fraction of the second changes no order: it follows where the others end.
        let mut found: Vec<&str> = Vec::new();
        for row in &ways {
            let has_offset = matches!(row.get(3), Some(Cell::Int(1))) && !text(row, 1).is_empty();
            let way = match (text(row, 0).as_str(), text(row, 1).as_str(), text(row, 2).as_str()) {
                ("text", ..) if has_offset => "a text with an offset from UTC, or in a way of its own",
                ("integer", ..) => "a whole number",
                ("real", ..) => "a number",
                ("text", " ", "" | ".") => "`2026-11-20 10:00:00`",
                ("text", "T", "" | "." | "Z") => "`2026-11-20T10:00:00Z`",
                ("text", "", _) => "`2026-11-20`",
                ("text", ..) => "a text with an offset from UTC, or in a way of its own",
                _ => "neither text nor number",
            };
            if !found.contains(&way) {
                found.push(way);
            }
        }
        let wanted = match self.time_format {
            TimeFormat::Native | TimeFormat::Datetime => "`2026-11-20 10:00:00`",
            TimeFormat::Iso8601 => "`2026-11-20T10:00:00Z`",
            TimeFormat::UnixSeconds | TimeFormat::UnixMillis => "a whole number",
        };
        let hint = "instants are compared as they are written: write all of them alike, in an `sql:` in place of a `table:` with \
                    `strftime('%Y-%m-%d %H:%M:%S', created_at)` for instance, or name their way in the source's `time_format`";
        match found.as_slice() {
            [] => Ok(()),
            [one] if *one == wanted => Ok(()),
            [one] => Err(self.misfit_of(
                format!("{} has instants as {one}, and `time_format` says {wanted}", column.shown()),
                hint.to_owned(),
            )),
            several => Err(self.misfit_of(
                format!("{} has instants in {} ways: {}", column.shown(), several.len(), several.join(", ")),
                hint.to_owned(),
            )),
        }
    }

    async fn cells(&self, signal: &SignalSpec, sql: &str) -> Result<Vec<Vec<Cell>>, ReadError> {
        let prepared = Statement::prepare(sql, self.engine.dialect(), &Params::new(), self.time_format);
        let statement = self.of_metric(signal, prepared)?;
        let table = self.ask(&statement.sql, &statement.binds).await;
        table.map(|table| table.rows).map_err(|error| self.refusal(error, &signal.name, None))
    }
}

/// The columns that are joined to each other.
fn joined_columns(contract: &Contract) -> Vec<(Column<'_>, Column<'_>)> {
    let exposures = &contract.exposures;
    let exposed = Column { rows: &exposures.rows, name: &exposures.unit };
    let mut joined = Vec::new();
    let mut analysed = exposed;
    if let Some(map) = &exposures.map {
        joined.push((exposed, Column { rows: &map.rows, name: &map.key }));
        analysed = Column { rows: &map.rows, name: &map.to };
    }
    for events in contract.all_events() {
        let of_fact = Column { rows: &events.fact.rows, name: &events.fact.unit };
        match (&events.fact.via, &exposures.map) {
            (Some(Via::Map), Some(map)) => joined.push((of_fact, Column { rows: &map.rows, name: &map.key })),
            (Some(Via::Owner(owner)), _) => {
                joined.push((of_fact, Column { rows: &owner.rows, name: &owner.to }));
                joined.push((analysed, Column { rows: &owner.rows, name: &owner.key }));
            }
            (None | Some(Via::Map), _) => joined.push((of_fact, analysed)),
        }
    }
    joined
}
