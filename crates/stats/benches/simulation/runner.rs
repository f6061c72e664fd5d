//! Runs replications on all cores, in blocks with a random stream each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::rng::{Rng, stream};
use crate::tally::Tallies;

/// Replications per random stream.
const BLOCK: u64 = 100;

/// How much to simulate, and from which seed.
pub struct Runner {
    pub replications: u64,
    pub seed: u64,
    pub threads: usize,
}

impl Runner {
    /// Calls `replicate` once per replication with the tallies of its block; returns the sum over blocks.
    ///
    /// Blocks are summed in their own order, since adding floats in another order gives another last digit.
    pub fn run(&self, label: &str, n_tallies: usize, replicate: impl Fn(&mut Rng, &mut Tallies) + Sync) -> Tallies {
        let n_blocks = self.replications.div_ceil(BLOCK);
        let bar = bar(label, n_blocks);
        let next = AtomicU64::new(0);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        if block >= n_blocks {
                            break;
                        }
                        let mut rng = stream(self.seed, label, block);
                        let mut tallies = Tallies::new(n_tallies);
                        for _ in block * BLOCK..self.replications.min((block + 1) * BLOCK) {
                            replicate(&mut rng, &mut tallies);
                        }
                        done.lock().expect("no worker panics").push((block, tallies));
                        bar.inc(1);
                    }
                });
            }
        });
        bar.finish_and_clear();
        let mut done = done.into_inner().expect("no worker panics");
        done.sort_by_key(|(block, _)| *block);
        done.iter().fold(Tallies::new(n_tallies), |mut sum, (_, tallies)| {
            sum.merge(tallies);
            sum
        })
    }
}

/// On standard error, and only when that is a terminal.
fn bar(label: &str, n_blocks: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(n_blocks), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg:40} {bar:30} {percent:>3} % {eta:>6}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(label.to_owned());
    bar
}
