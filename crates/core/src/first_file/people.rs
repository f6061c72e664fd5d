//! Tables of people, and whose rows the other tables hold.

use crate::ports::{ColumnInfo, ColumnKind, SqlEngine, TableInfo};

use super::instants::{column_of_event, may_be_instant};
use super::names::is_plain;
use super::words::{NOT_EVENTS, PEOPLE, STEPS, UNITS, is_internal, noun, parts, snake};

/// A table with a row for each person.
#[derive(Debug, Clone, Copy)]
pub(super) struct People<'t> {
    pub(super) table: &'t TableInfo,
    /// What one of them is called; its place in the list of such words says how much it is preferred.
    pub(super) noun: &'static str,
    pub(super) id: &'t ColumnInfo,
    /// When the person came.
    pub(super) at: &'t ColumnInfo,
}

/// A column of people that says when each of them did something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Milestone<'t> {
    pub(super) at: &'t ColumnInfo,
    pub(super) noun: &'static str,
    pub(super) verb: &'static str,
}

/// Every table of people.
pub(super) fn people(tables: &[TableInfo], engine: SqlEngine) -> Vec<People<'_>> {
    let mut found: Vec<People<'_>> = tables.iter().filter_map(|table| one(table, engine)).collect();
    // A row that names another person is no person: an account of a sign-in service is its user's.
    let nouns: Vec<&str> = found.iter().map(|people| people.noun).collect();
    found.retain(|people| {
        !nouns.iter().any(|other| *other != people.noun && unit_of(people.table, other).is_some())
            || PEOPLE.first() == Some(&people.noun)
    });
    found.sort_by_key(|people| PEOPLE.iter().position(|word| *word == people.noun));
    found
}

fn one(table: &TableInfo, engine: SqlEngine) -> Option<People<'_>> {
    let word = noun(&table.name);
    let noun = *PEOPLE.iter().find(|known| **known == word)?;
    let is_other = |part: &String| ["admin", "deleted", "test", "temp", "old", "backup"].contains(&part.as_str());
    if is_internal(&table.name) || parts(&table.name).iter().any(is_other) {
        return None;
    }
    let ids = ["id".to_owned(), format!("{noun}_id"), "uuid".to_owned(), format!("{noun}_uuid")];
    let id =
        ids.iter().find_map(|id| table.columns.iter().find(|column| snake(&column.name) == *id && is_key(column)))?;
    Some(People { table, noun, id, at: column_of_event(table, engine)? })
}

fn is_key(column: &ColumnInfo) -> bool {
    is_plain(&column.name)
        && matches!(column.kind, ColumnKind::Whole | ColumnKind::Text | ColumnKind::Uuid | ColumnKind::Other)
}

/// The column with the person of this kind, of a table of something else.
pub(super) fn unit_of<'t>(table: &'t TableInfo, noun: &str) -> Option<&'t ColumnInfo> {
    let name = format!("{noun}_id");
    table.columns.iter().find(|column| snake(&column.name) == name && is_key(column))
}

/// The column with some unit, where no table of people says which.
pub(super) fn any_unit(table: &TableInfo) -> Option<&ColumnInfo> {
    UNITS.iter().find_map(|name| table.columns.iter().find(|column| snake(&column.name) == *name && is_key(column)))
}

/// Whether two columns can be joined, as they were declared.
pub(super) fn fit(one: &ColumnInfo, other: &ColumnInfo, engine: SqlEngine) -> bool {
    one.kind == other.kind || (engine == SqlEngine::Sqlite && [one.kind, other.kind].contains(&ColumnKind::Other))
}

/// What the columns of people say that they did.
pub(super) fn milestones<'t>(people: &People<'t>, engine: SqlEngine) -> Vec<Milestone<'t>> {
    let mut found: Vec<Milestone<'t>> = Vec::new();
    for (words, noun, verb) in STEPS {
        let is_step = |column: &&ColumnInfo| {
            let parts = parts(&column.name);
            let is_instant = column.kind == ColumnKind::Instant
                || (may_be_instant(column, engine)
                    && matches!(parts.last().map(String::as_str), Some("at" | "on" | "time")));
            is_instant
                && column.name != people.at.name
                && parts.iter().any(|part| words.contains(&part.as_str()))
                && !parts.iter().any(|part| NOT_EVENTS.contains(&part.as_str()) || part == "sent")
        };
        if noun == "creation" {
            continue;
        }
        if let Some(at) = people.table.columns.iter().filter(|column| is_plain(&column.name)).find(is_step) {
            found.push(Milestone { at, noun, verb });
        }
    }
    found
}
