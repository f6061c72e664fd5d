//! From what the tables are to what is proposed.

use crate::ports::{ColumnInfo, ColumnKind, SqlEngine, TableInfo, Tables};

use super::deeds::{DeedTable, ExposureTable};
use super::instants::{TimeFormat, format_of};
use super::names::{self, literal};
use super::proposal::{Exposures, Fact, Kind, Metric, Proposal};
use super::read::{Population, Roles, roles};
use super::samples::Samples;
use super::words::{ARRIVALS, NOT_DONE, STEPS, parts, snake};
use crate::domain::NO_EXPOSURES;
use crate::present::plural;

/// Days after its first exposure in which a unit's events count.
const WINDOW_DAYS: u32 = 7;

/// What people do, the best first.
const ORDER: [&str; 29] = [
    "purchase",
    "order",
    "subscription",
    "payment",
    "booking",
    "reservation",
    "checkout",
    "sale",
    "donation",
    "charge",
    "conversion",
    "upgrade",
    "activation",
    "onboarding",
    "enrollment",
    "trial",
    "signup",
    "registration",
    "invoice",
    "project",
    "workspace",
    "post",
    "upload",
    "message",
    "completion",
    "creation",
    "confirmation",
    "verification",
    "event",
];

/// Something that can be measured.
#[derive(Debug, Clone)]
struct Candidate<'t> {
    noun: String,
    verb: String,
    table: &'t TableInfo,
    at: &'t ColumnInfo,
    unit: &'t ColumnInfo,
    /// Which rows of the table there are.
    of_fact: Option<String>,
    /// Which of them count.
    condition: Option<String>,
    amount: Option<&'t ColumnInfo>,
    /// One row a deed, so that they can be counted.
    is_counted: bool,
    is_harm: bool,
    is_empty: bool,
    because: String,
}

/// What the tables that [`super::plain`] gave suggest; `None` where nothing fits.
#[must_use]
pub fn propose(tables: &Tables, samples: &Samples, left_out: Vec<String>) -> Option<Proposal> {
    let roles = roles(tables)?;
    let engine = roles.engine;
    let Population { table, id, at, is_people } = roles.population;
    let time_format = format_of((table, at), samples, engine)?;
    let mut candidates = candidates(&roles, samples);
    candidates.retain(|found| format_of((found.table, found.at), samples, engine) == Some(time_format));
    candidates.sort_by_key(|found| (found.is_empty, ORDER.iter().position(|noun| *noun == found.noun).unwrap_or(99)));
    let mut facts = Facts { engine, all: Vec::new() };
    let arrival = if is_people { None } else { arrival(&roles, samples) };
    let name = match (is_people, &arrival) {
        (true, _) => plural(&roles.unit),
        (false, Some(_)) => "arrivals".to_owned(),
        (false, None) => plural(&super::words::noun(&table.name)),
    };
    let because = if is_people {
        format!("by its name: one row a {}, who came at `{}`", roles.unit, at.name)
    } else {
        format!("one row an event; a {} comes with the first one", roles.unit)
    };
    let population = facts.add(&name, (table, at, id), arrival, because)?;
    let mut metrics: Vec<Metric> = Vec::new();
    let mut nouns: Vec<&str> = Vec::new();
    for found in candidates.iter().filter(|found| !found.is_harm) {
        if nouns.contains(&found.noun.as_str()) || nouns.len() == 2 || (found.is_empty && !metrics.is_empty()) {
            continue;
        }
        nouns.push(&found.noun);
        let conversion = facts.conversion(found, &population, table, at)?;
        let more = nouns.len() == 1;
        let other = if more { facts.more(found, &conversion, &roles.unit) } else { None };
        metrics.push(conversion);
        metrics.extend(other);
    }
    let harm = candidates.iter().find(|found| found.is_harm && !found.is_empty);
    let guard = match harm {
        Some(found) => Some(facts.conversion(found, &population, table, at)?),
        None => None,
    };
    if metrics.is_empty() {
        return None;
    }
    let exposures = roles
        .exposures
        .filter(|found| format_of((found.table, found.at), samples, engine) == Some(time_format))
        .and_then(|found| exposures(&found, samples, engine));
    let exposures = match exposures {
        Some(found) => found,
        None => missing(&roles, time_format)?,
    };
    Some(Proposal { unit: roles.unit, population, facts: facts.all, metrics, guard, exposures, time_format, left_out })
}

fn candidates<'t>(roles: &Roles<'t>, samples: &Samples) -> Vec<Candidate<'t>> {
    let mut found = Vec::new();
    let Population { table, id, .. } = roles.population;
    for milestone in &roles.milestones {
        found.push(Candidate {
            noun: milestone.noun.to_owned(),
            verb: milestone.verb.to_owned(),
            table,
            at: milestone.at,
            unit: id,
            of_fact: None,
            condition: None,
            amount: None,
            is_counted: false,
            is_harm: false,
            is_empty: samples.values(table, milestone.at).is_empty(),
            because: format!("by its name: `{}` is empty until it happens", milestone.at.name),
        });
    }
    for deed in &roles.deeds {
        if deed.name.is_some() {
            found.extend(named_events(deed, samples));
        } else if !std::ptr::eq(deed.table, table) {
            found.push(of_table(deed, samples));
        }
    }
    found
}

