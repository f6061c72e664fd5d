//! Several tests at once (STATS.md 2.6). Secondary metrics inform; they never drive a decision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Alpha;

/// Bonferroni-adjusted p-values, in the order given.
///
/// `p`: in [0, 1]; a NaN counts as 1. Source: STATS.md 2.6.
#[must_use]
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    let m = p.len() as f64;
    p.iter().map(|p| unit(m * unit(*p))).collect()
}

/// Holm-adjusted p-values, in the order given.
///
/// Source: STATS.md 2.6.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let m = p.len();
    let mut highest = 0.0_f64;
    adjust(p, ascending(p), |rank, p| {
        highest = highest.max((m - rank) as f64 * p);
        highest
    })
}

/// Benjamini-Hochberg-adjusted p-values, in the order given: reject those at or below the false discovery rate.
///
/// On running-minimum p across independently randomised experiments. Source: STATS.md 2.6.
#[must_use]
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let m = p.len();
    let mut lowest = 1.0_f64;
    let mut descending = ascending(p);
    descending.reverse();
    adjust(p, descending, |step, p| {
        lowest = lowest.min(m as f64 / (m - step) as f64 * p);
        lowest
    })
}

/// What e-BH rejects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EBh {
    /// How many are rejected.
    pub n_rejected: usize,
    /// In the order given.
    pub rejected: Vec<bool>,
}

/// e-BH: controls the false discovery rate under any dependence.
///
/// `ln_e`: *current* e-values of tests that are still polled, never running maxima (see [`adjust_running_max`]).
/// Rejects the largest k with `ln e_(k) >= ln(K / (k alpha))`.
///
/// Source: STATS.md 2.6 (Wang & Ramdas 2022).
#[must_use]
pub fn e_benjamini_hochberg(ln_e: &[f64], alpha: Alpha) -> EBh {
    let total = ln_e.len() as f64;
    let mut order: Vec<(usize, f64)> = ln_e.iter().copied().enumerate().collect();
    order.sort_by(|a, b| descending_last_nan(a.1, b.1));
    let passes = |(rank, (_, e)): (usize, &(usize, f64))| {
        let k = (rank + 1) as f64;
        (*e >= (total / k).ln() + alpha.ln_inverse()).then_some(rank + 1)
    };
    let n_rejected = order.iter().enumerate().filter_map(passes).max().unwrap_or(0);
    let mut rejected = vec![false; ln_e.len()];
    for (index, _) in order.iter().take(n_rejected) {
        if let Some(slot) = rejected.get_mut(*index) {
            *slot = true;
        }
    }
    EBh { n_rejected, rejected }
}

/// Turns the running maximum of an e-process into an e-value again: `A(e*) = (e* - 1 - ln e*) / (ln e*)^2`.
///
/// `-inf` for `ln_e_max <= 0` (no evidence), infinite for an infinite one.
///
/// Source: STATS.md 2.6 (Tavyrikov, Goeman & de Heide 2025).
#[must_use]
pub fn adjust_running_max(ln_e_max: f64) -> f64 {
    let l = ln_e_max;
    if l.is_nan() || l <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if l.is_infinite() {
        return l;
    }
    if l < 1e-3 {
        // e^l - 1 - l = l^2/2 + l^3/6 + l^4/24 cancels too much here.
        return (0.5 + l * (1.0 / 6.0 + l / 24.0)).ln();
    }
    // ln(e^l - 1 - l) = l + ln(1 - (1 + l) e^-l)
    l + (-(1.0 + l) * (-l).exp()).ln_1p() - 2.0 * l.ln()
}

fn unit(p: f64) -> f64 {
    if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
}

fn ascending(p: &[f64]) -> Vec<(usize, f64)> {
    let mut order: Vec<(usize, f64)> = p.iter().map(|p| unit(*p)).enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    order
}

fn adjust(p: &[f64], order: Vec<(usize, f64)>, mut adjusted: impl FnMut(usize, f64) -> f64) -> Vec<f64> {
    let mut out = vec![1.0; p.len()];
    for (step, (index, p)) in order.into_iter().enumerate() {
        let value = unit(adjusted(step, p));
        if let Some(slot) = out.get_mut(index) {
            *slot = value;
        }
    }
    out
}

fn descending_last_nan(a: f64, b: f64) -> std::cmp::Ordering {
    let key = |x: f64| if x.is_nan() { f64::NEG_INFINITY } else { x };
    key(b).total_cmp(&key(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benjamini_hochberg_matches_the_textbook() {
        let got = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]);
        for (got, want) in got.iter().zip([0.02, 0.04, 0.04, 0.02]) {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn nothing_tested_rejects_nothing() {
        assert_eq!(e_benjamini_hochberg(&[], Alpha::DEFAULT).n_rejected, 0);
        assert!(bonferroni(&[]).is_empty() && holm(&[]).is_empty());
    }

    #[test]
    fn the_adjusted_running_maximum_is_continuous() {
        let (near, far) = (adjust_running_max(1e-3 - 1e-12), adjust_running_max(1e-3 + 1e-12));
        assert!((near - far).abs() < 1e-9, "{near} {far}");
    }
}
