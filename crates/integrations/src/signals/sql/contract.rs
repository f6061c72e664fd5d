//! The SQL of a metric of the contract: the values of units, and the level of everybody.
//!
//! Our own names begin with `or_`, so that they are no words of any engine and no columns of the user's. Columns of the user's keep their
//! types: a cast would lose their indexes. Time is added to an exposure in seconds, never in days of a calendar.
//!
//! Source: METRICS.md 2.3 to 2.8.

use jiff::{SignedDuration, Timestamp};

use outcome_core::domain::{Among, Contract, Events, Fact, Measure, Part, Period, Quantity, Via, Window};

use super::TimeFormat;
use super::bind::{Param, Params};
use super::dialect::Dialect;
use super::fragments::{conditions, fragment, relation, with};
use super::unit_maps::{joined, maps, owners};

/// A statement with our own parameters in it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) params: Params,
}

/// Everybody whose first event of the population lies so far back that their values are known at the end of the window.
///
/// # Errors
/// A sentence about what cannot be written.
pub(super) fn level(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    window: Window,
) -> Result<Written, String> {
    let write = Writer { contract, dialect, format, until: window.to };
    let population = contract.population.as_ref().ok_or("its source names no `population`")?;
    let Events { fact, condition } = population;
    let (mapped, join) = joined(&fact.unit, fact.via.as_ref());
    let mut tables = maps(dialect, contract)?;
    tables.push(format!(
        "or_units AS (
  SELECT {mapped} AS or_unit, min({at}) AS or_first FROM {rows}{join}
  WHERE {at} >= :from AND {at} < :to AND {unit} IS NOT NULL{and}
  GROUP BY {mapped}{expected})",
        expected = dialect.expected_rows(2),
        unit = fact.unit,
        at = fact.at,
        rows = relation(dialect, &fact.rows)?,
        and = conditions(dialect, [&fact.condition, condition])?,
    ));
    tables.extend(owners(dialect, contract, "or_units", "")?);
    tables.push(write.values("1 AS or_one", false)?);
    let text = format!(
        "WITH {tables}\nSELECT count(*) AS n{sums}\nFROM or_values",
        tables = tables.join(",\n"),
        sums = sums(dialect, &contract.quantity, false),
    );
    let back = contract.matures_after();
    let (from, to) = (earlier(window.from, back), earlier(window.to, back));
    let params = Params::from([
        ("from".to_owned(), Param::At(from)),
        ("to".to_owned(), Param::At(to)),
        ("events_from".to_owned(), Param::At(from)),
        ("among_from".to_owned(), Param::At(earlier(from, among(contract)))),
        ("events_to".to_owned(), Param::At(earlier(window.to, contract.settles_after()))),
    ]);
    Ok(Written { text, params })
}

