//! What units get from a gate as it is set up, and what the runtime writes next. Pure.
//!
//! Ours is: the first rule where it counts is a public one, for the configured type of ids, without holdouts and overrides. The first
//! rule whose conditions match ends the evaluation, so that what comes after a public rule is never reached.

use outcome_core::ports::FlagState;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::wire::{Gate, Overrides, Rule};

/// The name of the rule that the runtime makes.
const RULE: &str = "Outcome Runtime";
const PUBLIC: &str = "public";

/// Why a gate has no state of ours.
#[derive(Debug)]
pub(super) enum Otherwise {
    /// It is set up differently.
    Foreign(String),
    /// The answer cannot be understood.
    Unreadable(String),
}

/// Where a gate counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) id_type: &'s str,
    /// `None`: in every environment.
    pub(super) environment: Option<&'s str>,
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Give the rule with this id another share.
    Share(String),
    /// Add our rule.
    Add,
    /// Switch the gate on.
    Enable,
}

/// A rule for everybody where the scope is.
pub(super) fn our_rule(scope: Scope<'_>, pct: u8) -> Value {
    json!({
        "name": RULE,
        "passPercentage": pct,
        "conditions": [{ "type": PUBLIC }],
        "environments": scope.environment.map(|environment| vec![environment]),
    })
}

impl Scope<'_> {
    /// Whether a rule is evaluated where we are; one that is for every environment is.
    fn has(self, rule: &Rule) -> bool {
        match (self.environment, rule.environments.as_deref()) {
            (None, _) | (_, None | Some([])) => true,
            (Some(ours), Some(theirs)) => theirs.iter().any(|environment| environment.eq_ignore_ascii_case(ours)),
        }
    }

    /// Whether a rule is evaluated there and nowhere else.
    fn is_of(self, rule: &Rule) -> bool {
        match (self.environment, rule.environments.as_deref()) {
            (None, None | Some([])) => true,
            (Some(ours), Some([only])) => only.eq_ignore_ascii_case(ours),
            (None | Some(_), _) => false,
        }
    }
}

impl Gate {
    /// Disabled gates are false for everybody; launched ones are not enabled either, and true for everybody.
    pub(super) fn is_off(&self) -> bool {
        !self.is_enabled && self.status == "Disabled"
    }

    fn rules(&self) -> Result<Vec<Rule>, Otherwise> {
        let rules = self
            .rules
            .as_ref()
            .ok_or_else(|| Otherwise::Unreadable("it does not have the gate's `rules`".to_owned()))?;
        let decoded = rules.iter().map(Rule::deserialize).collect::<Result<_, _>>();
        decoded.map_err(|error| Otherwise::Unreadable(error.to_string()))
    }

    /// The rules as they came, with another share in one of them.
    pub(super) fn rules_with(&self, id: &str, pct: u8) -> Vec<Value> {
        let mut rules = self.rules.clone().unwrap_or_default();
        for rule in rules.iter_mut().filter(|rule| rule.get("id").and_then(Value::as_str) == Some(id)) {
            if let Some(rule) = rule.as_object_mut() {
                rule.insert("passPercentage".to_owned(), json!(pct));
            }
        }
        rules
    }

    /// What units get.
    pub(super) fn state(&self, key: &str, scope: Scope<'_>, overrides: &Overrides) -> Result<FlagState, Otherwise> {
        if self.is_off() {
            return Ok(FlagState::off(key));
        }
        if let Some(problem) = self.status_problem() {
            return Err(Otherwise::Foreign(problem));
        }
        let rules: Vec<_> = self.rules()?.into_iter().filter(|rule| scope.has(rule)).collect();
        let (passing, _) = overrides.counts(scope.environment);
        // A rule that nobody passes can end the evaluation and nothing else.
        if passing == 0
            && rules.iter().all(|rule| rule.pass_percentage <= 0.0 && rule.pending_automated_rollouts.is_empty())
        {
            return Ok(FlagState::on(key, 0));
        }
        if let Some(problem) = self.objection(scope, overrides)? {
            return Err(Otherwise::Foreign(problem));
        }
        let share = rules.first().map_or(0.0, |rule| rule.pass_percentage);
        match whole(share) {
            Some(pct) => Ok(FlagState::on(key, pct)),
            None => Err(Otherwise::Foreign(format!("its rule passes {share} %, which is not a whole percent"))),
        }
    }

