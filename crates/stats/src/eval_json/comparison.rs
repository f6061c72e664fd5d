//! Two arms against each other.

use serde_json::{Map, Value, json};

use super::io::{Answer, Input, Refusal, interval, missing, number, optional_interval};
use crate::{
    ArmSums, Contrast, CupedArm, Estimate, InvalidInput, QuantileArm, RunningTest, Settings, Status, Tau, Tuning,
    TwoArmResult, combine_phases, count_test, cuped, mixture_test, quantile_estimate, two_arm_test,
};

fn arm(input: Input<'_>, kind: &str) -> Result<ArmSums, Refusal> {
    let n = input.count("n")?;
    match kind {
        "proportion" => Ok(ArmSums::Proportion { n, successes: input.count("x")? }),
        "mean" => Ok(ArmSums::Mean { n, sum: input.number("sum")?, sum_squares: input.number("sum_sq")? }),
        "ratio" => Ok(ArmSums::Ratio {
            n,
            numerator_sum: input.number("num")?,
            numerator_sum_squares: input.number("num_sq")?,
            denominator_sum: input.number("den")?,
            denominator_sum_squares: input.number("den_sq")?,
            cross_sum: input.number("num_den")?,
        }),
        "cuped" => Ok(ArmSums::Cuped {
            n,
            sum: input.number("sum")?,
            sum_squares: input.number("sum_sq")?,
            covariate_sum: input.number("cov_sum")?,
            covariate_sum_squares: input.number("cov_sum_sq")?,
            cross_sum: input.number("cross")?,
        }),
        _ => Err(missing("kind", "`proportion`, `mean`, `ratio` or `cuped`")),
    }
}

pub(super) fn ab(input: Input<'_>) -> Answer {
    let kind = input.word("kind").unwrap_or("proportion");
    let control = arm(input.object("control")?, kind)?;
    let treatment = arm(input.object("treatment")?, kind)?;
    let is_signed = input.boolean_or("signed", false);
    let (alpha, alternative) = (input.alpha()?, input.alternative()?);
    let tau = match input.optional("tau")? {
        Some(tau) => Tau::try_new(tau)?,
        // As for the first gated poll of an experiment without a declared effect.
        None => {
            let compared = crate::arms::compare(&control, &treatment, is_signed);
            let contrast = compared.map_err(Refusal::Status)?.contrast;
            let variance = contrast.against(1.0)?.variance;
            let units = control.n().saturating_add(treatment.n());
            let tuning = Tuning::from_first_poll(alpha, variance, units, None);
            tuning.ok_or(InvalidInput::OutOfRange)?.tau
        }
    };
    let null = input.number_or("null", 0.0)?;
    let settings = Settings { alpha, tau, alternative, null };
    let result = two_arm_test(&control, &treatment, is_signed, &settings);
    if !result.status.is_ok() {
        return Err(Refusal::Status(result.status));
    }
    Ok(two_arm(&result))
}

fn two_arm(result: &TwoArmResult) -> Value {
    let mut fields = json!({
        "status": result.status.code(),
        "delta": result.effect,
        "var": result.variance,
        "z": result.z,
        "r": result.r,
        "log_e": result.ln_e,
        "log_p": result.ln_p,
        "p": result.p,
        "boundary": result.boundary,
        "ci": optional_interval(result.ci),
        "lift": result.lift,
        "lift_ci": optional_interval(result.lift_ci),
    });
    if let (Some(cuped), Value::Object(fields)) = (&result.cuped, &mut fields) {
        fields.insert("theta".to_owned(), json!(cuped.theta));
        fields.insert("delta_raw".to_owned(), json!(cuped.raw_effect));
        fields.insert("var_raw".to_owned(), json!(cuped.raw_variance));
    }
    fields
}

fn tested(estimate: &Estimate, settings: &Settings) -> Result<Map<String, Value>, Refusal> {
    let test = mixture_test(estimate, settings)?;
    let mut fields = Map::new();
    fields.insert("r".to_owned(), json!(test.r));
    fields.insert("z".to_owned(), json!(test.z));
    fields.insert("log_e".to_owned(), json!(test.ln_e));
    fields.insert("log_p".to_owned(), json!(test.ln_p()));
    fields.insert("p".to_owned(), json!(test.p()));
    fields.insert("boundary".to_owned(), json!(test.boundary));
    fields.insert("ci".to_owned(), interval(test.ci));
    Ok(fields)
}

