//! Metrics of the contract: from sources with exposures, facts and metrics to what the SQL of a signal is written from.

use std::collections::BTreeMap;

use super::exposures::exposures;
use super::relation::{column, relation};
use super::report::{
    At, Context, DeclaredMetric, Problem, Reporter, SourceKind, at_least_one, list, near_or, shown, text, unique,
};
use super::signal::source_kind;
use crate::config::file::RootFile;
use crate::config::map::missing_key;
use crate::config::metric_file::{
    CapFile, CovariateFile, EventsFile, FactFile, MetricFile, MetricKind, Named, PartFile, StepFile, UnitMapFile,
    WindowFile,
};
use crate::config::reporter::Asked;
use crate::domain::{
    Among, Attribution, Cap, Contract, Events, Exposures, Fact, Measure, Part, Period, Quantity, Relation, UnitMap, Via,
};

/// What a source says about the units of its experiments.
struct Source<'f> {
    lag: Period,
    timezone: Option<String>,
    unit: &'f str,
    exposures: Exposures,
    trigger: Option<&'f At<EventsFile>>,
    population: Option<&'f At<EventsFile>>,
    /// What exposures are analysed by, where a map leads there.
    mapped_to: Option<&'f str>,
    /// Maps from the units of the exposures to those of facts, by the unit that they lead to.
    owners: BTreeMap<&'f str, UnitMap>,
}

/// A fact, as far as it could be read.
struct KnownFact<'f> {
    file: &'f FactFile,
    rows: Option<Relation>,
    at: Option<String>,
}

struct Declared<'f> {
    sources: BTreeMap<&'f str, Source<'f>>,
    facts: BTreeMap<&'f str, KnownFact<'f>>,
}

/// The metrics of the file by name.
pub(super) fn metrics(
    file: &RootFile,
    context: &Context,
    reporter: &mut Reporter<'_>,
) -> BTreeMap<String, Option<DeclaredMetric>> {
    let mut declared = Declared { sources: BTreeMap::new(), facts: BTreeMap::new() };
    for connector in file.signal_connectors.iter().flat_map(|list| &list.value) {
        let keys = &connector.value.0;
        let Some(name) = &keys.name else { continue };
        let is_sql = |kind: &SourceKind| kind.is_none_or(|vendor| vendor.asked == Asked::WithSql);
        if let Some(exposures) = &keys.exposures
            && !context.sources.get(&name.value).is_none_or(is_sql)
        {
            let problem = Problem::error("config.query_unused", exposures.span, "this source runs no SQL");
            reporter.push(problem.valid("`exposures` only with a `sql` source").help("remove `exposures`"));
        } else if let (Some(file), Some(lag)) = (&keys.exposures, &keys.lag)
            && let (Some(mut exposures), Some(unit)) = (exposures(&file.value, reporter), &file.value.is)
        {
            let mut owners = unit_maps(keys.units.as_ref(), unit, reporter);
            let mapped_to = file.value.map.as_ref().map(|map| map.value.as_str());
            if let Some(map) = &file.value.map {
                exposures.map = owners.remove(map.value.as_str());
                if exposures.map.is_none() {
                    let message = format!("there is no map from `{}` to `{}` in `units`", shown(unit), shown(map));
                    let problem = Problem::error("config.unknown_value", map.span, message);
                    reporter.push(problem.valid("a map of the source's `units`").help(format!(
                        "declare it at the source: `units: {{ {}: {{ from: {}, table: ..., key: ..., to: ... }} }}`",
                        map.value, unit.value
                    )));
                }
            }
            let source = Source {
                lag: lag.value,
                timezone: keys.timezone.as_ref().and_then(|zone| timezone(zone, reporter)),
                unit: &unit.value,
                exposures,
                trigger: file.value.trigger.as_ref(),
                population: keys.population.as_ref(),
                mapped_to,
                owners,
            };
            declared.sources.insert(&name.value, source);
        }
    }
    for (name, _, fact) in file.facts.iter().flat_map(|facts| &facts.value.0) {
        declared.facts.insert(name, known_fact(&fact.value, context, reporter));
    }
    let all: &[At<MetricFile>] = file.metrics.as_ref().map_or(&[], |list| list.value.as_slice());
    let names = all.iter().filter_map(|at| at.value.name.as_ref()).map(|name| (name.value.as_str(), name.span));
    unique(names, "config.duplicate_signal", "metric", "give one of them another name", reporter);
    let found = all.iter().filter_map(|at| {
        let name = at.value.name.as_ref()?.value.clone();
        Some((name, declared.metric(&at.value, reporter)))
    });
    found.collect()
}

