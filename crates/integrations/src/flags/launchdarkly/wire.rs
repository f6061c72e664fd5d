//! What LaunchDarkly answers: the fields that are used, and no others.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A flag of a project.
#[derive(Debug, Deserialize)]
pub(super) struct Flag {
    pub(super) variations: Vec<Variation>,
    #[serde(default)]
    pub(super) archived: bool,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// By key; only ours is decoded.
    pub(super) environments: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Variation {
    #[serde(rename = "_id")]
    pub(super) id: Option<String>,
    pub(super) value: Value,
}

/// A flag's set-up in one environment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Targeting {
    pub(super) on: bool,
    pub(super) off_variation: Option<usize>,
    /// A list of flags leaves `targets` and `rules` out, so their absence says nothing.
    pub(super) targets: Option<Vec<Target>>,
    pub(super) rules: Option<Vec<Rule>>,
    #[serde(default)]
    pub(super) context_targets: Vec<Target>,
    #[serde(default)]
    pub(super) prerequisites: Vec<Prerequisite>,
    pub(super) fallthrough: Option<Serve>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) values: Vec<Value>,
    pub(super) variation: usize,
    pub(super) context_kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Rule {
    #[serde(rename = "_id")]
    pub(super) id: Option<String>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) disabled: bool,
    #[serde(flatten)]
    pub(super) serve: Serve,
}

#[derive(Debug, Deserialize)]
pub(super) struct Prerequisite {
    pub(super) key: String,
}

/// One variation for everybody, or shares of several.
#[derive(Debug, Deserialize)]
pub(super) struct Serve {
    pub(super) variation: Option<usize>,
    pub(super) rollout: Option<Rollout>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rollout {
    pub(super) variations: Vec<Weighted>,
    /// An experiment, a guarded or a progressive rollout of LaunchDarkly's own.
    pub(super) experiment_allocation: Option<Value>,
    pub(super) bucket_by: Option<String>,
    pub(super) context_kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Weighted {
    pub(super) variation: usize,
    /// In thousandths of a percent.
    pub(super) weight: u32,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    #[serde(rename = "totalCount")]
    pub(super) total_count: Option<usize>,
    #[serde(rename = "_links", default)]
    pub(super) links: Links,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Links {
    pub(super) next: Option<Link>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) href: String,
}

/// An environment of a project. Its SDK keys are in the answer too, and are not read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    pub(super) key: String,
    pub(super) approval_settings: Option<Approvals>,
    #[serde(default)]
    pub(super) resource_approval_settings: BTreeMap<String, Approvals>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Approvals {
    pub(super) required: bool,
    #[serde(default)]
    pub(super) required_approval_tags: Vec<String>,
}

impl Environment {
    /// Whether a change of a flag with these tags needs an approval; without them, whether one of any flag does.
    pub(super) fn needs_approval(&self, tags: Option<&[String]>) -> bool {
        self.approval_settings.iter().chain(self.resource_approval_settings.get("flag")).any(|settings| {
            let of = &settings.required_approval_tags;
            let is_of = |tags: &[String]| of.is_empty() || of.iter().any(|tag| tags.contains(tag));
            settings.required && tags.is_none_or(is_of)
        })
    }
}
