//! How the plan would end, as a short simulation found it.

use super::super::section::{Section, Table};
use super::values::{scale, text};
use crate::domain::{DryRunFacts, Facts, FalseStops};
use crate::stats::figures::{count, number as show, percent};

pub(super) fn section(facts: &Facts) -> Section {
    let mut section = Section::new("Simulation of the plan");
    let summary = match &facts.dry_run {
        Some(DryRunFacts::Run(summary)) => summary,
        Some(DryRunFacts::NotRun { not_run }) => {
            section.text("Not run", text(not_run).map(ToOwned::to_owned));
            return section;
        }
        None => return section,
    };
    let scale = scale(facts);
    section.intro = Some("Shares of the simulated runs. Each line takes another effect for the true one.".to_owned());
    section.text("Based on", text(&summary.basis).map(ToOwned::to_owned));
    for assumption in &summary.assumptions {
        section.text("Assumed", Some(assumption.clone()));
    }
    section.text("Runs per effect", Some(count(u64::from(summary.replications))));
    section.text("Alpha", Some(percent(summary.alpha)));
    let false_alarms = |rate| format!("{} of the runs without an effect end with ship or harm", share(rate));
    section.text("False alarms", summary.false_alarm_rate.map(false_alarms));
    section.text("False stops", summary.false_stops.as_ref().map(false_stops));
    section.code("More", text(&summary.more));
    section.table = (!summary.effects.is_empty()).then(|| Table {
        heads: vec!["True effect", "Ship", "Harm", "Futile", "Constraint", "Data", "No answer", "Days", "Harm off"],
        lines: summary
            .effects
            .iter()
            .map(|found| {
                let shares =
                    [found.ship, found.kill_harm, found.kill_futility, found.false_guardrail_stop, found.inconclusive];
                let mut line = vec![scale.change(found.effect)];
                line.extend(shares.map(share));
                line.insert(5, found.held.map_or_else(|| "-".to_owned(), share));
                line.push(format!("{:.1}", found.expected_days));
                line.push(found.harm_off_days.map_or_else(|| "-".to_owned(), |days| format!("day {}", show(days))));
                line
            })
            .collect(),
    });
    section
}

/// A share of some hundred or thousand runs: more than a tenth of a percent is chance.
fn share(of: f64) -> String {
    percent((of * 1000.0).round() / 1000.0)
}

/// How often an experiment without an effect is paused, beside what the plan states, in a sentence.
#[must_use]
pub fn false_stops(stops: &FalseStops) -> String {
    let by_guardrail = if stops.stated_guardrail > 0.0 {
        let unplayed = match stops.n_unplayed_guardrails {
            0 => String::new(),
            1 => "; one is not played, since its level is not known".to_owned(),
            n => format!("; {n} are not played, since their level is not known"),
        };
        let (found, stated) = (share(stops.guardrail), percent(stops.stated_guardrail));
        format!("{found} by a constraint (at most {stated}{unplayed}), ")
    } else {
        String::new()
    };
    format!(
        "{} of the runs without an effect are paused all the same: {} as harmful (stated: at most {}), {by_guardrail}{} \
         because the data look wrong (at most {})",
        share(stops.share),
        share(stops.harm),
        percent(stops.stated_harm),
        share(stops.data),
        percent(stops.stated_data)
    )
}