/// The quantile of one number of every unit, over one window that ended at `before`: of the value or numerator, the denominator, the
/// covariate. The rows of the answer are the values between which it lies, with how many there are.
///
/// # Errors
/// A sentence about what cannot be written.
pub(super) fn quantiles(
    contract: &Contract,
    (dialect, format): (Dialect, TimeFormat),
    (permille, before): (u16, Timestamp),
) -> Result<Vec<Written>, String> {
    let write = Writer { contract, dialect, format, until: before };
    let to = earlier(before, contract.lag.as_secs());
    let window = contract.window.to.saturating_sub(contract.window.from);
    let mut asked: Vec<(String, i64)> = Vec::new();
    for (of, taken) in write.measured()? {
        asked.push((of_everybody(dialect, of, &taken)?, window));
    }
    if let (Some(covariate), Some((of, taken))) = (contract.covariate, write.measured()?.first()) {
        asked.push((of_everybody(dialect, of, taken)?, covariate.as_secs()));
    }
    let with = with(&maps(dialect, contract)?);
    let written = asked.into_iter().map(|(values, length)| {
        // The rows whose numbers, from 0, are the whole numbers around (n - 1) times the quantile.
        let text = format!(
            "{with}SELECT or_m, or_n FROM (
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

/// Seconds before the launch from which events are read.
pub(super) fn history(contract: &Contract) -> i64 {
    contract.covariate.map_or(0, Period::as_secs)
}

/// Seconds before the launch from which events are read that say whom the metric is about.
pub(super) fn among(contract: &Contract) -> i64 {
    contract.among.as_ref().map_or(0, |among| among.within.as_secs())
}

pub(super) fn earlier(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}

/// What is made of a unit's events.
pub(super) struct Taken {
    /// What is read of each event.
    of_row: Option<String>,
    /// The number of the unit, from all of them.
    made: String,
    /// The number of a unit without any.
    otherwise: String,
}

impl Taken {
    pub(super) fn count() -> Self {
        Self { of_row: None, made: "count(*)".to_owned(), otherwise: "0".to_owned() }
    }
}

pub(super) struct Writer<'c> {
    pub(super) contract: &'c Contract,
    pub(super) dialect: Dialect,
    pub(super) format: TimeFormat,
    /// Up to when events are read.
    pub(super) until: Timestamp,
}

impl<'c> Writer<'c> {
    /// The value of each unit of `or_units`, beside these columns of it. `is_compared`: with the covariate, and without the cap beside
    /// the value, for arms that are held against each other.
    pub(super) fn values(&self, columns: &str, is_compared: bool) -> Result<String, String> {
        let window = self.contract.window;
        let mut parts: Vec<(&str, &str, String, String)> = Vec::new();
        for ((table, column), (of, taken)) in [("or_y", "or_v"), ("or_z", "or_w")].into_iter().zip(self.measured()?) {
            let text = self.of_units(of, &taken, (window.from, window.to), "events_from")?;
            parts.push((table, column, text, taken.otherwise));
        }
        if let Quantity::Funnel { steps } = &self.contract.quantity {
            parts.push(("or_y", "or_v", self.funnel(steps)?, "0".to_owned()));
        }
        let covariate = self.contract.covariate.filter(|_| is_compared);
        if let (Some(covariate), Some((of, taken))) = (covariate, self.measured()?.first()) {
            let text = self.of_units(of, taken, (-covariate.as_secs(), 0), "history_from")?;
            parts.push(("or_c", "or_x", text, "0".to_owned()));
        }
        let (mut tables, mut joins) = (Vec::new(), Vec::new());
        if let Some(Among { of, within }) = &self.contract.among {
            let text = self.of_units(of, &Taken::count(), (-within.as_secs(), 0), "among_from")?;
            tables.push(format!("or_among AS ({text})"));
            joins.push(" JOIN or_among ON or_among.or_unit = or_u.or_unit".to_owned());
        }
        let (mut columns, mut cut) = (vec![columns.to_owned()], Vec::new());
        let [value, denominator, of_covariate] = self.contract.limits();
        for (table, column, text, otherwise) in parts {
            tables.push(format!("{table} AS ({text})"));
            joins.push(format!(" LEFT JOIN {table} ON {table}.or_unit = or_u.or_unit"));
            let whole = format!("coalesce({table}.or_m, {otherwise})");
            let limit = match column {
                "or_v" => value,
                "or_w" => denominator,
                _ => of_covariate,
            };
            let cut_off = limit.map_or_else(|| whole.clone(), |limit| self.dialect.at_most(&whole, limit));
            columns.push(format!("{cut_off} AS {column}"));
            if let Some(limit) = limit.filter(|_| is_compared && column != "or_x") {
                columns.push(format!("{whole} AS {column}_whole"));
                cut.push(format!("{whole} > {}", self.dialect.limit(limit)));
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

    /// The units that made all steps, each at or after the one before and within the window.
    fn funnel(&self, steps: &[Events]) -> Result<String, String> {
        let end = self.after_exposure(self.contract.window.to)?;
        let Some((first, rest)) = steps.split_first() else { return Err("a funnel has no steps".to_owned()) };
        let earliest = Taken { made: "min(or_f.or_at)".to_owned(), ..Taken::count() };
        let mut text = self.of_units(first, &earliest, (0, self.contract.window.to), "events_from")?;
        for step in rest {
            text = format!(
                "
  SELECT or_u.or_unit AS or_unit, min(or_f.or_at) AS or_m FROM or_units or_u
  JOIN ({text}) or_p ON or_p.or_unit = or_u.or_unit
  JOIN ({rows}) or_f {on}
  GROUP BY or_u.or_unit",
                rows = events(self.dialect, step, &earliest, "events_from")?,
                on = self
                    .dialect
                    .on("or_f.or_key = or_u.or_unit", &format!("or_f.or_at >= or_p.or_m AND or_f.or_at < {end}")),
            );
        }
        Ok(format!("\n  SELECT or_unit, 1 AS or_m FROM ({text}) or_l"))
    }

    /// Whose events the metric takes, and what of them: of a ratio the numerator, then the denominator. Of a funnel nothing: its steps
    /// are several.
    fn measured(&self) -> Result<Vec<(&'c Events, Taken)>, String> {
        let part = |part: &'c Part| Ok::<_, String>((&part.of, self.taken(part)?));
        Ok(match &self.contract.quantity {
            Quantity::Conversion { of, at_least } => {
                let made = format!("CASE WHEN count(*) >= {at_least} THEN 1 ELSE 0 END");
                vec![(of, Taken { made, ..Taken::count() })]
            }
            Quantity::Count(one) | Quantity::Mean(one) => vec![part(one)?],
            Quantity::Ratio { numerator, denominator } => vec![part(numerator)?, part(denominator)?],
            Quantity::TimeTo { of } => {
                let otherwise = self.dialect.hours(self.contract.window.to);
                vec![(of, Taken { of_row: None, made: self.hours_until("min(or_f.or_at)"), otherwise })]
            }
            Quantity::Funnel { .. } => Vec::new(),
        })
    }

    fn taken(&self, part: &Part) -> Result<Taken, String> {
        let different =
            |what: String| Taken { of_row: Some(what), made: "count(DISTINCT or_x)".to_owned(), ..Taken::count() };
        Ok(match &part.measure {
            Measure::Count => Taken::count(),
            Measure::Distinct(column) => different(fragment(self.dialect, column)?),
            Measure::Days => different(self.part_of_time(&part.of.fact.at, true)?),
            Measure::Hours => different(self.part_of_time(&part.of.fact.at, false)?),
            Measure::Sum(value) => {
                let number = self.dialect.exact(&fragment(self.dialect, value)?);
                Taken { of_row: Some(number), made: "sum(or_x)".to_owned(), ..Taken::count() }
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
  {on}
  GROUP BY or_u.or_unit, or_u.or_first",
            made = taken.made,
            rows = events(self.dialect, of, taken, since)?,
            on = self.dialect.on(
                "or_f.or_key = or_u.or_unit",
                &format!("or_f.or_at >= {} AND or_f.or_at < {}", self.after_exposure(from)?, self.after_exposure(to)?)
            ),
        ))
    }
}

/// What is made of the events of each unit that there is.
fn of_everybody(dialect: Dialect, of: &Events, taken: &Taken) -> Result<String, String> {
    // Without an experiment nobody knows which of a person's units is the first: the person is the unit.
    let via = of.fact.via.clone().filter(|via| *via == Via::Map);
    let of = &Events { fact: Fact { via, ..of.fact.clone() }, ..of.clone() };
    Ok(format!(
        "
  SELECT or_key, {made} AS or_m FROM ({rows}) or_f WHERE or_key IS NOT NULL GROUP BY or_key",
        made = taken.made,
        rows = events(dialect, of, taken, "events_from")?,
    ))
}

/// The events of a fact from `since` on, with what is read of each.
pub(super) fn events(dialect: Dialect, of: &Events, taken: &Taken, since: &str) -> Result<String, String> {
    let Events { fact, condition } = of;
    let (key, join) = joined(&fact.unit, fact.via.as_ref());
    Ok(format!(
        "SELECT {key} AS or_key, {at} AS or_at{value} FROM {rows}{join}
    WHERE {at} >= :{since} AND {at} < :events_to{and}",
        at = fact.at,
        value = taken.of_row.as_ref().map(|value| format!(", {value} AS or_x")).unwrap_or_default(),
        rows = relation(dialect, &fact.rows)?,
        and = conditions(dialect, [&fact.condition, condition])?,
    ))
}

/// The columns with the sums of what was taken.
pub(super) fn sums(dialect: Dialect, quantity: &Quantity, has_covariate: bool) -> String {
    let sum = |what: &str, name: &str| format!(", coalesce(sum({what}), 0) AS {name}");
    let of = |one: &str, other: &str, name: &str| sum(&dialect.product(one, other), name);
    let mut all = match quantity {
        Quantity::Conversion { .. } | Quantity::Funnel { .. } if !has_covariate => sum("or_v", "successes"),
        Quantity::Conversion { .. }
        | Quantity::Funnel { .. }
        | Quantity::Count(_)
        | Quantity::Mean(_)
        | Quantity::TimeTo { .. } => sum("or_v", "sum") + &of("or_v", "or_v", "sum_squares"),
        Quantity::Ratio { .. } => [
            sum("or_v", "num_sum"),
            of("or_v", "or_v", "num_sum_squares"),
            sum("or_w", "den_sum"),
            of("or_w", "or_w", "den_sum_squares"),
            of("or_v", "or_w", "num_den_sum"),
        ]
        .concat(),
    };
    if has_covariate {
        all += &sum("or_x", "cov_sum");
        all += &of("or_x", "or_x", "cov_sum_squares");
        all += &of("or_v", "or_x", "cross_sum");
    }
    all
}

/// The columns with the sums that there would be without the cap.
pub(super) fn uncapped(contract: &Contract) -> &'static str {
    match contract.limits() {
        [Some(_), Some(_), _] if matches!(contract.quantity, Quantity::Ratio { .. }) => {
            ", coalesce(sum(or_v_whole), 0) AS uncapped_sum, coalesce(sum(or_w_whole), 0) AS uncapped_den"
        }
        [Some(_), ..] => ", coalesce(sum(or_v_whole), 0) AS uncapped_sum",
        [None, ..] => "",
    }
}
