//! Sample sizes, before anything runs.

use serde_json::{Value, json};

use super::io::{Answer, Input, Refusal, as_count, missing};
use crate::{PlannedTest, SampleSizeInput, plan_constant, r_star, sample_size};

fn looks(input: Input<'_>) -> Result<u32, Refusal> {
    let looks = as_count(input.number_or("K", 100.0)?)?;
    u32::try_from(looks).map_err(|_| missing("K", "1 to 1000"))
}

pub(super) fn constant(input: Input<'_>) -> Answer {
    let result = plan_constant(input.alpha()?, input.number_or("power", 0.8)?, looks(input)?)?;
    Ok(json!({ "c": result.c, "expected_fraction": result.expected_fraction }))
}

pub(super) fn size(input: Input<'_>) -> Answer {
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
        test: PlannedTest::TwoSided { n_looks: looks(input)? },
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

pub(super) fn narrowest(input: Input<'_>) -> Answer {
    let star = r_star(input.alpha()?);
    Ok(json!({
        "r_star": star.r_star,
        "min_boundary": star.min_boundary,
        "r_star_approx": star.approximation,
    }))
}
