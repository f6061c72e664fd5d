//! The statistics as JSON lines, for people and programs that want to check them (STATS.md section 3).
//!
//! `{"id": .., "fn": .., "input": {..}}` in, `{"id": .., <fields>}` out; an unknown function or a missing field gives
//! `{"id": .., "error": ..}`. Unbounded is `null`; the one literal infinity is `"-inf"` of `adjust_running_max`.

use serde_json::{Map, Value, json};

use super::{
    Alpha, Alternative, ArmSums, Contrast, CupedArm, DecideInput, Direction, Estimate, GuardrailFlags,
    GuardrailSummary, Interval, InvalidInput, Moments, QuantileArm, RunningTest, SampleSizeInput, Settings, SrmLevel,
    StatsError, Status, Tau, Tuning, TwoArmResult, Variance, adjust_running_max, benjamini_hochberg, bonferroni,
    combine_phases, count_test, cuped, decide, delta_method_lift, e_benjamini_hochberg, fieller_lift, guardrail_test,
    holm, level_vs_target, mixture_test, plan_constant, pre_post, quantile_estimate, r_star, rate_confidence,
    sample_ratio_mismatch, sample_size, two_arm_test,
};

/// Answers one line. Never fails: what is wrong with the line becomes the answer's `error`.
///
/// Source: STATS.md section 3.
#[must_use]
pub fn eval_line(line: &str) -> String {
    let (id, result) = match serde_json::from_str::<Value>(line) {
        Ok(request) => {
            let id = request.get("id").cloned().unwrap_or(Value::Null);
            (id, answer(&request))
        }
        Err(error) => (Value::Null, Err(Refusal::Error(format!("not a JSON line: {error}")))),
    };
    let mut fields = Map::new();
    fields.insert("id".to_owned(), id);
    match result {
        Ok(Value::Object(output)) => fields.extend(output),
        Ok(other) => {
            fields.insert("result".to_owned(), other);
        }
        Err(Refusal::Error(message)) => {
            fields.insert("error".to_owned(), Value::String(message));
        }
        Err(Refusal::Status(status)) => {
            if let Value::Object(output) = without_numbers(status) {
                fields.extend(output);
            }
        }
    }
    Value::Object(fields).to_string()
}

/// Why there are no numbers.
enum Refusal {
    /// The request does not make sense.
    Error(String),
    /// The data do not.
    Status(Status),
}

impl From<InvalidInput> for Refusal {
    fn from(reason: InvalidInput) -> Self {
        Self::Status(reason.into())
    }
}

impl From<StatsError> for Refusal {
    fn from(_: StatsError) -> Self {
        Self::Status(InvalidInput::Parameter.into())
    }
}

type Answer = Result<Value, Refusal>;

fn answer(request: &Value) -> Answer {
    let name = request.get("fn").and_then(Value::as_str);
    let name = name.ok_or_else(|| Refusal::Error("missing `fn`".to_owned()))?;
    let input = match request.get("input") {
        None | Some(Value::Null) => Input(&Value::Null),
        Some(input) if input.is_object() => Input(input),
        Some(_) => return Err(missing("input", "an object")),
    };
    match name {
        "ab" => ab(input),
        "adjust_running_max" => Ok(json!({ "log_e": number(adjust_running_max(input.number("log_e_max")?)) })),
        "bh" => adjusted(input, benjamini_hochberg),
        "bonferroni" => adjusted(input, bonferroni),
        "core" => core(input),
        "count_test" => counts(input),
        "cuped" => cuped_adjustment(input),
        "decide" => recommendation(input),
        "e_bh" => e_bh(input),
        "fieller" => fieller(input),
        "guardrail" => guardrail(input),
        "holm" => adjusted(input, holm),
        "level_vs_target" => level(input),
        "lift_delta" => lift_delta(input),
        "phases" => phases(input),
        "plan_constant" => constant(input),
        "pre_post" => before_after(input),
        "quantile" => quantile(input),
        "r_star" => narrowest(input),
        "rate_cs" => rate(input),
        "running" => running(input),
        "sample_size" => size(input),
        "srm" => srm(input),
        unknown => Err(Refusal::Error(format!("unknown function `{unknown}`"))),
    }
}

/// The `input` object, or an object within it.
#[derive(Clone, Copy)]
struct Input<'a>(&'a Value);

impl<'a> Input<'a> {
    /// `None` for a missing field and for null.
    fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    fn object(self, name: &str) -> Result<Self, Refusal> {
        self.get(name).filter(|v| v.is_object()).map(Self).ok_or_else(|| missing(name, "an object"))
    }

