//! `stats ab`: treatments against a control, from what stands in a report.

use outcome_core::Result;
use outcome_core::present::{Scale, count, number, p_value, percent, percent_interval, signed_percent, whole};
use outcome_core::stats::{
    Alpha, Alternative, Contrast, CountTest, DecideInput, Direction, Finding, Interval, MAX_FACTOR, Outlook,
    OutlookInput, RARE_RATE, Recommendation, Settings, ShipTest, Srm, SrmLevel, StartGate, StartGateInput, Status, Tau,
    count_test, decide, fieller_lift, futility_upper, holm, mixture_test, outlook, relative_lift,
    sample_ratio_mismatch, until_testable,
};
use serde::Serialize;

use super::parse::{self, Arm, invalid};
use crate::args::{Better, StatsAb};
use crate::cx::{Cx, Exit};
use crate::output::Page;

/// All comparisons. Effects are treatment minus control in metric units; lifts are relative (0.05 = 5 %).
#[derive(Debug, Serialize)]
struct Answer {
    /// Over all comparisons.
    alpha: f64,
    /// Of one comparison.
    alpha_per_comparison: f64,
    /// Mixture width, in metric units.
    tau: f64,
    /// Minimum detectable effect, in metric units.
    mde: Option<f64>,
    direction: Direction,
    control: ArmShown,
    comparisons: Vec<Comparison>,
    srm: Srm,
}

#[derive(Debug, Serialize)]
struct ArmShown {
    n: u64,
    level: f64,
}

#[derive(Debug, Serialize)]
struct Comparison {
    treatment: ArmShown,
    status: Status,
    effect: Option<f64>,
    standard_error: Option<f64>,
    /// Confidence sequence at `1 - alpha_per_comparison`.
    ci: Option<Interval>,
    lift: Option<f64>,
    lift_ci: Option<Interval>,
    ln_e: Option<f64>,
    /// `exp(ln_e)`; absent where it overflows.
    e_value: Option<f64>,
    /// Always valid, of this look.
    p: f64,
    /// Adjusted over the comparisons (Holm).
    p_adjusted: f64,
    decision: Recommendation,
    /// What would settle it, if the effect stayed as it is.
    outlook: Option<Outlook>,
    /// The events counted exactly, where there are too few of them for the test above.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<CountTest>,
    /// The same in words.
    meaning: String,
}

/// What all comparisons share.
struct Test {
    alpha: Alpha,
    per_comparison: Alpha,
    tau: Tau,
    mde: Option<f64>,
    direction: Direction,
    is_signed: bool,
}

/// Runs it.
pub fn run(cx: &Cx, args: &StatsAb) -> Result<Exit> {
    let control = parse::arm(&args.control, "--control")?;
    let treatments: Vec<Arm> =
        args.treatment.iter().map(|text| parse::arm(text, "--treatment")).collect::<Result<_>>()?;
    if treatments.iter().any(|arm| arm.is_share != control.is_share) {
        return Err(invalid("one arm is a share and another a mean", "give all arms as X/N or all as N,MEAN,SD"));
    }
    let test = test_of(args, &control, &treatments)?;
    let weights = weights_of(args, treatments.len() + 1)?;
    let srm = srm_of(&weights, &control, &treatments);
    let [of_control, of_treatments @ ..] = weights.as_slice() else { return Err(invalid("no arms", "give two arms")) };
    let mut comparisons: Vec<Comparison> = treatments
        .iter()
        .zip(of_treatments)
        .map(|(arm, weight)| compare(&control, arm, (*of_control, *weight), &test, &srm))
        .collect();
    let adjusted = holm(&comparisons.iter().map(|one| one.p).collect::<Vec<_>>());
    for (one, p) in comparisons.iter_mut().zip(adjusted) {
        one.p_adjusted = p;
    }
    let answer = Answer {
        alpha: test.alpha.get(),
        alpha_per_comparison: test.per_comparison.get(),
        tau: test.tau.get(),
        mde: test.mde,
        direction: test.direction,
        control: ArmShown { n: control.n, level: control.level },
        comparisons,
        srm,
    };
    cx.out.result(&answer, |page| show(page, &answer, args, control.is_share))?;
    Ok(Exit::OK)
}

