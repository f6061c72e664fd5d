//! The SQL of a metric of the contract: one statement for the arms of an experiment, and one for everybody.
//!
//! Our own names begin with `or_`, so that they are no words of any engine and no columns of the user's. Columns of the user's keep their
//! types: a cast would lose their indexes. Time is added to an exposure in seconds, never in days of a calendar.
//!
//! Source: METRICS.md 2.3 to 2.8.

use jiff::{SignedDuration, Timestamp};

use outcome_core::domain::{Contract, Events, Exposures, Measure, Part, Quantity, Relation, Window};
use outcome_core::ports::VariantRequest;

use super::TimeFormat;
use super::bind::{Param, Params};
use super::lexer::{Dialect, Token, tokens};

/// A statement with our own parameters in it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) params: Params,
}

/// The units of one allocation phase, by arm, and by whether they may be claimed on.
///
/// # Errors
/// A sentence about what cannot be written.
pub(super) fn by_variant(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    request: &VariantRequest,
) -> Result<Written, String> {
    let write = Writer { contract, dialect, format };
    let Exposures { rows, unit, experiment, variant, at, condition, control, treatment, .. } = &contract.exposures;
    let [control, treatment] = [list(control)?, list(treatment)?];
    let seen = format!(
        "SELECT {unit} AS or_unit, {variant} AS or_name, {at} AS or_at FROM {rows}\n    WHERE {experiment} = :flag \
         AND {at} >= :since_launch AND {at} < :as_of AND {unit} IS NOT NULL{and}",
        rows = relation(rows)?,
        and = conditions([condition])?,
    );
    let first = "\
SELECT or_unit, or_at_0, or_at_1,
      CASE WHEN or_at_0 IS NULL AND or_at_1 IS NULL THEN or_at_any
           WHEN or_at_1 IS NULL OR or_at_0 <= or_at_1 THEN or_at_0 ELSE or_at_1 END AS or_first,
      CASE WHEN or_at_0 IS NULL AND or_at_1 IS NULL THEN 'other'
           WHEN or_at_1 IS NULL OR or_at_0 <= or_at_1 THEN 'control' ELSE 'treatment' END AS or_arm
    FROM or_seen";
    let units = format!(
        "or_seen AS (
  SELECT or_unit, min(CASE WHEN or_name IN ({control}) THEN or_at END) AS or_at_0,
    min(CASE WHEN or_name IN ({treatment}) THEN or_at END) AS or_at_1, min(or_at) AS or_at_any
  FROM ({seen}) or_e GROUP BY or_unit),
or_units AS (
  SELECT or_unit, or_first, or_arm, CASE WHEN or_at_0 < :to AND or_at_1 < :to THEN 1 ELSE 0 END AS or_both,
    CASE WHEN or_first <= :claim_until THEN 1 ELSE 0 END AS or_claimed
  FROM ({first}) or_s
  WHERE or_first >= :from AND or_first < :to)"
    );
    let text = format!(
        "WITH {units},\n{values}\nSELECT or_arm AS variant, or_claimed AS is_claimed, count(*) AS n, sum(or_both) AS n_both, \
         sum(or_capped) AS n_capped{sums}\nFROM or_values GROUP BY or_arm, or_claimed",
        values = write.values("or_arm, or_claimed, or_both")?,
        sums = sums(&contract.quantity),
    );
    let params = Params::from([
        ("flag".to_owned(), Param::Text(request.flag_key.clone())),
        ("since_launch".to_owned(), Param::At(request.launched_at)),
        ("events_from".to_owned(), Param::At(request.launched_at)),
        ("as_of".to_owned(), Param::At(request.as_of)),
        ("events_to".to_owned(), Param::At(request.as_of)),
        ("from".to_owned(), Param::At(request.window.from)),
        ("to".to_owned(), Param::At(request.window.to)),
        ("claim_until".to_owned(), Param::At(claim_until(contract, request))),
    ]);
    Ok(Written { text, params })
}

