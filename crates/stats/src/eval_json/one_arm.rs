//! One series or one rate against a level.

use serde_json::json;

use super::io::{Answer, Input, explain, interval, optional_interval};
use crate::{level_vs_target, pre_post, rate_confidence};

pub(super) fn level(input: Input<'_>) -> Answer {
    let test = level_vs_target(&input.numbers("blocks")?, input.number("target")?, input.alpha()?);
    let mut fields = json!({
        "status": test.status.code(),
        "mean": test.mean,
        "se": test.se,
        "phi": test.autocorrelation,
        "nu": test.degrees_of_freedom,
        "t": test.t,
        "log_e": test.ln_e,
        "log_p": test.ln_p,
        "p": test.ln_p.exp(),
        "ci": optional_interval(test.ci),
    });
    explain(&mut fields, test.status);
    Ok(fields)
}

pub(super) fn before_after(input: Input<'_>) -> Answer {
    let test = pre_post(&input.numbers("pre")?, &input.numbers("post")?, input.alpha()?);
    let mut fields = json!({
        "status": test.status.code(),
        "diff": test.difference,
        "se": test.se,
        "phi": test.autocorrelation,
        "nu": test.degrees_of_freedom,
        "t": test.t,
        "log_e": test.ln_e,
        "log_p": test.ln_p,
        "p": test.ln_p.exp(),
        "ci": optional_interval(test.ci),
    });
    explain(&mut fields, test.status);
    Ok(fields)
}

pub(super) fn rate(input: Input<'_>) -> Answer {
    let (x, n) = (input.count("x")?, input.count("n")?);
    let result = rate_confidence(x, n, input.number_or("target", 0.5)?, input.alpha()?)?;
    Ok(json!({
        "rate": result.rate,
        "ci": interval(result.ci),
        "log_e": result.ln_e,
        "log_p": result.ln_p,
    }))
}