fn test_of(args: &StatsAb, control: &Arm, treatments: &[Arm]) -> Result<Test> {
    let alpha = parse::alpha(&args.alpha)?;
    let size = |text: &str| {
        let effect = parse::effect(text, "--mde")?;
        if control.is_share { parse::within_share(effect, text, "--mde") } else { Ok(effect) }
    };
    let mde = args.mde.as_deref().map(size).transpose()?.map(|mde| mde.absolute(control.level));
    if mde.is_some_and(|mde| mde <= 0.0) {
        return Err(invalid("--mde is relative and the level of control is 0", "give an absolute effect"));
    }
    let tau = match &args.tau {
        Some(text) => parse::positive(text, "--tau")?,
        None => mde.unwrap_or_default(),
    };
    let tau = Tau::try_new(tau).map_err(|e| invalid(e.to_string(), "the minimum detectable effect is a good width"))?;
    Ok(Test {
        alpha,
        per_comparison: alpha.split(treatments.len()),
        tau,
        mde,
        direction: match args.direction {
            Better::Increase => Direction::Increase,
            Better::Decrease => Direction::Decrease,
        },
        is_signed: args.signed || std::iter::once(control).chain(treatments).any(|arm| arm.level < 0.0),
    })
}

fn weights_of(args: &StatsAb, n_arms: usize) -> Result<Vec<f64>> {
    args.split.as_ref().map_or_else(|| Ok(vec![1.0; n_arms]), |text| parse::split(text, n_arms))
}

fn srm_of(weights: &[f64], control: &Arm, treatments: &[Arm]) -> Srm {
    let counts = std::iter::once(control).chain(treatments).map(|arm| arm.n);
    sample_ratio_mismatch(&counts.zip(weights.iter().copied()).collect::<Vec<_>>())
}

/// The counts compared exactly, where events are rare and too few for the other test.
fn counted(control: &Arm, treatment: &Arm, (of_control, of_treatment): (f64, f64), test: &Test) -> Option<CountTest> {
    let events = [control, treatment].map(|arm| arm.moments.sum);
    let is_rare =
        control.is_share && events.iter().sum::<f64>() <= RARE_RATE * (control.moments.n + treatment.moments.n);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "successes of a share are whole and not negative"
    )]
    let [of_a, of_b] = events.map(|x| x as u64);
    is_rare.then(|| count_test(of_a, of_b, of_control, of_treatment, test.per_comparison).ok()).flatten()
}

fn compare(control: &Arm, treatment: &Arm, weights: (f64, f64), test: &Test, srm: &Srm) -> Comparison {
    let contrast = Contrast {
        treatment: treatment.level,
        control: control.level,
        var_treatment: treatment.variance,
        var_control: control.variance,
        covariance: 0.0,
    };
    let mut comparison = Comparison {
        treatment: ArmShown { n: treatment.n, level: treatment.level },
        status: Status::Ok,
        effect: None,
        standard_error: None,
        ci: None,
        lift: None,
        lift_ci: None,
        ln_e: None,
        e_value: None,
        p: 1.0,
        p_adjusted: 1.0,
        decision: Recommendation::Continue,
        outlook: None,
        counts: None,
        meaning: String::new(),
    };
    let units = control.n.saturating_add(treatment.n);
    match gate(control, treatment, &contrast, test).and_then(|()| tested(&contrast, test)) {
        Err(status) => {
            comparison.status = status;
            comparison.outlook = until_testable(status, units);
            if matches!(status, Status::InsufficientSample { .. })
                && let Some(found) = counted(control, treatment, weights, test)
            {
                comparison.p = found.p;
                comparison.counts = Some(found);
            }
        }
        Ok(Tested { effect, se, r, ln_e, ci, p, lift_ci }) => {
            let input = OutlookInput {
                n_units: units,
                effect,
                standard_error: se,
                r,
                alpha: test.per_comparison,
                ship: ShipTest::TwoSided,
                direction: test.direction,
                success_threshold: 0.0,
                kill_threshold: 0.0,
                mde: test.mde,
            };
            let oriented = test.direction.orient(ci);
            comparison = Comparison {
                effect: Some(effect),
                standard_error: Some(se),
                ci: Some(ci),
                lift: relative_lift(&contrast),
                lift_ci,
                ln_e: Some(ln_e),
                e_value: Some(ln_e.exp()).filter(|e| e.is_finite()),
                p,
                decision: decide(&DecideInput {
                    ship_bound: oriented.lower,
                    harm_bound: oriented.upper,
                    mde: test.mde,
                    futility_upper: Some(futility_upper(&input)),
                    srm: srm.level,
                    ..DecideInput::default()
                }),
                ..comparison
            };
            if comparison.decision == Recommendation::Continue {
                comparison.outlook = outlook(&input);
            }
        }
    }
    comparison.meaning = meaning(&comparison, test, srm, units, control.is_share);
    comparison
}

