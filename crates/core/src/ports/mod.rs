//! The ports: what the core asks of the outside world, as traits with their data and errors.
//!
//! **Invariant**: no vendor and no HTTP client in here. Vendors implement these traits in `outcome-integrations`, and each
//! program plugs that table in. A key is touched at a terminal: the command line implements [`TouchToSign`].

#![warn(missing_docs)]

pub mod elsewhere;
mod flag_error;
mod flag_state;
pub mod flags;
mod limits;
mod notifier;
mod os_keyring;
pub mod push;
mod read_error;
pub mod reading_check;
mod secrets;
mod signals;
mod tables;
mod touch;

pub use flag_error::FlagError;
pub use flag_state::FlagState;
pub use flags::{FlagAct, FlagAnswers, FlagService, FlagSettings, Right};
pub use limits::{Budget, SourceLimits};
pub use notifier::{ChannelSettings, Letter, LetterAbout, Notifier, NotifyError};
pub use os_keyring::{KeyringError, OsKeyring};
pub use read_error::ReadError;
pub use secrets::{Opening, ResolveSecret};
pub use signals::{
    Danger, ExposureCounts, FactCounts, KeyBuckets, LookRequest, MetricInfo, MetricLook, PartRequest, ProtocolTry,
    PushSettings, QueryKind, QueryPlan, Risk, Sealing, SignalSource, SourceReport, SourceSettings, Treated,
    VariantRequest, WrittenQuery, no_parts, size,
};
pub use tables::{ColumnInfo, ColumnKind, CommonValue, SqlEngine, TableInfo, Tables};
pub use touch::TouchToSign;
