//! Guardrails, several comparisons, mismatch, and what follows from them.

use serde_json::{Value, json};

use super::io::{Answer, Input, as_count, as_number, missing};
use crate::{
    DecideInput, Direction, Estimate, GuardrailFlags, GuardrailSummary, Interval, SrmLevel, Tau, Variance, decide,
    e_benjamini_hochberg, guardrail_test, sample_ratio_mismatch,
};

pub(super) fn recommendation(input: Input<'_>) -> Answer {
    let ci = match input.get("ci").and_then(Value::as_array).map(Vec::as_slice) {
        None => None,
        Some([lower, upper]) => Some(Interval {
            lower: as_number(lower).filter(|x| x.is_finite()),
            upper: as_number(upper).filter(|x| x.is_finite()),
        }),
        Some(_) => return Err(missing("ci", "[lower, upper]")),
    };
    let direction = match input.word("direction") {
        None | Some("increase") => Direction::Increase,
        Some("decrease") => Direction::Decrease,
        Some(_) => return Err(missing("direction", "`increase` or `decrease`")),
    };
    let guardrails = input.get("guardrails").and_then(Value::as_array);
    let guardrails: GuardrailSummary = guardrails.map_or_else(GuardrailSummary::default, |list| {
        let flag = |g| GuardrailFlags {
            breached: Input(g).boolean_or("breached", false),
            non_inferior: Input(g).boolean_or("non_inferior", false),
            must_prove: Input(g).boolean_or("require_non_inferior", false),
            is_alerting: Input(g).boolean_or("alert", false),
            is_incident: Input(g).boolean_or("incident", false),
        };
        list.iter().map(flag).collect()
    });
    let srm = input.optional("srm_log_e")?.map_or(SrmLevel::Clean, SrmLevel::from_ln_e);
    let oriented = ci.map(|ci| direction.orient(ci));
    let recommendation = decide(&DecideInput {
        ship_bound: oriented.and_then(|ci| ci.lower),
        harm_bound: oriented.and_then(|ci| ci.upper),
        success_threshold: input.number_or("success", 0.0)?,
        kill_threshold: input.number_or("kill", 0.0)?,
        mde: input.optional("mde")?,
        futility_upper: input.optional("futility_upper")?,
        is_min_runtime_met: input.boolean_or("min_runtime_met", true),
        is_max_reached: input.boolean_or("max_reached", false),
        is_data_ok: input.boolean_or("data_ok", true),
        srm,
        guardrails,
    });
    Ok(json!({ "decision": recommendation }))
}

pub(super) fn adjusted(input: Input<'_>, method: fn(&[f64]) -> Vec<f64>) -> Answer {
    Ok(json!({ "adjusted": method(&input.numbers("p")?) }))
}

pub(super) fn e_bh(input: Input<'_>) -> Answer {
    let result = e_benjamini_hochberg(&input.numbers("log_e")?, input.alpha()?);
    Ok(json!({ "k": result.n_rejected, "rejected": result.rejected }))
}

pub(super) fn guardrail(input: Input<'_>) -> Answer {
    let sign = match input.word("harm_direction") {
        None | Some("increase") => 1.0,
        Some("decrease") => -1.0,
        Some(_) => return Err(missing("harm_direction", "`increase` or `decrease`")),
    };
    let variance = Variance::try_new(input.number("V")?)?;
    let harm = Estimate { delta: sign * input.number("delta")?, variance };
    let (margin, alpha) = (input.number_or("margin", 0.0)?, input.alpha()?);
    let test = guardrail_test(&harm, margin, Tau::try_new(input.number("tau")?)?, alpha, alpha)?;
    Ok(json!({
        "harm": test.harm,
        "harm_ci_lower": test.harm_lower,
        "harm_ci_upper": test.harm_upper,
        "log_e_deteriorated": test.ln_e_deteriorated,
        "deteriorated": test.deteriorated,
        "log_e_breached": test.ln_e_breached,
        "breached": test.breached,
        "log_e_non_inferior": test.ln_e_non_inferior,
        "non_inferior": test.non_inferior,
    }))
}

pub(super) fn srm(input: Input<'_>) -> Answer {
    let counts = input.numbers("counts")?;
    let weights = input.numbers("weights")?;
    if counts.len() != weights.len() {
        return Err(missing("weights", "as many as `counts`"));
    }
    let counts = counts.into_iter().map(as_count).collect::<Result<Vec<_>, _>>()?;
    let arms: Vec<(u64, f64)> = counts.into_iter().zip(weights).collect();
    let result = sample_ratio_mismatch(&arms);
    Ok(json!({
        "status": result.status,
        "log_e": result.ln_e,
        "log_p": result.ln_p,
        "p": result.p,
    }))
}