pub(super) fn core(input: Input<'_>) -> Answer {
    Ok(Value::Object(tested(&input.estimate()?, &input.settings()?)?))
}

pub(super) fn quantile(input: Input<'_>) -> Answer {
    let arm = |name: &str| -> Result<QuantileArm, Refusal> {
        let arm = input.object(name)?;
        let (value, lower, upper) = (arm.number("q")?, arm.number("lo")?, arm.number("hi")?);
        Ok(QuantileArm { value, lower, upper })
    };
    let (control, treatment) = (arm("control")?, arm("treatment")?);
    let is_exact = |a: &QuantileArm| (a.upper - a.lower).abs() <= 0.0;
    if is_exact(&control) && is_exact(&treatment) {
        return Err(Refusal::Status(Status::ZeroVariance));
    }
    let estimate = quantile_estimate(&control, &treatment)?;
    let mut fields = tested(&estimate, &input.settings()?)?;
    fields.insert("delta".to_owned(), json!(estimate.delta));
    fields.insert("var".to_owned(), json!(estimate.variance.get()));
    Ok(Value::Object(fields))
}

pub(super) fn running(input: Input<'_>) -> Answer {
    let settings = input.settings()?;
    let mut state = RunningTest::default();
    let mut first_rejection = None;
    let mut polls = Vec::new();
    for (index, poll) in input.list("polls")?.iter().enumerate() {
        let test = mixture_test(&Input(poll).estimate()?, &settings)?;
        state = state.observe(test.ln_e, test.ci);
        let is_empty = state.has_drifted();
        if first_rejection.is_none() && settings.alpha.rejects(test.ln_e) {
            first_rejection = Some(index);
        }
        polls.push(json!({
            "log_e": test.ln_e,
            "log_p_running": state.ln_p(),
            "ci": interval(test.ci),
            "ci_running": if is_empty { Value::Null } else { interval(state.ci) },
            "ci_running_status": if is_empty { "empty" } else { "ok" },
        }));
    }
    let drift = state.has_drifted();
    Ok(json!({ "first_rejection": first_rejection, "drift": drift, "polls": polls }))
}

pub(super) fn counts(input: Input<'_>) -> Answer {
    let (control, treatment) = (input.count("xa")?, input.count("xb")?);
    let (wa, wb) = (input.number_or("wa", 1.0)?, input.number_or("wb", 1.0)?);
    let test = count_test(control, treatment, wa, wb, input.alpha()?)?;
    Ok(json!({
        "log_e": test.ln_e,
        "log_p": test.ln_p,
        "p": test.p,
        "rr": test.rate_ratio,
        "rr_ci": interval(test.rate_ratio_ci),
    }))
}

pub(super) fn cuped_adjustment(input: Input<'_>) -> Answer {
    let arm = |name: &str| -> Result<CupedArm, Refusal> {
        let arm = input.object(name)?;
        let n = arm.count("n")?;
        let outcome = arm.moments(n, "sum", "sum_sq")?;
        let covariate = arm.moments(n, "cov_sum", "cov_sum_sq")?;
        Ok(CupedArm::try_new(outcome, covariate, arm.number("cross")?)?)
    };
    let (_, adjusted) = cuped(&arm("a")?, &arm("b")?);
    Ok(json!({
        "theta": number(adjusted.theta),
        "delta_raw": number(adjusted.raw_effect),
        "var_raw": number(adjusted.raw_variance),
        "delta": number(adjusted.effect),
        "var": number(adjusted.variance),
        "variance_reduction": adjusted.variance_reduction,
    }))
}

pub(super) fn phases(input: Input<'_>) -> Answer {
    let contrast = |phase| -> Result<Contrast, Refusal> {
        let estimate = Input(phase).estimate()?;
        Ok(Contrast {
            treatment: estimate.delta,
            control: 0.0,
            var_treatment: estimate.variance.get(),
            var_control: 0.0,
            covariance: 0.0,
        })
    };
    let contrasts = input.list("phases")?.iter().map(contrast).collect::<Result<Vec<_>, _>>()?;
    let combined = combine_phases(&contrasts, 1.0)?.against(1.0)?;
    Ok(json!({ "delta": combined.delta, "var": combined.variance.get() }))
}
