//! An effect relative to its control.

use serde_json::json;

use super::io::{Answer, Input, interval, optional_interval};
use crate::{Contrast, InvalidInput, delta_method_lift, fieller_lift};

pub(super) fn fieller(input: Input<'_>) -> Answer {
    let covariance = match input.optional("cPQ")? {
        Some(covariance) => covariance,
        None => input.number_or("c", 0.0)?,
    };
    let contrast = Contrast {
        treatment: input.number("P")?,
        control: input.number("Q")?,
        var_treatment: input.not_negative("vP")?,
        var_control: input.not_negative("vQ")?,
        covariance,
    };
    let limit = contrast.var_treatment.sqrt() * contrast.var_control.sqrt();
    if covariance.abs() > limit * (1.0 + 1e-6) {
        return Err(InvalidInput::CrossProductTooLarge.into());
    }
    let ci = fieller_lift(&contrast, input.not_negative("boundary")?, input.alternative()?);
    Ok(json!({ "lift_ci": optional_interval(ci) }))
}

pub(super) fn lift_delta(input: Input<'_>) -> Answer {
    let contrast = Contrast {
        treatment: input.number("mb")?,
        control: input.number("ma")?,
        var_treatment: input.not_negative("vb")?,
        var_control: input.not_negative("va")?,
        covariance: 0.0,
    };
    Ok(match delta_method_lift(&contrast, input.not_negative("boundary")?) {
        Some(lift) => {
            json!({ "lift": lift.lift, "var": lift.variance, "ci": interval(lift.ci) })
        }
        None => json!({ "lift": null, "var": null, "ci": null }),
    })
}
