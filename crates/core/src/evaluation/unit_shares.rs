//! Shares of the units of a phase that saw both arms, or neither.

use crate::domain::VariantReading;

/// Units of a phase from which a share of them is a finding that turns the flag off, and that share.
const ENOUGH: (i64, f64) = (100, 0.05);

/// Whether so many of a phase's units are too many.
pub(super) fn is_often(arms: &[VariantReading], part: i64) -> bool {
    let n = n_of(arms);
    n >= ENOUGH.0 && share_of(part, n) > ENOUGH.1
}

/// Units of both arms.
pub(super) fn n_of(arms: &[VariantReading]) -> i64 {
    arms.iter().filter_map(|arm| arm.sums.n()).fold(0, i64::saturating_add)
}

/// Units that saw both arms, as a metric's cohort or the user's own query counts them.
pub(super) fn n_both_of(arms: &[VariantReading]) -> i64 {
    let of_cohorts: i64 = arms.iter().filter_map(|arm| Some(arm.cohort?.n_both)).fold(0, i64::saturating_add);
    let of_query = arms.iter().filter_map(|arm| arm.units?.n_both).max().unwrap_or(0);
    of_cohorts.max(of_query)
}

/// Units that saw neither arm; each arm of a phase repeats it.
pub(super) fn n_other_of(arms: &[VariantReading]) -> i64 {
    arms.iter().filter_map(|arm| Some(arm.cohort?.n_other)).max().unwrap_or(0)
}

/// A part of all; 0 of nobody.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(super) fn share_of(part: i64, all: i64) -> f64 {
    if all > 0 { part as f64 / all as f64 } else { 0.0 }
}
