//! `outcome.yaml`: from text to a checked [`crate::domain::OutcomeSpec`].

mod integrations;

pub use integrations::{ConnectorKind, ConnectorSpec, FlagServiceSpec, SqlConfig, TimeFormat, WebhookConfig};
