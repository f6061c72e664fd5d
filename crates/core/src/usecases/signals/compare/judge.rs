//! The judgement of an experiment that ran elsewhere: the engine's, on the units whose values are final, and what must hold for it to
//! mean anything.

use jiff::{SignedDuration, Timestamp};

use super::reading::{Bucket, Read, both, n_of};
use super::request::MetricCompareRequest;
use crate::domain::{ArmSums, Evaluation, EvidenceGrade, MinimumDetectableEffect, Plan, VariantReading, Window};
use crate::error::{Code, Error, Result};
use crate::evaluation::{Judged, PhaseReadings, Poll, evaluate_poll};
use crate::present::{Answer, AnswerState, Asked, Scale, Values, count, number, percent};
use crate::stats::{
    Alpha, CountTest, Direction, RARE_RATE, Recommendation, Scope, Status, count_test, share_homogeneity_p,
};
use crate::usecases::signals::metrics::{MetricDoubt, MetricFinding};

/// A share of the treatment that changes this improbably was changed by somebody.
const CHANGED: f64 = 0.001;
/// Part of the units that had seen the flag before, from which it is said.
const OFTEN: f64 = 0.01;

/// What is judged.
pub(super) struct Judging<'a> {
    pub(super) request: &'a MetricCompareRequest,
    pub(super) plan: &'a Plan,
    pub(super) read: &'a Read,
    /// When units were exposed.
    pub(super) seen_in: Window,
    pub(super) scale: Scale,
    /// Whether it has ended.
    pub(super) is_over: bool,
    pub(super) now: Timestamp,
}

