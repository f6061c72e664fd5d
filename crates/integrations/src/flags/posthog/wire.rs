//! What PostHog answers: only what is used, and `filters` whole, because they are sent back.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A new flag: off, with one release condition for everybody, and without the dashboard that PostHog adds otherwise.
pub(super) fn new_flag(key: &str, description: &str) -> Value {
    json!({
        "key": key,
        "name": description,
        "active": false,
        "filters": {
            "groups": [{ "properties": [], "rollout_percentage": 0, "variant": null }],
            "multivariate": null,
            "payloads": {},
        },
        "ensure_experience_continuity": false,
        "_should_create_usage_dashboard": false,
    })
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) results: Vec<T>,
    /// Where more is; absent in short lists of some versions.
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A flag.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Flag {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) active: bool,
    #[serde(default)]
    pub(super) archived: bool,
    #[serde(default)]
    pub(super) deleted: bool,
    /// Counts changes; null for flags from before it was kept.
    #[serde(default)]
    pub(super) version: Option<i64>,
    pub(super) filters: Map<String, Value>,
    #[serde(default)]
    pub(super) is_remote_configuration: Option<bool>,
    /// Experiments of PostHog that use the flag.
    #[serde(default)]
    pub(super) experiment_set: Option<Vec<u64>>,
    /// The same with more; newer servers.
    #[serde(default)]
    pub(super) experiment_set_metadata: Option<Vec<Linked>>,
}

/// An experiment, as its flag tells it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Linked {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) is_running: Option<bool>,
}

/// An experiment.
#[derive(Debug, Deserialize)]
pub(super) struct Experiment {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) end_date: Option<String>,
}

/// A change that PostHog will make by itself.
#[derive(Debug, Deserialize)]
pub(super) struct Scheduled {
    #[serde(default)]
    pub(super) executed_at: Option<String>,
    #[serde(default, rename = "scheduled_at")]
    pub(super) at: Option<String>,
    #[serde(default)]
    pub(super) payload: Value,
}

/// A line of a flag's history.
#[derive(Debug, Deserialize)]
pub(super) struct Activity {
    #[serde(rename = "activity")]
    pub(super) what: String,
    #[serde(default)]
    pub(super) created_at: Option<String>,
    #[serde(default)]
    pub(super) user: Option<User>,
    #[serde(default)]
    pub(super) is_system: Option<bool>,
    #[serde(default)]
    pub(super) detail: Option<Detail>,
}

/// Who did it.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub(super) first_name: String,
    #[serde(default)]
    pub(super) last_name: String,
    #[serde(default)]
    pub(super) email: String,
}

/// What was done.
#[derive(Debug, Deserialize)]
pub(super) struct Detail {
    #[serde(default)]
    pub(super) changes: Option<Vec<Changed>>,
    #[serde(default)]
    pub(super) trigger: Option<Trigger>,
}

/// A field that was changed.
#[derive(Debug, Deserialize)]
pub(super) struct Changed {
    #[serde(default)]
    pub(super) field: Option<String>,
}

/// What of PostHog's own did it.
#[derive(Debug, Deserialize)]
pub(super) struct Trigger {
    #[serde(default)]
    pub(super) job_type: String,
}

/// The key itself.
#[derive(Debug, Deserialize)]
pub(super) struct Key {
    pub(super) scopes: Vec<String>,
    #[serde(default)]
    pub(super) scoped_teams: Option<Vec<u64>>,
}

/// A 409: an approval that is waited for, or somebody who was faster.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    change_request_id: Option<String>,
}

impl Refusal {
    /// What is waited for, if it is an approval.
    pub(super) fn waits(self) -> Option<String> {
        let request = self.change_request_id.as_deref().unwrap_or("without a number");
        match self.code.as_deref() {
            Some("approval_required") => Some(format!(
                "its change request {request} waits for approval by those whom PostHog's approval policy names (Settings, Project, Approvals)"
            )),
            Some("change_request_pending") => Some(format!(
                "its change request {request} was asked for before and waits for approval (Settings, Project, Approvals); reject it there \
                 if it asks for something else"
            )),
            Some(_) | None => None,
        }
    }
}
