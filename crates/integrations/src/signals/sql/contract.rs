//! The SQL of a metric of the contract: one statement for the arms of an experiment, and one for everybody.
//!
//! Our own names begin with `or_`, so that they are no words of any engine and no columns of the user's. Columns of the user's keep their
//! types: a cast would lose their indexes. Time is added to an exposure in seconds, never in days of a calendar.
//!
//! Source: METRICS.md 2.3 to 2.8.

use jiff::{SignedDuration, Timestamp};

use outcome_core::domain::{Contract, Events, Exposures, Measure, Part, Period, Quantity, Relation, Window};
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
         sum(or_capped) AS n_capped{sums}{more}\nFROM or_values GROUP BY or_arm, or_claimed",
        values = write.values("or_arm, or_claimed, or_both", true)?,
        sums = sums(&contract.quantity, contract.covariate.is_some()),
        more = uncapped(contract),
    );
    let params = Params::from([
        ("flag".to_owned(), Param::Text(request.flag_key.clone())),
        ("since_launch".to_owned(), Param::At(request.launched_at)),
        ("events_from".to_owned(), Param::At(request.launched_at)),
        ("history_from".to_owned(), Param::At(earlier(request.launched_at, history(contract)))),
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
        values = write.values("1 AS or_one", false)?,
        sums = sums(&contract.quantity, false),
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

/// The quantile of one number of every unit, over one window that ended at `before`: of the value or numerator, the denominator, the
/// covariate. The rows of the answer are the values between which it lies, with how many there are.
///
/// # Errors
/// As [`by_variant`].
pub(super) fn quantiles(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    (permille, before): (u16, Timestamp),
) -> Result<Vec<Written>, String> {
    let write = Writer { contract, dialect, format };
    let to = earlier(before, contract.lag.as_secs());
    let window = contract.window.to.saturating_sub(contract.window.from);
    let mut asked: Vec<(String, i64)> = Vec::new();
    for (of, taken) in write.measured()? {
        asked.push((of_everybody(of, &taken)?, window));
    }
    if let (Some(covariate), Some((of, taken))) = (contract.covariate, write.measured()?.first()) {
        asked.push((of_everybody(of, taken)?, covariate.as_secs()));
    }
    let written = asked.into_iter().map(|(values, length)| {
        // The rows whose numbers, from 0, are the whole numbers around (n - 1) times the quantile.
        let text = format!(
            "SELECT or_m, or_n FROM (
  SELECT or_m, row_number() OVER (ORDER BY or_m) AS or_i, count(*) OVER () AS or_n FROM ({values}) or_v WHERE or_m <> 0) or_r
WHERE or_i * 1000 < (or_n - 1) * {permille} + 2000 AND or_i * 1000 > (or_n - 1) * {permille} ORDER BY or_m"
        );
        let params = Params::from([
            ("events_from".to_owned(), Param::At(earlier(to, length))),
            ("events_to".to_owned(), Param::At(to)),
        ]);
        Written { text, params }
    });
    Ok(written.collect())
}

/// A column that may name what units share.
#[derive(Debug)]
pub(super) struct KeyOf<'a> {
    /// Where it is.
    pub(super) rows: &'a Relation,
    /// The column with the unit there.
    pub(super) unit: &'a str,
    /// The column with the instant there.
    pub(super) at: &'a str,
    pub(super) column: String,
}

/// One row of it, for its columns.
pub(super) fn sample(rows: &Relation) -> Result<String, String> {
    Ok(format!("SELECT * FROM {} LIMIT 1", relation(rows)?))
}

/// Of the exposures in a window: rows, repeated ones, those without a unit, without an arm, of an unknown arm; units of each flag and those
/// in both arms; units, and those that are mature. Three statements.
pub(super) fn exposure_counts(contract: &Contract, is_of_flag: bool) -> Result<[String; 3], String> {
    let Exposures { rows, unit, experiment, variant, at, condition, control, treatment, .. } = &contract.exposures;
    let [control, treatment] = [list(control)?, list(treatment)?];
    let flag = if is_of_flag { format!(" AND {experiment} = :flag") } else { String::new() };
    let seen = format!(
        "FROM {rows} WHERE {at} >= :from AND {at} < :to{flag}{and}",
        rows = relation(rows)?,
        and = conditions([condition])?
    );
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
            "SELECT count(*) AS n_pairs, coalesce(sum(or_c * or_t), 0) AS n_both
FROM (SELECT {unit} AS or_unit, {experiment} AS or_flag, max(CASE WHEN {variant} IN ({control}) THEN 1 ELSE 0 END) AS or_c,
  max(CASE WHEN {variant} IN ({treatment}) THEN 1 ELSE 0 END) AS or_t {seen} AND {unit} IS NOT NULL GROUP BY {unit}, {experiment}) or_g"
        ),
        format!(
            "SELECT count(*) AS n_units, coalesce(sum(CASE WHEN or_first < :mature THEN 1 ELSE 0 END), 0) AS n_mature
FROM (SELECT {unit} AS or_unit, min({at}) AS or_first {seen} AND {unit} IS NOT NULL GROUP BY {unit}) or_g"
        ),
    ])
}

