//! `schema`: the JSON Schema of the outcome file.

use outcome_core::{Result, config};

use crate::cx::{Cx, Exit};

/// Runs it.
pub fn run(cx: &Cx) -> Result<Exit> {
    cx.out.json(&config::schema(cx.overrides.vendors))?;
    Ok(Exit::OK)
}
