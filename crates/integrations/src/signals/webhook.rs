//! Sources that push aggregates to `POST /api/v1/signals/ingest`, signed as Standard Webhooks are.
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! The requests themselves are read by the core (`ports::push`): this file has the settings, and the source that cannot be
//! asked.

use std::sync::Arc;

use async_trait::async_trait;
use outcome_core::config::vendor::{Asked, Decode as _, Keymap, Node, Reporter, SignalVendor, secret};
use outcome_core::domain::{ArmSums, Period, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::{
    MetricInfo, Opening, PushSettings, ReadError, SignalSource, SourceReport, SourceSettings, VariantRequest,
};
use outcome_core::yaml_map;
use serde_json::json;

/// A source that pushes aggregates to the daemon.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "webhook",
    example: "secret: ${METRICS_SECRET}",
    asked: Asked::ItPushes,
    keys: Keymap::new(WebhookFile::FIELDS, |generator| generator.subschema_for::<WebhookFile>()),
    read,
};

yaml_map! {
    /// Settings of a `webhook` source, which pushes aggregates to the daemon.
    WebhookFile("the config of a `webhook` source") {
        /// Signing secret, such as `${METRICS_SECRET}`.
        required(signed) secret: String,
        /// Maximum age of a signed request.
        optional(signed) replay_window: Period = "5m",
    }
}

#[derive(Debug)]
struct WebhookSettings {
    secret: String,
    replay_window: Period,
}

impl SourceSettings for WebhookSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "secret": self.secret, "replay_window": self.replay_window })
    }

    fn references(&self) -> Vec<&str> {
        vec![&self.secret]
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        opening.resolve.resolve(&self.secret).map_err(|error| ReadError::secret(name, &error))?;
        Ok(Box::new(PushSource { name: name.to_owned() }))
    }

    fn push(&self) -> Option<PushSettings<'_>> {
        Some(PushSettings { secret: &self.secret, replay_window: self.replay_window })
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = WebhookFile::decode(node, reporter)?;
    if let Some(value) = &file.secret {
        secret("secret", "METRICS_SECRET", value, reporter);
    }
    Some(Arc::new(WebhookSettings { secret: file.secret?.value, replay_window: file.replay_window?.value }))
}

/// A source that pushes. There is nothing to ask it.
#[derive(Debug)]
struct PushSource {
    name: String,
}

impl PushSource {
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
            risks: Vec::new(),
            notes: vec!["nothing is polled; the secret is present".to_owned()],
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
