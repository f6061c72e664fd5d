//! `metrics compare`: what an experiment came to that ran somewhere else, and when nothing may be said.

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::Code;
use outcome_core::domain::{EvidenceGrade, MinimumDetectableEffect};
use outcome_core::present::AnswerState;
use outcome_core::usecases::{MetricCompareRequest, MetricCompared, MetricDoubt};
use outcome_tests::lab::Lab;

use crate::journey::each_database;
use crate::metrics::{Day, begin, day};

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_ran_elsewhere_has_a_verdict_of_its_final_units() -> Result<()> {
    each_database(async |database| {
        let (lab, _) = begin(database).await?;
        let begin = lab.runtime.now();
        let better = Day { players: 1000, control: 0.30, treatment: 0.36 };
        for number in 0..21_i64 {
            let at = begin + jiff::SignedDuration::from_hours(24 * number);
            lab.tell_source(&day(1_000_000 + number * 10_000, at, &better, true)).await?;
        }
        lab.clock.advance(jiff::SignedDuration::from_hours(24 * 30));
        let log = lab.log().await?.len();
        let request = MetricCompareRequest {
            metric: "came_back".to_owned(),
            flag: "soft".to_owned(),
            from: begin,
            to: Some(begin + jiff::SignedDuration::from_hours(24 * 21)),
            treatment_pct: 50.0,
            mde: MinimumDetectableEffect::Relative(0.1),
            alpha: 0.05,
        };
        let signals = lab.runtime.signals();
        let found = signals.metric_compare(&request).await?;
        // The flag went off after 21 days: whoever was exposed in the last seven did not have it for all of their window.
        let counts = (found.n_exposed, [found.result.n_control, found.result.n_treatment]);
        ensure!(counts == ([10_500; 2], [7_000; 2]), "{counts:?}");
        let effect = found.result.effect.context("no effect")?;
        ensure!((effect - 0.06).abs() < 1e-9 && (found.minimum_detectable_effect - 0.03).abs() < 1e-9, "{effect}");
        ensure!(found.answer.state == AnswerState::Worked, "{:?}", found.answer);
        ensure!(
            found.answer.says.starts_with("It works: `came_back` is 36.0 % with it, 30.0 % without"),
            "{:?}",
            found.answer
        );
        ensure!(found.result.grade == Some(EvidenceGrade::B), "nobody signed a plan: {:?}", found.result.grade);
        // While it still runs, everybody whose values are final counts.
        let running = signals.metric_compare(&MetricCompareRequest { to: None, ..request.clone() }).await?;
        ensure!([running.result.n_control, running.result.n_treatment] == [10_500; 2], "{:?}", running.result);
        // Twice as many in the treatment were planned: what came was not what was declared.
        let uneven = MetricCompareRequest { treatment_pct: 67.0, ..request.clone() };
        let uneven = signals.metric_compare(&uneven).await?;
        ensure!(uneven.answer.state == AnswerState::Broken && uneven.answer.sure.is_none(), "{:?}", uneven.answer);

        let nobody = MetricCompareRequest { flag: "hard".to_owned(), ..request.clone() };
        let refused = signals.metric_compare(&nobody).await.unwrap_err();
        ensure!(refused.code() == Code::NotFound && refused.message().contains("0 units"), "{refused}");
        let backwards = MetricCompareRequest { to: Some(begin), ..request.clone() };
        ensure!(signals.metric_compare(&backwards).await.unwrap_err().code() == Code::InvalidInput);
        let unknown = MetricCompareRequest { metric: "come_back".to_owned(), ..request };
        ensure!(signals.metric_compare(&unknown).await.unwrap_err().code() == Code::NotFound);
        ensure!(lab.log().await?.len() == log, "a look leaves no line");
        Ok(())
    })
    .await
}

/// Players of a day who see `elsewhere`: of ten, so many get the treatment; each arm's share comes back after so many hours.
struct Seen {
    first: i64,
    players: i64,
    treated_of_ten: i64,
    rates: [f64; 2],
    hours: i64,
}

/// An experiment that this runtime did not launch.
struct Elsewhere {
    lab: Lab,
    began: Timestamp,
}

impl Elsewhere {
    async fn new() -> Result<Self> {
        let (lab, _) = begin(None).await?;
        let began = lab.runtime.now();
        Ok(Self { lab, began })
    }

    fn at(&self, hours: i64) -> Timestamp {
        self.began + SignedDuration::from_hours(hours)
    }

    async fn day(&self, day: i64, of: &Seen) -> Result<()> {
        let shown = |hours: i64| self.at(24 * day + hours).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let (mut seen, mut plays, mut n) = (Vec::new(), Vec::new(), [0, 0]);
        for number in 0..of.players {
            let arm = usize::from(number % 10 < of.treated_of_ten);
            let player = of.first + number;
            seen.push(format!("({player}, 'elsewhere', '{}', '{}')", ["control", "treatment"][arm], shown(1)));
            n[arm] += 1;
            let had = (f64::from(n[arm] - 1) * of.rates[arm]).floor();
            if (f64::from(n[arm]) * of.rates[arm]).floor() > had {
                plays.push(format!("({player}, 'again', '{}')", shown(1 + of.hours)));
            }
        }
        let plays =
            if plays.is_empty() { String::new() } else { format!("INSERT INTO plays VALUES {};", plays.join(",")) };
        self.lab.tell_source(&format!("{plays} INSERT INTO seen VALUES {}", seen.join(","))).await?;
        Ok(())
    }

    /// From its first day on, with equal arms.
    fn running(&self, mde: MinimumDetectableEffect) -> MetricCompareRequest {
        MetricCompareRequest {
            metric: "came_back".to_owned(),
            flag: "elsewhere".to_owned(),
            from: self.began,
            to: None,
            treatment_pct: 50.0,
            mde,
            alpha: 0.05,
        }
    }

