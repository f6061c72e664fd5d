//! How the code of an experiment asks for its arm, and where it records that a unit got it. A change that compares with another value,
//! or records one arm only, measures nothing.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Contract, OutcomeSpec, Relation};

/// What is to be recorded when a unit gets its arm.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BriefExposure {
    /// What to do, as a sentence.
    pub record: String,
    /// The source in which it is looked for.
    pub source: String,
    /// Table or query that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_from: Option<String>,
    /// What each column has to hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<BriefColumn>,
}

/// A column of the exposures.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BriefColumn {
    /// Its name.
    pub column: String,
    /// What it holds.
    pub holds: String,
}

/// What to record for an outcome's signal.
pub(super) fn exposure(spec: &OutcomeSpec, flag_key: &str) -> Option<BriefExposure> {
    let unit = &spec.randomisation_unit;
    let source = spec.signal.source.clone();
    let both = "on both arms, at the moment in which the code asks the flag, before anything that is measured";
    let event = spec.exposure.as_ref().map(|event| format!(" (event `{event}`)")).unwrap_or_default();
    if let Some(contract) = &spec.signal.contract {
        return Some(BriefExposure {
            record: format!("one row for each {unit} that asks for `{flag_key}`{event}, {both}"),
            source,
            read_from: Some(match &contract.exposures.rows {
                Relation::Table(table) => table.clone(),
                Relation::Sql(sql) => sql.clone(),
            }),
            columns: columns(contract, flag_key, unit),
        });
    }
    let query = spec.signal.query.by_variant.as_ref().map(|query| query.trim().to_owned());
    (query.is_some() || spec.exposure.is_some()).then(|| BriefExposure {
        record: format!(
            "for each {unit} that asks for `{flag_key}`{event}, {both}, with `control` or `treatment` as its variant, so that this query \
             finds it"
        ),
        source,
        read_from: query,
        columns: Vec::new(),
    })
}

fn columns(contract: &Contract, flag_key: &str, unit: &str) -> Vec<BriefColumn> {
    let exposures = &contract.exposures;
    let one_of = |values: &[String]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" or ");
    let column = |name: &String, holds: String| BriefColumn { column: name.clone(), holds };
    vec![
        column(&exposures.unit, format!("the id of the {unit}, the same that the flag is asked with")),
        column(&exposures.experiment, format!("`{flag_key}`")),
        column(
            &exposures.variant,
            format!(
                "{} for the control, {} for the treatment",
                one_of(&exposures.control),
                one_of(&exposures.treatment)
            ),
        ),
        column(&exposures.at, "the instant, in UTC".to_owned()),
    ]
}
