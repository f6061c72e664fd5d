//! What Statsig answers: the fields that are used, and no others.

use serde::Deserialize;
use serde_json::Value;

/// Every answer.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<T> {
    pub(super) data: T,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gate {
    pub(super) is_enabled: bool,
    /// `In Progress`, `Disabled` (always false), `Launched` (always true) or `Archived`.
    pub(super) status: String,
    pub(super) id_type: Option<String>,
    /// As they came, because some are sent back whole.
    pub(super) rules: Option<Vec<Value>>,
    #[serde(rename = "holdoutIDs", default)]
    pub(super) holdouts: Vec<String>,
    pub(super) review_settings: Option<ReviewSettings>,
    pub(super) active_review: Option<Review>,
    pub(super) last_modifier_name: Option<String>,
    pub(super) last_modified_time: Option<f64>,
}

impl Gate {
    /// One of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self::default()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewSettings {
    pub(super) required_review: bool,
}

/// The review that is open on a gate.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    #[serde(rename = "reviewID")]
    pub(super) id: String,
    #[serde(rename = "reviewStatus")]
    pub(super) status: String,
    #[serde(default)]
    pub(super) description: String,
}

/// What a write answers: the gate, sometimes only a part of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) active_review: Option<Review>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) pass_percentage: f64,
    pub(super) conditions: Vec<Condition>,
    #[serde(default)]
    pub(super) environments: Option<Vec<String>>,
    /// Shares that Statsig will set by itself.
    #[serde(default)]
    pub(super) pending_automated_rollouts: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// Ids that pass or fail whatever the rules say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overrides {
    #[serde(rename = "passingUserIDs")]
    passing_users: Vec<Value>,
    #[serde(rename = "failingUserIDs")]
    failing_users: Vec<Value>,
    #[serde(rename = "passingCustomIDs")]
    passing_ids: Vec<Value>,
    #[serde(rename = "failingCustomIDs")]
    failing_ids: Vec<Value>,
    #[serde(rename = "environmentOverrides")]
    by_environment: Vec<Overridden>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Overridden {
    environment: Option<String>,
    #[serde(rename = "passingIDs")]
    passing: Vec<Value>,
    #[serde(rename = "failingIDs")]
    failing: Vec<Value>,
}

impl Overrides {
    /// How many ids pass and fail where our rule is, or anywhere if it is everywhere.
    pub(super) fn counts(&self, environment: Option<&str>) -> (usize, usize) {
        let is_ours = |of: &&Overridden| match (environment, of.environment.as_deref()) {
            (Some(ours), Some(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (_, _) => true,
        };
        let ours: Vec<_> = self.by_environment.iter().filter(is_ours).collect();
        let passing =
            ours.iter().map(|of| of.passing.len()).sum::<usize>() + self.passing_users.len() + self.passing_ids.len();
        let failing =
            ours.iter().map(|of| of.failing.len()).sum::<usize>() + self.failing_users.len() + self.failing_ids.len();
        (passing, failing)
    }
}
