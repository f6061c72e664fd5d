//! What a metric means, in plain words.

use super::section::Section;
use crate::domain::{Cap, Contract, Direction, Events, Measure, Part, Quantity, Relation, SignalSpec};
use crate::stats::figures::number;

/// The facts about a metric of the contract that decide what it measures; of any other signal nothing.
#[must_use]
pub fn metric(signal: &SignalSpec) -> Section {
    let mut section = Section::new("What it measures");
    let Some(contract) = &signal.contract else { return section };
    let Contract { exposures, window, .. } = &**contract;
    section.text("Value of a unit", Some(quantity(contract)));
    section
        .text("Unit", Some(format!("`{}` of {}, from its first exposure on", exposures.unit, rows(&exposures.rows))));
    if let Some(among) = &contract.among {
        let whom =
            format!("units with an event of {} in the {} before their exposure", events(&among.of), among.within);
        section.text("Among", Some(whom));
    }
    if let Some(map) = &exposures.map {
        let since = if map.since.is_none() { ", as it is today: evidence is of grade B at most" } else { "" };
        section.text("Mapped by", Some(format!("{}, `{}` to `{}`{since}", rows(&map.rows), map.key, map.to)));
    }
    if let Some(trigger) = &exposures.trigger {
        section.text("Exposed with", Some(format!("the first event of {} after the assignment", events(trigger))));
    }
    let from = match window.from {
        0 => "from the exposure".to_owned(),
        from => format!("from {} after the exposure", span(from)),
    };
    section.text("Window", Some(format!("{from} to {} after it", span(window.to))));
    let settle = contract.settle.map(|settle| format!(", {settle} for values to settle")).unwrap_or_default();
    let ready = format!(
        "{} after the exposure: the window{settle}, {} for late rows",
        span(contract.matures_after()),
        contract.lag
    );
    section.text("Counts for claims", Some(ready));
    let so_far =
        if contract.is_safe_so_far() { "at once: its values can only grow" } else { "when its window is over" };
    section.text("Counts for harm", Some(so_far.to_owned()));
    section.text("Cap", Some(cap(contract)));
    let covariate = match contract.covariate {
        Some(period) => format!("the same of the {period} before the exposure, which is taken out of the noise"),
        None => "none".to_owned(),
    };
    section.text("Covariate", Some(covariate));
    let better = match contract.better {
        Direction::Increase => "more",
        Direction::Decrease => "less",
    };
    section.text("Better is", Some(better.to_owned()));
    let level = match &contract.population {
        Some(population) => format!("of those whose first event of {} is long enough ago", events(population)),
        None => "none: the source names no `population`".to_owned(),
    };
    section.text("Level of everybody", Some(level));
    section
}

fn quantity(contract: &Contract) -> String {
    let zone = contract.timezone.as_deref().unwrap_or("UTC");
    let part = |one: &Part| part(one, zone);
    match &contract.quantity {
        Quantity::Conversion { of, at_least: 1 } => format!("1 if it has an event of {}, else 0", events(of)),
        Quantity::Conversion { of, at_least } => {
            format!("1 if it has {at_least} events of {} or more, else 0", events(of))
        }
        Quantity::Count(one) | Quantity::Mean(one) => part(one),
        Quantity::TimeTo { of } => {
            format!("hours until its first event of {}, at most those of its window", events(of))
        }
        Quantity::Funnel { steps } => {
            let steps: Vec<String> = steps.iter().map(events).collect();
            format!("1 if it has these events in their order within its window, else 0: {}", steps.join(", then "))
        }
        Quantity::Ratio { numerator, denominator } => {
            format!("{}, over {}: the ratio of the sums of all units", part(numerator), part(denominator))
        }
    }
}

fn part(part: &Part, zone: &str) -> String {
    let of = events(&part.of);
    match &part.measure {
        Measure::Count => format!("the number of its events of {of}"),
        Measure::Days => format!("the number of days ({zone}) on which it has events of {of}"),
        Measure::Hours => format!("the number of hours in which it has events of {of}"),
        Measure::Distinct(column) => format!("how many different `{column}` its events of {of} have"),
        Measure::Sum(value) => format!("the sum of `{value}` over its events of {of}"),
    }
}

fn events(events: &Events) -> String {
    let conditions: Vec<&str> =
        [&events.fact.condition, &events.condition].into_iter().flatten().map(String::as_str).collect();
    let which = if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(" and ")) };
    format!("{}{which}", rows(&events.fact.rows))
}

fn rows(rows: &Relation) -> String {
    match rows {
        Relation::Table(name) => format!("`{name}`"),
        Relation::Sql(_) => "a query".to_owned(),
    }
}

fn cap(contract: &Contract) -> String {
    let each = if matches!(contract.quantity, Quantity::Ratio { .. }) { "of each side " } else { "" };
    match contract.cap {
        None => "none".to_owned(),
        Some(Cap::Number(limit)) => format!("{each}{}", number(limit)),
        Some(Cap::Quantile { permille }) => format!(
            "{each}the {} % quantile of the values that are not zero, over one window before the launch; it becomes a number of the plan",
            number(f64::from(permille) / 10.0)
        ),
    }
}

/// Seconds as days where they are whole, else as hours.
fn span(seconds: i64) -> String {
    if seconds % 86_400 == 0 { format!("{} d", seconds / 86_400) } else { format!("{} h", seconds / 3600) }
}
