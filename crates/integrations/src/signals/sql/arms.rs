//! The SQL of a metric of the contract for the arms of an experiment: one statement for all of its phases, or for parts of them.
//!
//! Source: METRICS.md 2.3 to 2.8, and 8.

use jiff::Timestamp;

use outcome_core::domain::{Contract, Exposures, Via, Window};
use outcome_core::ports::{PartRequest, VariantRequest};

use super::TimeFormat;
use super::bind::{Param, Params};
use super::contract::{Taken, Writer, Written, among, earlier, events, history, sums, uncapped};
use super::dialect::Dialect;
use super::fragments::{conditions, list, relation};
use super::unit_maps::{joined, maps, owners};

/// The column that says of which phase a row is.
pub(super) const PHASE: &str = "or_phase";

/// The units of allocation phases, by arm, and by whether they may be claimed on. A phase is a request's place in the list.
///
/// # Errors
/// A sentence about what cannot be written.
pub(super) fn by_phase(
    contract: &Contract,
    engine: (Dialect, TimeFormat),
    requests: &[VariantRequest],
) -> Result<Written, String> {
    let phases: Vec<Phase<'_>> = requests.iter().map(|request| Phase { request, counted: request.window }).collect();
    arms(contract, engine, &phases, None)
}

/// The same of parts of phases. Units that saw both arms are counted in the part in which they saw the second, so that the rows of parts
/// add up to those of their phase. Nothing is read of units that were seen in no part.
///
/// # Errors
/// As [`by_phase`].
pub(super) fn by_part(
    contract: &Contract,
    engine: (Dialect, TimeFormat),
    requests: &[PartRequest],
) -> Result<Written, String> {
    if !contract.has_fixed_cohorts() {
        return Err("its units cannot be read day by day".to_owned());
    }
    let parts: Vec<Phase<'_>> =
        requests.iter().map(|PartRequest { of, part }| Phase { request: of, counted: *part }).collect();
    let from = parts.iter().map(|part| part.counted.from).min();
    let to = parts.iter().map(|part| part.counted.to).max();
    let all = from.zip(to).map(|(from, to)| Window { from, to });
    arms(contract, engine, &parts, all)
}

/// A phase, and when units must have been seen first to be counted.
struct Phase<'r> {
    request: &'r VariantRequest,
    counted: Window,
}

/// `parts`: where only parts are read, from the begin of the first to the end of the last.
fn arms(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    phases: &[Phase<'_>],
    parts: Option<Window>,
) -> Result<Written, String> {
    let [Phase { request, .. }, ..] = phases else { return Err("there is no phase to ask about".to_owned()) };
    let write = Writer { contract, dialect, format, until: request.as_of };
    let Exposures { rows, unit, experiment, variant, at, condition, control, treatment, map, .. } = &contract.exposures;
    let [control, treatment] = [list(dialect, control)?, list(dialect, treatment)?];
    let (mapped, join) = joined(unit, map.as_ref().map(|_| &Via::Map));
    let rows = relation(dialect, rows)?;
    let and = conditions(dialect, [condition])?;
    // A unit that was not seen in any part is in none of them.
    let of_parts = parts.map_or("", |_| " HAVING max(or_at) >= :parts_from AND min(or_at) < :parts_to");
    let seen = format!(
        "SELECT {mapped} AS or_unit, {variant} AS or_name, {at} AS or_at FROM {rows}{join}\n    WHERE {experiment} = :flag \
         AND {at} >= :since_launch AND {at} < :as_of AND {unit} IS NOT NULL{and}",
    );
    let mut params = params(contract, request, parts);
    let mut tables = maps(dialect, contract)?;
    tables.push(with_phases(contract, phases, parts.is_some(), &mut params));
    tables.push(format!(
        "or_seen AS (
  SELECT or_unit, min(CASE WHEN or_name IN ({control}) THEN or_at END) AS or_at_0,
    min(CASE WHEN or_name IN ({treatment}) THEN or_at END) AS or_at_1, min(or_at) AS or_at_any
  FROM ({seen}) or_e GROUP BY or_unit{of_parts}{expected})",
        expected = contract.exposures.trigger.as_ref().map(|_| dialect.expected_rows(4)).unwrap_or_default(),
    ));
    let first = "\
SELECT or_unit, or_at_0, or_at_1,
      CASE WHEN or_at_0 IS NULL AND or_at_1 IS NULL THEN or_at_any
           WHEN or_at_1 IS NULL OR or_at_0 <= or_at_1 THEN or_at_0 ELSE or_at_1 END AS or_first,
      CASE WHEN or_at_0 IS NULL AND or_at_1 IS NULL THEN 'other'
           WHEN or_at_1 IS NULL OR or_at_0 <= or_at_1 THEN 'control' ELSE 'treatment' END AS or_arm
    FROM or_seen";
    // With a trigger a unit is exposed by the first such event after it was assigned, and not before.
    let all = match &contract.exposures.trigger {
        None => first.to_owned(),
        Some(trigger) => {
            let rows = events(dialect, trigger, &Taken::count(), "events_from")?;
            let on = dialect.on("or_f.or_key = or_t.or_unit", "or_f.or_at >= or_t.or_first");
            format!(
                "SELECT or_t.or_unit, or_t.or_at_0, or_t.or_at_1, min(or_f.or_at) AS or_first, or_t.or_arm FROM ({first}) or_t
    JOIN ({rows}) or_f {on}
    GROUP BY or_t.or_unit, or_t.or_at_0, or_t.or_at_1, or_t.or_arm"
            )
        }
    };
    tables.push(format!("or_all AS (\n  {all})"));
    let both = match parts {
        None => "CASE WHEN or_at_0 < or_ends AND or_at_1 < or_ends THEN 1 ELSE 0 END",
        Some(_) => "0",
    };
    let [phase, within, _] = of_phase(dialect, "or_first");
    tables.push(format!(
        "or_units AS (
  SELECT or_phase, or_unit, or_first, or_arm, {both} AS or_both,
    CASE WHEN or_first <= or_until THEN 1 ELSE 0 END AS or_claimed
  FROM or_all {phase}{within}{expected})",
        expected = dialect.expected_rows(6),
    ));
    tables.extend(owners(dialect, contract, "or_all", " AND or_a.or_arm <> 'other'")?);
    tables.push(write.values("or_phase, or_arm, or_claimed, or_both", true)?);
    let sums = sums(dialect, &contract.quantity, contract.covariate.is_some());
    let more = uncapped(contract);
    let n_sums = [sums.as_str(), more].map(|columns| columns.matches(", coalesce(").count()).iter().sum();
    let zeros = ", 0".repeat(n_sums);
    let nobody = match map {
        None => String::new(),
        Some(_) => {
            let [phase, within, and_then] = of_phase(dialect, at);
            format!(
                "\nUNION ALL\nSELECT or_phase, 'unmapped', 0, count(DISTINCT {unit}), 0, 0{zeros} FROM {rows} LEFT{join}
{phase}{within}
{and_then} {experiment} = :flag AND {at} >= :since_launch AND {at} < :as_of AND {unit} IS NOT NULL AND or_map.or_to IS NULL{and}
GROUP BY or_phase"
            )
        }
    };
    let crossed = match parts {
        None => String::new(),
        Some(_) => {
            // When the unit had seen both arms: a comparison with an arm that it did not see is none.
            let second = "CASE WHEN or_at_0 > or_at_1 THEN or_at_0 WHEN or_at_0 <= or_at_1 THEN or_at_1 END";
            let [phase, within, and_then] = of_phase(dialect, second);
            format!(
                "\nUNION ALL\nSELECT or_phase, or_arm, 0, 0, count(*), 0{zeros} FROM or_all {phase}{within}
{and_then} or_first >= or_phase_begins
GROUP BY or_phase, or_arm"
            )
        }
    };
    let text = format!(
        "WITH {tables}\nSELECT or_phase, or_arm AS variant, or_claimed AS is_claimed, count(*) AS n, sum(or_both) AS n_both, \
         sum(or_capped) AS n_capped{sums}{more}\nFROM or_values GROUP BY or_phase, or_arm, or_claimed{nobody}{crossed}",
        tables = tables.join(",\n"),
    );
    Ok(Written { text, params })
}