impl Judging<'_> {
    /// The answer, what it rests on, and what is odd.
    pub(super) fn judged(&self) -> Result<(Answer, Evaluation, Vec<MetricFinding>)> {
        let internal = || Error::new(Code::Internal, "an experiment with units cannot be judged");
        let seen = self.evaluated(self.read.arms.clone())?.ok_or_else(internal)?;
        // What units do while their values still come, or after the flag went off, is no evidence here.
        let of_final: Vec<VariantReading> = self.read.arms.iter().map(final_sums).collect();
        let has_final = !n_of(&of_final).contains(&0);
        let of_final = if has_final { self.evaluated(of_final)? } else { None };
        let mut result = Evaluation::of(self.plan, &of_final.as_ref().unwrap_or(&seen).evaluated, self.now, 2)
            .with_capped(seen.capped);
        result.health.clone_from(&seen.evaluated.health);
        // Nobody signed beforehand what would be looked at.
        result.grade = result.grade.max(Some(EvidenceGrade::B));
        let findings = self.findings();
        let is_unfit =
            matches!(seen.evaluated.advice.recommendation, Recommendation::HoldDataQuality | Recommendation::HoldSrm);
        if is_unfit {
            result.advice = seen.evaluated.advice.clone();
        } else if let Some(problem) = findings.iter().find(|found| found.doubt == MetricDoubt::Problem) {
            result.advice.recommendation = Recommendation::HoldDataQuality;
            result.advice.reason.clone_from(&problem.message);
        } else {
            result.advice.recommendation = self.recommended(&result, of_final.is_some());
        }
        let answer = self.answer(&result, of_final.is_some(), is_unfit, &findings)?;
        Ok((answer, result, findings))
    }

    fn evaluated(&self, arms: Vec<VariantReading>) -> Result<Option<Judged>> {
        let poll = Poll {
            phases: vec![PhaseReadings { phase: 0, treatment_pct: self.request.treatment_pct, arms }],
            guards: Vec::new(),
            launched_at: self.seen_in.from,
            as_of: self.seen_in.to,
            is_sampled: false,
            has_flag_drift: false,
            scope: Scope::default(),
        };
        evaluate_poll(self.plan, &poll, None)
    }

    /// What the engine advises, without an end of a plan: there was none.
    fn recommended(&self, result: &Evaluation, has_final: bool) -> Recommendation {
        let is_judged = has_final && result.effect.is_some() && result.is_min_runtime_met;
        let unproven =
            if self.is_over && is_judged { Recommendation::IterateInconclusive } else { Recommendation::Continue };
        // A size relative to the control of these units is not known beforehand, so that nothing about it is excluded.
        let is_relative = matches!(self.request.mde, MinimumDetectableEffect::Relative(_));
        match result.advice.recommendation {
            _ if !has_final => Recommendation::Continue,
            Recommendation::KillFutility if is_relative => unproven,
            Recommendation::Continue => unproven,
            other => other,
        }
    }

    fn answer(
        &self,
        result: &Evaluation,
        has_final: bool,
        is_unfit: bool,
        findings: &[MetricFinding],
    ) -> Result<Answer> {
        let without = |state, says: String| Answer { state, says, sure: None };
        if let Some(problem) = findings.iter().find(|found| found.doubt == MetricDoubt::Problem).filter(|_| !is_unfit) {
            return Ok(without(AnswerState::Broken, format!("It cannot be judged: {}.", problem.message)));
        }
        if !is_unfit && !has_final {
            return Ok(without(AnswerState::TooEarly, self.nobody_final()));
        }
        if let Some(counted) = self.counted(result).filter(|_| !is_unfit) {
            return Ok(counted);
        }
        if result.advice.recommendation == Recommendation::Continue && !result.is_min_runtime_met {
            let days = self.seen_in.to.duration_since(self.seen_in.from).as_secs_f64() / 86_400.0;
            let says = format!("Units came in over {} days, and whole weeks are needed, at least one.", number(days));
            return Ok(without(AnswerState::TooEarly, says));
        }
        if result.advice.recommendation == Recommendation::Continue && result.effect.is_none() {
            return Ok(without(AnswerState::TooEarly, format!("Nothing can be said yet: {}", result.advice.reason)));
        }
        let signal = &self.plan.signal;
        Answer::to(&Asked {
            metric: &self.request.metric,
            scale: &self.scale,
            direction: self.plan.direction,
            unit: &self.plan.randomisation_unit,
            result: Some(result),
            pause: None,
            is_over: self.is_over,
            is_going_on: false,
            measurement: &self.plan.hypothesis.measurement,
            is_guarded: false,
            is_planned: false,
            answer_by: None,
            values: Values::of(signal, Some(self.seen_in.from)).all_final(),
            crossed: None,
        })
        .ok_or_else(|| Error::new(Code::Internal, "a comparison has no answer"))
    }

    fn nobody_final(&self) -> String {
        let window = self.plan.signal.contract.as_ref().map_or(0, |contract| contract.matures_after());
        let days = number(SignedDuration::from_secs(window).as_secs_f64() / 86_400.0);
        match self.is_over {
            true => format!(
                "Nothing can be said: an arm has nobody who had it for all of the {days} days after which a value is final, before it ended."
            ),
            false => {
                format!("It is too early to say: a value is final after {days} days, and an arm has none that is.")
            }
        }
    }

    /// Events that are too few for an estimate, counted exactly (STATS.md 2.5b).
    fn counted(&self, result: &Evaluation) -> Option<Answer> {
        let is_few = matches!(result.status, Status::InsufficientSample { .. }) && result.is_min_runtime_met;
        let [Some(ArmSums::Proportion { n: n_c, successes: c }), Some(ArmSums::Proportion { n: n_t, successes: t })] =
            both(&self.read.arms).map(|arm| arm.map(|arm| final_sums(arm).sums))
        else {
            return None;
        };
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let is_rare = is_few && (c + t) as f64 <= RARE_RATE * (n_c + n_t) as f64;
        let (c, t) = (u64::try_from(c).ok()?, u64::try_from(t).ok()?);
        let weights = (100.0 - self.request.treatment_pct, self.request.treatment_pct);
        let alpha = Alpha::try_new(self.request.alpha).ok()?;
        let found = is_rare.then(|| count_test(c, t, weights.0, weights.1, alpha).ok()).flatten()?;
        (found.p <= self.request.alpha).then(|| self.counted_answer(found, c, t))
    }

    fn counted_answer(&self, found: CountTest, c: u64, t: u64) -> Answer {
        let is_more = found.rate_ratio_ci.lower.is_some_and(|lower| lower > 1.0);
        let is_better = is_more == (Direction::from(self.plan.direction) == Direction::Increase);
        let (state, opening) =
            if is_better { (AnswerState::Worked, "It works") } else { (AnswerState::DidNot, "It does harm") };
        let ends = match (found.rate_ratio_ci.lower, found.rate_ratio_ci.upper) {
            (Some(lower), Some(upper)) => format!("between {} and {} times as often", number(lower), number(upper)),
            (Some(lower), None) => format!("at least {} times as often", number(lower)),
            (None, Some(upper)) => format!("at most {} times as often", number(upper)),
            (None, None) => "as often as may be".to_owned(),
        };
        let says = format!(
            "{opening}: `{}` happened {} times with it and {} times without, counted exactly since these are few, {ends}.",
            self.request.metric,
            count(t),
            count(c)
        );
        let sure = format!(
            "Of changes that do nothing, at most {} end like this, however often one looks.",
            percent(self.request.alpha)
        );
        Answer { state, says, sure: Some(sure) }
    }

    fn findings(&self) -> Vec<MetricFinding> {
        let mut found = Vec::new();
        found.extend(
            changed_share(&self.read.buckets).map(|message| MetricFinding { doubt: MetricDoubt::Problem, message }),
        );
        let n: i64 = self.read.arms.iter().filter_map(|arm| arm.sums.n()).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let is_often = self.read.n_before as f64 > OFTEN * (n + self.read.n_before) as f64;
        if is_often {
            let message = format!(
                "{} units had seen this flag in the year before `--from`, and are left out: begin where the experiment began, or the answer is \
                 about those who came later",
                count(u64::try_from(self.read.n_before).unwrap_or(0))
            );
            found.push(MetricFinding { doubt: MetricDoubt::Warning, message });
        }
        found
    }
}

