//! Units that lead to others: the tables of ours that exposures and facts are joined to.
//!
//! Source: METRICS.md 2.6, 2.7.

use outcome_core::domain::{Contract, UnitMap, Via};

use super::dialect::Dialect;
use super::fragments::relation;

/// A unit's column, or what it is mapped to, and the join that does so.
pub(super) fn joined(unit: &str, via: Option<&Via>) -> (String, String) {
    match via {
        None => (unit.to_owned(), String::new()),
        Some(Via::Map) => ("or_map.or_to".to_owned(), format!(" JOIN or_map ON or_map.or_key = {unit}")),
        Some(Via::Owner(_)) => ("or_owner.or_to".to_owned(), format!(" JOIN or_owner ON or_owner.or_key = {unit}")),
    }
}

/// The map of the exposures, where there is one: one value for each key, the first where the map says when. A key with two is in none.
pub(super) fn maps(dialect: Dialect, contract: &Contract) -> Result<Vec<String>, String> {
    let Some(UnitMap { rows, key, to, since }) = &contract.exposures.map else { return Ok(Vec::new()) };
    let rows = relation(dialect, rows)?;
    let known = format!("{key} IS NOT NULL AND {to} IS NOT NULL");
    Ok(vec![match since {
        None => format!(
            "or_map AS (
  SELECT {key} AS or_key, min({to}) AS or_to FROM {rows} WHERE {known} GROUP BY {key} HAVING count(DISTINCT {to}) = 1)"
        ),
        Some(since) => format!(
            "or_map AS (
  SELECT or_p.or_key AS or_key, min(or_p.or_to) AS or_to
  FROM (SELECT {key} AS or_key, {to} AS or_to, {since} AS or_since FROM {rows} WHERE {known}) or_p
  JOIN (SELECT {key} AS or_key, min({since}) AS or_since FROM {rows} WHERE {known} GROUP BY {key}) or_q
  ON or_q.or_key = or_p.or_key AND or_q.or_since = or_p.or_since
  GROUP BY or_p.or_key HAVING count(DISTINCT or_p.or_to) = 1)"
        ),
    }])
}

/// Whose events those of a person are: those of the person's first unit among `all`.
///
/// Source: METRICS.md 2.7.
pub(super) fn owners(dialect: Dialect, contract: &Contract, all: &str, condition: &str) -> Result<Vec<String>, String> {
    let mut found: Vec<&UnitMap> = Vec::new();
    for events in contract.all_events() {
        if let Some(Via::Owner(map)) = &events.fact.via {
            let map: &UnitMap = map;
            if !found.contains(&map) {
                found.push(map);
            }
        }
    }
    match found.as_slice() {
        [] => Ok(Vec::new()),
        [UnitMap { rows, key, to, .. }] => Ok(vec![format!(
            "or_owner AS (
  SELECT or_key, or_to FROM (
    SELECT or_l.or_person AS or_key, or_a.or_unit AS or_to,
      row_number() OVER (PARTITION BY or_l.or_person ORDER BY or_a.or_first, or_a.or_unit) AS or_i
    FROM {all} or_a
    JOIN (SELECT DISTINCT {key} AS or_link, {to} AS or_person FROM {rows} WHERE {key} IS NOT NULL AND {to} IS NOT NULL) or_l
    ON or_l.or_link = or_a.or_unit{condition}) or_o
  WHERE or_i = 1)",
            rows = relation(dialect, rows)?
        )]),
        _ => Err("its facts are of two kinds of units that are not those of the exposures".to_owned()),
    }
}