    fn list(self, name: &str) -> Result<&'a [Value], Refusal> {
        let list = self.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).ok_or_else(|| missing(name, "a list"))
    }

    fn optional(self, name: &str) -> Result<Option<f64>, Refusal> {
        self.get(name).map(|v| as_number(v).ok_or_else(|| missing(name, "a number"))).transpose()
    }

    fn number(self, name: &str) -> Result<f64, Refusal> {
        self.optional(name)?.ok_or_else(|| missing(name, "a number"))
    }

    /// A variance or a width.
    fn not_negative(self, name: &str) -> Result<f64, Refusal> {
        let value = self.number(name)?;
        if value >= 0.0 { Ok(value) } else { Err(InvalidInput::Parameter.into()) }
    }

    fn number_or(self, name: &str, default: f64) -> Result<f64, Refusal> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    fn numbers(self, name: &str) -> Result<Vec<f64>, Refusal> {
        let list = self.list(name)?;
        list.iter().map(|v| as_number(v).ok_or_else(|| missing(name, "a list of numbers"))).collect()
    }

    fn count(self, name: &str) -> Result<u64, Refusal> {
        Ok(as_count(self.number(name)?)?)
    }

    fn boolean_or(self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    fn word(self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    fn alpha(self) -> Result<Alpha, Refusal> {
        Ok(Alpha::try_new(self.number_or("alpha", Alpha::DEFAULT.get())?)?)
    }

    fn alternative(self) -> Result<Alternative, Refusal> {
        match self.word("alternative") {
            None | Some("two_sided") => Ok(Alternative::TwoSided),
            Some("greater") => Ok(Alternative::Greater),
            Some("less") => Ok(Alternative::Less),
            Some(_) => Err(missing("alternative", "`two_sided`, `greater` or `less`")),
        }
    }

    fn settings(self) -> Result<Settings, Refusal> {
        let alpha = self.alpha()?;
        let tau = Tau::try_new(self.number("tau")?)?;
        let null = self.number_or("null", 0.0)?;
        Ok(Settings { alpha, tau, alternative: self.alternative()?, null })
    }

    fn estimate(self) -> Result<Estimate, Refusal> {
        let (delta, variance) = (self.number("delta")?, self.number("var")?);
        if variance.abs() <= 0.0 {
            return Err(Refusal::Status(Status::ZeroVariance));
        }
        Ok(Estimate { delta, variance: Variance::try_new(variance)? })
    }

    fn moments(self, n: u64, sum: &str, sum_squares: &str) -> Result<Moments, Refusal> {
        Ok(Moments::try_new(n, self.number(sum)?, self.number(sum_squares)?)?)
    }
}

fn missing(name: &str, kind: &str) -> Refusal {
    Refusal::Error(format!("`{name}` must be {kind}"))
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) => x.as_f64(),
        Value::String(s) if s == "inf" => Some(f64::INFINITY),
        Value::String(s) if s == "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn as_count(x: f64) -> Result<u64, InvalidInput> {
    // Above 2^53 a double no longer counts.
    let is_count = (0.0..=9_007_199_254_740_992.0).contains(&x) && x.fract().abs() <= 0.0;
    if is_count { Ok(x as u64) } else { Err(InvalidInput::NotACount) }
}

fn number(x: f64) -> Value {
    if x.is_nan() {
        Value::Null
    } else if x.is_infinite() {
        json!(if x > 0.0 { "inf" } else { "-inf" })
    } else {
        json!(x)
    }
}

fn interval(ci: Interval) -> Value {
    json!([ci.lower, ci.upper])
}

fn optional_interval(ci: Option<Interval>) -> Value {
    ci.map_or(Value::Null, interval)
}

fn without_numbers(status: Status) -> Value {
    let mut fields = json!({ "status": status.code(), "p": 1.0, "log_p": 0.0, "ci": null, "lift_ci": null });
    explain(&mut fields, status);
    fields
}

/// Adds why the data are invalid.
fn explain(fields: &mut Value, status: Status) {
    if let (Status::Invalid { reason }, Value::Object(fields)) = (status, fields) {
        fields.insert("reason".to_owned(), json!(reason));
    }
}

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

