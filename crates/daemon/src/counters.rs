//! Counters that the use cases do not keep.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counters that the use cases do not keep.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    pub(crate) audit_intact: Mutex<Option<bool>>,
}

impl Metrics {
    /// Counts an answered request. `route` is the pattern, never the path: the number of series stays bounded.
    pub fn request(&self, method: &str, route: &str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method.to_owned(), route.to_owned(), status)).or_default() += 1;
    }

    /// Keeps what the latest verification of the audit log found.
    pub fn audit_verified(&self, is_intact: bool) {
        *self.audit_intact.lock().unwrap_or_else(PoisonError::into_inner) = Some(is_intact);
    }
}
