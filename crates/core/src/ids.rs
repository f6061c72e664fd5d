//! Ids: newtypes over UUID v7, so that a function cannot be called with the wrong one.
//!
//! New ids come from [`Ids`], which is fed by our clock and random source; nothing here reads either by itself.

use std::sync::{Arc, Mutex};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Clock;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
        )]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

ids! {
    /// A workspace: one repository root with its `outcome.yaml`.
    WorkspaceId,
    /// A human who may decide gates.
    MemberId,
    /// A signing key of a member.
    KeyId,
    /// A token that lets an agent use the REST API.
    AgentTokenId,
    /// A metric target with constraints and a horizon.
    OutcomeId,
    /// A falsifiable hypothesis with its plan.
    ExperimentId,
    /// A stop that only a human ends.
    GateId,
    /// One reading of a signal.
    MeasurementId,
    /// What was read of units whose values are final.
    CohortId,
    /// What an experiment taught.
    LearningId,
    /// A message waiting to be delivered.
    MessageId,
}

/// The source of random numbers and new ids; seeded in tests, from the operating system otherwise.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    rng: Arc<Mutex<ChaCha20Rng>>,
}

impl Ids {
    /// Ids whose random part comes from the operating system.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_rng(clock, rand::make_rng())
    }

    /// Ids whose random part comes from `rng`.
    #[must_use]
    pub fn with_rng(clock: Arc<dyn Clock>, rng: ChaCha20Rng) -> Self {
        Self { clock, rng: Arc::new(Mutex::new(rng)) }
    }

    /// Ids from a seed, for tests and demonstrations.
    #[must_use]
    pub fn seeded(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self::with_rng(clock, ChaCha20Rng::seed_from_u64(seed))
    }

    /// A new id of the wanted kind, ordered by time.
    #[must_use]
    pub fn next<T: From<Uuid>>(&self) -> T {
        let random = self.bytes();
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        T::from(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // A poisoned lock still guards a usable generator: filling bytes cannot leave it half-written.
        self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }
}
