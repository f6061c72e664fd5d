//! What units get from a flag as it is set up, and what the runtime writes. Pure.
//!
//! Ours is: a boolean flag without targets, rules and prerequisites, whose default rule gives shares of the configured kind of
//! contexts, and whose off variation is the control.

use outcome_core::ports::FlagState;
use serde_json::{Value, json};

use super::wire::{Flag, Rollout, Serve, Targeting};

/// The weights of a rollout together.
const WHOLE: u32 = 100_000;
/// One percent of them.
const ONE_PCT: u32 = 1_000;

/// Why a flag has no state of ours.
#[derive(Debug)]
pub(super) enum Otherwise {
    /// It is set up differently.
    Foreign(String),
    /// The answer cannot be understood.
    Unreadable(String),
}

/// What a variation means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Treatment,
    Control,
    Other,
}

/// The ids of the two variations of a boolean flag, found by their values: their order says nothing.
pub(super) struct Sides<'f> {
    pub(super) treatment: &'f str,
    pub(super) control: &'f str,
}

impl Flag {
    /// `None` for a flag that is not a boolean one.
    pub(super) fn sides(&self) -> Option<Sides<'_>> {
        let id_of = |value: bool| {
            let found = self.variations.iter().find(|variation| variation.value == Value::Bool(value))?;
            found.id.as_deref()
        };
        (self.variations.len() == 2).then_some(())?;
        Some(Sides { treatment: id_of(true)?, control: id_of(false)? })
    }

    /// The flag's set-up in an environment.
    pub(super) fn targeting(&self, environment: &str) -> Result<Targeting, Otherwise> {
        let found = self.environments.get(environment).ok_or_else(|| {
            Otherwise::Unreadable(format!("it does not have the environment `{environment}` of the flag"))
        })?;
        serde::Deserialize::deserialize(found)
            .map_err(|error: serde_json::Error| Otherwise::Unreadable(error.to_string()))
    }

    fn side(&self, variation: usize) -> Result<Side, Otherwise> {
        let found = self.variations.get(variation);
        let found = found
            .ok_or_else(|| Otherwise::Unreadable(format!("it names a variation {variation} that is not there")))?;
        Ok(match found.value {
            Value::Bool(true) => Side::Treatment,
            Value::Bool(false) => Side::Control,
            _ => Side::Other,
        })
    }

    fn sides_of(&self, serve: &Serve) -> Result<Vec<Side>, Otherwise> {
        match (serve.variation, &serve.rollout) {
            (Some(variation), None) => Ok(vec![self.side(variation)?]),
            (None, Some(rollout)) => {
                let weighted = rollout.variations.iter().filter(|weighted| weighted.weight > 0);
                weighted.map(|weighted| self.side(weighted.variation)).collect()
            }
            _ => Err(Otherwise::Unreadable("a rule of it gives neither a variation nor shares".to_owned())),
        }
    }

    /// What units get.
    pub(super) fn state(&self, key: &str, targeting: &Targeting, context_kind: &str) -> Result<FlagState, Otherwise> {
        if !targeting.on {
            return match self.off_problem(targeting)? {
                Some(problem) => Err(Otherwise::Foreign(problem)),
                None => Ok(FlagState::off(key)),
            };
        }
        let default = targeting.fallthrough.as_ref();
        let default = default.ok_or_else(|| Otherwise::Unreadable("the flag has no default rule in it".to_owned()))?;
        let others = self.others(targeting)?;
        let mut sides = self.sides_of(default)?;
        sides.extend(others.iter().flat_map(|other| other.sides.iter().copied()));
        if sides.iter().all(|side| *side == Side::Control) {
            return Ok(FlagState::on(key, 0));
        }
        if let Some(problem) = joined(&self.general(&others)) {
            return Err(Otherwise::Foreign(problem));
        }
        self.share(default, context_kind).map(|pct| FlagState::on(key, pct))
    }

    /// The percent that the default rule gives to the treatment.
    fn share(&self, default: &Serve, context_kind: &str) -> Result<u8, Otherwise> {
        let Some(rollout) = &default.rollout else {
            return Ok(if self.sides_of(default)? == [Side::Treatment] { 100 } else { 0 });
        };
        if let Some(problem) = rollout_problem(rollout, context_kind) {
            return Err(Otherwise::Foreign(problem));
        }
        let (mut treated, mut all) = (0_u32, 0_u32);
        for weighted in &rollout.variations {
            all = all.saturating_add(weighted.weight);
            if self.side(weighted.variation)? == Side::Treatment {
                treated = treated.saturating_add(weighted.weight);
            }
        }
        if all != WHOLE {
            return Err(Otherwise::Unreadable(format!(
                "the weights of the default rule are {all} of {WHOLE} together"
            )));
        }
        match u8::try_from(treated / ONE_PCT) {
            Ok(pct) if treated % ONE_PCT == 0 => Ok(pct),
            _ => Err(Otherwise::Foreign(format!("{treated} of {WHOLE} get `true`, which is not a whole percent"))),
        }
    }

    /// Why off would not be off.
    fn off_problem(&self, targeting: &Targeting) -> Result<Option<String>, Otherwise> {
        Ok(match targeting.off_variation {
            None => Some(
                "it has no off variation, so units get whatever the code gives as the default while it is off"
                    .to_owned(),
            ),
            Some(variation) => match self.side(variation)? {
                Side::Treatment => {
                    Some("its off variation is `true`, so everybody gets the treatment while it is off".to_owned())
                }
                Side::Control | Side::Other => None,
            },
        })
    }

    /// Everything besides the default rule by which a unit gets something.
    fn others(&self, targeting: &Targeting) -> Result<Vec<Other>, Otherwise> {
        let missing = |what: &str| Otherwise::Unreadable(format!("it does not have the flag's {what}"));
        let targets = targeting.targets.as_ref().ok_or_else(|| missing("`targets`"))?;
        let rules = targeting.rules.as_ref().ok_or_else(|| missing("`rules`"))?;
        let mut others = Vec::new();
        for target in targets.iter().chain(&targeting.context_targets).filter(|target| !target.values.is_empty()) {
            let kind = target.context_kind.as_deref().unwrap_or("user");
            let what = format!("{} individual targets of the kind `{kind}` get", target.values.len());
            others.push(Other::new(what, vec![self.side(target.variation)?]));
        }
        for rule in rules.iter().filter(|rule| !rule.disabled) {
            let name = rule.description.as_deref().filter(|text| !text.is_empty()).or(rule.id.as_deref());
            others.push(Other::new(format!("the rule `{}` gives", name.unwrap_or("?")), self.sides_of(&rule.serve)?));
        }
        for prerequisite in &targeting.prerequisites {
            // Where it is not met, the off variation is served.
            let sides = targeting.off_variation.map_or(Ok(Side::Other), |variation| self.side(variation))?;
            others.push(Other::new(
                format!("where the prerequisite `{}` is not met, units get", prerequisite.key),
                vec![sides],
            ));
        }
        Ok(others)
    }

    fn general(&self, others: &[Other]) -> Vec<String> {
        let mut problems: Vec<String> = others.iter().map(Other::to_string).collect();
        if self.archived {
            problems.push("it is archived".to_owned());
        }
        if self.sides().is_none() {
            problems.push("its variations are not `true` and `false`".to_owned());
        }
        problems
    }

    /// Why the runtime does not set this flag's share; `None` if it does.
    pub(super) fn objection(&self, targeting: &Targeting, context_kind: &str) -> Result<Option<String>, Otherwise> {
        let mut problems = self.general(&self.others(targeting)?);
        problems.extend(self.off_problem(targeting)?);
        let rollout = targeting.fallthrough.as_ref().and_then(|serve| serve.rollout.as_ref());
        problems.extend(rollout.and_then(|rollout| rollout_problem(rollout, context_kind)));
        Ok(joined(&problems))
    }

    /// What turns the flag off; empty when it is off. An off variation that is missing or gives the treatment is set with it.
    pub(super) fn off_instructions(&self, targeting: &Targeting) -> Vec<Value> {
        let mut instructions = Vec::new();
        if targeting.on {
            instructions.push(json!({ "kind": "turnFlagOff" }));
        }
        // What cannot be understood is set as well.
        let is_control = matches!(self.off_problem(targeting), Ok(None));
        if let (false, Some(sides)) = (is_control, self.sides()) {
            instructions.push(json!({ "kind": "updateOffVariation", "variationId": sides.control }));
        }
        instructions
    }
}