/// Of a fact in a window: rows, those with the unit and the instant of another one, those without a unit.
pub(super) fn fact_counts(of: &Events) -> Result<String, String> {
    let Events { fact, condition } = of;
    Ok(format!(
        "SELECT coalesce(sum(or_n), 0) AS n_rows, coalesce(sum(or_n), 0) - count(*) AS n_repeated,
  coalesce(sum(CASE WHEN or_key IS NULL THEN or_n ELSE 0 END), 0) AS n_without_unit
FROM (SELECT {unit} AS or_key, {at} AS or_at, count(*) AS or_n FROM {rows} WHERE {at} >= :from AND {at} < :to{and}
  GROUP BY {unit}, {at}) or_g",
        unit = fact.unit,
        at = fact.at,
        rows = relation(&fact.rows)?,
        and = conditions([&fact.condition, condition])?,
    ))
}

/// The sums of the units by hash of a key: of the unit itself, or of a column of which a unit has one. SQLite gives a row for each key.
pub(super) fn buckets(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    is_population: bool,
    is_of_flag: bool,
    key: Option<&KeyOf<'_>>,
) -> Result<String, String> {
    let write = Writer { contract, dialect, format };
    let exposures = &contract.exposures;
    let flag =
        if is_of_flag && !is_population { format!(" AND {} = :flag", exposures.experiment) } else { String::new() };
    let (rows, unit, at, and) = match contract.population.as_ref().filter(|_| is_population) {
        Some(Events { fact, condition }) => {
            (&fact.rows, &fact.unit, &fact.at, conditions([&fact.condition, condition])?)
        }
        None => (&exposures.rows, &exposures.unit, &exposures.at, conditions([&exposures.condition])?),
    };
    let units = format!(
        "or_units AS (
  SELECT {unit} AS or_unit, min({at}) AS or_first FROM {rows}
  WHERE {at} >= :from AND {at} < :to AND {unit} IS NOT NULL{flag}{and}
  GROUP BY {unit})",
        rows = relation(rows)?
    );
    let values = write.values("or_u.or_unit AS or_unit", true)?;
    let sums = sums(&contract.quantity, contract.covariate.is_some());
    let hashed = |key: &str| match dialect {
        Dialect::Postgres => {
            format!("mod(CAST(CAST('x' || substr(md5('or' || CAST({key} AS text)), 1, 8) AS bit(32)) AS bigint), 512)")
        }
        Dialect::MySql => format!("CAST(CONV(SUBSTR(MD5(CONCAT('or', {key})), 1, 8), 16, 10) AS SIGNED) % 512"),
        Dialect::Sqlite => format!("'k' || {key}"),
    };
    Ok(match key {
        None => format!(
            "WITH {units},\n{values}\nSELECT {bucket} AS or_bucket, count(DISTINCT or_unit) AS n_keys, count(*) AS n{sums}\nFROM or_values GROUP BY {bucket}",
            bucket = hashed("or_unit"),
        ),
        Some(KeyOf { rows, unit, at, column }) => {
            let bucket = format!(
                "CASE WHEN or_several = 1 THEN {} WHEN or_several > 1 THEN -2 ELSE -1 END",
                hashed("or_shared")
            );
            format!(
                "WITH {units},\n{values},
or_keys AS (
  SELECT {unit} AS or_key, min({column}) AS or_shared, count(DISTINCT {column}) AS or_several FROM {rows}
  WHERE {at} >= :from AND {at} < :events_to AND {unit} IS NOT NULL GROUP BY {unit})
SELECT {bucket} AS or_bucket, count(DISTINCT or_shared) AS n_keys, count(*) AS n{sums}
FROM or_values LEFT JOIN or_keys ON or_keys.or_key = or_values.or_unit GROUP BY {bucket}",
                rows = relation(rows)?,
            )
        }
    })
}

