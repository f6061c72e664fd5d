//! Sources that push aggregates to `POST /api/v1/signals/ingest`.

use async_trait::async_trait;

use super::{MetricInfo, ReadError, SignalSource, SourceReport, VariantRequest};
use crate::domain::{ArmSums, Reading, SignalSpec, VariantReading, Window};

/// A source that pushes. There is nothing to ask it.
#[derive(Debug)]
pub struct PushSource {
    name: String,
}

impl PushSource {
    /// The pushing connector of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    fn push_only<T>(&self) -> Result<T, ReadError> {
        Err(ReadError::PushOnly { source_name: self.name.clone() })
    }
}

#[async_trait]
impl SignalSource for PushSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        Ok(SourceReport {
            source: self.name.clone(),
            server: "pushes to POST /api/v1/signals/ingest".to_owned(),
            is_read_only: true,
            latency_ms: 0,
            notes: vec!["nothing is asked; the secret is there".to_owned()],
        })
    }
    async fn level(&self, _: &SignalSpec, _: Window) -> Result<Reading<ArmSums>, ReadError> {
        self.push_only()
    }
    async fn by_variant(&self, _: &SignalSpec, _: &VariantRequest) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        self.push_only()
    }
    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        Ok(Vec::new())
    }
}