fn of_table<'t>(deed: &DeedTable<'t>, samples: &Samples) -> Candidate<'t> {
    let of_fact = deed.state.and_then(|state| done(deed.table, state, samples));
    Candidate {
        noun: deed.noun.clone(),
        verb: deed.verb.clone(),
        table: deed.table,
        at: deed.at,
        unit: deed.unit,
        of_fact,
        condition: None,
        amount: deed.amount,
        is_counted: true,
        is_harm: deed.is_harm,
        is_empty: samples.rows(deed.table) == Some(0),
        because: format!("by its name: one row each, at `{}`, of `{}`", deed.at.name, deed.unit.name),
    }
}

/// Rows that came as far as they should, by the words that their column really has.
fn done(table: &TableInfo, state: &ColumnInfo, samples: &Samples) -> Option<String> {
    let column = names::column(&state.name, SqlEngine::Sqlite).filter(|written| *written == state.name)?;
    let not_done: Vec<String> = samples
        .values(table, state)
        .iter()
        .filter(|value| NOT_DONE.contains(&value.text.to_lowercase().as_str()))
        .filter_map(|value| literal(&value.text))
        .collect();
    let has_other = samples.values(table, state).len() > not_done.len();
    (!not_done.is_empty() && has_other).then(|| format!("{column} NOT IN ({})", not_done.join(", ")))
}

/// What the names of events say that people do.
fn named_events<'t>(deed: &DeedTable<'t>, samples: &Samples) -> Vec<Candidate<'t>> {
    let Some(column) = deed.name else { return Vec::new() };
    let mut found = Vec::new();
    for (words, noun, verb) in STEPS {
        let is_step = |text: &str| {
            let parts = parts(text);
            let is_half = |part: &String| {
                [
                    "failed",
                    "viewed",
                    "view",
                    "cancelled",
                    "canceled",
                    "error",
                    "abandoned",
                    "click",
                    "clicked",
                    "begin",
                    "refunded",
                ]
                .contains(&part.as_str())
                    || (part == "started" && noun != "trial")
            };
            parts.iter().any(|part| words.contains(&part.as_str())) && !parts.iter().any(is_half)
        };
        let values = samples.values(deed.table, column);
        let Some(value) = values.iter().find(|value| is_step(&value.text)) else { continue };
        let Some(condition) = condition(column, &value.text) else { continue };
        found.push(Candidate {
            noun: noun.to_owned(),
            verb: verb.to_owned(),
            table: deed.table,
            at: deed.at,
            unit: deed.unit,
            of_fact: None,
            condition: Some(condition),
            amount: None,
            is_counted: true,
            is_harm: false,
            is_empty: false,
            because: format!("one row an event, named in `{}`", column.name),
        });
    }
    found
}

/// The event with which somebody arrives, where events have names.
fn arrival(roles: &Roles<'_>, samples: &Samples) -> Option<String> {
    let deed = roles.deeds.iter().find(|deed| std::ptr::eq(deed.table, roles.population.table))?;
    let column = deed.name?;
    let values = samples.values(deed.table, column);
    let is = |text: &str| ARRIVALS.iter().any(|known| snake(text).contains(&snake(known)));
    let value = values.iter().find(|value| is(&value.text))?;
    condition(column, &value.text)
}

fn condition(column: &ColumnInfo, value: &str) -> Option<String> {
    let written = names::column(&column.name, SqlEngine::Sqlite).filter(|written| *written == column.name)?;
    Some(format!("{written} = {}", literal(value)?))
}

/// The facts so far.
struct Facts {
    engine: SqlEngine,
    all: Vec<Fact>,
}

impl Facts {
    /// The name of the fact of these rows, which is made where there is none yet.
    fn add(
        &mut self,
        name: &str,
        (table, at, unit): (&TableInfo, &ColumnInfo, &ColumnInfo),
        condition: Option<String>,
        because: String,
    ) -> Option<String> {
        let table = names::table(table, self.engine)?;
        let (at, unit) = (names::column(&at.name, self.engine)?, names::column(&unit.name, self.engine)?);
        let is_same =
            |fact: &&Fact| fact.table == table && fact.at == at && fact.unit == unit && fact.condition == condition;
        if let Some(known) = self.all.iter().find(is_same) {
            return Some(known.name.clone());
        }
        let base = identifier(name);
        let is_taken = |name: &String| self.all.iter().any(|fact| fact.name == *name);
        let name =
            (1..100).map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") }).find(|name| !is_taken(name))?;
        self.all.push(Fact { name: name.clone(), table, at, unit, condition, because });
        Some(name)
    }