/// Everybody whose first event of the population lies so far back that their values are known at the end of the window.
///
/// # Errors
/// As [`by_variant`].
pub(super) fn level(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    window: Window,
) -> Result<Written, String> {
    let write = Writer { contract, dialect, format };
    let population = contract.population.as_ref().ok_or("its source names no `population`")?;
    let Events { fact, condition } = population;
    let text = format!(
        "WITH or_units AS (
  SELECT {unit} AS or_unit, min({at}) AS or_first FROM {rows}
  WHERE {at} >= :from AND {at} < :to AND {unit} IS NOT NULL{and}
  GROUP BY {unit}),
{values}
SELECT count(*) AS n{sums}\nFROM or_values",
        unit = fact.unit,
        at = fact.at,
        rows = relation(&fact.rows)?,
        and = conditions([&fact.condition, condition])?,
        values = write.values("1 AS or_one")?,
        sums = sums(&contract.quantity),
    );
    let back = contract.matures_after();
    let (from, to) = (earlier(window.from, back), earlier(window.to, back));
    let params = Params::from([
        ("from".to_owned(), Param::At(from)),
        ("to".to_owned(), Param::At(to)),
        ("events_from".to_owned(), Param::At(from)),
        ("events_to".to_owned(), Param::At(earlier(window.to, contract.settles_after()))),
    ]);
    Ok(Written { text, params })
}

/// Until when a unit must have been exposed to be mature and whole.
fn claim_until(contract: &Contract, request: &VariantRequest) -> Timestamp {
    let mature = earlier(request.as_of, contract.matures_after());
    request.on_until.map_or(mature, |changed| mature.min(earlier(changed, contract.window.to)))
}

fn earlier(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

struct Writer<'c> {
    contract: &'c Contract,
    dialect: Dialect,
    format: TimeFormat,
}

impl Writer<'_> {
    /// The value of each unit of `or_units`, beside these columns of it.
    fn values(&self, columns: &str) -> Result<String, String> {
        let parts: Vec<(&str, String)> = match &self.contract.quantity {
            Quantity::Conversion { of, at_least } => {
                let reached = format!("CASE WHEN count(*) >= {at_least} THEN 1 ELSE 0 END");
                vec![("or_y", self.of_units(of, None, &reached)?)]
            }
            Quantity::Count(part) | Quantity::Mean(part) => vec![("or_y", self.part(part)?)],
            Quantity::Ratio { numerator, denominator } => {
                vec![("or_y", self.part(numerator)?), ("or_z", self.part(denominator)?)]
            }
        };
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        let tables: Vec<String> = parts.into_iter().map(|(name, text)| format!("{name} AS ({text})")).collect();
        let joins: Vec<String> =
            names.iter().map(|name| format!("LEFT JOIN {name} ON {name}.or_unit = or_u.or_unit")).collect();
        let taken: Vec<String> = names
            .iter()
            .zip(["or_v", "or_w"])
            .map(|(name, column)| format!("{} AS {column}", self.capped(&format!("coalesce({name}.or_m, 0)"))))
            .collect();
        let is_cut: Vec<String> = match self.contract.cap {
            Some(cap) => names.iter().map(|name| format!("coalesce({name}.or_m, 0) > {cap}")).collect(),
            None => Vec::new(),
        };
        let cut = if is_cut.is_empty() {
            "0".to_owned()
        } else {
            format!("CASE WHEN {} THEN 1 ELSE 0 END", is_cut.join(" OR "))
        };
        Ok(format!(
            "{},\nor_values AS (\n  SELECT {columns}, {cut} AS or_capped, {}\n  FROM or_units or_u {})",
            tables.join(",\n"),
            taken.join(", "),
            joins.join(" ")
        ))
    }

    fn capped(&self, value: &str) -> String {
        match (self.contract.cap, self.dialect) {
            (None, _) => value.to_owned(),
            (Some(cap), Dialect::Sqlite) => format!("min({value}, {cap})"),
            (Some(cap), Dialect::Postgres | Dialect::MySql) => format!("least({value}, {cap})"),
        }
    }

    fn part(&self, part: &Part) -> Result<String, String> {
        match &part.measure {
            Measure::Count => self.of_units(&part.of, None, "count(*)"),
            Measure::Distinct(column) => self.of_units(&part.of, Some(&fragment(column)?), "count(DISTINCT or_x)"),
            Measure::Sum(value) => {
                let value = fragment(value)?;
                let number = match self.dialect {
                    Dialect::Postgres => format!("CAST({value} AS numeric)"),
                    Dialect::MySql => format!("CAST({value} AS DECIMAL(38, 12))"),
                    Dialect::Sqlite => format!("CAST({value} AS REAL)"),
                };
                self.of_units(&part.of, Some(&number), "sum(or_x)")
            }
        }
    }

    /// What `taken` makes of the events in each unit's window.
    fn of_units(&self, of: &Events, value: Option<&str>, taken: &str) -> Result<String, String> {
        let Events { fact, condition } = of;
        let value = value.map(|value| format!(", {value} AS or_x")).unwrap_or_default();
        let window = self.contract.window;
        Ok(format!(
            "
  SELECT or_u.or_unit AS or_unit, {taken} AS or_m FROM or_units or_u
  JOIN (SELECT {unit} AS or_key, {at} AS or_at{value} FROM {rows}
    WHERE {at} >= :events_from AND {at} < :events_to{and}) or_f
  ON or_f.or_key = or_u.or_unit AND or_f.or_at >= {from} AND or_f.or_at < {to}
  GROUP BY or_u.or_unit",
            unit = fact.unit,
            at = fact.at,
            rows = relation(&fact.rows)?,
            and = conditions([&fact.condition, condition])?,
            from = self.after_exposure(window.from)?,
            to = self.after_exposure(window.to)?,
        ))
    }

    /// An instant this many seconds after a unit's first exposure, as its column writes instants.
    fn after_exposure(&self, seconds: i64) -> Result<String, String> {
        let first = "or_u.or_first";
        // What follows the seconds of a text, such as a fraction or a `Z`, stays as it is written.
        let text = |format: &str| format!("strftime('{format}', {first}, '+{seconds} seconds') || substr({first}, 20)");
        Ok(match (self.format, self.dialect) {
            _ if seconds == 0 => first.to_owned(),
            (TimeFormat::UnixSeconds, _) => format!("{first} + {seconds}"),
            (TimeFormat::UnixMillis, _) => format!("{first} + {}", i128::from(seconds) * 1000),
            (TimeFormat::Native, Dialect::Postgres) => format!("{first} + interval '{seconds} seconds'"),
            (TimeFormat::Native, Dialect::MySql) => format!("{first} + INTERVAL {seconds} SECOND"),
            (TimeFormat::Native, Dialect::Sqlite) => text("%Y-%m-%d %H:%M:%S"),
            (TimeFormat::Iso8601, Dialect::Sqlite) => text("%Y-%m-%dT%H:%M:%S"),
            (TimeFormat::Iso8601, Dialect::Postgres | Dialect::MySql) => {
                return Err(
                    "`metrics` need instants in columns of a time type, and `time_format` says that they are text"
                        .to_owned(),
                );
            }
        })
    }
}

