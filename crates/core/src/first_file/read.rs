//! The pure reading of a database: which of its tables are people, what they do, and who saw which variant.

use crate::ports::{ColumnInfo, SqlEngine, TableInfo, Tables};

use super::deeds::{DeedTable, ExposureTable, deed, exposures};
use super::instants::may_be_instant;
use super::names;
use super::people::{Milestone, People, any_unit, fit, milestones, people, unit_of};
use super::samples::Wanted;
use super::words::snake;

/// The tables and columns whose names may be written, and the tables that are left out because theirs may not.
#[must_use]
pub fn plain(mut tables: Tables) -> (Tables, Vec<String>) {
    let mut left_out = Vec::new();
    let engine = tables.engine;
    tables.tables.retain(|table| {
        let is_plain = names::table(table, engine).is_some();
        if !is_plain {
            left_out.push(table.name.clone());
        }
        is_plain
    });
    for table in &mut tables.tables {
        table.columns.retain(|column| names::is_plain(&column.name));
    }
    (tables, left_out)
}

/// What the tables are.
#[derive(Debug)]
pub(super) struct Roles<'t> {
    pub(super) engine: SqlEngine,
    /// What a unit is called.
    pub(super) unit: String,
    pub(super) population: Population<'t>,
    pub(super) milestones: Vec<Milestone<'t>>,
    pub(super) deeds: Vec<DeedTable<'t>>,
    pub(super) exposures: Option<ExposureTable<'t>>,
}

/// Whose first event is when they came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Population<'t> {
    pub(super) table: &'t TableInfo,
    pub(super) id: &'t ColumnInfo,
    pub(super) at: &'t ColumnInfo,
    /// True where each person has one row.
    pub(super) is_people: bool,
}

/// What the tables of [`plain`] names are; `None` where nobody can be found in them.
pub(super) fn roles(tables: &Tables) -> Option<Roles<'_>> {
    of_people(tables).or_else(|| of_events(tables))
}

fn of_people(tables: &Tables) -> Option<Roles<'_>> {
    let engine = tables.engine;
    let mut best: Option<(usize, Roles<'_>)> = None;
    for people in people(&tables.tables, engine) {
        let others = || tables.tables.iter().filter(|table| !std::ptr::eq(*table, people.table));
        let deeds: Vec<_> = others()
            .filter_map(|table| {
                let unit = unit_of(table, people.noun).filter(|unit| fit(unit, people.id, engine))?;
                deed(table, unit, engine)
            })
            .filter(|deed| exposures(deed.table, engine).is_none())
            .collect();
        let exposures = exposures_of(tables, &people, engine);
        let milestones = milestones(&people, engine);
        let score = deeds.len() * 2 + milestones.len() + usize::from(exposures.is_some()) * 10;
        if best.as_ref().is_none_or(|(known, _)| score > *known) {
            let People { table, noun, id, at } = people;
            let population = Population { table, id, at, is_people: true };
            let unit = noun.to_owned();
            best = Some((score, Roles { engine, unit, population, milestones, deeds, exposures }));
        }
    }
    best.filter(|(score, _)| *score > 0).map(|(_, roles)| roles)
}

fn exposures_of<'t>(tables: &'t Tables, people: &People<'t>, engine: SqlEngine) -> Option<ExposureTable<'t>> {
    let wanted = [format!("{}_id", people.noun), "unit_id".to_owned(), "targeting_key".to_owned()];
    let found = tables.tables.iter().filter_map(|table| exposures(table, engine));
    found.into_iter().find(|found| wanted.contains(&snake(&found.unit.name)) && fit(found.unit, people.id, engine))
}

/// Without a table of people: those whose events there are.
fn of_events(tables: &Tables) -> Option<Roles<'_>> {
    let engine = tables.engine;
    let all: Vec<DeedTable<'_>> = tables
        .tables
        .iter()
        .filter(|table| exposures(table, engine).is_none())
        .filter_map(|table| deed(table, any_unit(table)?, engine))
        .collect();
    let rank = |deed: &DeedTable<'_>| match deed.noun.as_str() {
        "visit" | "pageview" | "view" => 0,
        _ if deed.name.is_some() => 1,
        _ => 2,
    };
    let first = all.iter().min_by_key(|deed| rank(deed))?;
    // One table of one kind of event says nothing about who does something: all of its people do.
    if first.name.is_none() && rank(first) == 2 {
        return None;
    }
    let unit = first.unit;
    let population = Population { table: first.table, id: unit, at: first.at, is_people: false };
    let name = snake(&unit.name);
    let is_same = |other: &ColumnInfo| snake(&other.name) == name && fit(other, unit, engine);
    let exposures = tables.tables.iter().filter_map(|table| exposures(table, engine)).find(|found| is_same(found.unit));
    let deeds = all.iter().filter(|deed| is_same(deed.unit)).cloned().collect();
    let unit = name.strip_suffix("_id").unwrap_or(&name).to_owned();
    let unit = match unit.as_str() {
        "anonymous" | "distinct" | "device" | "client" => "visitor".to_owned(),
        _ => unit,
    };
    Some(Roles { engine, unit, population, milestones: Vec::new(), deeds, exposures })
}

/// What is worth a look at the rows of the tables that [`plain`] gave.
#[must_use]
pub fn wanted(tables: &Tables) -> Wanted<'_> {
    let mut wanted = Wanted::default();
    let Some(roles) = roles(tables) else { return wanted };
    let loose = |column: &ColumnInfo| may_be_instant(column, roles.engine) && roles.engine == SqlEngine::Sqlite;
    let Population { table, at, .. } = roles.population;
    wanted.counts.push(table);
    wanted.values.extend(loose(at).then_some((table, at)));
    // Of a milestone it also matters whether anybody has come there.
    wanted.values.extend(roles.milestones.iter().map(|milestone| (table, milestone.at)));
    for deed in &roles.deeds {
        wanted.counts.push(deed.table);
        let columns = [deed.state, deed.name, Some(deed.at).filter(|at| loose(at))];
        wanted.values.extend(columns.into_iter().flatten().map(|column| (deed.table, column)));
    }
    if let Some(ExposureTable { table, variant, at, .. }) = roles.exposures {
        wanted.counts.push(table);
        wanted.values.push((table, variant));
        wanted.values.extend(loose(at).then_some((table, at)));
    }
    wanted
}