/// A time zone other than UTC.
fn timezone(at: &At<String>, reporter: &mut Reporter<'_>) -> Option<String> {
    // Of the program's own edition: the machine's is whatever `TZDIR` says.
    match jiff::tz::TimeZoneDatabase::bundled().get(&at.value) {
        Ok(zone) => (zone != jiff::tz::TimeZone::UTC).then(|| at.value.clone()),
        Err(_) => {
            let message = format!("there is no time zone `{}`", shown(&at.value));
            let problem = Problem::error("config.unknown_value", at.span, message);
            reporter.push(problem.valid("a name of the IANA database").help("write it as `Europe/Berlin` or `UTC`"));
            None
        }
    }
}

/// The maps of a source that begin at the unit of its exposures, by what they lead to.
fn unit_maps<'f>(
    file: Option<&'f At<Named<UnitMapFile>>>,
    unit: &At<String>,
    reporter: &mut Reporter<'_>,
) -> BTreeMap<&'f str, UnitMap> {
    let mut found = BTreeMap::new();
    for (name, span, map) in file.iter().flat_map(|maps| &maps.value.0) {
        let map = &map.value;
        let rows = relation(map.at, map.table.as_ref(), map.sql.as_ref(), "a map of units", reporter);
        let [key, to] = [&map.key, &map.to].map(|at| column(at.as_ref(), reporter));
        let since = map.since.as_ref().and_then(|since| column(Some(since), reporter));
        let Some(from) = &map.from else { continue };
        if from.value != unit.value {
            let message = format!("the map to `{}` begins at `{}`", shown(name), shown(&from.value));
            let problem = Problem::error("config.unknown_value", *span, message).also(unit.span, "the exposures' unit");
            reporter.push(
                problem.valid("a map from the unit of the exposures").help(format!("write `from: {}`", unit.value)),
            );
        } else if let (Some(rows), Some(key), Some(to)) = (rows, key, to) {
            found.insert(name.as_str(), UnitMap { rows, key, to, since });
        }
    }
    found
}

fn known_fact<'f>(file: &'f FactFile, context: &Context, reporter: &mut Reporter<'_>) -> KnownFact<'f> {
    if let Some(source) = &file.source {
        source_kind(source, context, reporter);
    }
    KnownFact {
        file,
        rows: relation(file.at, file.table.as_ref(), file.sql.as_ref(), "a fact", reporter),
        at: column(file.at_key.as_ref(), reporter),
    }
}

