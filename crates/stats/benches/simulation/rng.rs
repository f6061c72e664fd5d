//! Random numbers: one ChaCha stream per block of replications, so that a result depends on the seed alone and not on
//! how many threads there are.

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _, StandardNormal};

/// The generator of all scenarios.
pub type Rng = ChaCha8Rng;

/// The stream of one block of one simulation. `label` keeps simulations apart that share a seed.
pub fn stream(seed: u64, label: &str, block: u64) -> Rng {
    // FNV-1a: only has to give another number for another label, on every machine the same.
    let label = label
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut rng = Rng::seed_from_u64(seed ^ label);
    rng.set_stream(block);
    rng
}

/// Successes among `n` units with probability `p`.
pub fn binomial(rng: &mut Rng, n: u64, p: f64) -> u64 {
    Binomial::new(n, p).expect("p is a probability").sample(rng)
}

/// A standard normal number.
pub fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}
