//! What units look like, and the sums of drawn ones.

use rand::{Rng, RngExt as _};
use rand_distr::{Binomial, ChiSquared, Distribution as _, StandardNormal};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Code, Error, Result};
use crate::stats::ArmSums;

/// What one unit's value looks like without the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(inline)]
pub enum Population {
    /// A share of units converts.
    Rate {
        /// In (0, 1).
        rate: f64,
    },
    /// One number per unit.
    Mean {
        /// Mean over units.
        mean: f64,
        /// Standard deviation over units, > 0.
        standard_deviation: f64,
    },
    /// Two numbers per unit; the metric is the sum of the first over the sum of the second.
    Ratio {
        /// Mean of the numerator over units.
        numerator_mean: f64,
        /// Its standard deviation, >= 0.
        numerator_standard_deviation: f64,
        /// Mean of the denominator over units, not 0.
        denominator_mean: f64,
        /// Its standard deviation, >= 0.
        denominator_standard_deviation: f64,
        /// Of the two within one unit, in [-1, 1]. Both deviations and this one leave the ratio some variance.
        correlation: f64,
    },
}

impl Population {
    /// Whether units can look like this.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        match *self {
            Self::Rate { rate } => rate > 0.0 && rate < 1.0,
            Self::Mean { mean, standard_deviation: sd } => mean.is_finite() && sd > 0.0 && sd.is_finite(),
            Self::Ratio {
                numerator_mean,
                numerator_standard_deviation: sd_num,
                denominator_mean,
                denominator_standard_deviation: sd_den,
                correlation,
            } => {
                let level = numerator_mean / denominator_mean;
                let by_den = level * sd_den;
                let variance = (sd_num - by_den).powi(2) + 2.0 * (1.0 - correlation) * by_den * sd_num;
                // What is left of two equal numbers is their rounding.
                let is_varying = variance > 1e-12 * (sd_num * sd_num + by_den * by_den);
                let is_spread = sd_num >= 0.0 && sd_den >= 0.0 && (-1.0..=1.0).contains(&correlation);
                is_spread && is_varying && level.is_finite() && variance.is_finite()
            }
        }
    }

    /// Its level without an effect.
    #[must_use]
    pub fn level(&self) -> f64 {
        match *self {
            Self::Rate { rate } => rate,
            Self::Mean { mean, .. } => mean,
            Self::Ratio { numerator_mean, denominator_mean, .. } => numerator_mean / denominator_mean,
        }
    }
}

/// Numbers that no unit can be drawn from.
pub(super) fn impossible(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::InvalidInput, "the stated traffic or level cannot be drawn from").because(error)
}

/// Cumulative sums of one arm. A rate keeps its successes as whole units, a mean uses the numerator's sums only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    n: u64,
    successes: u64,
    num: f64,
    num_squares: f64,
    den: f64,
    den_squares: f64,
    num_den: f64,
}

impl Sums {
    /// Units that were exposed and whose value is not there yet: they count with 0.
    pub(super) fn expose(&mut self, n: u64) {
        self.n += n;
    }

    /// The values of `n` units that were exposed before. `effect`: in the metric's units.
    pub(super) fn arrive(&mut self, population: &Population, effect: f64, n: u64, rng: &mut impl Rng) -> Result<()> {
        match *population {
            Population::Rate { rate } => {
                let rate = (rate + effect).clamp(0.0, 1.0);
                self.successes += Binomial::new(n, rate).map_err(impossible)?.sample(rng);
            }
            Population::Mean { mean, standard_deviation: sd } => {
                // Sums of many units are normal; their squares follow with the fourth moment of a normal value.
                let (mean, n) = (mean + effect, n as f64);
                let noise: f64 = sd * n.sqrt() * rng.sample::<f64, _>(StandardNormal);
                let squares = (n + (2.0 * n).sqrt() * rng.sample::<f64, _>(StandardNormal)).max(0.0) * sd * sd;
                self.num += n * mean + noise;
                self.num_squares += n * mean * mean + 2.0 * mean * noise + squares.max(noise * noise / n.max(1.0));
            }
            Population::Ratio { .. } => self.arrive_pairs(&Pairs::of(population), effect, n, rng)?,
        }
        Ok(())
    }

    fn arrive_pairs(&mut self, of: &Pairs, effect: f64, n: u64, rng: &mut impl Rng) -> Result<()> {
        if n == 0 {
            return Ok(());
        }
        let units = n as f64;
        let mut normal = || rng.sample::<f64, _>(StandardNormal);
        let (first, second) = (normal(), normal());
        let den = of.den_mean + of.den * first / units.sqrt();
        let num = of.num_mean + (of.num_by_den * first + of.num_alone * second) / units.sqrt();
        // Centred squares and products of normal units: a Wishart matrix by its Bartlett factors.
        let factor = |freedom: u64, rng: &mut _| -> Result<f64> {
            if freedom == 0 {
                return Ok(0.0);
            }
            Ok(ChiSquared::new(freedom as f64).map_err(impossible)?.sample(rng).sqrt())
        };
        let (a, c) = (factor(n - 1, rng)?, factor(n.saturating_sub(2), rng)?);
        let b = if n > 1 { rng.sample::<f64, _>(StandardNormal) } else { 0.0 };
        let (den_row, num_row) = (of.den * a, [of.num_by_den * a + of.num_alone * b, of.num_alone * c]);
        let den_squares = den_row * den_row + units * den * den;
        let num_squares = num_row[0] * num_row[0] + num_row[1] * num_row[1] + units * num * num;
        let num_den = den_row * num_row[0] + units * num * den;
        // The treatment adds the effect for each unit of the denominator: the level moves by it, and nothing else.
        self.den += units * den;
        self.den_squares += den_squares;
        self.num += units * (num + effect * den);
        self.num_squares += num_squares + 2.0 * effect * num_den + effect * effect * den_squares;
        self.num_den += num_den + effect * den_squares;
        Ok(())
    }