/// What gives this share.
pub(super) fn rollout_instructions(sides: &Sides<'_>, is_on: bool, pct: u8, context_kind: &str) -> Vec<Value> {
    let treated = u32::from(pct) * ONE_PCT;
    let mut instructions = vec![json!({
        "kind": "updateFallthroughVariationOrRollout",
        "rolloutContextKind": context_kind,
        "rolloutWeights": { sides.treatment: treated, sides.control: WHOLE.saturating_sub(treated) },
    })];
    if !is_on {
        instructions.push(json!({ "kind": "turnFlagOn" }));
    }
    instructions
}

/// Why the shares of the default rule are not ours.
fn rollout_problem(rollout: &Rollout, context_kind: &str) -> Option<String> {
    if let Some(allocation) = rollout.experiment_allocation.as_ref().filter(|allocation| !allocation.is_null()) {
        let kind = allocation.get("type").and_then(Value::as_str).unwrap_or("experiment");
        return Some(format!("LaunchDarkly runs a `{kind}` on the default rule"));
    }
    let kind = rollout.context_kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("user");
    if kind != context_kind {
        return Some(format!(
            "the default rule splits contexts of the kind `{kind}`, and `context_kind` is `{context_kind}`"
        ));
    }
    match rollout.bucket_by.as_deref() {
        None | Some("" | "key") => None,
        Some(attribute) => Some(format!("the default rule splits by the attribute `{attribute}`, and not by the key")),
    }
}

/// A target, a rule or a prerequisite.
struct Other {
    what: String,
    sides: Vec<Side>,
}

impl Other {
    fn new(what: String, sides: Vec<Side>) -> Self {
        Self { what, sides }
    }
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |side: Side| self.sides.contains(&side);
        let given = match (of(Side::Treatment), of(Side::Control)) {
            (true, false) => "`true`",
            (false, true) => "`false`",
            (true, true) => "`true` or `false`",
            (false, false) => "something else",
        };
        write!(f, "{} {given}", self.what)
    }
}

fn joined(problems: &[String]) -> Option<String> {
    (!problems.is_empty()).then(|| problems.join("; "))
}
