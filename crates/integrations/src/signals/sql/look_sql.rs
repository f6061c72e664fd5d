//! The statements of a look at a metric's rows: counts, and sums of its units by hash of a key.
//!
//! Source: METRICS.md 7.

use outcome_core::domain::{Contract, Events, Exposures, Relation, Via};

use super::contract::{Writer, sums};
use super::dialect::Dialect;
use super::fragments::{conditions, list, relation, with};
use super::unit_maps::{joined, maps, owners};

/// A column that may name what units share.
#[derive(Debug)]
pub(super) struct KeyOf<'a> {
    /// Where it is.
    pub(super) rows: &'a Relation,
    /// The column with the unit there.
    pub(super) unit: &'a str,
    /// The column with the instant there.
    pub(super) at: &'a str,
    /// How it leads to the unit that is analysed.
    pub(super) via: Option<&'a Via>,
    pub(super) column: String,
}

/// One row of it, for its columns. `at`: the column with the instant.
pub(super) fn sample(dialect: Dialect, rows: &Relation, at: &str) -> Result<String, String> {
    // Its tables may demand a condition on what they are partitioned by.
    let bounded =
        if dialect == Dialect::BigQuery { format!(" WHERE {at} >= :from AND {at} < :to") } else { String::new() };
    Ok(format!("SELECT * FROM {}{bounded} LIMIT 1", relation(dialect, rows)?))
}

/// Of the exposures in a window: rows, repeated ones, those without a unit, without an arm, of an unknown arm; units of each flag and those
/// in both arms; units, and those that are mature. Three statements.
pub(super) fn exposure_counts(dialect: Dialect, contract: &Contract, is_of_flag: bool) -> Result<[String; 3], String> {
    let Exposures { rows, unit, experiment, variant, at, condition, control, treatment, map, .. } = &contract.exposures;
    let (mapped, join) = joined(unit, map.as_ref().map(|_| &Via::Map));
    let with = with(&maps(dialect, contract)?);
    let [control, treatment] = [list(dialect, control)?, list(dialect, treatment)?];
    let flag = if is_of_flag { format!(" AND {experiment} = :flag") } else { String::new() };
    let filter = format!("WHERE {at} >= :from AND {at} < :to{flag}{and}", and = conditions(dialect, [condition])?);
    let rows = relation(dialect, rows)?;
    let seen = format!("FROM {rows} {filter}");
    let seen_mapped = format!("FROM {rows}{join} {filter}");
    let sum = |condition: &str| format!("coalesce(sum(CASE WHEN {condition} THEN or_n ELSE 0 END), 0)");
    Ok([
        format!(
            "SELECT coalesce(sum(or_n), 0) AS n_rows, coalesce(sum(or_n), 0) - count(*) AS n_repeated, {} AS n_without_unit,
  {} AS n_without_variant, {} AS n_unknown
FROM (SELECT {unit} AS or_unit, {variant} AS or_name, {experiment} AS or_flag, {at} AS or_at, count(*) AS or_n {seen}
  GROUP BY {unit}, {variant}, {experiment}, {at}) or_g",
            sum("or_unit IS NULL"),
            sum("or_name IS NULL"),
            sum(&format!("or_name NOT IN ({control}, {treatment})")),
        ),
        format!(
            "{with}SELECT count(*) AS n_pairs, coalesce(sum(or_c * or_t), 0) AS n_both
FROM (SELECT {mapped} AS or_unit, {experiment} AS or_flag, max(CASE WHEN {variant} IN ({control}) THEN 1 ELSE 0 END) AS or_c,
  max(CASE WHEN {variant} IN ({treatment}) THEN 1 ELSE 0 END) AS or_t {seen_mapped} AND {unit} IS NOT NULL GROUP BY {mapped}, {experiment}) or_g"
        ),
        format!(
            "{with}SELECT count(*) AS n_units, coalesce(sum(CASE WHEN or_first < :mature THEN 1 ELSE 0 END), 0) AS n_mature
FROM (SELECT {mapped} AS or_unit, min({at}) AS or_first {seen_mapped} AND {unit} IS NOT NULL GROUP BY {mapped}) or_g"
        ),
    ])
}