/// The units whose values are final, as all that there is.
fn final_sums(arm: &VariantReading) -> VariantReading {
    VariantReading::new(arm.variant, arm.cohort.map_or(arm.sums, |cohort| cohort.claimed))
}

/// That the traffic was split in another way later: pooled, the arms hold people of different times.
fn changed_share(buckets: &[Bucket]) -> Option<String> {
    let counts: Vec<(u64, u64)> = buckets
        .iter()
        .map(|bucket| (u64::try_from(bucket.n[0]).unwrap_or(0), u64::try_from(bucket.n[1]).unwrap_or(0)))
        .collect();
    share_homogeneity_p(&counts).filter(|p| *p < CHANGED)?;
    let share = |bucket: &Bucket| {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        let [control, treatment] = bucket.n.map(|n| n as f64);
        treatment / (control + treatment)
    };
    let large = |bucket: &&Bucket| {
        bucket.n.iter().sum::<i64>() * 2 * i64::try_from(buckets.len()).unwrap_or(1) >= total(buckets)
    };
    let (mut low, mut high) = (buckets.first()?, buckets.first()?);
    for bucket in buckets.iter().filter(large) {
        if share(bucket) < share(low) {
            low = bucket;
        }
        if share(bucket) > share(high) {
            high = bucket;
        }
    }
    let at = |bucket: &Bucket| format!("{} from {}", percent(share(bucket)), bucket.window.from.strftime("%-d %b %Y"));
    Some(format!(
        "the share of the treatment changed while it ran ({}, {}), so the arms hold people of different times; compare the time of one split \
         with --from and --to",
        at(low),
        at(high)
    ))
}

fn total(buckets: &[Bucket]) -> i64 {
    buckets.iter().flat_map(|bucket| bucket.n).sum()
}
