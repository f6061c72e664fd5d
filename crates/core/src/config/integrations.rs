//! The third parties that `outcome.yaml` names, as declared: values may still hold `${ENV}` and `${file:}` references,
//! which are resolved at run time and never written back.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::reporter::Asked;
use crate::ports::{ChannelSettings, FlagSettings, SourceSettings};

/// A declared signal connector.
#[derive(Debug, Clone)]
pub struct ConnectorSpec {
    /// Name that signals refer to as `source`.
    pub name: String,
    /// Its `type`.
    pub kind: &'static str,
    /// How it is asked.
    pub asked: Asked,
    /// Its checked settings.
    pub settings: Arc<dyn SourceSettings>,
}

/// The declared flag service.
#[derive(Debug, Clone)]
pub struct FlagServiceSpec {
    /// Its `provider`.
    pub kind: &'static str,
    /// Its checked settings.
    pub settings: Arc<dyn FlagSettings>,
}

/// A declared message channel.
#[derive(Debug, Clone)]
pub struct ChannelSpec {
    /// Its key under `notifications`.
    pub kind: &'static str,
    /// Its checked settings.
    pub settings: Arc<dyn ChannelSettings>,
}

impl Serialize for ConnectorSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("ConnectorSpec", 3)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("type", self.kind)?;
        out.serialize_field("config", &self.settings.to_json())?;
        out.end()
    }
}

impl Serialize for FlagServiceSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("FlagServiceSpec", 2)?;
        out.serialize_field("provider", self.kind)?;
        out.serialize_field("config", &self.settings.to_json())?;
        out.end()
    }
}

impl Serialize for ChannelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("ChannelSpec", 2)?;
        out.serialize_field("channel", self.kind)?;
        out.serialize_field("config", &self.settings.to_json())?;
        out.end()
    }
}
