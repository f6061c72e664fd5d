//! The table of vendors, and what a vendor's file needs to read its own keys.
//!
//! The core names no vendor: each program hands it a [`Vendors`] table, and the keys, the schema and the checks of a
//! `type:`, `provider:` or channel follow from it.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

pub use super::choice::Choice;
pub use super::decode::{At, Decode};
pub use super::diagnostic::{Problem, Reporter, Span};
pub use super::map::{Field, Keys, object};
pub use super::validate::vendor_checks::{at_least_one, http_address, list, no_inline_password, references, secret};
pub use super::yaml::{Node, Value};
use crate::ports::{ChannelSettings, FlagSettings, SourceSettings};

/// Everything that an outcome file may name.
#[derive(Debug, Clone, Copy)]
pub struct Vendors {
    /// Types of `signal_connectors`.
    pub signals: &'static [SignalVendor],
    /// Providers of `feature_flags`.
    pub flags: &'static [FlagVendor],
    /// Channels under `notifications`.
    pub channels: &'static [ChannelVendor],
}

impl Vendors {
    /// No vendor at all.
    pub const NONE: Self = Self { signals: &[], flags: &[], channels: &[] };

    /// The signal vendor with this `type`.
    #[must_use]
    pub fn signal(&self, kind: &str) -> Option<&'static SignalVendor> {
        self.signals.iter().find(|vendor| vendor.kind == kind)
    }

    /// The flag service with this `provider`.
    #[must_use]
    pub fn flag(&self, kind: &str) -> Option<&'static FlagVendor> {
        self.flags.iter().find(|vendor| vendor.kind == kind)
    }

    /// The channel with this key under `notifications`.
    #[must_use]
    pub fn channel(&self, kind: &str) -> Option<&'static ChannelVendor> {
        self.channels.iter().find(|vendor| vendor.kind == kind)
    }
}

/// How a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// With the user's own SQL, in a signal's `query`.
    WithSql,
    /// Not at all: it pushes its readings.
    ItPushes,
}

/// A kind of signal source.
#[derive(Debug)]
pub struct SignalVendor {
    /// Its `type` in the file.
    pub kind: &'static str,
    /// A line below `config:` to begin with.
    pub example: &'static str,
    /// How it is asked.
    pub asked: Asked,
    /// The keys of its `config`.
    pub keys: Keymap,
    /// Reads and checks its `config`; `None` after a mistake, which is then reported.
    pub read: fn(&Node, &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>>,
}

/// A kind of flag service.
#[derive(Debug)]
pub struct FlagVendor {
    /// Its `provider` in the file.
    pub kind: &'static str,
    /// A line below `config:` to begin with.
    pub example: &'static str,
    /// The keys of its `config`.
    pub keys: Keymap,
    /// Reads and checks its `config`; `None` after a mistake, which is then reported.
    pub read: fn(&Node, &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>>,
}

/// A kind of message channel.
#[derive(Debug)]
pub struct ChannelVendor {
    /// Its key under `notifications`, and its name in a gate's `channel`.
    pub kind: &'static str,
    /// The keys below it.
    pub keys: Keymap,
    /// Reads and checks its settings; `None` after a mistake, which is then reported.
    pub read: fn(&Node, &mut Reporter<'_>) -> Option<Arc<dyn ChannelSettings>>,
}

/// The keys of a vendor's settings.
#[derive(Debug, Clone, Copy)]
pub struct Keymap {
    /// Name, documentation and default of each.
    pub fields: &'static [Field],
    /// Their JSON Schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Keymap {
    /// The keys of a map that `yaml_map!` declared: `Keymap::new(Keys::FIELDS, |g| g.subschema_for::<Keys>())`.
    #[must_use]
    pub const fn new(fields: &'static [Field], schema: fn(&mut SchemaGenerator) -> Schema) -> Self {
        Self { fields, schema }
    }
}
