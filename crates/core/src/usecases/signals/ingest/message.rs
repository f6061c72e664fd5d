//! A pushed message, and its answer.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Result;
use crate::ports::push::{IngestPayload, Place, Pushed};

/// The result of a pushed message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Ingested {
    /// Readings that were new.
    pub n_stored: u32,
    /// True when this message had been taken before; then nothing was done.
    pub is_repeat: bool,
}

/// The answer to each message, in their order.
pub(super) type Written = Vec<Result<Ingested>>;

/// A message that is what it says: signed, fresh, and of one of our sources.
#[derive(Debug)]
pub(in crate::usecases) struct Message {
    /// What makes it count once.
    pub(super) nonce: String,
    /// Until when that is remembered.
    pub(super) expires_at: Timestamp,
    /// What it says; several where it is a list.
    pub(super) parts: Vec<(IngestPayload, Pushed)>,
}

impl Message {
    /// What it is about: no two of a batch are about the same.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.parts.iter().map(|(payload, _)| payload.place())
    }
}
