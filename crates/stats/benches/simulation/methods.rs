//! What other tools compute, one function per formula. Ours is not here: it is called in `outcome_stats`.
//!
//! All take a look at two arms. Sources are the sections of STATS.md; L = ln(1 / alpha).

use crate::boundaries::normal_cdf;

/// The alpha of every test in these scenarios.
pub const ALPHA: f64 = 0.05;
/// Two-sided critical value of one look at 0.05.
pub const Z_FIXED: f64 = 1.959_963_984_540_054;

/// Sums of a conversion metric at one look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub n_a: u64,
    pub n_b: u64,
    pub x_a: u64,
    pub x_b: u64,
}

impl Look {
    pub fn n(&self) -> f64 {
        (self.n_a + self.n_b) as f64
    }

    /// Difference of the rates and its unpooled variance.
    pub fn estimate(&self) -> (f64, f64) {
        let arm = |n: u64, x: u64| {
            let (n, x) = (n as f64, x as f64);
            (x / n, x / n * (1.0 - x / n) / (n - 1.0))
        };
        let ((p_a, v_a), (p_b, v_b)) = (arm(self.n_a, self.x_a), arm(self.n_b, self.x_b));
        (p_b - p_a, v_a + v_b)
    }

    /// Unpooled z; 0 when neither arm varies.
    pub fn z(&self) -> f64 {
        let (delta, variance) = self.estimate();
        if variance > 0.0 { delta / variance.sqrt() } else { 0.0 }
    }
}

/// What a test says at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Continue,
    Effect,
    /// Stop without an effect; only the SPRT does.
    NoEffect,
}

impl Says {
    pub fn effect_if(is_effect: bool) -> Self {
        if is_effect { Self::Effect } else { Self::Continue }
    }
}

/// `2L + ln(1 + 2L)`, the usual closed form for where a mixture is tightest (STATS.md 1.1).
pub fn usual_r() -> f64 {
    let two_l = -2.0 * ALPHA.ln();
    two_l + two_l.ln_1p()
}

/// The normal mixture that all of them share: reject when `E >= 1 / alpha` (STATS.md, "The one formula").
pub fn mixture_rejects(z: f64, r: f64) -> bool {
    0.5 * (z * z * r / (1.0 + r) - r.ln_1p()) >= -ALPHA.ln()
}

/// Fixed-horizon z test, applied at every look (mistake 4 of STATS.md 2.12).
pub fn peeking(look: &Look) -> bool {
    look.z().abs() > Z_FIXED
}

/// The critical value of a z test with Bonferroni over looks.
pub fn bonferroni_critical(n_looks: usize) -> f64 {
    let target = ALPHA / n_looks as f64 / 2.0;
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if normal_cdf(-middle) > target { low = middle } else { high = middle }
    }
    high
}

/// GrowthBook, PostHog and the asymptotic confidence sequence: `r = rho^2 N`, tuned at `n_star` (STATS.md 1.1, 1.8).
///
/// Eppo and Datadog write `N / rho` with the inverse of the same constant, Adobe counts per arm (STATS.md 1.2, 1.7).
pub fn sample_clock(look: &Look, n_star: f64) -> bool {
    sample_clock_rejects(look.z(), look.n(), n_star)
}

/// The same from z and the units of both arms.
pub fn sample_clock_rejects(z: f64, n: f64, n_star: f64) -> bool {
    mixture_rejects(z, usual_r() * n / n_star)
}

/// Student-t mixture of avlm, `r = n / g` (STATS.md 1.5).
pub fn student_mixture(look: &Look, g: f64) -> bool {
    let (n, t) = (look.n(), look.z());
    let nu = n - 2.0;
    let shrink = g / (g + n);
    let ln_e = 0.5 * shrink.ln() + 0.5 * (nu + 1.0) * ((t * t / nu).ln_1p() - (shrink * t * t / nu).ln_1p());
    ln_e >= -ALPHA.ln()
}

/// Exact conditional test of Netflix for an even split: a Beta mixture of concentration `k` on the share of
/// conversions that fall into treatment (STATS.md 1.5).
pub fn exact_conditional(look: &Look, k: f64) -> bool {
    let (x_a, x_b) = (look.x_a as f64, look.x_b as f64);
    let ln_beta = |a: f64, b: f64| libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    let half = 0.5 * k;
    let ln_e = ln_beta(half + x_a, half + x_b) - ln_beta(half, half) + (x_a + x_b) * std::f64::consts::LN_2;
    ln_e >= -ALPHA.ln()
}

/// tau in proportion to the variance of the moment, so that r is the same at every look: not a martingale
/// (STATS.md 1.3, mistake 5).
pub fn retuned(look: &Look, r: f64) -> bool {
    mixture_rejects(look.z(), r)
}

/// SPRT on |z| as Statsig documents it: `ln LR = theta |z| - theta^2 / 2`, `theta = d / se` (STATS.md 1.3, mistake 14).
pub fn sprt_absolute(look: &Look, effect: f64, beta: f64) -> Says {
    let (_, variance) = look.estimate();
    if variance <= 0.0 {
        return Says::Continue;
    }
    let theta = effect / variance.sqrt();
    let ln_ratio = theta * look.z().abs() - 0.5 * theta * theta;
    if ln_ratio >= ((1.0 - beta) / ALPHA).ln() {
        Says::Effect
    } else if ln_ratio <= (beta / (1.0 - ALPHA)).ln() {
        Says::NoEffect
    } else {
        Says::Continue
    }
}

/// The sequential test of gbstats (its `sequential` tuning parameter set to `tuned_to` units): whether the two-sided interval at
/// `alpha` is above 0. After Howard et al. 2021, eq. 9 as gbstats uses it.
pub fn gbstats_sequential(look: &Look, alpha: f64, tuned_to: f64) -> bool {
    let (delta, variance) = look.estimate();
    let n = look.n();
    let rho_squared = (-2.0 * alpha.ln() + (1.0 - 2.0 * alpha.ln()).ln()) / tuned_to;
    let spread = n * rho_squared + 1.0;
    let half_width =
        (variance * n).sqrt() * (2.0 * spread * (spread.sqrt() / alpha).ln() / (n * n * rho_squared)).sqrt();
    variance > 0.0 && delta - half_width > 0.0
}
