//! Tables of what people do, and of who saw which variant.

use crate::ports::{ColumnInfo, ColumnKind, SqlEngine, TableInfo};

use super::instants::column_of_event;
use super::names::is_plain;
use super::words::{AMOUNTS, DEEDS, EVENT_NAMES, HARMS, NOT_DEEDS, PEOPLE, STATES, is_internal, noun, parts, snake};
use crate::present::plural;

/// A table with a row for each thing that somebody did.
#[derive(Debug, Clone)]
pub(super) struct DeedTable<'t> {
    pub(super) table: &'t TableInfo,
    /// The singular: `order`.
    pub(super) noun: String,
    /// After "more users".
    pub(super) verb: String,
    pub(super) unit: &'t ColumnInfo,
    pub(super) at: &'t ColumnInfo,
    /// What it is worth.
    pub(super) amount: Option<&'t ColumnInfo>,
    /// How far it came.
    pub(super) state: Option<&'t ColumnInfo>,
    /// What kind of event a row is, of a table with all of them.
    pub(super) name: Option<&'t ColumnInfo>,
    /// Something that should not happen.
    pub(super) is_harm: bool,
}

/// A table of exposures.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExposureTable<'t> {
    pub(super) table: &'t TableInfo,
    pub(super) unit: &'t ColumnInfo,
    pub(super) experiment: &'t ColumnInfo,
    pub(super) variant: &'t ColumnInfo,
    pub(super) at: &'t ColumnInfo,
}

fn find<'t>(table: &'t TableInfo, names: &[&str], may_be: impl Fn(ColumnKind) -> bool) -> Option<&'t ColumnInfo> {
    let is =
        |column: &&ColumnInfo, name: &str| snake(&column.name) == name && may_be(column.kind) && is_plain(&column.name);
    names.iter().find_map(|name| table.columns.iter().find(|column| is(column, name)))
}

/// What the rows of a table are that belong to units of this column.
pub(super) fn deed<'t>(table: &'t TableInfo, unit: &'t ColumnInfo, engine: SqlEngine) -> Option<DeedTable<'t>> {
    let noun = noun(&table.name);
    if is_internal(&table.name) || NOT_DEEDS.contains(&noun.as_str()) || PEOPLE.contains(&noun.as_str()) {
        return None;
    }
    let at = column_of_event(table, engine).filter(|column| is_plain(&column.name))?;
    let is_text = |kind| kind == ColumnKind::Text;
    let name = find(table, &EVENT_NAMES, is_text).filter(|column| {
        ["event", "activity", "action", "track", "hit"].contains(&noun.as_str())
            || snake(&column.name).starts_with("event")
    });
    let amount = find(table, &AMOUNTS, |kind| matches!(kind, ColumnKind::Whole | ColumnKind::Number));
    let harm = HARMS.iter().find(|known| known.noun == noun);
    let known = harm.or_else(|| DEEDS.iter().find(|known| known.noun == noun));
    let verb = known.map_or_else(|| format!("have {}", plural(&noun)), |known| known.verb.to_owned());
    Some(DeedTable {
        table,
        verb,
        unit,
        at,
        amount,
        state: find(table, &STATES, is_text),
        name,
        is_harm: harm.is_some(),
        noun,
    })
}

/// Who saw which variant of what, and when.
pub(super) fn exposures(table: &TableInfo, engine: SqlEngine) -> Option<ExposureTable<'_>> {
    if is_internal(&table.name) {
        return None;
    }
    let is_text = |kind| kind == ColumnKind::Text || (engine == SqlEngine::Sqlite && kind == ColumnKind::Other);
    let variant = find(
        table,
        &["variant", "variation", "variant_key", "variant_name", "variation_id", "arm", "bucket"],
        is_text,
    )?;
    let names = [
        "experiment",
        "experiment_key",
        "experiment_name",
        "experiment_id",
        "flag",
        "flag_key",
        "feature_flag",
        "feature_key",
        "feature",
        "test_name",
        "experiment_slug",
    ];
    let experiment = find(table, &names, is_text)?;
    let unit = super::people::any_unit(table).or_else(|| find(table, &["unit_id", "targeting_key"], |_| true))?;
    let at = column_of_event(table, engine).filter(|column| is_plain(&column.name))?;
    let is_about = |part: &String| {
        part.starts_with("expos")
            || part.starts_with("assign")
            || part.starts_with("experiment")
            || part.starts_with("variant")
    };
    parts(&table.name).iter().any(is_about).then_some(ExposureTable { table, unit, experiment, variant, at })
}
