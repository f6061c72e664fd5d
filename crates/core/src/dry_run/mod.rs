//! A dry run of an experiment's decision policy: its exact plan, poll times, guardrails and stopping rules over synthetic
//! units, before anybody is exposed.
//!
//! What goes wrong with readings and gates is played too ([`Mishaps`]). Gates and `simulate` show what it finds.
//!
//! **Invariant**: pure. The same input and seed give the same report. Polls are judged by [`crate::stats`], and what follows from
//! them is what [`crate::lifecycle`] says.

mod input;
mod mishaps;
mod play;
mod population;
mod report;
#[cfg(test)]
mod tests;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use self::play::Run;
use self::report::{Tally, false_stops};
use crate::error::Result;

pub use self::input::{Day, DryRun, GuardrailPolicy};
pub use self::mishaps::Mishaps;
pub use self::population::Population;
pub use self::report::{DataPauses, DryRunReport, EffectReport, HarmOff};

impl DryRun {
    /// Runs it. `progress` hears of finished runs and of how many there are.
    ///
    /// # Errors
    /// [`crate::Code::InvalidInput`] for a share, a rate or a number of units that is out of range.
    pub fn run(&self, mut progress: impl FnMut(u64, u64)) -> Result<DryRunReport> {
        self.check()?;
        let total = self.effects.len() as u64 * u64::from(self.replications);
        let mut done = 0;
        let mut effects = Vec::new();
        for (index, effect) in self.effects.iter().enumerate() {
            let mut tally = Tally::new(*effect, self.plan.direction, self.longest_days());
            for replication in 0..self.replications {
                // One stream for each run: the report of one effect does not depend on the others.
                let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                rng.set_stream((index as u64) << 32 | u64::from(replication));
                tally.add(&Run::new(self, *effect, rng).play()?);
                done += 1;
                if done % 64 == 0 || done == total {
                    progress(done, total);
                }
            }
            effects.push(tally.report());
        }
        let alpha = self.plan.alpha.get();
        let none = effects.iter().find(|report| report.effect.abs() <= 0.0);
        Ok(DryRunReport {
            replications: self.replications,
            seed: self.seed,
            n_polls: self.n_days() * self.polls_per_day,
            alpha,
            false_alarm_rate: none.map(|report| report.ship + report.kill_harm),
            standard_error: (alpha * (1.0 - alpha) / f64::from(self.replications)).sqrt(),
            false_stops: none.map(|none| false_stops(none, self)),
            mishaps: self.mishaps,
            effects,
        })
    }
}
