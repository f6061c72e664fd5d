//! An experiment that runs at a flag service without the runtime.

use super::super::section::Section;
use super::super::time::instant;
use super::values::text;
use crate::domain::{AttachedFacts, Facts};
use crate::stats::figures::count;

/// Where and how, in one line.
pub(super) fn runs(attached: &AttachedFacts) -> String {
    let AttachedFacts { provider, reference, control, treatment, treatment_pct, started_at, .. } = attached;
    let units = attached.n_control.zip(attached.n_treatment);
    let units = units.map(|(control, treatment)| format!(", {} and {} units so far", count(control), count(treatment)));
    format!(
        "at {provider}, experiment {reference}, since {}: {treatment_pct} % get “{treatment}” and the others “{control}”{}",
        instant(*started_at),
        units.unwrap_or_default()
    )
}

pub(super) fn section(facts: &Facts) -> Section {
    let mut section = Section::new("Runs elsewhere");
    let Some(attached) = &facts.attached else { return section };
    let AttachedFacts { provider, reference, treatment_pct, started_at, .. } = attached;
    section.intro = Some(
        "It is guarded, and nothing is claimed of it. The runtime turns its flag off, and on again as it was after a signed resume; it \
         writes nothing else there. Who changes its arms, their shares or its end there while it is guarded has its flag turned off: \
         detach it first."
            .to_owned(),
    );
    section.quote("Name", text(&attached.name_says));
    section.code("Service", text(provider));
    section.code("Experiment", text(reference));
    section.code("Page", attached.page.as_deref().and_then(text));
    section.quote("Control, shown to everybody while the flag is off", text(&attached.control));
    section.quote("Treatment", text(&attached.treatment));
    section.text("Share of the treatment", Some(format!("{treatment_pct} %")));
    section.text("Units are counted since", Some(instant(*started_at)));
    if let Some(began) = attached.began_at.filter(|began| began < started_at) {
        section.text("Began there", Some(instant(began)));
        section.warnings.push(format!(
            "It began at {} and units are counted since {} only: who was seen before and comes again is counted as new, and harm of before is \
             not seen.",
            instant(began),
            instant(*started_at)
        ));
    }
    if let Some(n) = attached.n_before.filter(|n| *n > 0) {
        section.warnings.push(format!(
            "{} had this flag here before. Each attachment may stop it by chance as often as its plan states, and forgets what the one before found.",
            if n == 1 { "One experiment".to_owned() } else { format!("{} experiments", count(n)) }
        ));
    }
    let units = attached.n_control.zip(attached.n_treatment);
    section.text(
        "Units by then",
        units.map(|(control, treatment)| {
            format!("{} of the control, {} of the treatment", count(control), count(treatment))
        }),
    );
    section.codes("Its metrics there, which are not watched", attached.metrics_say.clone());
    section
}