/// Seconds before the launch from which events are read.
pub(super) fn history(contract: &Contract) -> i64 {
    contract.covariate.map_or(0, Period::as_secs)
}

/// Until when a unit must have been exposed to be mature and whole.
fn claim_until(contract: &Contract, request: &VariantRequest) -> Timestamp {
    let mature = earlier(request.as_of, contract.matures_after());
    request.on_until.map_or(mature, |changed| mature.min(earlier(changed, contract.window.to)))
}

pub(super) fn earlier(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

/// What is made of a unit's events.
struct Taken {
    /// What is read of each event.
    of_row: Option<String>,
    /// The number of the unit, from all of them.
    made: String,
}

struct Writer<'c> {
    contract: &'c Contract,
    dialect: Dialect,
    format: TimeFormat,
}

impl<'c> Writer<'c> {
    /// The value of each unit of `or_units`, beside these columns of it. `is_compared`: with the covariate, and without the cap beside
    /// the value, for arms that are held against each other.
    fn values(&self, columns: &str, is_compared: bool) -> Result<String, String> {
        let window = self.contract.window;
        let mut parts: Vec<(&str, &str, String)> = Vec::new();
        for ((table, column), (of, taken)) in [("or_y", "or_v"), ("or_z", "or_w")].into_iter().zip(self.measured()?) {
            parts.push((table, column, self.of_units(of, &taken, (window.from, window.to), "events_from")?));
        }
        let covariate = self.contract.covariate.filter(|_| is_compared);
        if let (Some(covariate), Some((of, taken))) = (covariate, self.measured()?.first()) {
            parts.push(("or_c", "or_x", self.of_units(of, taken, (-covariate.as_secs(), 0), "history_from")?));
        }
        let (mut tables, mut joins, mut columns, mut cut) =
            (Vec::new(), Vec::new(), vec![columns.to_owned()], Vec::new());
        let [value, denominator, of_covariate] = self.contract.limits();
        for (table, column, text) in parts {
            tables.push(format!("{table} AS ({text})"));
            joins.push(format!(" LEFT JOIN {table} ON {table}.or_unit = or_u.or_unit"));
            let whole = format!("coalesce({table}.or_m, 0)");
            let limit = match column {
                "or_v" => value,
                "or_w" => denominator,
                _ => of_covariate,
            };
            columns.push(format!("{} AS {column}", self.at_most(&whole, limit)));
            if let Some(limit) = limit.filter(|_| is_compared && column != "or_x") {
                columns.push(format!("{whole} AS {column}_whole"));
                cut.push(format!("{whole} > {limit}"));
            }
        }
        let cut =
            if cut.is_empty() { "0".to_owned() } else { format!("CASE WHEN {} THEN 1 ELSE 0 END", cut.join(" OR ")) };
        Ok(format!(
            "{},\nor_values AS (\n  SELECT {}, {cut} AS or_capped\n  FROM or_units or_u{})",
            tables.join(",\n"),
            columns.join(", "),
            joins.join("")
        ))
    }

    fn at_most(&self, value: &str, limit: Option<f64>) -> String {
        match (limit, self.dialect) {
            (None, _) => value.to_owned(),
            (Some(limit), Dialect::Sqlite) => format!("min({value}, {limit})"),
            (Some(limit), Dialect::Postgres | Dialect::MySql) => format!("least({value}, {limit})"),
        }
    }

    /// Whose events the metric takes, and what of them: of a ratio the numerator, then the denominator.
    fn measured(&self) -> Result<Vec<(&'c Events, Taken)>, String> {
        let part = |part: &'c Part| Ok::<_, String>((&part.of, self.taken(&part.measure)?));
        Ok(match &self.contract.quantity {
            Quantity::Conversion { of, at_least } => {
                let made = format!("CASE WHEN count(*) >= {at_least} THEN 1 ELSE 0 END");
                vec![(of, Taken { of_row: None, made })]
            }
            Quantity::Count(one) | Quantity::Mean(one) => vec![part(one)?],
            Quantity::Ratio { numerator, denominator } => vec![part(numerator)?, part(denominator)?],
        })
    }

    fn taken(&self, measure: &Measure) -> Result<Taken, String> {
        Ok(match measure {
            Measure::Count => Taken { of_row: None, made: "count(*)".to_owned() },
            Measure::Distinct(column) => {
                Taken { of_row: Some(fragment(column)?), made: "count(DISTINCT or_x)".to_owned() }
            }
            Measure::Sum(value) => {
                let value = fragment(value)?;
                let number = match self.dialect {
                    Dialect::Postgres => format!("CAST({value} AS numeric)"),
                    Dialect::MySql => format!("CAST({value} AS DECIMAL(38, 12))"),
                    Dialect::Sqlite => format!("CAST({value} AS REAL)"),
                };
                Taken { of_row: Some(number), made: "sum(or_x)".to_owned() }
            }
        })
    }

