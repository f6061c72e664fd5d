//! The tests behind `ship`.

use serde_json::json;

use super::io::{Answer, Input, missing};
use crate::cut_normal::CutNormal;
use crate::group_sequential::{Bound, next_bound, spent_at};
use crate::{Estimate, Variance, known_end_constant};

/// The one-sided mixture around `mde`: evidence against "at most `delta0`", and the lower bound.
pub(super) fn cut_normal(input: Input<'_>) -> Answer {
    let estimate = Estimate { delta: input.number("delta")?, variance: Variance::try_new(input.number("var")?)? };
    let mixture = CutNormal::around(input.number("mde")?);
    let lower = mixture.lower_bound(&estimate, input.alpha()?);
    Ok(json!({ "log_e": mixture.ln_e(&estimate, input.number_or("delta0", 0.0)?), "lower": lower }))
}

/// Critical values of looks at the given shares of the information, with `alpha t^2` spent at each; `is_over`: the last look spends all.
pub(super) fn known_end(input: Input<'_>) -> Answer {
    let (alpha, fractions) = (input.alpha()?.get(), input.numbers("fractions")?);
    let mut looks: Vec<Bound> = Vec::new();
    let mut spent = 0.0;
    for (index, fraction) in fractions.iter().copied().enumerate() {
        let is_last = index + 1 == fractions.len() && input.boolean_or("is_over", false);
        let until = if is_last { alpha } else { spent_at(alpha, fraction) };
        let z = next_bound(&looks, fraction, until - spent)
            .ok_or_else(|| missing("fractions", "rising by at least 0.001, with something left to spend"))?;
        looks.push(Bound { fraction, z });
        spent = until;
    }
    Ok(json!({ "z": looks.iter().map(|look| look.z).collect::<Vec<_>>(), "spent": spent }))
}

pub(super) fn constant(input: Input<'_>) -> Answer {
    let found = known_end_constant(input.alpha()?, input.number_or("power", 0.8)?)?;
    Ok(json!({
        "c": found.c,
        "expected_fraction": found.expected_fraction,
        "expected_fraction_at_double": found.expected_fraction_at_double,
    }))
}