/// What an estimate says.
struct Tested {
    effect: f64,
    se: f64,
    r: f64,
    ln_e: f64,
    ci: Interval,
    p: f64,
    lift_ci: Option<Interval>,
}

fn tested(contrast: &Contrast, test: &Test) -> std::result::Result<Tested, Status> {
    let alternative = Alternative::TwoSided;
    let estimate = contrast.against(1.0)?;
    let settings = Settings { alpha: test.per_comparison, tau: test.tau, alternative, null: 0.0 };
    let found = mixture_test(&estimate, &settings)?;
    Ok(Tested {
        effect: estimate.delta,
        se: estimate.variance.standard_error(),
        r: found.r,
        ln_e: found.ln_e,
        ci: found.ci,
        p: found.p(),
        lift_ci: found.boundary.and_then(|width| fieller_lift(contrast, width, alternative)),
    })
}

fn gate(control: &Arm, treatment: &Arm, contrast: &Contrast, test: &Test) -> std::result::Result<(), Status> {
    if contrast.variance_against(1.0) <= 0.0 && control.n.min(treatment.n) > 1 {
        return Err(Status::ZeroVariance);
    }
    let input = StartGateInput {
        control: control.moments,
        treatment: treatment.moments,
        is_proportion: control.is_share,
        is_signed: test.is_signed,
    };
    input.check()
}

/// One or two sentences.
fn meaning(one: &Comparison, test: &Test, srm: &Srm, units: u64, is_share: bool) -> String {
    if srm.level == SrmLevel::Block {
        return "Decide nothing from these numbers: units do not arrive in the declared proportions, so the arms may contain \
                different people. Find out why first."
            .to_owned();
    }
    let scale = scale(is_share);
    match one.status {
        Status::Ok => {}
        Status::InsufficientSample { gate, have, need } => {
            let early = too_early(gate, have, need, one.outlook);
            return match one.counts {
                Some(counts) => counted_in_words(counts, test, &early),
                None => early,
            };
        }
        Status::ZeroVariance => return "There is nothing to test: all units have the same value.".to_owned(),
        Status::ZeroDenominator | Status::Invalid { .. } => {
            return "The numbers are too large or too small to calculate with.".to_owned();
        }
    }
    let alpha = percent(test.per_comparison.get());
    let mde = test.mde.map_or_else(String::new, |mde| scale.size(mde));
    match one.decision {
        Recommendation::Ship => format!(
            "The treatment is better: even the pessimistic end of the interval is on the good side of 0. However often you \
             looked, this is wrong in at most {alpha} of such tests. Let it run whole weeks, at least one, before you act; \
             the effect that was found first is usually somewhat too large."
        ),
        Recommendation::KillHarm => format!(
            "The treatment is worse: even the optimistic end of the interval is on the bad side of 0. However often you \
             looked, this is wrong in at most {alpha} of such tests."
        ),
        Recommendation::KillFutility => format!(
            "An improvement of {mde} or more is excluded (error at most 10 %): there may be a smaller effect, but not the one \
             that was looked for."
        ),
        _ => {
            let begin = "Not settled: the effect may lie anywhere in the interval.";
            match one.outlook {
                Some(Outlook { more_units, finding }) => {
                    let what = match finding {
                        Finding::Better => "show that the treatment is better".to_owned(),
                        Finding::Worse => "show that the treatment is worse".to_owned(),
                        Finding::SmallerThanMde => format!("exclude an improvement of {mde}"),
                        Finding::Testable => "let the test begin".to_owned(),
                    };
                    format!(
                        "{begin} If the effect stayed as it is now, about {} more units in these two arms (now {}) would {what}; \
                         it will not stay exactly the same, so this number will change.",
                        count(rounded(more_units)),
                        count(units)
                    )
                }
                None => format!(
                    "{begin} At the current effect, even {} times as many units as now would not settle it.",
                    number(MAX_FACTOR)
                ),
            }
        }
    }
}

fn counted_in_words(found: CountTest, test: &Test, early: &str) -> String {
    if found.p > test.per_comparison.get() {
        return format!("{early} The events themselves, counted exactly, do not tell the arms apart either.");
    }
    let is_more = found.rate_ratio_ci.lower.is_some_and(|lower| lower > 1.0);
    let (what, is_better) = if is_more { ("more", Direction::Increase) } else { ("fewer", Direction::Decrease) };
    let side = if is_better == test.direction { "better" } else { "worse" };
    format!(
        "The treatment has {what} of these events, which is {side}: counted exactly, since they are too few for an estimate. However often \
         you looked, this is wrong in at most {} of such tests.",
        percent(test.per_comparison.get())
    )
}