fn ab(input: Input<'_>) -> Answer {
    let kind = input.word("kind").unwrap_or("proportion");
    let control = arm(input.object("control")?, kind)?;
    let treatment = arm(input.object("treatment")?, kind)?;
    let is_signed = input.boolean_or("signed", false);
    let (alpha, alternative) = (input.alpha()?, input.alternative()?);
    let tau = match input.optional("tau")? {
        Some(tau) => Tau::try_new(tau)?,
        // As for the first gated poll of an experiment without a declared effect.
        None => {
            let compared = super::arms::compare(&control, &treatment, is_signed);
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

fn core(input: Input<'_>) -> Answer {
    Ok(Value::Object(tested(&input.estimate()?, &input.settings()?)?))
}

fn quantile(input: Input<'_>) -> Answer {
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

fn running(input: Input<'_>) -> Answer {
    let settings = input.settings()?;
    let mut state = RunningTest::default();
    let mut first_rejection = None;
    let mut polls = Vec::new();
    for (index, poll) in input.list("polls")?.iter().enumerate() {
        let test = mixture_test(&Input(poll).estimate()?, &settings)?;
        state = state.observe(test.ln_e, test.ci);
        if first_rejection.is_none() && settings.alpha.rejects(test.ln_e) {
            first_rejection = Some(index);
        }
        polls.push(json!({
            "log_e": test.ln_e,
            "log_p_running": state.ln_p(),
            "ci": interval(test.ci),
            "ci_running": interval(state.ci),
        }));
    }
    let drift = state.has_drifted();
    Ok(json!({ "first_rejection": first_rejection, "drift": drift, "polls": polls }))
}

fn counts(input: Input<'_>) -> Answer {
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

fn cuped_adjustment(input: Input<'_>) -> Answer {
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

fn recommendation(input: Input<'_>) -> Answer {
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
        };
        list.iter().map(flag).collect()
    });
    let srm = input.optional("srm_log_e")?.map_or(SrmLevel::Clean, SrmLevel::from_ln_e);
    let recommendation = decide(&DecideInput {
        ci,
        direction,
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

fn adjusted(input: Input<'_>, method: fn(&[f64]) -> Vec<f64>) -> Answer {
    Ok(json!({ "adjusted": method(&input.numbers("p")?) }))
}

fn e_bh(input: Input<'_>) -> Answer {
    let result = e_benjamini_hochberg(&input.numbers("log_e")?, input.alpha()?);
    Ok(json!({ "k": result.n_rejected, "rejected": result.rejected }))
}

fn fieller(input: Input<'_>) -> Answer {
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

fn lift_delta(input: Input<'_>) -> Answer {
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

fn guardrail(input: Input<'_>) -> Answer {
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

fn level(input: Input<'_>) -> Answer {
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

fn before_after(input: Input<'_>) -> Answer {
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

fn phases(input: Input<'_>) -> Answer {
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

fn looks(input: Input<'_>) -> Result<u32, Refusal> {
    let looks = as_count(input.number_or("K", 100.0)?)?;
    u32::try_from(looks).map_err(|_| missing("K", "1 to 1000"))
}

fn constant(input: Input<'_>) -> Answer {
    let result = plan_constant(input.alpha()?, input.number_or("power", 0.8)?, looks(input)?)?;
    Ok(json!({ "c": result.c, "expected_fraction": result.expected_fraction }))
}

fn size(input: Input<'_>) -> Answer {
    let mde_abs = input.number("mde_abs")?;
    let (unit_variance_control, unit_variance_treatment) = match input.word("kind") {
        Some("proportion") => {
            let base = input.number("base")?;
            let moved = base + mde_abs;
            (sample_size::rate_variance("base", base)?, sample_size::rate_variance("base + mde", moved)?)
        }
        Some("mean") => {
            let sd = input.number("sd")?;
            (sd * sd, sd * sd)
        }
        _ => return Err(missing("kind", "`proportion` or `mean`")),
    };
    let weights = match input.get("weights") {
        Some(_) => input.numbers("weights")?,
        None => vec![1.0, 1.0],
    };
    let [weight_control, weight_treatment] = weights.as_slice() else {
        return Err(missing("weights", "[control, treatment]"));
    };
    let size = sample_size(&SampleSizeInput {
        unit_variance_control,
        unit_variance_treatment,
        weight_control: *weight_control,
        weight_treatment: *weight_treatment,
        mde_abs,
        alpha: input.alpha()?,
        power: input.number_or("power", 0.8)?,
        n_looks: looks(input)?,
    })?;
    let mut fields = json!({
        "n_max": size.n_max,
        "n_expected_at_mde": size.n_expected_at_mde,
        "n_fixed": size.n_fixed,
        "n_last_look": size.n_last_look,
        "tau": size.tau,
    });
    if let (Some(daily), Value::Object(fields)) = (input.optional("daily")?, &mut fields) {
        let days = sample_size::days(size.n_max, daily);
        fields.insert("days".to_owned(), json!(days));
        fields.insert("days_full_weeks".to_owned(), json!(sample_size::whole_weeks(days)));
    }
    Ok(fields)
}

fn narrowest(input: Input<'_>) -> Answer {
    let star = r_star(input.alpha()?);
    Ok(json!({
        "r_star": star.r_star,
        "min_boundary": star.min_boundary,
        "r_star_approx": star.approximation,
    }))
}

fn rate(input: Input<'_>) -> Answer {
    let (x, n) = (input.count("x")?, input.count("n")?);
    let result = rate_confidence(x, n, input.number_or("target", 0.5)?, input.alpha()?)?;
    Ok(json!({
        "rate": result.rate,
        "ci": interval(result.ci),
        "log_e": result.ln_e,
        "log_p": result.ln_p,
    }))
}

fn srm(input: Input<'_>) -> Answer {
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
