//! Resources that are part of the program: the same in every workspace, and there without one.

use rmcp::model::ReadResourceResult;

use crate::document::Document;
use crate::{card, skill};

/// All of them.
pub(crate) const ALL: [&Document; 2] = [&card::DOCUMENT, &skill::DOCUMENT];

/// The document at this address.
pub(crate) fn read(uri: &str) -> Option<ReadResourceResult> {
    ALL.into_iter().find(|document| document.uri == uri).map(Document::read)
}