fn too_early(gate: StartGate, have: f64, need: f64, outlook: Option<Outlook>) -> String {
    let what = match gate {
        StartGate::UnitsPerArm => "units in the smaller arm",
        StartGate::EffectiveUnits => "effective units (successes, for a share) expected in the smaller arm",
        StartGate::Failures => "units without success expected in the smaller arm",
    };
    let rest = outlook.map_or_else(String::new, |outlook| {
        format!(
            " At the current rate, about {} more units in these two arms are enough.",
            count(rounded(outlook.more_units))
        )
    });
    format!(
        "Too early: {} of {} {what}. Until then the variance cannot be trusted, and neither can a result.{rest}",
        whole(have.floor()),
        whole(need)
    )
}

/// Two digits: more would pretend to know.
fn rounded(n: u64) -> u64 {
    let magnitude = 10_u64.pow(n.max(1).ilog10().saturating_sub(1));
    n.div_ceil(magnitude).saturating_mul(magnitude)
}

fn scale(is_share: bool) -> Scale {
    if is_share { Scale::share() } else { Scale::default() }
}

fn show(page: &mut Page, answer: &Answer, args: &StatsAb, is_share: bool) {
    let scale = scale(is_share);
    let arm = |arm: &ArmShown| format!("{} ({} units)", scale.level(arm.level), count(arm.n));
    let confidence = percent(1.0 - answer.alpha_per_comparison);
    let several = answer.comparisons.len() > 1;
    for (i, one) in answer.comparisons.iter().enumerate() {
        page.head(&if several {
            format!("Treatment {} against control", i + 1)
        } else {
            "Treatment against control".to_owned()
        });
        page.field("control", &arm(&answer.control));
        page.field("treatment", &arm(&one.treatment));
        if let Some(effect) = one.effect {
            let ends = one.ci.unwrap_or(Interval::UNBOUNDED);
            let ci = scale.interval(ends.lower, ends.upper);
            page.field("effect", &format!("{}   {ci}   {confidence} confidence sequence", scale.change(effect)));
        }
        if let Some(lift) = one.lift {
            let ci = one.lift_ci.map_or_else(
                || "no interval: the level of control cannot be distinguished from 0, or an arm is constant".to_owned(),
                |ci| percent_interval(ci.lower, ci.upper),
            );
            page.field("lift", &format!("{}   {ci}", signed_percent(lift)));
        }
        if let Some(ln_e) = one.ln_e {
            let e = one.e_value.map_or_else(|| format!("e^{}", number(ln_e)), number);
            let holm = if several { format!(", adjusted {}", p_value(one.p_adjusted)) } else { String::new() };
            page.field("evidence", &format!("e = {e}, always-valid p {}{holm}", equals(one.p)));
        }
        if let Some(counts) = one.counts {
            let Interval { lower, upper } = counts.rate_ratio_ci;
            let from = number(lower.unwrap_or_default());
            let ratio = upper.map_or_else(|| format!("above {from}"), |upper| format!("{from} to {}", number(upper)));
            page.field(
                "counted",
                &format!("rate ratio {ratio}   {confidence} confidence sequence, always-valid p {}", equals(counts.p)),
            );
        }
        let meaning = match one.decision {
            Recommendation::Ship => page.green(&one.meaning),
            Recommendation::KillHarm => page.red(&one.meaning),
            _ => one.meaning.clone(),
        };
        page.line(&meaning);
    }
    page.head("Traffic");
    let split = args.split.clone().unwrap_or_else(|| "equal shares".to_owned());
    let word = match answer.srm.level {
        SrmLevel::Clean => page.green("as declared"),
        SrmLevel::Warn => page.yellow("suspicious"),
        SrmLevel::Block => page.red("not as declared"),
    };
    page.line(&format!("  {word} ({}): sequential p {}", crate::output::safe(&split), equals(answer.srm.p)));
    let tau = number(answer.tau);
    let is_relative = args.tau.is_none() && args.mde.as_deref().is_some_and(|mde| mde.trim().ends_with('%'));
    page.hint(&if is_relative {
        format!(
            "a relative --mde changes with the level of control: at every later look pass --tau {tau} and the same alpha"
        )
    } else {
        format!("tau {tau} and alpha {} must be the same at every look", number(answer.alpha))
    });
}

fn equals(p: f64) -> String {
    let text = p_value(p);
    if text.starts_with("below") { text } else { format!("= {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_units_are_rounded_up_to_two_digits() {
        assert_eq!([0, 7, 99, 101, 12_345].map(rounded), [0, 7, 99, 110, 13_000]);
    }
}
