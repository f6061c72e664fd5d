//! What is stored and shown of an evaluation: the engine's own fields, and what they are a part of.

use serde_json::{Value, json};

use super::learning::grade;
use crate::error::{Code, Error, Result};
use crate::hypotheses::Plan;
use crate::stats::Evaluated;

/// The fields of an evaluation without its memory, with its error rate, the budget that this is a part of, the e-value
/// where it does not overflow, and the evidence grade.
pub(super) fn result_of(plan: &Plan, evaluated: &Evaluated) -> Result<Value> {
    let mut result = serde_json::to_value(evaluated)
        .map_err(|e| Error::new(Code::Internal, "an evaluation cannot be written").because(e))?;
    let grade = grade(plan.design, &result);
    if let Some(fields) = result.as_object_mut() {
        fields.remove("running");
        fields.insert("alpha".to_owned(), json!(plan.alpha));
        fields.insert("error_budget".to_owned(), json!(plan.error_budget));
        fields.insert("e_value".to_owned(), json!(evaluated.ln_e.map(f64::exp).filter(|e| e.is_finite())));
        fields.insert("grade".to_owned(), json!(grade));
    }
    Ok(result)
}
