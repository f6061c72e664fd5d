//! What Unleash answers, and what units get from it.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::Answer;

/// A flag. Everything that decides what units get must be there; what another edition adds is ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Feature {
    pub(super) name: String,
    environments: Vec<Environment>,
    #[serde(default)]
    dependencies: Vec<Parent>,
}

/// What a flag does in one environment.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Environment {
    name: String,
    pub(super) enabled: bool,
    strategies: Vec<Map<String, Value>>,
    /// A plan that changes strategies by itself.
    #[serde(default)]
    release_plans: Option<Vec<Plan>>,
    #[serde(default)]
    milestone_name: Option<String>,
}

impl Environment {
    /// Its strategies as they are.
    pub(super) fn strategies(&self) -> &[Map<String, Value>] {
        &self.strategies
    }
}

#[derive(Debug, Deserialize)]
struct Plan {
    #[serde(default)]
    name: Option<String>,
}

/// Another flag on which this one hangs.
#[derive(Debug, Deserialize)]
struct Parent {
    feature: String,
}

/// Our strategy, as it is there.
#[derive(Debug)]
pub(super) struct Ours<'a> {
    pub(super) id: &'a str,
    pub(super) pct: u8,
    /// The whole of it.
    pub(super) whole: &'a Map<String, Value>,
}

impl Feature {
    /// What it does in an environment.
    pub(super) fn environment(&self, name: &str) -> Result<&Environment, String> {
        self.environments.iter().find(|environment| environment.name == name).ok_or_else(|| {
            let names: Vec<_> = self.environments.iter().map(|environment| environment.name.as_str()).collect();
            format!("the flag has no environment `{name}`; there are {}", quoted(&names))
        })
    }

    /// What else decides, or changes its strategies, in a sentence.
    pub(super) fn moved_by(&self, environment: &Environment) -> Option<String> {
        if !self.dependencies.is_empty() {
            let parents: Vec<_> = self.dependencies.iter().map(|parent| parent.feature.as_str()).collect();
            return Some(format!("it depends on {}", quoted(&parents)));
        }
        let plans =
            environment.release_plans.iter().flatten().map(|plan| plan.name.as_deref().unwrap_or("without a name"));
        let plans: Vec<_> = plans.chain(environment.milestone_name.as_deref()).collect();
        let all = quoted(&plans);
        (!plans.is_empty()).then(|| format!("it has the release plan {all}, which changes its strategies"))
    }

    /// Our strategy, if there is nothing else that decides; `None` when there is no strategy at all.
    pub(super) fn ours<'a>(
        &self,
        environment: &'a Environment,
        key: &str,
        stickiness: &str,
    ) -> Result<Option<Ours<'a>>, String> {
        if let Some(problem) = self.moved_by(environment) {
            return Err(problem);
        }
        match environment.strategies.as_slice() {
            [] => Ok(None),
            [strategy] => ours(strategy, key, stickiness).map(Some),
            several => {
                let all: Vec<_> = several.iter().map(shown).collect();
                Err(format!("it has {} strategies, and one that passes turns it on: {}", all.len(), all.join(", ")))
            }
        }
    }
}

/// The strategy, if it is one that we write.
fn ours<'a>(strategy: &'a Map<String, Value>, key: &str, stickiness: &str) -> Result<Ours<'a>, String> {
    let name = shown(strategy);
    let text = |key: &str| strategy.get(key).and_then(Value::as_str);
    let other = |what: &str| format!("its strategy {name} {what}");
    if text("name") != Some("flexibleRollout") {
        return Err(other("is not a gradual rollout"));
    }
    if strategy.get("disabled").and_then(Value::as_bool) == Some(true) {
        return Err(other("is disabled"));
    }
    for (key, what) in [("constraints", "constraints"), ("segments", "segments"), ("variants", "variants")] {
        match strategy.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) if list.is_empty() => {}
            Some(_) => return Err(other(&format!("has {what}"))),
        }
    }
    let parameter = |key: &str| strategy.get("parameters").and_then(|all| all.get(key)).and_then(Value::as_str);
    for (name, expected) in [("stickiness", stickiness), ("groupId", key)] {
        if parameter(name) != Some(expected) {
            let found = parameter(name).unwrap_or("nothing");
            return Err(other(&format!("has the {name} `{}` and not `{expected}`", cut(found))));
        }
    }
    let rollout = parameter("rollout").unwrap_or_default();
    let pct = rollout.parse().ok().filter(|pct| *pct <= 100);
    let pct = pct.ok_or_else(|| other(&format!("has the rollout `{}`, which is no whole percent", cut(rollout))))?;
    let id = text("id").ok_or_else(|| other("has no id"))?;
    Ok(Ours { id, pct, whole: strategy })
}

/// A strategy's name for people.
fn shown(strategy: &Map<String, Value>) -> String {
    let text = |key: &str| strategy.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(cut);
    let rollout = strategy.get("parameters").and_then(|all| all.get("rollout")).and_then(Value::as_str).map(cut);
    let name = text("name").unwrap_or_else(|| "without a name".to_owned());
    let rollout = rollout.map(|pct| format!(" at {pct} %")).unwrap_or_default();
    match text("title") {
        Some(title) => format!("`{title}` ({name}{rollout})"),
        None => format!("`{name}`{rollout}"),
    }
}

/// Names of others, in a sentence of ours.
fn quoted(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().take(10).map(|name| format!("`{}`", cut(name))).collect();
    names.join(", ")
}

/// A text of others, cut and on one line.
pub(super) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Why something was refused. `name` is missing where a token is of the wrong kind.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Complaint {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    permissions: Vec<String>,
}

impl Complaint {
    pub(super) fn of(answer: &Answer) -> Self {
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// True for "there is no such flag", and not for an address that the server does not know.
    pub(super) fn is_about_a_flag(&self) -> bool {
        self.is_named("NotFoundError") && !self.message.contains("path you were looking for")
    }

    /// The project where the flag is instead.
    pub(super) fn other_project(&self) -> Option<String> {
        let (_, rest) = self.message.split_once("but there's a feature with that name in project \"")?;
        rest.split('"').next().filter(|project| !project.is_empty()).map(str::to_owned)
    }

    /// True when a change request must be made instead.
    pub(super) fn wants_change_request(&self) -> bool {
        let right = "SKIP_CHANGE_REQUEST";
        self.is_named("PermissionError")
            && (self.permissions.iter().any(|one| one == right) || self.message.contains(right))
    }

    /// True when a `test` of a JSON Patch failed: somebody else changed the strategy. 7.4.1 says so with a 500.
    pub(super) fn is_failed_test(&self) -> bool {
        self.message.contains("TEST_OPERATION_FAILED")
    }
}
