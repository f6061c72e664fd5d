//! Values from a fixed set of texts.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::decode::{Decode, place};
use super::diagnostic::Problem;
use super::node::{Node, Value, shown};
use super::reporter::Reporter;
use super::suggest::did_you_mean;
use crate::domain::{Aggregation, Assurance, Design};

/// A fixed set of texts.
pub trait Choice: Sized + Copy + PartialEq + JsonSchema + 'static {
    /// What is chosen: "a direction".
    const CHOICE: &'static str;
    /// All of them.
    fn choices() -> Vec<(&'static str, Self)>;
    /// Why a text that a reader might expect is not among them.
    #[must_use]
    fn refusal(_text: &str) -> Option<&'static str> {
        None
    }
}

impl<T: Choice> Decode for T {
    const WHAT: &'static str = T::CHOICE;
    const EXAMPLE: &'static str = "";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let choices = T::choices();
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let valid = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let Value::Text(text) = &node.value else {
            let found = format!("expected {}, found {}", T::CHOICE, node.kind());
            let problem = Problem::error("config.wrong_type", place(node), found);
            reporter.push(problem.valid(valid).help("write one of them"));
            return None;
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| name == text) {
            return Some(*value);
        }
        let message = format!("`{}` is not {}", shown(text), T::CHOICE);
        let help = T::refusal(text).map_or_else(
            || {
                did_you_mean(text, names)
                    .map_or_else(|| "write one of them".to_owned(), |name| format!("did you mean `{name}`?"))
            },
            str::to_owned,
        );
        reporter.push(Problem::error("config.unknown_value", node.span, message).valid(valid).help(help));
        None
    }
    fn to_json(&self) -> serde_json::Value {
        let found = Self::choices().into_iter().find(|(_, value)| value == self);
        found.map_or(serde_json::Value::Null, |(name, _)| name.into())
    }
}

macro_rules! choices {
    ($($ty:ty = $what:literal),+ $(,)?) => { $(
        impl Choice for $ty {
            const CHOICE: &'static str = $what;
            fn choices() -> Vec<(&'static str, Self)> {
                Self::ALL.iter().map(|value| (value.as_str(), *value)).collect()
            }
        }
    )+ };
}
choices! {
    crate::domain::Direction = "a direction",
    crate::domain::OnConclusion = "what happens to a flag",
    crate::domain::ShipTest = "a test",
    crate::domain::ViolationPolicy = "a reaction to a violation",
    crate::domain::MetricMethod = "a method",
    crate::ports::Sealing = "when a metric is read in sealed cohorts",
}

/// How the experiments of an outcome are judged. What runs elsewhere is attached by hand, and declared nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredDesign(pub Design);

impl JsonSchema for DeclaredDesign {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeclaredDesign".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |(name, Self(design)): (&str, Self)| {
            let says = match design {
                Design::Randomised => "A flag splits units into control and treatment.",
                Design::BeforeAfter => "No control; never ships by itself.",
                Design::None => "Recorded, not measured.",
                Design::Attached => "",
            };
            serde_json::json!({ "const": name, "description": says, "type": "string" })
        };
        let all: Vec<_> = Self::choices().into_iter().map(one).collect();
        schemars::json_schema!({ "oneOf": all })
    }
}

impl Choice for DeclaredDesign {
    const CHOICE: &'static str = "an evidence design";
    fn choices() -> Vec<(&'static str, Self)> {
        let declared = Design::ALL.iter().filter(|design| **design != Design::Attached);
        declared.map(|design| (design.as_str(), Self(*design))).collect()
    }
    fn refusal(text: &str) -> Option<&'static str> {
        (text == "attached").then_some(
            "`outcome-runtime attach` guards an experiment that runs elsewhere; the file does not declare it",
        )
    }
}

impl Choice for Aggregation {
    const CHOICE: &'static str = "an aggregation";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![("point", Self::Point), ("7d_rolling", Self::Rolling7d), ("30d_rolling", Self::Rolling30d)]
    }
}

/// A level of assurance that a gate can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateAssurance(pub Assurance);

impl JsonSchema for GateAssurance {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GateAssurance".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "enum": ["A2", "A3", "A4"] })
    }
}

impl Choice for GateAssurance {
    const CHOICE: &'static str = "a level of assurance that a gate can ask for";
    fn choices() -> Vec<(&'static str, Self)> {
        vec![("A2", Self(Assurance::A2)), ("A3", Self(Assurance::A3)), ("A4", Self(Assurance::A4))]
    }
    fn refusal(text: &str) -> Option<&'static str> {
        (text == "A1").then_some(
            "A1 is an answer inside the agent's own program and cannot decide: write `A3` (signed with a passphrase)",
        )
    }
}