    /// What is made of the events of each unit, between these two numbers of seconds since its first exposure. `since`: the parameter
    /// before which none of them lies, for the engine's sake.
    fn of_units(&self, of: &Events, taken: &Taken, (from, to): (i64, i64), since: &str) -> Result<String, String> {
        Ok(format!(
            "
  SELECT or_u.or_unit AS or_unit, {made} AS or_m FROM or_units or_u
  JOIN ({rows}) or_f
  ON or_f.or_key = or_u.or_unit AND or_f.or_at >= {from} AND or_f.or_at < {to}
  GROUP BY or_u.or_unit",
            made = taken.made,
            rows = events(of, taken, since)?,
            from = self.after_exposure(from)?,
            to = self.after_exposure(to)?,
        ))
    }

    /// An instant this many seconds after a unit's first exposure, as its column writes instants.
    fn after_exposure(&self, seconds: i64) -> Result<String, String> {
        let first = "or_u.or_first";
        // What follows the seconds of a text, such as a fraction or a `Z`, stays as it is written.
        let text =
            |format: &str| format!("strftime('{format}', {first}, '{seconds:+} seconds') || substr({first}, 20)");
        Ok(match (self.format, self.dialect) {
            _ if seconds == 0 => first.to_owned(),
            (TimeFormat::UnixSeconds, _) => format!("{first} + ({seconds})"),
            (TimeFormat::UnixMillis, _) => format!("{first} + ({})", i128::from(seconds) * 1000),
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

/// What is made of the events of each unit that there is.
fn of_everybody(of: &Events, taken: &Taken) -> Result<String, String> {
    Ok(format!(
        "
  SELECT or_key, {made} AS or_m FROM ({rows}) or_f WHERE or_key IS NOT NULL GROUP BY or_key",
        made = taken.made,
        rows = events(of, taken, "events_from")?,
    ))
}

/// The events of a fact from `since` on, with what is read of each.
fn events(of: &Events, taken: &Taken, since: &str) -> Result<String, String> {
    let Events { fact, condition } = of;
    Ok(format!(
        "SELECT {unit} AS or_key, {at} AS or_at{value} FROM {rows}
    WHERE {at} >= :{since} AND {at} < :events_to{and}",
        unit = fact.unit,
        at = fact.at,
        value = taken.of_row.as_ref().map(|value| format!(", {value} AS or_x")).unwrap_or_default(),
        rows = relation(&fact.rows)?,
        and = conditions([&fact.condition, condition])?,
    ))
}

/// The columns with the sums of what was taken.
fn sums(quantity: &Quantity, has_covariate: bool) -> String {
    let sum = |what: &str, name: &str| format!(", coalesce(sum({what}), 0) AS {name}");
    let all: &[(&str, &str)] = match quantity {
        Quantity::Conversion { .. } if !has_covariate => &[("or_v", "successes")],
        Quantity::Conversion { .. } | Quantity::Count(_) | Quantity::Mean(_) => {
            &[("or_v", "sum"), ("or_v * or_v", "sum_squares")]
        }
        Quantity::Ratio { .. } => &[
            ("or_v", "num_sum"),
            ("or_v * or_v", "num_sum_squares"),
            ("or_w", "den_sum"),
            ("or_w * or_w", "den_sum_squares"),
            ("or_v * or_w", "num_den_sum"),
        ],
    };
    let of_covariate: &[(&str, &str)] =
        &[("or_x", "cov_sum"), ("or_x * or_x", "cov_sum_squares"), ("or_v * or_x", "cross_sum")];
    let more = if has_covariate { of_covariate } else { &[] };
    all.iter().chain(more).map(|(what, name)| sum(what, name)).collect()
}

/// The columns with the sums that there would be without the cap.
fn uncapped(contract: &Contract) -> &'static str {
    match contract.limits() {
        [Some(_), Some(_), _] if matches!(contract.quantity, Quantity::Ratio { .. }) => {
            ", coalesce(sum(or_v_whole), 0) AS uncapped_sum, coalesce(sum(or_w_whole), 0) AS uncapped_den"
        }
        [Some(_), ..] => ", coalesce(sum(or_v_whole), 0) AS uncapped_sum",
        [None, ..] => "",
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