    /// Loses each unit with this probability, with what it was worth on average.
    pub(super) fn delete(&mut self, share: f64, rng: &mut impl Rng) -> Result<()> {
        let n = Binomial::new(self.n, share).map_err(impossible)?.sample(rng);
        if n == 0 {
            return Ok(());
        }
        let rate = (self.successes as f64 / self.n as f64).min(1.0);
        let successes = Binomial::new(n, rate).map_err(impossible)?.sample(rng);
        let kept = (self.n - n) as f64 / self.n as f64;
        self.n -= n;
        self.successes = self.successes.saturating_sub(successes).min(self.n);
        for sum in [&mut self.num, &mut self.num_squares, &mut self.den, &mut self.den_squares, &mut self.num_den] {
            *sum *= kept;
        }
        Ok(())
    }

    /// As a source would say them.
    pub(super) fn read(&self, population: &Population) -> ArmSums {
        match population {
            Population::Rate { .. } => ArmSums::Proportion { n: self.n, successes: self.successes },
            Population::Mean { .. } => ArmSums::Mean { n: self.n, sum: self.num, sum_squares: self.num_squares },
            Population::Ratio { .. } => ArmSums::Ratio {
                n: self.n,
                numerator_sum: self.num,
                numerator_sum_squares: self.num_squares,
                denominator_sum: self.den,
                denominator_sum_squares: self.den_squares,
                cross_sum: self.num_den,
            },
        }
    }
}

/// The numerator split into what goes with the denominator and what does not.
#[derive(Debug, Default)]
struct Pairs {
    num_mean: f64,
    den_mean: f64,
    den: f64,
    num_by_den: f64,
    num_alone: f64,
}

impl Pairs {
    fn of(population: &Population) -> Self {
        let Population::Ratio {
            numerator_mean,
            numerator_standard_deviation,
            denominator_mean,
            denominator_standard_deviation,
            correlation,
        } = *population
        else {
            return Self::default();
        };
        Self {
            num_mean: numerator_mean,
            den_mean: denominator_mean,
            den: denominator_standard_deviation,
            num_by_den: numerator_standard_deviation * correlation,
            num_alone: numerator_standard_deviation * (1.0 - correlation * correlation).max(0.0).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const PAIRS: Population = Population::Ratio {
        numerator_mean: 100.0,
        numerator_standard_deviation: 60.0,
        denominator_mean: 2.0,
        denominator_standard_deviation: 1.0,
        correlation: 0.8,
    };

    /// The sums of many small batches have the moments that were asked for, and an effect moves the level alone.
    #[test]
    fn pairs_have_the_moments_that_were_asked_for() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut plain, mut moved) = (Sums::default(), Sums::default());
        for n in (0..4000).map(|i| i % 7) {
            plain.expose(n);
            plain.arrive(&PAIRS, 0.0, n, &mut rng).unwrap();
            moved.expose(n);
            moved.arrive(&PAIRS, 3.0, n, &mut rng).unwrap();
        }
        for (sums, effect) in [(plain, 0.0), (moved, 3.0)] {
            let n = sums.n as f64;
            let (num, den) = (sums.num / n, sums.den / n);
            let var_den = sums.den_squares / n - den * den;
            let residual =
                |level: f64| (sums.num_squares - 2.0 * level * sums.num_den + level * level * sums.den_squares) / n;
            assert!((den - 2.0).abs() < 0.05 && (var_den - 1.0).abs() < 0.05, "{den} {var_den}");
            assert!((num / den - 50.0 - effect).abs() < 1.0, "{}", num / den);
            // 60^2 - 2 * 50 * .8 * 60 + 50^2 = 1300, with and without the effect.
            assert!((residual(num / den) / 1300.0 - 1.0).abs() < 0.06, "{}", residual(num / den));
        }
    }

    #[test]
    fn a_ratio_without_any_variance_is_impossible() {
        assert!(PAIRS.is_possible());
        let flat = Population::Ratio {
            numerator_mean: 100.0,
            numerator_standard_deviation: 50.0,
            denominator_mean: 2.0,
            denominator_standard_deviation: 1.0,
            correlation: 1.0,
        };
        assert!(!flat.is_possible());
    }

    #[test]
    fn deletions_take_their_share() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut sums = Sums::default();
        sums.expose(100_000);
        sums.arrive(&Population::Rate { rate: 0.3 }, 0.0, 100_000, &mut rng).unwrap();
        sums.delete(0.1, &mut rng).unwrap();
        assert!((sums.n as f64 - 90_000.0).abs() < 500.0, "{}", sums.n);
        assert!((sums.successes as f64 / sums.n as f64 - 0.3).abs() < 0.01);
    }
}
