//! What Flagsmith answers, and what units get from it.

use serde::Deserialize;
use serde_json::{Map, Value};

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) results: Vec<T>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Project {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) use_edge_identities: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Environment {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) api_key: String,
    /// A number where change requests are on.
    #[serde(default)]
    minimum_change_request_approvals: Option<u64>,
    #[serde(default)]
    pub(super) use_v2_feature_versioning: bool,
}

impl Environment {
    /// How many people must approve, where change requests are on.
    pub(super) fn approvals(&self) -> Option<u64> {
        self.minimum_change_request_approvals
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Feature {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: String,
    multivariate_options: Vec<FeatureOption>,
    #[serde(default)]
    pub(super) num_identity_overrides: Option<u64>,
    #[serde(default = "yes")]
    pub(super) is_num_identity_overrides_complete: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct FeatureOption {
    id: u64,
    #[serde(default)]
    boolean_value: Option<bool>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

impl Feature {
    /// The treatment, if the feature is set up as ours.
    pub(super) fn option(&self) -> Result<u64, String> {
        if self.kind != "MULTIVARIATE" {
            return Err(format!("it is of the type `{}`, which is on for everybody when it is on", cut(&self.kind)));
        }
        match self.multivariate_options.as_slice() {
            [option] if option.kind.as_deref() == Some("bool") && option.boolean_value == Some(true) => Ok(option.id),
            [_] => Err("its variant is not the boolean `true`".to_owned()),
            several => Err(format!("it has {} variants, and not the one that is `true`", several.len())),
        }
    }
}

/// What a feature does in an environment, for a segment there, or for one identity.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    pub(super) id: u64,
    pub(super) enabled: bool,
    feature: u64,
    environment: Option<u64>,
    #[serde(default)]
    identity: Option<Value>,
    #[serde(default)]
    pub(super) feature_segment: Option<u64>,
    #[serde(default)]
    feature_state_value: Value,
    multivariate_feature_state_values: Vec<Share>,
}

/// A share of a variant: its id, and what else is kept with it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Share {
    pub(super) id: Option<u64>,
    pub(super) multivariate_feature_option: u64,
    pub(super) percentage_allocation: f64,
    /// Sent back as it came.
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

impl State {
    pub(super) fn is_of_identity(&self) -> bool {
        self.identity.is_some()
    }

    /// Whether it gives somebody the treatment, also to SDK calls that do not look at `enabled`.
    pub(super) fn serves(&self) -> bool {
        self.enabled || self.shares().iter().any(|share| share.percentage_allocation > 0.0)
    }

    pub(super) fn shares(&self) -> &[Share] {
        &self.multivariate_feature_state_values
    }

    /// The share of the treatment, which must be a whole percent beside a control that is `false`.
    pub(super) fn pct(&self, option: u64) -> Result<u8, String> {
        let value = self.feature_state_value.get("boolean_value").unwrap_or(&self.feature_state_value);
        let kind = self.feature_state_value.get("type").and_then(Value::as_str);
        let is_nothing = self.feature_state_value.is_null() || kind == Some("unicode") && self.text().is_none();
        if !is_nothing && (*value != Value::Bool(false) || kind.is_some_and(|kind| kind != "bool")) {
            return Err("its value for the control is not the boolean `false`".to_owned());
        }
        let [share] = self.shares() else {
            return Err(format!(
                "it has shares of {} variants in this environment, and not of one",
                self.shares().len()
            ));
        };
        if share.multivariate_feature_option != option {
            return Err("its share is of another variant".to_owned());
        }
        let pct = share.percentage_allocation;
        let whole = (0..=100_u8).find(|whole| (f64::from(*whole) - pct).abs() < 1e-9);
        whole.ok_or_else(|| format!("its share is {pct} %, which is no whole percent"))
    }

    /// The value for the control as it came, `false` where there is none.
    pub(super) fn value(&self) -> Value {
        match &self.feature_state_value {
            Value::Object(value) => Value::Object(value.clone()),
            _ => serde_json::json!({ "type": "bool", "boolean_value": false }),
        }
    }

    fn text(&self) -> Option<&str> {
        self.feature_state_value.get("string_value").and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

/// All states of a feature in an environment.
#[derive(Debug)]
pub(super) struct States {
    pub(super) default: State,
    pub(super) segments: Vec<State>,
    pub(super) identities: Vec<State>,
}

impl States {
    pub(super) fn of(all: Vec<State>, feature: u64, environment: u64) -> Result<Self, String> {
        let is_ours = |state: &State| state.feature == feature && state.environment == Some(environment);
        if !all.iter().all(is_ours) {
            return Err("it has states of another feature or environment".to_owned());
        }
        let (identities, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(State::is_of_identity);
        let (segments, mut rest): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|state| state.feature_segment.is_some());
        match (rest.pop(), rest.is_empty()) {
            (Some(default), true) => Ok(Self { default, segments, identities }),
            (Some(_), false) => Err("it has several states for the environment".to_owned()),
            (None, _) => Err("it has no state for the environment".to_owned()),
        }
    }

    /// What is on beside the state of the environment.
    pub(super) fn on_beside(&self) -> Option<String> {
        let n = |all: &[State]| all.iter().filter(|state| state.enabled).count();
        beside(n(&self.segments), n(&self.identities), "on for")
    }

    /// What decides beside it, on or off.
    pub(super) fn beside(&self) -> Option<String> {
        beside(self.segments.len(), self.identities.len(), "overridden for")
    }
}

fn beside(n_segments: usize, n_identities: usize, how: &str) -> Option<String> {
    let parts = [(n_segments, "segments"), (n_identities, "identities")];
    let said: Vec<_> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, of)| format!("{n} {of}")).collect();
    (!said.is_empty()).then(|| format!("it is {how} {}", said.join(" and ")))
}

/// A text of others, cut and on one line.
pub(super) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// A state of one identity, as the Edge API lists it.
#[derive(Debug, Deserialize)]
pub(super) struct IdentityOverride {
    pub(super) feature_state: OverrideState,
}

#[derive(Debug, Deserialize)]
pub(super) struct OverrideState {
    pub(super) enabled: bool,
}
