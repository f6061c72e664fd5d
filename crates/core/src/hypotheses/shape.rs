//! From JSON to a candidate, checked against the schema of its type: every problem is named at once, with its path.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::Problem;
use crate::domain::Hypothesis;

/// Most problems that are named of one candidate.
const MAX_PROBLEMS: usize = 30;

/// The schema of candidates written as `T`, compiled.
pub struct CandidateSchema<T> {
    /// Without it (it is made from our own type, and a test compiles it), reading the type names the first problem.
    validator: Option<Validator>,
    written_as: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned + JsonSchema> CandidateSchema<T> {
    /// Compiles the schema of `T`, which costs milliseconds: once a process.
    #[must_use]
    pub fn new() -> Self {
        let schema = schemars::schema_for!(T).to_value();
        Self { validator: jsonschema::validator_for(&schema).ok(), written_as: PhantomData }
    }

    /// The candidate that `value` describes.
    ///
    /// # Errors
    /// Every field that is missing or of another type.
    pub fn read(&self, value: &Value) -> Result<T, Vec<Problem>> {
        let errors = self.validator.iter().flat_map(|validator| validator.iter_errors(value));
        let problems: Vec<Problem> = errors.take(MAX_PROBLEMS).map(problem).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        T::deserialize(value)
            .map_err(|error| vec![Problem { field: "hypothesis".to_owned(), message: error.to_string() }])
    }
}

impl<T: DeserializeOwned + JsonSchema> Default for CandidateSchema<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The candidate that `value` describes, written as the core's own type.
///
/// # Errors
/// Every field that is missing or of another type.
pub fn read_hypothesis(value: &Value) -> Result<Hypothesis, Vec<Problem>> {
    static SCHEMA: LazyLock<CandidateSchema<Hypothesis>> = LazyLock::new(CandidateSchema::new);
    SCHEMA.read(value)
}

fn problem(error: ValidationError<'_>) -> Problem {
    let mut path: Vec<Cow<'_, str>> =
        error.instance_path().as_str().split('/').skip(1).map(|part| Cow::Owned(part.to_owned())).collect();
    let message = match error.kind() {
        ValidationErrorKind::Required { property } => {
            path.push(Cow::Owned(property.as_str().unwrap_or_default().to_owned()));
            "is missing".to_owned()
        }
        ValidationErrorKind::Type { kind } => format!("must be {}", wanted(kind)),
        ValidationErrorKind::OneOfNotValid { context } => format!("must be one of {}", constants(context)),
        ValidationErrorKind::Enum { options } => format!("must be one of {}", texts(options)),
        _ => error.masked_with("the value").to_string(),
    };
    let field = if path.is_empty() { "hypothesis".to_owned() } else { path.join(".") };
    Problem { field, message }
}

/// The values that an enumeration knows.
fn constants(context: &[Vec<ValidationError<'_>>]) -> String {
    let constant = |error: &ValidationError<'_>| match error.kind() {
        ValidationErrorKind::Constant { expected_value } => expected_value.as_str().map(ToOwned::to_owned),
        ValidationErrorKind::Enum { options } => Some(texts(options)),
        _ => None,
    };
    context.iter().flatten().filter_map(constant).collect::<Vec<_>>().join(", ")
}

fn texts(options: &Value) -> String {
    options.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn wanted(kind: &TypeKind) -> String {
    let one = |kind: jsonschema::JsonType| match kind {
        jsonschema::JsonType::String => "a text",
        jsonschema::JsonType::Integer => "a whole number",
        jsonschema::JsonType::Number => "a number",
        jsonschema::JsonType::Boolean => "true or false",
        jsonschema::JsonType::Array => "a list",
        jsonschema::JsonType::Object => "an object",
        jsonschema::JsonType::Null => "null",
    };
    match kind {
        TypeKind::Single(kind) => one(*kind).to_owned(),
        TypeKind::Multiple(kinds) => kinds.iter().map(one).collect::<Vec<_>>().join(" or "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::check::tests::hypothesis;
    use super::*;

    #[test]
    fn the_schema_accepts_what_the_type_writes() {
        assert!(CandidateSchema::<Hypothesis>::new().validator.is_some());
        assert_eq!(read_hypothesis(&json!(hypothesis())).unwrap(), hypothesis());
    }

    #[test]
    fn every_problem_is_named_with_its_path() {
        let mut value = json!(hypothesis());
        value["confidence"] = json!("high");
        value["risk"] = json!("none");
        value["touched_paths"] = json!(["a", 1]);
        value["rollout"]["initial_pct"] = json!(900);
        value["measurement"].as_object_mut().unwrap().remove("duration_days");
        value.as_object_mut().unwrap().remove("title");
        let mut found: Vec<(String, String)> =
            read_hypothesis(&value).unwrap_err().into_iter().map(|p| (p.field, p.message)).collect();
        found.sort();
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        let wanted =
            ["confidence", "measurement.duration_days", "risk", "rollout.initial_pct", "title", "touched_paths.1"];
        assert_eq!(fields, wanted, "{found:?}");
        assert_eq!(found[0].1, "must be a number");
        assert_eq!(found[1].1, "is missing");
        assert!(found[2].1.contains("low"), "{found:?}");
        assert!(found[3].1.contains("255"), "{found:?}");
        assert_eq!(found[5].1, "must be a text");
        assert_eq!(read_hypothesis(&json!(7)).unwrap_err()[0].field, "hypothesis");
    }
}