/// The columns with the sums of what was taken.
fn sums(quantity: &Quantity) -> &'static str {
    match quantity {
        Quantity::Conversion { .. } => ", coalesce(sum(or_v), 0) AS successes",
        Quantity::Count(_) | Quantity::Mean(_) => {
            ", coalesce(sum(or_v), 0) AS sum, coalesce(sum(or_v * or_v), 0) AS sum_squares"
        }
        Quantity::Ratio { .. } => {
            ", coalesce(sum(or_v), 0) AS num_sum, coalesce(sum(or_v * or_v), 0) AS num_sum_squares, \
             coalesce(sum(or_w), 0) AS den_sum, coalesce(sum(or_w * or_w), 0) AS den_sum_squares, \
             coalesce(sum(or_v * or_w), 0) AS num_den_sum"
        }
    }
}

fn relation(rows: &Relation) -> Result<String, String> {
    match rows {
        Relation::Table(name) => Ok(name.clone()),
        Relation::Sql(text) => Ok(format!("{} or_rows", fragment(text)?)),
    }
}

/// `AND (...)` for each condition.
fn conditions<'c>(all: impl IntoIterator<Item = &'c Option<String>>) -> Result<String, String> {
    all.into_iter().flatten().map(|condition| Ok(format!(" AND {}", fragment(condition)?))).collect()
}

/// A text of the user's in brackets of ours, which it cannot close. The line after it ends a comment at its end.
fn fragment(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches(';');
    let mut depth = 0_i64;
    // Which engine reads it makes no difference for brackets, but for its own way of quoting; the statement is read again as a whole.
    for token in tokens(&format!("SELECT {text}"), Dialect::Postgres)? {
        depth += match token {
            Token::Sign('(') => 1,
            Token::Sign(')') => -1,
            Token::Word(_) | Token::Name(_) | Token::Sign(_) => 0,
        };
        if depth < 0 {
            break;
        }
    }
    if depth != 0 {
        return Err(format!("the brackets in `{}` do not match", text.chars().take(60).collect::<String>()));
    }
    Ok(format!("({text}\n)"))
}

/// Texts as a list of literals.
fn list(names: &[String]) -> Result<String, String> {
    let literal = |name: &String| {
        // A backslash means something else in each engine.
        if name.contains('\\') || name.chars().any(char::is_control) {
            return Err("a name of a variant has a backslash or a control character".to_owned());
        }
        Ok(format!("'{}'", name.replace('\'', "''")))
    };
    Ok(names.iter().map(literal).collect::<Result<Vec<_>, _>>()?.join(", "))
}