fn params(contract: &Contract, request: &VariantRequest, parts: Option<Window>) -> Params {
    let since = parts.map_or(request.launched_at, |parts| parts.from);
    // No event after the windows of the last part's units says anything about them.
    let events_to = parts.map_or(request.as_of, |parts| earlier(parts.to, -contract.window.to).min(request.as_of));
    let mut params = Params::from([
        ("flag".to_owned(), Param::Text(request.flag_key.clone())),
        ("since_launch".to_owned(), Param::At(request.launched_at)),
        ("events_from".to_owned(), Param::At(since)),
        ("history_from".to_owned(), Param::At(earlier(since, history(contract)))),
        ("among_from".to_owned(), Param::At(earlier(since, among(contract)))),
        ("as_of".to_owned(), Param::At(request.as_of)),
        ("events_to".to_owned(), Param::At(events_to)),
    ]);
    if let Some(parts) = parts {
        params.insert("parts_from".to_owned(), Param::At(parts.from));
        params.insert("parts_to".to_owned(), Param::At(parts.to));
    }
    params
}

/// The join to the phase in which an instant lies, its condition, and the word that begins a further one.
fn of_phase(dialect: Dialect, at: &str) -> [String; 3] {
    let within = format!("{at} >= or_begins AND {at} < or_ends");
    match dialect {
        // There is no key to join on.
        Dialect::ClickHouse => ["CROSS JOIN or_phases".to_owned(), format!(" WHERE {within}"), "AND".to_owned()],
        _ => ["JOIN or_phases".to_owned(), format!(" ON {within}"), "WHERE".to_owned()],
    }
}

/// When each phase begins and ends, or the part of it that is counted, and until when its units must have been exposed to be mature and
/// whole.
fn with_phases(contract: &Contract, phases: &[Phase<'_>], are_parts: bool, params: &mut Params) -> String {
    let mut rows = Vec::with_capacity(phases.len());
    for (number, Phase { request, counted }) in phases.iter().enumerate() {
        for (name, at) in [("from", counted.from), ("to", counted.to), ("until", claim_until(contract, request))] {
            params.insert(format!("{name}_{number}"), Param::At(at));
        }
        let mut begins = String::new();
        if are_parts {
            params.insert(format!("phase_from_{number}"), Param::At(request.window.from));
            begins = format!(", :phase_from_{number} AS or_phase_begins");
        }
        rows.push(format!(
            "SELECT {number} AS or_phase, :from_{number} AS or_begins, :to_{number} AS or_ends, :until_{number} AS or_until{begins}"
        ));
    }
    format!("or_phases AS (\n  {})", rows.join("\n  UNION ALL "))
}

/// Until when a unit must have been exposed to be mature and whole.
fn claim_until(contract: &Contract, request: &VariantRequest) -> Timestamp {
    let mature = earlier(request.as_of, contract.matures_after());
    request.on_until.map_or(mature, |changed| mature.min(earlier(changed, contract.window.to)))
}