    fn status_problem(&self) -> Option<String> {
        match (self.status.as_str(), self.is_enabled) {
            ("In Progress", true) => None,
            ("Launched", _) => Some("it is launched, so everybody gets `true` whatever its rules say".to_owned()),
            ("Archived", _) => Some("it is archived".to_owned()),
            (status, is_enabled) => Some(format!("its status is `{status}` while `isEnabled` is {is_enabled}")),
        }
    }

    /// Why the runtime does not set this gate's share; `None` if it does.
    pub(super) fn objection(&self, scope: Scope<'_>, overrides: &Overrides) -> Result<Option<String>, Otherwise> {
        let mut problems = Vec::new();
        if !self.is_off() {
            problems.extend(self.status_problem());
        }
        let id_type = self.id_type.as_deref();
        let id_type =
            id_type.ok_or_else(|| Otherwise::Unreadable("it does not have the gate's `idType`".to_owned()))?;
        if id_type != scope.id_type {
            problems.push(format!("it splits ids of the type `{id_type}`, and `id_type` is `{}`", scope.id_type));
        }
        if !self.holdouts.is_empty() {
            problems.push(format!("it is in the holdouts {}, whose units never pass", self.holdouts.join(", ")));
        }
        let (passing, failing) = overrides.counts(scope.environment);
        if passing + failing > 0 {
            problems.push(format!("its overrides make {passing} ids pass and {failing} fail"));
        }
        let rules = self.rules()?;
        if let Some(first) = rules.iter().find(|rule| scope.has(rule)) {
            problems.extend(rule_problem(first, scope));
        }
        Ok((!problems.is_empty()).then(|| problems.join("; ")))
    }

    /// What comes next on the way to this share; `None` when it is there. The gate has no objection.
    pub(super) fn next_step(&self, scope: Scope<'_>, pct: u8) -> Result<Option<Step>, Otherwise> {
        let rules = self.rules()?;
        let Some(rule) = rules.iter().find(|rule| scope.has(rule)) else { return Ok(Some(Step::Add)) };
        if whole(rule.pass_percentage) == Some(pct) {
            return Ok((!self.is_enabled).then_some(Step::Enable));
        }
        let id = rule.id.clone();
        Ok(Some(Step::Share(id.ok_or_else(|| Otherwise::Unreadable("its rule has no `id`".to_owned()))?)))
    }
}

fn rule_problem(rule: &Rule, scope: Scope<'_>) -> Option<String> {
    let name = &rule.name;
    if rule.conditions.iter().map(|condition| condition.kind.as_str()).ne([PUBLIC]) {
        let kinds: Vec<_> = rule.conditions.iter().map(|condition| condition.kind.as_str()).collect();
        return Some(format!(
            "its first rule `{name}` is for {} and decides before any other ({} % of them pass)",
            if kinds.is_empty() { "nobody in particular".to_owned() } else { kinds.join(" and ") },
            rule.pass_percentage
        ));
    }
    if !scope.is_of(rule) {
        let of = rule.environments.as_deref().filter(|of| !of.is_empty());
        let of = of.map_or_else(|| "every environment".to_owned(), |of| of.join(", "));
        let ours = scope.environment.unwrap_or("every environment");
        return Some(format!("its rule `{name}` is for {of}, and the runtime writes one for {ours}"));
    }
    (!rule.pending_automated_rollouts.is_empty())
        .then(|| format!("Statsig will change the share of its rule `{name}` by itself"))
}

/// A whole percent.
fn whole(share: f64) -> Option<u8> {
    (0..=100_u8).find(|pct| (share - f64::from(*pct)).abs() < 1e-9)
}