    fn conversion(
        &mut self,
        found: &Candidate<'_>,
        population: &str,
        people: &TableInfo,
        came: &ColumnInfo,
    ) -> Option<Metric> {
        let is_population = std::ptr::eq(found.table, people) && found.at.name == came.name && found.of_fact.is_none();
        // Everybody's first event may be one of a kind, while the fact of all events has all kinds.
        let name = if found.condition.is_some() {
            plural(&super::words::noun(&found.table.name))
        } else {
            plural(&found.noun)
        };
        let of = match self.all.iter().find(|fact| fact.name == population && fact.condition.is_none()) {
            Some(fact) if is_population => fact.name.clone(),
            _ => self.add(&name, (found.table, found.at, found.unit), found.of_fact.clone(), found.because.clone())?,
        };
        Some(Metric {
            name: format!("{}_rate", identifier(&found.noun)),
            kind: Kind::Conversion,
            of,
            condition: found.condition.clone(),
            value: None,
            window_days: WINDOW_DAYS,
            verb: found.verb.clone(),
            noun: plural(&found.noun),
        })
    }

    /// The sum or the number of the same events.
    fn more(&self, found: &Candidate<'_>, conversion: &Metric, unit: &str) -> Option<Metric> {
        if !found.is_counted {
            return None;
        }
        let value = found.amount.and_then(|amount| names::column(&amount.name, self.engine));
        let (kind, name) = match value {
            Some(_) => (Kind::Sum, "revenue".to_owned()),
            None => (Kind::Count, identifier(&conversion.noun)),
        };
        let noun = if kind == Kind::Sum { format!("`{}`", found.amount?.name) } else { conversion.noun.clone() };
        Some(Metric { name: format!("{name}_per_{unit}"), kind, value, noun, ..conversion.clone() })
    }
}

/// A word that the outcome file takes as a name.
fn identifier(text: &str) -> String {
    let word = snake(text);
    let is_one = word.is_ascii() && word.len() <= 40 && word.starts_with(|c: char| c.is_ascii_lowercase());
    if is_one { word } else { "events".to_owned() }
}

fn exposures(found: &ExposureTable<'_>, samples: &Samples, engine: SqlEngine) -> Option<Exposures> {
    let column = |column: &ColumnInfo| names::column(&column.name, engine);
    let values: Vec<&str> =
        samples.values(found.table, found.variant).iter().map(|value| value.text.as_str()).collect();
    Some(Exposures::Table {
        table: names::table(found.table, engine)?,
        unit: column(found.unit)?,
        experiment: column(found.experiment)?,
        variant: column(found.variant)?,
        at: column(found.at)?,
        arms: arms(&values)?,
    })
}

/// What the two arms are called, where they are not called `control` and `treatment`; `None` where nobody can tell.
#[expect(clippy::option_option, reason = "no other names, or nobody can tell")]
fn arms(values: &[&str]) -> Option<Option<(String, String)>> {
    let is_usual = |value: &&str| ["control", "treatment"].contains(value);
    if values.is_empty() || values.iter().any(is_usual) {
        return Some(None);
    }
    let pairs = [
        ("off", "on"),
        ("a", "b"),
        ("false", "true"),
        ("0", "1"),
        ("baseline", "variant"),
        ("original", "variation"),
        ("control", "test"),
        ("control", "variant"),
        ("default", "new"),
    ];
    let has =
        |wanted: &str| values.iter().find(|value| value.to_lowercase() == wanted).map(|value| (*value).to_owned());
    pairs.iter().find_map(|(control, treatment)| Some(Some((has(control)?, has(treatment)?))))
}

/// The statement that makes the table of exposures, and what stands in its place until then.
fn missing(roles: &Roles<'_>, format: TimeFormat) -> Option<Exposures> {
    let Population { table, id, at, .. } = roles.population;
    let engine = roles.engine;
    let unit = format!("{}_id", identifier(&roles.unit));
    let [of_table, of_id, of_at] =
        [names::table(table, engine)?, names::column(&id.name, engine)?, names::column(&at.name, engine)?];
    let stand_in = format!(
        "SELECT {of_id} AS {unit}, '' AS flag, '' AS variant, {of_at} AS exposed_at FROM {of_table} {NO_EXPOSURES}"
    );
    let text = if engine == SqlEngine::MySql { "VARCHAR(191)" } else { "TEXT" };
    let of_unit = match (id.kind, engine) {
        (ColumnKind::Uuid, SqlEngine::Postgres) => "UUID",
        (ColumnKind::Whole, SqlEngine::Sqlite) => "INTEGER",
        (ColumnKind::Whole, _) => "BIGINT",
        _ => text,
    };
    let instant = match (engine, format) {
        (SqlEngine::Postgres, _) => "TIMESTAMPTZ",
        (SqlEngine::MySql, _) => "DATETIME(6)",
        (SqlEngine::Sqlite, TimeFormat::UnixSeconds | TimeFormat::UnixMillis) => "INTEGER",
        (SqlEngine::Sqlite, TimeFormat::Native | TimeFormat::Iso8601) => "TEXT",
    };
    let create = format!(
        "CREATE TABLE exposures ({unit} {of_unit} NOT NULL, flag {text} NOT NULL, variant {text} NOT NULL, exposed_at {instant} NOT NULL);"
    );
    Some(Exposures::Missing { stand_in, create, unit })
}
