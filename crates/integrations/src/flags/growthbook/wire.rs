//! What GrowthBook answers, and why it refuses to publish. Rules are kept as they are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct OfFeature {
    pub(super) feature: Feature,
}

/// A feature, as it is live.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feature {
    pub(super) archived: bool,
    #[serde(default)]
    pub(super) project: String,
    pub(super) value_type: String,
    pub(super) default_value: String,
    pub(super) rules: Vec<Value>,
    pub(super) environments: BTreeMap<String, Environment>,
    #[serde(default)]
    pub(super) prerequisites: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) holdout: Option<Value>,
    pub(super) revision: Live,
}

/// A feature in one environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) default_value: Option<String>,
}

/// The revision that is live.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Live {
    pub(super) version: i64,
    #[serde(default)]
    pub(super) comment: String,
    #[serde(default)]
    pub(super) date: Option<String>,
    #[serde(default)]
    pub(super) created_by: Option<Actor>,
    #[serde(default)]
    pub(super) published_by: Option<Actor>,
}

/// Who did something.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Actor {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) email: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OfRevision {
    pub(super) revision: Revision,
}

/// A revision, draft or not.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revision {
    pub(super) version: i64,
    pub(super) base_version: i64,
    #[serde(default)]
    pub(super) comment: String,
    pub(super) status: String,
    pub(super) rules: Vec<Value>,
    #[serde(default)]
    pub(super) environments_enabled: Option<BTreeMap<String, bool>>,
    #[serde(default)]
    pub(super) default_value: Option<String>,
    #[serde(default)]
    pub(super) prerequisites: Option<Vec<Value>>,
    /// Ramps that would begin or end with it.
    #[serde(default)]
    pub(super) ramp_actions: Option<Vec<Value>>,
    #[serde(default)]
    pub(super) archived: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revisions {
    pub(super) revisions: Vec<Revision>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ramps {
    pub(super) ramp_schedules: Vec<Ramp>,
}

/// A plan by which GrowthBook moves a feature itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ramp {
    #[serde(default)]
    pub(super) name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) current_step_index: Option<i64>,
    #[serde(default)]
    pub(super) last_rollback_reason: Option<String>,
    #[serde(default)]
    pub(super) date_updated: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OfSettings {
    pub(super) settings: Settings,
}

/// What the organization demands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    #[serde(default)]
    pub(super) require_reviews: Demands,
    #[serde(default)]
    pub(super) rest_api_bypasses_reviews: Option<bool>,
}

/// Which changes need a review.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Demands {
    /// By rules.
    Rules(Vec<ReviewRule>),
    /// All or none, in organizations that never changed it.
    All(bool),
}

impl Default for Demands {
    fn default() -> Self {
        Self::All(false)
    }
}

/// Where reviews are demanded; without projects, or environments, in all of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewRule {
    #[serde(default)]
    pub(super) require_review_on: Option<bool>,
    #[serde(default)]
    pub(super) projects: Option<Vec<String>>,
    #[serde(default)]
    pub(super) environments: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Environments {
    pub(super) environments: Vec<Named>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

/// Why nothing was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocked {
    /// A review comes first.
    Review,
    /// A ramp holds the feature.
    Ramp,
    /// Somebody else was faster.
    Stale,
    /// Something else.
    Other,
}

#[derive(Debug, Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    gates: Vec<Gate>,
}

#[derive(Debug, Deserialize)]
struct Gate {
    #[serde(rename = "type")]
    kind: String,
}

impl Blocked {
    /// Newer servers name gates; older ones have only a sentence.
    pub(super) fn by(status: u16, body: &[u8]) -> Self {
        let Refusal { message, gates } = serde_json::from_slice(body).unwrap_or_default();
        let has = |kinds: &[&str]| gates.iter().any(|gate| kinds.contains(&gate.kind.as_str()));
        let says = |words: &[&str]| words.iter().all(|word| message.to_ascii_lowercase().contains(word));
        if has(&["ramp-locked"]) || says(&["ramp", "lock"]) {
            Self::Ramp
        } else if has(&["approval-required", "required-approvers-missing", "required-project-approvers-missing"])
            || says(&["requires approval"])
            || says(&["requires a review"])
        {
            Self::Review
        } else if has(&["stale-base", "merge-conflict"]) || status == 409 {
            Self::Stale
        } else {
            Self::Other
        }
    }
}
