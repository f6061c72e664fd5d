//! How much a source bears.

use std::time::Duration;

/// How much a source bears, of all programs of all workspaces that share its account together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimits {
    /// Questions that may be under way at the same time, at least 1.
    pub at_once: u16,
    /// Questions that may begin within a time; `None` where the source states no limit.
    pub budget: Option<Budget>,
}

/// Questions that may begin within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many, at least 1.
    pub n: u32,
    /// Within any such time.
    pub per: Duration,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self { at_once: 4, budget: None }
    }
}
