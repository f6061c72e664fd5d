//! Steps of a rollout beside the time after which a source's units are whole.

use super::report::{Problem, Reporter, shown};
use crate::config::file::RootFile;
use crate::config::integrations::ConnectorSpec;
use crate::config::reporter::Asked;
use crate::domain::{Design, OutcomeSpec, Period};

/// The least time for which a step is watched.
const STEP: Period = Period::from_days(7);

/// Warns where a step would leave nobody who can be claimed on before the deadline: whoever sees another share before their time is over is
/// left out.
pub(super) fn warn_of_steps(
    file: &RootFile,
    outcomes: &[OutcomeSpec],
    connectors: &[ConnectorSpec],
    reporter: &mut Reporter<'_>,
) {
    for spec in outcomes.iter().filter(|spec| spec.design == Design::Randomised) {
        let written = file.outcomes.iter().flat_map(|list| &list.value).map(|at| &at.value);
        let mut of_slug = written.filter(|outcome| outcome.id.as_ref().is_some_and(|id| id.value == spec.slug));
        let Some(horizon) = of_slug.find_map(|outcome| outcome.horizon.as_ref()) else { continue };
        let by_variant = |connector: &&ConnectorSpec| match connector.asked {
            Asked::ByName(answers) => answers.by_variant && connector.name == spec.signal.source,
            Asked::WithSql | Asked::ItPushes => false,
        };
        let connector = connectors.iter().find(by_variant);
        let Some((name, whole)) = connector.and_then(|one| Some((&one.name, one.settings.whole_after()?))) else {
            continue;
        };
        let least = Period::from_secs(whole.as_secs().saturating_add(STEP.as_secs()));
        if horizon.value >= least {
            continue;
        }
        let message = format!(
            "a unit of `{}` is whole {whole} after its exposure, so of an experiment in steps of a week nobody could be claimed on within the horizon of {}",
            shown(name),
            horizon.value
        );
        reporter.push(
            Problem::warning("config.window_longer_than_steps", horizon.span, message)
                .valid(format!("a horizon of {least} or more"))
                .help("shorten the source's `conversion_window`, or raise the horizon"),
        );
    }
}