/// Of a fact in a window: rows, those with the unit and the instant of another one, those without a unit.
pub(super) fn fact_counts(dialect: Dialect, of: &Events) -> Result<String, String> {
    let Events { fact, condition } = of;
    Ok(format!(
        "SELECT coalesce(sum(or_n), 0) AS n_rows, coalesce(sum(or_n), 0) - count(*) AS n_repeated,
  coalesce(sum(CASE WHEN or_key IS NULL THEN or_n ELSE 0 END), 0) AS n_without_unit
FROM (SELECT {unit} AS or_key, {at} AS or_at, count(*) AS or_n FROM {rows} WHERE {at} >= :from AND {at} < :to{and}
  GROUP BY {unit}, {at}) or_g",
        unit = fact.unit,
        at = fact.at,
        rows = relation(dialect, &fact.rows)?,
        and = conditions(dialect, [&fact.condition, condition])?,
    ))
}

/// The sums of the units by hash of a key: of the unit itself, or of a column of which a unit has one. SQLite gives a row for each key.
pub(super) fn buckets(
    write: &Writer<'_>,
    is_population: bool,
    is_of_flag: bool,
    key: Option<&KeyOf<'_>>,
) -> Result<String, String> {
    let (contract, dialect) = (write.contract, write.dialect);
    let exposures = &contract.exposures;
    let flag =
        if is_of_flag && !is_population { format!(" AND {} = :flag", exposures.experiment) } else { String::new() };
    let mapped = exposures.map.as_ref().map(|_| &Via::Map);
    let (rows, unit, at, and, via) = match contract.population.as_ref().filter(|_| is_population) {
        Some(Events { fact, condition }) => {
            (&fact.rows, &fact.unit, &fact.at, conditions(dialect, [&fact.condition, condition])?, fact.via.as_ref())
        }
        None => (&exposures.rows, &exposures.unit, &exposures.at, conditions(dialect, [&exposures.condition])?, mapped),
    };
    let (of_unit, join) = joined(unit, via);
    let mut tables = maps(dialect, contract)?;
    tables.push(format!(
        "or_units AS (
  SELECT {of_unit} AS or_unit, min({at}) AS or_first FROM {rows}{join}
  WHERE {at} >= :from AND {at} < :to AND {unit} IS NOT NULL{flag}{and}
  GROUP BY {of_unit}{expected})",
        expected = dialect.expected_rows(2),
        rows = relation(dialect, rows)?
    ));
    tables.extend(owners(dialect, contract, "or_units", "")?);
    let units = tables.join(",\n");
    let values = write.values("or_u.or_unit AS or_unit", true)?;
    let sums = sums(dialect, &contract.quantity, contract.covariate.is_some());
    let hashed = |key: &str| dialect.bucket(key);
    Ok(match key {
        None => format!(
            "WITH {units},\n{values}\nSELECT {bucket} AS or_bucket, count(DISTINCT or_unit) AS n_keys, count(*) AS n{sums}\nFROM or_values GROUP BY {bucket}",
            bucket = hashed("or_unit"),
        ),
        Some(KeyOf { rows, unit, at, via, column }) => {
            let (of_unit, join) = joined(unit, *via);
            let bucket = format!(
                "CASE WHEN or_several = 1 THEN {} WHEN or_several > 1 THEN -2 ELSE -1 END",
                hashed("or_shared")
            );
            format!(
                "WITH {units},\n{values},
or_keys AS (
  SELECT {of_unit} AS or_key, min({column}) AS or_shared, count(DISTINCT {column}) AS or_several FROM {rows}{join}
  WHERE {at} >= :from AND {at} < :events_to AND {unit} IS NOT NULL GROUP BY {of_unit})
SELECT {bucket} AS or_bucket, count(DISTINCT or_shared) AS n_keys, count(*) AS n{sums}
FROM or_values LEFT JOIN or_keys ON or_keys.or_key = or_values.or_unit GROUP BY {bucket}",
                rows = relation(dialect, rows)?,
            )
        }
    })
}