impl<'f> Declared<'f> {
    fn metric(&self, file: &'f MetricFile, reporter: &mut Reporter<'_>) -> Option<DeclaredMetric> {
        let window = window(file, reporter);
        check_keys(file, reporter);
        let of_numerator = || file.numerator.as_ref().and_then(|part| part.value.of.as_ref());
        let of_step = || file.steps.as_ref().and_then(|steps| steps.value.first()?.value.of.as_ref());
        let first = file.of.as_ref().or_else(of_numerator).or_else(of_step)?;
        let fact = self.fact(first, reporter)?;
        let source_name = &fact.file.source.as_ref()?.value;
        let Some(source) = self.sources.get(source_name.as_str()) else {
            let message =
                format!("source `{}` of fact `{}` has no `exposures`", shown(source_name), shown(&first.value));
            let problem = Problem::error("config.missing_key", first.span, message);
            reporter.push(problem.valid("a source with `exposures`").help(
                "say at the source who saw what: `exposures: { table: exposures, unit: user_id, is: user, experiment: flag, \
                 variant: variant, at: seen_at }`",
            ));
            return None;
        };
        let events = |of: &At<String>, condition: Option<&At<String>>, reporter: &mut Reporter<'_>| {
            self.events(of, condition, (source_name, source), reporter)
        };
        let quantity = match file.kind.as_ref()?.value {
            MetricKind::TimeTo => {
                let of = events(file.of.as_ref()?, file.r#where.as_ref(), reporter)?;
                Quantity::TimeTo { of }
            }
            MetricKind::Funnel => {
                let steps = &file.steps.as_ref()?.value;
                let step = |step: &At<StepFile>, reporter: &mut Reporter<'_>| {
                    events(step.value.of.as_ref()?, step.value.r#where.as_ref(), reporter)
                };
                let found: Vec<Events> = steps.iter().filter_map(|one| step(one, reporter)).collect();
                if found.len() != steps.len() {
                    return None;
                }
                Quantity::Funnel { steps: found }
            }
            MetricKind::Conversion | MetricKind::Retention => {
                let help = "leave it out: the default is 1";
                let at_least = at_least_one(file.at_least.as_ref(), "`at_least`", help, reporter);
                let of = events(file.of.as_ref()?, file.r#where.as_ref(), reporter);
                Quantity::Conversion { of: of?, at_least: at_least? }
            }
            MetricKind::Count => {
                let of = events(file.of.as_ref()?, file.r#where.as_ref(), reporter)?;
                let measure = match text(file.distinct.as_ref()).as_deref() {
                    None => Measure::Count,
                    Some("day") => Measure::Days,
                    Some("hour") => Measure::Hours,
                    Some(column) => Measure::Distinct(column.to_owned()),
                };
                Quantity::Count(Part { of, measure })
            }
            MetricKind::Mean => {
                let of = events(file.of.as_ref()?, file.r#where.as_ref(), reporter)?;
                Quantity::Mean(Part { of, measure: Measure::Sum(text(file.value.as_ref())?) })
            }
            MetricKind::Ratio => {
                let part = |part: &At<PartFile>, reporter: &mut Reporter<'_>| {
                    let of = events(part.value.of.as_ref()?, part.value.r#where.as_ref(), reporter)?;
                    let measure = match (text(part.value.value.as_ref()), text(part.value.distinct.as_ref())) {
                        (Some(value), _) => Measure::Sum(value),
                        (None, Some(column)) => Measure::Distinct(column),
                        (None, None) => Measure::Count,
                    };
                    Some(Part { of, measure })
                };
                let numerator = part(file.numerator.as_ref()?, reporter);
                let denominator = part(file.denominator.as_ref()?, reporter);
                Quantity::Ratio { numerator: numerator?, denominator: denominator? }
            }
        };
        let population = match source.population {
            Some(population) => {
                let of = population.value.fact.as_ref()?;
                Some(events(of, population.value.r#where.as_ref(), reporter)?)
            }
            None => None,
        };
        let among = match &file.among {
            Some(among) => {
                let of = events(among.value.fact.as_ref()?, among.value.r#where.as_ref(), reporter)?;
                Some(Among { of, within: among.value.within.as_ref()?.value })
            }
            None => None,
        };
        let trigger = match source.trigger {
            Some(trigger) => Some(events(trigger.value.fact.as_ref()?, trigger.value.r#where.as_ref(), reporter)?),
            None => None,
        };
        for (what, of) in [("population", &population), ("trigger", &trigger)] {
            if let Some(Events { fact: Fact { via: Some(Via::Owner(_)), .. }, .. }) = of {
                let message = format!("the fact of `{what}` names no column for the unit `{}`", shown(source.unit));
                let problem = Problem::error("config.unknown_value", first.span, message);
                reporter.push(
                    problem
                        .valid("a fact of the exposures' own unit")
                        .help("events of a person are not those of one unit"),
                );
                return None;
            }
        }
        Some(DeclaredMetric {
            source: source_name.clone(),
            unit: text(file.unit.as_ref()),
            contract: Contract {
                quantity,
                better: file.better.as_ref()?.value.into(),
                window: window?,
                settle: file.settle.as_ref().map(|settle| settle.value),
                lag: source.lag,
                timezone: source.timezone.clone(),
                cap: file.cap.as_ref().map(|cap| match cap.value {
                    CapFile::Number(number) => Cap::Number(number),
                    CapFile::Permille(permille) => Cap::Quantile { permille },
                }),
                caps: None,
                covariate: covariate(file, reporter),
                is_signed: file.signed.as_ref()?.value,
                among,
                exposures: Exposures { trigger, ..source.exposures.clone() },
                population,
            },
        })
    }

    fn fact(&self, name: &At<String>, reporter: &mut Reporter<'_>) -> Option<&KnownFact<'f>> {
        let found = self.facts.get(name.value.as_str());
        if found.is_none() {
            let names: Vec<&str> = self.facts.keys().copied().take(1000).collect();
            let message = format!("there is no fact `{}` in `facts`", shown(&name.value));
            let problem = Problem::error("config.unknown_value", name.span, message).valid(list(&names));
            reporter.push(problem.help(near_or(&name.value, &names, "declare it in `facts`, or name one of these")));
        }
        found
    }

    fn events(
        &self,
        of: &At<String>,
        condition: Option<&At<String>>,
        (source_name, source): (&str, &Source<'_>),
        reporter: &mut Reporter<'_>,
    ) -> Option<Events> {
        let fact = self.fact(of, reporter)?;
        let own = &fact.file.source.as_ref()?.value;
        if own != source_name {
            let message = format!("fact `{}` is of source `{}`", shown(&of.value), shown(own));
            let problem = Problem::error("config.unknown_value", of.span, message);
            reporter.push(
                problem
                    .valid(format!("a fact of source `{source_name}`, where the exposures are"))
                    .help("one query reads one database: put the events where the exposures are"),
            );
            return None;
        }
        let units = fact.file.units.as_ref()?;
        let named = |unit: &str| units.value.0.get(unit);
        let owner = || {
            source.owners.iter().find_map(|(unit, map)| Some((named(unit)?, Some(Via::Owner(Box::new(map.clone()))))))
        };
        let direct = source.mapped_to.and_then(named).map(|column| (column, None));
        let own = || named(source.unit).map(|column| (column, source.mapped_to.map(|_| Via::Map)));
        let Some((unit, via)) = direct.or_else(own).or_else(owner) else {
            let known: Vec<&str> = units.value.0.keys().map(String::as_str).collect();
            let message = format!("fact `{}` has no column for the unit `{}`", shown(&of.value), shown(source.unit));
            let problem = Problem::error("config.unknown_value", units.span, message).valid(list(&known));
            reporter.push(problem.help(format!(
                "name it: `units: {{ {0}: ... }}`, or declare at the source how `{0}` leads to another: `units: {{ user: {{ from: {0}, ... }} }}`",
                source.unit
            )));
            return None;
        };
        let unit = At { value: unit.clone(), span: units.span };
        let fact = Fact {
            rows: fact.rows.clone()?,
            unit: column(Some(&unit), reporter)?,
            via,
            at: fact.at.clone()?,
            condition: text(fact.file.r#where.as_ref()),
        };
        Some(Events { fact, condition: text(condition) })
    }
}

fn window(file: &MetricFile, reporter: &mut Reporter<'_>) -> Option<Attribution> {
    let at = file.window.as_ref()?;
    let (from, to) = match &at.value {
        WindowFile::Of(to) => (0, to.as_secs()),
        WindowFile::Span(span) => {
            (span.from.as_ref().map_or(0, |from| from.value.as_secs()), span.to.as_ref()?.value.as_secs())
        }
    };
    if from >= to {
        let problem = Problem::error("config.out_of_range", at.span, "this window ends before it begins");
        reporter.push(problem.valid("`to` after `from`").help("write `window: { from: 7d, to: 14d }`"));
        return None;
    }
    let is_from_exposure = |kind: &At<MetricKind>| matches!(kind.value, MetricKind::TimeTo | MetricKind::Funnel);
    if from > 0 && file.kind.as_ref().is_some_and(is_from_exposure) {
        let problem =
            Problem::error("config.out_of_range", at.span, "this kind needs a window that begins with the exposure");
        reporter.push(problem.valid("a window without `from`").help("write `window: 7d`"));
        return None;
    }
    let is_retention = file.kind.as_ref().is_some_and(|kind| kind.value == MetricKind::Retention);
    if is_retention && from == 0 {
        let problem = Problem::error("config.out_of_range", at.span, "a retention needs a window that begins later");
        reporter.push(
            problem
                .valid("`from` above 0: who was there at the exposure is there at once")
                .help("write `window: { from: 7d, to: 14d }`"),
        );
        return None;
    }
    Some(Attribution { from, to })
}

/// The history that explains a unit's value where none is named.
const COVARIATE: Period = Period::from_days(28);

/// Values of before the first exposure explain how much a unit buys, and seldom whether it does: METRICS.md 2.2.
fn covariate(file: &MetricFile, reporter: &mut Reporter<'_>) -> Option<Period> {
    let kind = file.kind.as_ref()?.value;
    let Some(at) = &file.covariate else {
        return matches!(kind, MetricKind::Count | MetricKind::Mean).then_some(COVARIATE);
    };
    let CovariateFile::Before(period) = at.value else { return None };
    if kind == MetricKind::Ratio {
        let problem = Problem::error("config.out_of_range", at.span, "a ratio has no covariate in this version");
        reporter.push(problem.valid("`covariate: none`").help("leave it out"));
        return None;
    }
    Some(period)
}

/// Keys that a kind needs, and keys that it does not know.
fn check_keys(file: &MetricFile, reporter: &mut Reporter<'_>) {
    let Some(kind) = &file.kind else { return };
    let is_ratio = kind.value == MetricKind::Ratio;
    let is_funnel = kind.value == MetricKind::Funnel;
    let has_one = !is_ratio && !is_funnel;
    let has_cap = !matches!(kind.value, MetricKind::TimeTo | MetricKind::Funnel);
    let given = [
        ("of", file.of.as_ref().map(|at| at.span), has_one, has_one),
        ("where", file.r#where.as_ref().map(|at| at.span), has_one, false),
        ("steps", file.steps.as_ref().map(|at| at.span), is_funnel, is_funnel),
        ("cap", file.cap.as_ref().map(|at| at.span), has_cap, false),
        ("covariate", file.covariate.as_ref().map(|at| at.span), has_cap, false),
        (
            "value",
            file.value.as_ref().map(|at| at.span),
            kind.value == MetricKind::Mean,
            kind.value == MetricKind::Mean,
        ),
        ("distinct", file.distinct.as_ref().map(|at| at.span), kind.value == MetricKind::Count, false),
        ("numerator", file.numerator.as_ref().map(|at| at.span), is_ratio, is_ratio),
        ("denominator", file.denominator.as_ref().map(|at| at.span), is_ratio, is_ratio),
    ];
    let name = crate::config::choice::Choice::choices().into_iter().find(|(_, one)| *one == kind.value);
    let name: &str = name.map_or("", |(name, _): (&str, MetricKind)| name);
    for (key, span, is_known, is_needed) in given {
        match span {
            Some(span) if !is_known => {
                let message = format!("a metric of kind `{name}` has no `{key}`");
                let problem = Problem::error("config.unknown_key", span, message);
                reporter.push(problem.valid("the keys of its kind").help("remove it, or choose another `kind`"));
            }
            None if is_needed => {
                if let Some(field) = MetricFile::FIELDS.iter().find(|field| field.name() == key) {
                    reporter.push(missing_key(file.at, &format!("a metric of kind `{name}`"), field, false));
                }
            }
            Some(_) | None => {}
        }
    }
    if let Some(cap) = file.cap.as_ref().filter(|cap| matches!(cap.value, CapFile::Number(number) if number <= 0.0)) {
        let problem = Problem::error("config.out_of_range", cap.span, "a cap must be above 0");
        reporter.push(problem.valid("a number above 0").help("leave it out to count all of each value"));
    }
}
