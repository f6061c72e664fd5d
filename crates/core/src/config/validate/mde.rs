//! The smallest effect worth finding, against the gap that is to be closed.

use super::report::{At, Problem, Reporter};
use crate::config::file::{Mde, TargetFile};
use crate::domain::MinimumDetectableEffect;

pub(super) fn mde(
    at: Option<&At<Mde>>,
    target: Option<&TargetFile>,
    reporter: &mut Reporter<'_>,
) -> Option<MinimumDetectableEffect> {
    let at = at?;
    let effect = at.value.0;
    let Some((from, to)) = target.and_then(|target| Some((target.from.as_ref()?, target.to.as_ref()?))) else {
        return Some(effect);
    };
    if from.value == 0.0 && matches!(effect, MinimumDetectableEffect::Relative(_)) {
        reporter.push(
            Problem::error("config.mde_of_zero", at.span, "a percentage of a baseline of 0 is always 0")
                .also(from.span, "the baseline")
                .valid("a number above 0 in the signal's units")
                .help("write the effect in the signal's units, without `%`"),
        );
        return None;
    }
    let (size, gap) = (effect.absolute(from.value), (to.value - from.value).abs());
    // Two decimal numbers that are equal for a person need not be so as binary ones.
    if size > gap * (1.0 + 1e-9) && gap > 0.0 {
        let message = format!(
            "the smallest effect worth detecting ({}) is larger than the whole gap ({})",
            rounded(size),
            rounded(gap)
        );
        reporter.push(
            Problem::warning("config.mde_above_gap", at.span, message)
                .also(to.span, "the target")
                .valid(format!("at most {}", rounded(gap)))
                .help("an effect this large would overshoot the target: write a smaller `mde`, or leave it out"),
        );
    }
    let level = from.value.abs();
    if size > 0.0 && size < TINY * level {
        let message = format!(
            "the smallest effect worth detecting ({}) is {} % of the level ({})",
            rounded(size),
            rounded(size / level * 100.0),
            rounded(from.value)
        );
        reporter.push(
            Problem::warning("config.mde_tiny", at.span, message)
                .also(from.span, "the level")
                .valid(format!("at least {} to be found in practice", rounded(TINY * level)))
                .help("`mde` is in the signal's units; write it with `%` if it is a share of the level"),
        );
    }
    Some(effect)
}

/// Share of the level below which an effect is rarely meant, and is found by hardly any test.
const TINY: f64 = 0.001;

/// A difference of decimal numbers as a person would write it.
fn rounded(value: f64) -> String {
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "0" || text.is_empty() { value.to_string() } else { text.to_owned() }
}
