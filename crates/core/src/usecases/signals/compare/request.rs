//! What is asked.

use jiff::Timestamp;

use crate::domain::MinimumDetectableEffect;

/// Which experiment is looked at, and how it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricCompareRequest {
    /// Name of the metric.
    pub metric: String,
    /// What the column of its exposures says that names the experiment: the key of its flag.
    pub flag: String,
    /// When it began.
    pub from: Timestamp,
    /// When it ended, not included; absent while it runs.
    pub to: Option<Timestamp>,
    /// Share of the treatment in percent, above 0 and below 100; the same for all of its time.
    pub treatment_pct: f64,
    /// The smallest effect worth finding, which is also the width of the mixture.
    pub mde: MinimumDetectableEffect,
    /// Error probability over all looks, between 0 and 1.
    pub alpha: f64,
}