    /// From its first day to this one, ten weeks later.
    async fn compared(&self, days: i64, mde: MinimumDetectableEffect, treatment_pct: f64) -> Result<MetricCompared> {
        let ago = self.at(24 * 70).duration_since(self.lab.runtime.now());
        self.lab.clock.advance(ago);
        let request = MetricCompareRequest { to: Some(self.at(24 * days)), treatment_pct, ..self.running(mde) };
        Ok(self.lab.runtime.signals().metric_compare(&request).await?)
    }
}

const TENTH: MinimumDetectableEffect = MinimumDetectableEffect::Relative(0.1);

#[tokio::test(flavor = "multi_thread")]
async fn a_ramp_is_not_taken_for_an_effect() -> Result<()> {
    let game = Elsewhere::new().await?;
    for number in 0..20 {
        // Nothing works; later more people come back, and more of them have the treatment.
        let (treated_of_ten, rate) = if number < 10 { (1, 0.1) } else { (5, 0.3) };
        let of = Seen { first: number * 1000, players: 800, treated_of_ten, rates: [rate; 2], hours: 30 };
        game.day(number, &of).await?;
    }
    let found = game.compared(30, TENTH, 30.0).await?;
    ensure!(found.answer.state == AnswerState::Broken && found.answer.sure.is_none(), "{:?}", found.answer);
    ensure!(
        found.answer.says.contains("the share of the treatment changed while it ran (10 % from"),
        "{:?}",
        found.answer
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_saw_the_flag_before_is_left_out_and_said() -> Result<()> {
    let game = Elsewhere::new().await?;
    for number in 0..10 {
        let of = Seen { first: number * 1000, players: 200, treated_of_ten: 5, rates: [0.3; 2], hours: 30 };
        game.day(number - 28, &of).await?;
        game.day(number, &of).await?;
        game.day(number, &Seen { first: 100_000 + number * 1000, ..of }).await?;
    }
    let found = game.compared(20, TENTH, 50.0).await?;
    ensure!((found.n_before, found.n_exposed) == (2000, [1000, 1000]), "{found:?}");
    let [warning] = &found.findings[..] else { anyhow::bail!("{:?}", found.findings) };
    ensure!(
        warning.doubt == MetricDoubt::Warning && warning.message.starts_with("2,000 units had seen"),
        "{warning:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_after_the_end_is_no_harm() -> Result<()> {
    let game = Elsewhere::new().await?;
    for number in 0..5 {
        // Five days later, when the flag is off, nobody of the treatment comes back.
        let of = Seen { first: number * 1000, players: 1000, treated_of_ten: 5, rates: [0.5, 0.0], hours: 24 * 5 };
        game.day(number, &of).await?;
    }
    let found = game.compared(5, TENTH, 50.0).await?;
    ensure!(found.answer.state == AnswerState::TooEarly, "{:?}", found.answer);
    ensure!(found.answer.says.contains("nobody who had it for all of the 7.25 days"), "{:?}", found.answer);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_days_and_no_more_are_too_early_whatever_the_dates_say() -> Result<()> {
    let game = Elsewhere::new().await?;
    for number in 0..4 {
        let of = Seen { first: number * 1000, players: 1000, treated_of_ten: 5, rates: [0.2, 0.4], hours: 30 };
        game.day(number, &of).await?;
    }
    let found = game.compared(30, TENTH, 50.0).await?;
    ensure!(found.answer.state == AnswerState::TooEarly, "{:?}", found.answer);
    ensure!(
        found.answer.says == "Units came in over 4 days, and whole weeks are needed, at least one.",
        "{:?}",
        found.answer
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_too_few_for_an_estimate_are_counted() -> Result<()> {
    let game = Elsewhere::new().await?;
    for number in 0..10 {
        let of = Seen { first: number * 1000, players: 1000, treated_of_ten: 5, rates: [0.0, 0.004], hours: 30 };
        game.day(number, &of).await?;
    }
    let found = game.compared(30, MinimumDetectableEffect::Absolute(0.002), 50.0).await?;
    ensure!(found.result.effect.is_none(), "{:?}", found.result);
    ensure!(found.answer.state == AnswerState::Worked, "{:?}", found.answer);
    ensure!(
        found.answer.says.starts_with("It works: `came_back` happened 20 times with it and 0 times"),
        "{:?}",
        found.answer
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_follows_from_the_same_rows_is_not_excluded_by_them() -> Result<()> {
    let game = Elsewhere::new().await?;
    for number in 0..10 {
        let of = Seen { first: number * 1000, players: 1000, treated_of_ten: 5, rates: [0.3; 2], hours: 30 };
        game.day(number, &of).await?;
    }
    let found = game.compared(30, MinimumDetectableEffect::Relative(0.5), 50.0).await?;
    ensure!(found.answer.state == AnswerState::DidNot, "{:?}", found.answer);
    ensure!(found.answer.says.starts_with("It was not shown to work in its time: "), "{:?}", found.answer);
    let found = game.compared(30, MinimumDetectableEffect::Absolute(0.15), 50.0).await?;
    ensure!(
        found.answer.says.starts_with("It does not bring the 15 points that one looked for: "),
        "{:?}",
        found.answer
    );
    let request = game.running(MinimumDetectableEffect::Absolute(10.0));
    let refused = game.lab.runtime.signals().metric_compare(&request).await.unwrap_err();
    ensure!(refused.code() == Code::InvalidInput && refused.message().contains("between 0 and 1"), "{refused}");
    Ok(())
}
