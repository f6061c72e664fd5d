//! 39 real experiments of a retailer, replayed check by check. `docs/statistics/asos.md` explains the result and compares
//! it with other tools; `UPDATE=1` rewrites the summary that both are made from.

mod data;
mod replay;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use outcome_core::stats::{Alpha, Direction, Evaluated, Interval, Phase, SrmStatus, Status, TestPlan, evaluate};
use serde_json::{Value, json};

use data::Comparison;
use replay::{EVEN, Poll, as_mean, mde_relative, plan, poll, swapped};

/// Beside the repository's own files.
fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const SUMMARY: &str = "fixtures/asos_summary.json";
const PAGE: &str = "../docs/statistics/asos.md";

/// One comparison a line, so that a change shows as the lines that changed.
fn as_text(summary: &Value) -> Result<String> {
    let lines = |name: &str| -> Result<String> {
        let rows = summary[name].as_array().context("a list")?;
        Ok(rows.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n"))
    };
    let (comparisons, sensitivity) = (lines("comparisons")?, lines("sensitivity")?);
    Ok(format!("{{\"sensitivity\": [\n{sensitivity}\n], \"comparisons\": [\n{comparisons}\n]}}\n"))
}

/// The first difference; numbers may differ in their eighth digit.
fn difference(place: &str, want: &Value, got: &Value) -> Option<String> {
    match (want, got) {
        (Value::Array(w), Value::Array(g)) if w.len() == g.len() => {
            w.iter().zip(g).enumerate().find_map(|(i, (w, g))| difference(&format!("{place}[{i}]"), w, g))
        }
        (Value::Object(w), Value::Object(g)) if w.keys().eq(g.keys()) => {
            w.iter().find_map(|(name, w)| difference(&format!("{place}.{name}"), w, &g[name]))
        }
        (Value::Number(w), Value::Number(g)) => {
            let (w, g) = (w.as_f64()?, g.as_f64()?);
            // Evidence is a small difference of large logarithms: its last digits differ by machine.
            ((w - g).abs() > 1e-7 + 1e-6 * w.abs()).then(|| format!("{place}: want {w}, got {g}"))
        }
        _ => (want != got).then(|| format!("{place}: want {want}, got {got}")),
    }
}

#[test]
fn thirty_nine_experiments_come_to_what_the_summary_says() -> Result<()> {
    let Some(comparisons) = data::load()? else { return Ok(()) };
    let experiments: std::collections::BTreeSet<_> = comparisons.iter().map(|c| &c.experiment).collect();
    assert_eq!((experiments.len(), comparisons.len()), (39, 200));
    let summaries: Vec<Value> = comparisons.iter().map(replay::summary).collect();
    let sensitivity = [0.0025, 0.005, 0.01, 0.02, 0.05].map(|mde| replay::sensitivity(&comparisons, mde));
    let got = json!({ "comparisons": summaries, "sensitivity": sensitivity });
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(own(SUMMARY), as_text(&got)?)?;
        return Ok(());
    }
    let want: Value = serde_json::from_str(&std::fs::read_to_string(own(SUMMARY))?)?;
    assert_eq!(difference("", &want, &got), None, "UPDATE=1 rewrites {SUMMARY}; then make the page anew");
    Ok(())
}

/// Needs no data: the page is made from the committed summary.
#[test]
fn the_page_says_what_the_summary_says() -> Result<()> {
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(own(SUMMARY))?)?;
    let page = std::fs::read_to_string(own(PAGE))?;
    let rows = summary["comparisons"].as_array().context("comparisons")?.iter().filter(|c| c["metric"] == 1);
    let mut n_rows = 0;
    for row in rows {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let (experiment, variant) = (text(&row["experiment"]), text(&row["variant"]));
        let (decision, day) = (text(&row["verdict"]["decision"]), row["verdict"]["day"].as_f64().context("a day")?);
        let start = format!("| {experiment} | {variant} | {decision} | {day} |");
        ensure!(page.contains(&start), "the page has no row that starts with {start}; make it anew");
        n_rows += 1;
    }
    assert_eq!(n_rows, 50);
    Ok(())
}

/// Calls `check` with every replayed comparison and its plan.
fn each_replay(check: impl Fn(&Comparison, &TestPlan, &[Poll]) -> Result<()>) -> Result<()> {
    let Some(comparisons) = data::load()? else { return Ok(()) };
    for c in &comparisons {
        let plan = plan(c, mde_relative(c.metric));
        let polls = replay::replay(c, &plan, EVEN);
        check(c, &plan, &polls).with_context(|| format!("{} {} metric {}", c.experiment, c.variant, c.metric))?;
    }
    Ok(())
}

#[test]
fn p_never_rises_but_with_a_new_epoch() -> Result<()> {
    each_replay(|_, _, polls| {
        for (before, after) in polls.iter().map(|p| &p.result).zip(polls.iter().skip(1).map(|p| &p.result)) {
            let is_new_epoch = after.epoch > before.epoch;
            ensure!(is_new_epoch || after.ln_p_running <= before.ln_p_running, "p rose");
            ensure!(!is_new_epoch || before.n_treatment > after.n_treatment, "an epoch began without a reason");
        }
        Ok(())
    })
}

