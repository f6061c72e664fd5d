//! How the plan would end, as a short simulation found it.

use super::super::section::{Section, Table};
use super::values::{scale, text};
use crate::domain::{DryRunFacts, Facts};
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
    section.text("Ships without an effect", summary.false_alarm_rate.map(percent));
    section.code("More", text(&summary.more));
    section.table = (!summary.effects.is_empty()).then(|| Table {
        heads: vec!["True effect", "Ship", "Harm", "Futile", "False stop", "No answer", "Days"],
        lines: summary
            .effects
            .iter()
            .map(|found| {
                let shares =
                    [found.ship, found.kill_harm, found.kill_futility, found.false_guardrail_stop, found.inconclusive];
                let mut line = vec![scale.change(found.effect)];
                line.extend(shares.map(percent));
                line.push(show(found.expected_days));
                line
            })
            .collect(),
    });
    section
}