#[test]
fn a_check_below_the_gate_has_no_numbers_and_every_other_has_finite_ones() -> Result<()> {
    each_replay(|_, _, polls| {
        for p in polls {
            let r = &p.result;
            let ends = |ci: Option<Interval>| ci.map(|ci| [ci.lower, ci.upper]);
            let numbers = [r.effect, r.standard_error, r.ln_e, r.lift, r.futility_upper, r.effect_shrunken];
            let always = [r.ln_p_running, r.p_running, r.srm.p];
            let [ci, lift_ci, running] = [r.ci, r.lift_ci, r.ci_running].map(|ci| ends(ci).into_iter().flatten());
            let all = numbers.into_iter().chain(ci).chain(lift_ci).chain(running).flatten().chain(always);
            ensure!(all.into_iter().all(f64::is_finite), "day {}: not finite", p.day);
            match r.status {
                Status::Ok => ensure!(numbers.iter().all(Option::is_some) && r.ci.is_some(), "day {}: gaps", p.day),
                Status::InsufficientSample { .. } => {
                    ensure!(numbers.iter().all(Option::is_none) && r.ci.is_none(), "day {}: numbers", p.day);
                }
                other => anyhow::bail!("day {}: {other:?}", p.day),
            }
            ensure!(r.srm.status == SrmStatus::Ok, "day {}: {:?}", p.day, r.srm.status);
        }
        Ok(())
    })
}

#[test]
fn the_interval_excludes_zero_exactly_when_the_evidence_rejects() -> Result<()> {
    each_replay(|c, plan, polls| {
        let alpha = Alpha::try_new(plan.alpha.get() / f64::from(c.n_treatments))?;
        for p in polls {
            let (Some(ln_e), Some(ci)) = (p.result.ln_e, p.result.ci) else { continue };
            ensure!(alpha.rejects(ln_e) == ci.excludes(0.0), "day {}: ln E {ln_e}, {ci:?}", p.day);
            ensure!(p.result.lift_ci.is_some_and(|l| l.excludes(0.0)) == ci.excludes(0.0), "day {}: lift", p.day);
        }
        Ok(())
    })
}

#[test]
fn a_repeated_check_changes_nothing() -> Result<()> {
    each_replay(|_, plan, polls| {
        for p in polls {
            let again = evaluate(&poll(plan, &p.phase, p.day), Some(&p.result.running));
            ensure!(again == p.result, "day {}: {again:?}", p.day);
        }
        Ok(())
    })
}

/// With tau given, since the one from the plan is relative to control.
#[test]
fn exchanging_the_arms_and_the_good_direction_turns_every_sign_and_no_verdict() -> Result<()> {
    let is_close = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1e-9),
        (None, None) => true,
        _ => false,
    };
    each_replay(|c, plan, polls| {
        let Some(tuning) = polls.last().and_then(|p| p.result.tuning) else { anyhow::bail!("no tau") };
        let given = TestPlan { tau: Some(tuning.tau), mde_abs: Some(tuning.tau.get()), mde_relative: None, ..*plan };
        let mirrored = TestPlan { direction: Direction::Decrease, ..given };
        let mut memory: Option<[Evaluated; 2]> = None;
        for p in polls {
            let exchanged: Phase = swapped(&p.phase);
            let before = memory.as_ref();
            let one = evaluate(&poll(&given, &p.phase, p.day), before.map(|[one, _]| &one.running));
            let other = evaluate(&poll(&mirrored, &exchanged, p.day), before.map(|[_, other]| &other.running));
            ensure!(one.advice.recommendation == other.advice.recommendation, "day {}: another verdict", p.day);
            ensure!(is_close(one.effect, other.effect.map(|e| -e)), "day {}: effect", p.day);
            ensure!(is_close(one.ln_e, other.ln_e), "day {}: evidence", p.day);
            let mirror = other.ci.map(Interval::negated);
            ensure!(is_close(one.ci.and_then(|i| i.lower), mirror.and_then(|i| i.lower)), "day {}: interval", p.day);
            ensure!(is_close(one.ci.and_then(|i| i.upper), mirror.and_then(|i| i.upper)), "day {}: interval", p.day);
            memory = Some([one, other]);
        }
        ensure!(memory.is_some() && c.checks.len() >= polls.len(), "nothing was replayed");
        Ok(())
    })
}

#[test]
fn a_rate_is_the_mean_of_zeros_and_ones() -> Result<()> {
    each_replay(|c, plan, polls| {
        for p in polls.iter().filter(|_| c.metric == 1) {
            let phase = Phase { control: as_mean(&p.phase.control), treatment: as_mean(&p.phase.treatment), ..p.phase };
            let (rate, mean) =
                (evaluate(&poll(plan, &p.phase, p.day), None), evaluate(&poll(plan, &phase, p.day), None));
            ensure!((rate.effect, rate.ci, rate.ln_e) == (mean.effect, mean.ci, mean.ln_e), "day {}", p.day);
        }
        Ok(())
    })
}
