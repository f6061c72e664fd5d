//! Experiments that run at a flag service already: taken over as they are, signed, watched, turned off when they harm, and let go.

mod growthbook;
mod posthog;

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::domain::{Design, ExperimentStatus, PauseCause, Stored, Verdict};
use outcome_core::usecases::{AttachRequest, FlagLineState};
use outcome_tests::lab::{FILE, Lab, PASSPHRASE, local};
use outcome_tests::programs::Cli;
use outcome_tests::sample;
use pretty_assertions::assert_eq;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::daemons::write_clock;
use crate::journey::each_database;
use growthbook::Growthbook;
use posthog::Posthog;

const KEY: &str = "soft-start";
/// A week before a laboratory begins.
const STARTED: &str = "2026-09-24T08:00:00Z";
const LEVELS: &str = "CREATE TABLE levels (value REAL); INSERT INTO levels VALUES (0.004);";
const ERRORS: &str = "      - { source: game, metric: error_rate, method: custom, query: { level: \"SELECT value FROM levels WHERE :from < :to\" } }\n";

/// The laboratory's file with this flag service, and an error rate beside its signals.
fn file(flags: &str) -> String {
    let (before, _) = FILE.split_once("feature_flags:").unwrap_or((FILE, ""));
    let one = "      - { source: push, metric: orders, method: event }\n";
    format!("{}{flags}", before.replace(one, &format!("{one}{ERRORS}")))
}

/// The same on SQLite and on PostgreSQL.
async fn each(flags: &str, check: impl AsyncFn(Lab) -> Result<()>) -> Result<()> {
    let files = [("posthog.secret", "phx_s3cret"), ("growthbook.secret", "secret_outcome_s3cret")];
    each_database(async |database| check(Lab::declaring_with(database, &file(flags), LEVELS, &files).await?).await)
        .await
}

fn request(provider: &str, experiment: &str) -> AttachRequest {
    AttachRequest { provider: provider.to_owned(), experiment: experiment.to_owned(), ..AttachRequest::default() }
}

async fn status_of(lab: &Lab, experiment: &str) -> Result<ExperimentStatus> {
    Ok(lab.runtime.experiments().show(experiment).await?.experiment.state.status)
}

async fn is_sound(lab: &Lab) -> Result<()> {
    let found = lab.runtime.audit_log().verify(&[]).await?;
    ensure!(found.problems.is_empty(), "{:?}", found.problems);
    Ok(())
}

/// Attached with one guard, and signed.
async fn attached(lab: &Lab, provider: &str, experiment: &str) -> Result<String> {
    let guards = vec!["error_rate < 1%".to_owned()];
    let asked =
        lab.runtime.experiments().attach(AttachRequest { guards, ..request(provider, experiment) }, &local()).await?;
    lab.decide(&asked.experiment, Verdict::Approve).await?;
    Ok(asked.experiment)
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_turns_the_flag_of_posthog_off_and_nothing_else_of_it_is_changed() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        posthog.kept().writes.clear();
        let before = posthog.flag(KEY)?;
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let asked = lab
            .runtime
            .experiments()
            .attach(AttachRequest { guards: vec!["error_rate < 1%".to_owned()], ..request("posthog", &id) }, &local())
            .await?;
        assert_eq!(asked.attached.treatment, "test");
        assert_eq!((asked.attached.treatment_pct, asked.attached.n_control), (50, Some(700)));
        assert_eq!(asked.attached.metrics_say, ["Came back"]);
        assert_eq!(
            asked.guards,
            [
                "`came_back` no worse than the control",
                "`crashes` at most 0.005 worse than the control",
                "`error_rate` at most 0.01"
            ]
        );
        let experiment = asked.experiment;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::AwaitingLaunchGate);
        lab.decide(&experiment, Verdict::Approve).await?;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Running);
        ensure!(posthog.kept().writes.is_empty(), "attaching wrote: {:?}", posthog.kept().writes);
        let view = lab.runtime.experiments().show(&experiment).await?;
        let plan = view.experiment.plan.as_ref().map(Stored::read).transpose()?.cloned();
        assert_eq!(plan.map(|plan| plan.design), Some(Design::Attached));
        assert_eq!(view.experiment.launched_at, Some(STARTED.parse()?));
        // A great success changes nothing: whether to keep it is decided there.
        lab.arms(KEY, (4000, 1200, 20), (4000, 2000, 20)).await?;
        lab.poll_after(24).await?;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Measuring);
        ensure!(posthog.is_on(KEY)?);
        // Harm.
        lab.arms(KEY, (6000, 1800, 30), (6000, 900, 30)).await?;
        lab.poll_after(1).await?;
        let state = lab.runtime.experiments().show(&experiment).await?.experiment.state;
        assert_eq!(state.status, ExperimentStatus::Paused);
        assert_eq!(state.pause.map(|pause| pause.cause), Some(PauseCause::KillThreshold));
        lab.runtime.outbox().deliver().await?;
        ensure!(!posthog.is_on(KEY)?, "it is still on");
        assert_eq!(posthog.kept().writes, [("disable".to_owned(), KEY.to_owned())]);
        let after = posthog.flag(KEY)?;
        assert_eq!((&after["filters"], &after["key"]), (&before["filters"], &before["key"]));
        let gates = lab.runtime.experiments().show(&experiment).await?.gates;
        let gate = lab.runtime.gates().show(&gates[0]).await?;
        let offered: Vec<Verdict> = gate.context.verdicts.clone();
        assert_eq!(offered, [Verdict::Resume, Verdict::Detach, Verdict::Kill]);
        lab.decide(&experiment, Verdict::Kill).await?;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Killed);
        ensure!(!lab.runtime.learnings().search("", None, 10, 0).await?.is_empty(), "nothing was learnt");
        is_sound(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn harm_turns_the_feature_of_growthbook_off_and_a_signed_resume_turns_it_on_again() -> Result<()> {
    let growthbook = Growthbook::running(KEY, STARTED).await;
    each(&growthbook.declared(), async |lab| {
        growthbook.kept().feature["environments"]["production"]["enabled"] = json!(true);
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        // By its tracking key, too.
        let experiment = attached(&lab, "growthbook", KEY).await?;
        lab.arms(KEY, (6000, 1800, 30), (6000, 1800, 300)).await?;
        lab.poll_after(1).await?;
        let state = lab.runtime.experiments().show(&experiment).await?.experiment.state;
        assert_eq!(state.pause.map(|pause| pause.cause), Some(PauseCause::Constraint));
        lab.runtime.outbox().deliver().await?;
        ensure!(!growthbook.is_on()?, "it is still on");
        assert_eq!(growthbook.kept().feature["environments"]["staging"]["enabled"], json!(true));
        lab.decide(&experiment, Verdict::Resume).await?;
        ensure!(growthbook.is_on()?, "it is still off");
        let rules = growthbook.kept().feature["rules"].clone();
        assert_eq!(rules[0]["type"], "experiment-ref");
        is_sound(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_of_everybody_beyond_a_guard_turns_it_off() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        lab.tell_source("UPDATE levels SET value = 0.004").await?;
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let experiment = attached(&lab, "posthog", &id).await?;
        lab.tell_source("UPDATE levels SET value = 0.08").await?;
        let mut n_days = 0;
        while status_of(&lab, &experiment).await? != ExperimentStatus::Paused {
            n_days += 1;
            ensure!(n_days < 6, "it is on after {n_days} days");
            lab.poll_after(24).await?;
        }
        lab.runtime.outbox().deliver().await?;
        ensure!(!posthog.is_on(KEY)?);
        let state = lab.runtime.experiments().show(&experiment).await?.experiment.state;
        let pause = state.pause.map(|pause| (pause.cause, pause.detail.contains("error_rate")));
        assert_eq!(pause, Some((PauseCause::Constraint, true)));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_it_there_has_it_turned_off_and_whoever_detaches_it_first_has_not() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        let shares = |control: u8, treatment: u8| {
            posthog.edit(KEY, |flag| {
                flag["active"] = json!(true);
                flag["filters"]["multivariate"]["variants"] =
                    json!([{ "key": "control", "rollout_percentage": control }, { "key": "test", "rollout_percentage": treatment }]);
            });
        };
        shares(50, 50);
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let first = attached(&lab, "posthog", &id).await?;
        shares(20, 80);
        lab.poll_after(1).await?;
        let state = lab.runtime.experiments().show(&first).await?.experiment.state;
        let pause = state.pause.map(|pause| (pause.cause, pause.detail));
        let (cause, detail) = pause.unwrap_or((PauseCause::Manual, String::new()));
        assert_eq!(cause, PauseCause::FlagDrift);
        ensure!(detail.contains("on at 80 %") && detail.contains("Ann Lee"), "{detail}");
        lab.runtime.outbox().deliver().await?;
        ensure!(!posthog.is_on(KEY)?);
        // It cannot be resumed as something else.
        posthog.kept().writes.clear();
        let resumed = lab.decide(&first, Verdict::Resume).await?;
        ensure!(format!("{:?}", resumed.deliveries).contains("has 80 % there, and had 50 %"), "{:?}", resumed.deliveries);
        ensure!(!posthog.is_on(KEY)? && posthog.kept().writes.is_empty(), "{:?}", posthog.kept().writes);
        lab.act(&first, Verdict::Kill).await?;
        Ok(())
    })
    .await?;
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        posthog.kept().experiments[0]["end_date"] = json!(null);
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let first = attached(&lab, "posthog", &id).await?;
        lab.poll_after(1).await?;
        lab.act(&first, Verdict::Detach).await?;
        assert_eq!(status_of(&lab, &first).await?, ExperimentStatus::Detached);
        posthog.kept().writes.clear();
        posthog.edit(KEY, |flag| flag["filters"]["multivariate"]["variants"][1]["rollout_percentage"] = json!(100));
        lab.poll_after(1).await?;
        lab.poll_after(30).await?;
        lab.runtime.outbox().deliver().await?;
        ensure!(posthog.is_on(KEY)? && posthog.kept().writes.is_empty(), "{:?}", posthog.kept().writes);
        ensure!(lab.runtime.flags().list().await?.is_empty(), "it is no flag of ours");
        // It can be guarded again, as it is then.
        posthog.edit(KEY, |flag| flag["filters"]["multivariate"]["variants"][1]["rollout_percentage"] = json!(50));
        let second = attached(&lab, "posthog", &id).await?;
        ensure!(first != second);
        // What ends there with its flag on is turned off, as its own page says.
        posthog.kept().experiments[0]["end_date"] = json!("2026-10-03T08:00:00Z");
        lab.poll_after(1).await?;
        let state = lab.runtime.experiments().show(&second).await?.experiment.state;
        ensure!(state.pause.is_some_and(|pause| pause.detail.contains("its experiment ended at 2026-10-03")));
        lab.runtime.outbox().deliver().await?;
        let line = lab.runtime.flags().list().await?;
        assert_eq!(line.iter().map(|line| line.state).collect::<Vec<_>>(), [FlagLineState::InPlace]);
        ensure!(!posthog.is_on(KEY)?);
        is_sound(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_once_after_the_signature_turns_nothing_off() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let experiment = attached(&lab, "posthog", &id).await?;
        lab.tell_source("ALTER TABLE arms RENAME TO away").await?;
        let polled = lab.poll_after(1).await?;
        ensure!(!polled.failures.is_empty(), "nothing failed");
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Running);
        lab.tell_source("ALTER TABLE away RENAME TO arms").await?;
        lab.poll_after(1).await?;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Measuring);
        // As for every experiment, silence for longer than the outcome allows turns it off.
        lab.tell_source("ALTER TABLE arms RENAME TO away").await?;
        for _ in 0..4 {
            lab.poll_after(8).await?;
        }
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Paused);
        lab.tell_source("ALTER TABLE away RENAME TO arms").await?;
        ensure!(!posthog.is_on(KEY)?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn off_is_seen_to_be_off_also_when_the_experiment_cannot_be_read() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.kept().hides_experiments = false;
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let experiment = attached(&lab, "posthog", &id).await?;
        lab.act(&experiment, Verdict::Pause).await?;
        ensure!(!posthog.is_on(KEY)?);
        posthog.kept().hides_experiments = true;
        lab.poll_after(1).await?;
        posthog.kept().writes.clear();
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        lab.poll_after(1).await?;
        lab.runtime.outbox().deliver().await?;
        ensure!(!posthog.is_on(KEY)?, "it was turned on again and stayed on");
        assert_eq!(posthog.kept().writes, [("disable".to_owned(), KEY.to_owned())]);
        // And while it is on, that is no drift, but people are told.
        posthog.kept().hides_experiments = false;
        lab.act(&experiment, Verdict::Resume).await?;
        ensure!(posthog.is_on(KEY)?);
        posthog.kept().hides_experiments = true;
        let polled = lab.poll_after(1).await?;
        ensure!(format!("{:?}", polled.failures).contains("could not be read"), "{:?}", polled.failures);
        ensure!(posthog.is_on(KEY)?);
        posthog.kept().hides_experiments = false;
        lab.act(&experiment, Verdict::Kill).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_keeps_nobody_from_turning_it_off() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        attached(&lab, "posthog", &id).await?;
        let change = match lab.is_postgres() {
            true => "UPDATE experiment SET hypothesis = jsonb_set(CAST(hypothesis AS jsonb), '{title}', '\"other\"')",
            false => "UPDATE experiment SET hypothesis = json_set(hypothesis, '$.title', 'other')",
        };
        lab.raw(change).await?;
        lab.poll_after(7).await?;
        lab.runtime.outbox().deliver().await?;
        ensure!(!posthog.is_on(KEY)?, "the flag is on");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_end_a_gate_asks_and_nothing_is_written() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        posthog.kept().writes.clear();
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let request = AttachRequest { days: Some(2), ..request("posthog", &id) };
        let experiment = lab.runtime.experiments().attach(request, &local()).await?.experiment;
        lab.decide(&experiment, Verdict::Approve).await?;
        for _ in 0..4 {
            lab.poll_after(23).await?;
        }
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::AwaitingAnalysisGate);
        let shown = lab.runtime.experiments().show(&experiment).await?;
        let gate = lab.runtime.gates().show(&shown.gates[0]).await?;
        assert_eq!(gate.context.verdicts, [Verdict::Extend, Verdict::Detach, Verdict::Kill]);
        ensure!(posthog.is_on(KEY)? && posthog.kept().writes.is_empty());
        // Whoever turned it off there has not asked for it to be on.
        posthog.edit(KEY, |flag| flag["active"] = json!(false));
        let error = lab.decide(&experiment, Verdict::Extend).await.unwrap_err();
        ensure!(format!("{error:#}").contains("is off, but the runtime set it to on"), "{error:#}");
        ensure!(!posthog.is_on(KEY)? && posthog.kept().writes.is_empty(), "{:?}", posthog.kept().writes);
        lab.poll_after(1).await?;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Paused);
        lab.decide(&experiment, Verdict::Detach).await?;
        assert_eq!(status_of(&lab, &experiment).await?, ExperimentStatus::Detached);
        is_sound(&lab).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_detaches_while_it_is_not_off_yet_is_told() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        posthog.kept().down = None;
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let experiment = attached(&lab, "posthog", &id).await?;
        posthog.kept().down = Some(418);
        lab.act(&experiment, Verdict::Pause).await?;
        let error = lab.act(&experiment, Verdict::Detach).await.unwrap_err();
        ensure!(error.to_string().contains("is not off yet"), "{error}");
        posthog.kept().down = None;
        lab.clock.advance(jiff::SignedDuration::from_hours(1));
        lab.runtime.outbox().deliver().await?;
        ensure!(!posthog.is_on(KEY)?);
        lab.act(&experiment, Verdict::Detach).await?;
        Ok(())
    })
    .await
}

/// Exposures and a metric of which the runtime writes the SQL: who was exposed is asked since the start there.
#[tokio::test(flavor = "multi_thread")]
async fn a_metric_of_the_file_counts_from_the_start_there() -> Result<()> {
    const TABLES: &str = "
        CREATE TABLE exposures (unit TEXT, flag TEXT, variant TEXT, at TEXT);
        CREATE TABLE orders (unit TEXT, at TEXT, total REAL);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO exposures SELECT 'u' || i, 'soft-start', CASE i % 2 WHEN 0 THEN 'control' ELSE 'test' END,
            strftime('%Y-%m-%dT%H:%M:%SZ', '2026-09-24T09:00:00Z', '+' || (i * 4) || ' minutes') FROM n;
        INSERT INTO orders SELECT unit, at, 20 FROM exposures WHERE CAST(substr(unit, 2) AS INTEGER) % 20 < 6;
        CREATE TABLE visits (unit TEXT, at TEXT); INSERT INTO visits SELECT unit, at FROM exposures;";
    const FILE: &str = "version: 1
outcomes:
  - id: retention
    title: More orders
    signal: { metric: ordered_1d }
    target: { direction: increase, from: 0.3, to: 0.35, baseline_tolerance: 1.0 }
    mde: 0.02
    horizon: 8w
metrics:
  - { name: ordered_1d, kind: conversion, of: orders, window: 1d, better: up }
  - { name: ordered_1h, kind: conversion, of: orders, window: 1h, better: up }
facts:
  orders: { source: shop, table: orders, at: at, units: { user: unit } }
  visits: { source: shop, table: visits, at: at, units: { user: unit } }
signal_connectors:
  - name: shop
    type: sql
    config: { url: \"sqlite:game.db\", time_format: iso8601 }
    exposures: { table: exposures, unit: unit, is: user, experiment: flag, variant: variant, at: at, variants: { control: [control], treatment: [test] } }
    population: { fact: visits }
";
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    let text = format!("{FILE}{}", posthog.declared());
    let lab = Lab::declaring_with(None, &text, TABLES, &[("posthog.secret", "phx_s3cret")]).await?;
    let metrics = vec!["ordered_1h".to_owned()];
    let asked =
        lab.runtime.experiments().attach(AttachRequest { metrics, ..request("posthog", &id) }, &local()).await?;
    assert_eq!((asked.attached.n_control, asked.attached.n_treatment), (Some(1000), Some(1000)));
    lab.decide(&asked.experiment, Verdict::Approve).await?;
    lab.poll_after(1).await?;
    assert_eq!(status_of(&lab, &asked.experiment).await?, ExperimentStatus::Measuring);
    // The treatment orders no more.
    lab.tell_source("DELETE FROM orders WHERE CAST(substr(unit, 2) AS INTEGER) % 2 = 1").await?;
    lab.poll_after(1).await?;
    assert_eq!(status_of(&lab, &asked.experiment).await?, ExperimentStatus::Paused);
    ensure!(!posthog.is_on(KEY)?);
    is_sound(&lab).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_attached_that_cannot_be_guarded() -> Result<()> {
    let posthog = Posthog::start().await;
    let id = posthog.begin(KEY, STARTED, (50, 50));
    let thirds = posthog.begin("thirds", STARTED, (50, 50));
    let odd = posthog.begin("odd", STARTED, (50, 50));
    each(&posthog.declared(), async |lab| {
        let ask = async |request: AttachRequest| match lab.runtime.experiments().attach(request, &local()).await {
            Ok(asked) => panic!("{asked:?}"),
            Err(error) => (error.code(), error.to_string()),
        };
        let of = |guard: &str| AttachRequest { guards: vec![guard.to_owned()], ..request("posthog", &id) };
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        posthog.edit("thirds", |flag| {
            let arm = |key: &str| json!({ "key": key, "rollout_percentage": 33 });
            flag["filters"]["multivariate"]["variants"] = json!([arm("control"), arm("a"), arm("b")]);
        });
        posthog.edit("odd", |flag| flag["filters"]["multivariate"]["variants"][1]["rollout_percentage"] = json!(25));
        let is = |(code, message): (Code, String), expected: Code, words: &str| {
            ensure!(code == expected && message.contains(words), "{code:?} {message}, and not {words}");
            Ok(())
        };
        is(ask(request("growthbook", "1")).await, Code::Conflict, "is `posthog`")?;
        is(ask(request("posthog", "99")).await, Code::NotFound, "99")?;
        is(ask(request("posthog", "../../users")).await, Code::NotFound, "users")?;
        posthog.kept().may_not_write = true;
        is(ask(request("posthog", &id)).await, Code::Conflict, "may not turn a flag off")?;
        posthog.kept().may_not_write = false;
        is(ask(request("posthog", &thirds)).await, Code::Conflict, "3 variants")?;
        is(ask(request("posthog", &odd)).await, Code::Conflict, "no whole percent")?;
        is(ask(request("posthog", &id)).await, Code::Conflict, "0 units of the control and 0 of the treatment")?;
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        is(ask(of("error_rate")).await, Code::InvalidInput, "neither")?;
        is(ask(of("nothing < 1%")).await, Code::InvalidInput, "no signal `nothing`")?;
        is(ask(of("came_back > 1%")).await, Code::InvalidInput, "own signal")?;
        is(ask(of("crashes < 1%")).await, Code::InvalidInput, "a constraint")?;
        is(ask(of("error_rate not worse by 1%")).await, Code::InvalidInput, "which way is better")?;
        is(ask(of("error_rate < 0.1%")).await, Code::Conflict, "beyond its limit already")?;
        is(ask(of("orders > 5")).await, Code::Conflict, "nothing was read of `orders`")?;
        let since = Some("2026-09-01T00:00:00Z".parse()?);
        is(ask(AttachRequest { since, ..request("posthog", &id) }).await, Code::InvalidInput, "after `--since`")?;
        is(
            ask(AttachRequest { days: Some(0), ..request("posthog", &id) }).await,
            Code::InvalidInput,
            "no time at all",
        )?;
        lab.arms(KEY, (7000, 2100, 30), (4000, 1200, 20)).await?;
        is(ask(request("posthog", &id)).await, Code::Conflict, "turned off at once")?;
        lab.arms(KEY, (7000, 2100, 30), (7000, 1000, 30)).await?;
        is(ask(request("posthog", &id)).await, Code::Conflict, "turned off at once")?;
        posthog.edit(KEY, |flag| flag["active"] = json!(false));
        is(ask(request("posthog", &id)).await, Code::Conflict, "nothing to guard")?;
        posthog.edit(KEY, |flag| flag["active"] = json!(true));
        ensure!(lab.runtime.experiments().list(None, 10).await?.is_empty(), "something was stored");
        // What changed between the gate and the signature is not signed.
        lab.arms(KEY, (700, 210, 3), (702, 212, 3)).await?;
        let asked = lab.runtime.experiments().attach(request("posthog", &id), &local()).await?;
        let again = ask(request("posthog", &id)).await;
        is(again, Code::Conflict, "belongs to")?;
        posthog.edit(KEY, |flag| flag["filters"]["multivariate"]["variants"][0]["key"] = json!("before"));
        let error = lab.decide(&asked.experiment, Verdict::Approve).await.unwrap_err();
        ensure!(format!("{error:#}").contains("none of its variants is `control`"), "{error:#}");
        posthog.edit(KEY, |flag| flag["filters"]["multivariate"]["variants"][0]["key"] = json!("control"));
        lab.decide(&asked.experiment, Verdict::Reject).await?;
        assert_eq!(status_of(&lab, &asked.experiment).await?, ExperimentStatus::Killed);
        ensure!(posthog.kept().writes.is_empty(), "{:?}", posthog.kept().writes);
        is_sound(&lab).await
    })
    .await
}

/// Attachments without any effect, by the programs: attached, signed and polled every hour.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_without_an_effect_are_hardly_ever_stopped_by_the_programs() -> Result<()> {
    const N: usize = 20;
    let posthog = Posthog::start().await;
    let text = file(&posthog.declared()).replace("max_concurrent: 3", "max_concurrent: 25");
    let lab = Lab::declaring_with(None, &text, LEVELS, &[("posthog.secret", "phx_s3cret")]).await?;
    let home = tempfile::tempdir()?;
    let clock = lab.root().join(".clock").display().to_string();
    let cli = Cli::new(&lab.root(), home.path(), PASSPHRASE, &[("OUTCOME_RUNTIME_CLOCK_FILE", &clock)])?;
    write_clock(&lab)?;
    let seed = sample::seed(20_261_130);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut arms = [[(0_i64, 0_i64, 0_i64); 2]; N];
    let mut come = |hours: i64, arms: &mut [[(i64, i64, i64); 2]]| {
        for pair in arms.iter_mut() {
            for _ in 0..hours * 30 {
                let arm = &mut pair[usize::from(rng.random_bool(0.5))];
                arm.0 += 1;
                arm.1 += i64::from(rng.random_bool(0.3));
                arm.2 += i64::from(rng.random_bool(0.02));
            }
        }
    };
    let key = |n: usize| format!("aa-{n}");
    come(7 * 24, &mut arms);
    let mut gates = Vec::new();
    for (n, [control, treatment]) in arms.iter().enumerate() {
        lab.arms(&key(n), *control, *treatment).await?;
        let id = posthog.begin(&key(n), STARTED, (50, 50));
        let asked = cli.try_run(&["--json", "attach", "posthog", &id])?;
        if asked.status.success() {
            let asked: serde_json::Value = serde_json::from_slice(&asked.stdout)?;
            gates.extend(asked["gate"].as_str().map(ToOwned::to_owned));
        } else {
            // One that looks harmful by now counts as one that was stopped.
            let why = String::from_utf8_lossy(&asked.stderr).into_owned();
            ensure!(why.contains("would be turned off at once"), "{why}");
        }
    }
    for gate in &gates {
        cli.signed(&["gate", "decide", gate, "--verdict", "approve"])?;
    }
    for _ in 0..sample::count(24, 14 * 24) {
        lab.clock.advance(jiff::SignedDuration::from_hours(1));
        write_clock(&lab)?;
        come(1, &mut arms);
        for (n, [control, treatment]) in arms.iter().enumerate() {
            lab.arms(&key(n), *control, *treatment).await?;
        }
        cli.run(&["poll", "--all"])?;
    }
    let mut n_on = 0;
    for n in 0..N {
        n_on += usize::from(posthog.is_on(&key(n))?);
    }
    let n_stopped = N - gates.len() + (N - n_on);
    // Stated are 7.6 % at most, and really stopped about 1 %: more than five of twenty would be one in a thousand at the stated share.
    ensure!(n_stopped <= 5, "{n_stopped} of {N} were stopped (seed {seed})");
    // It would have been seen: the last one harms from now on.
    let last = N - 1;
    let ([control, _], was_on) = (arms[last], posthog.is_on(&key(last))?);
    lab.arms(&key(last), control, (control.0, control.1 / 2, control.2)).await?;
    lab.clock.advance(jiff::SignedDuration::from_hours(1));
    write_clock(&lab)?;
    cli.run(&["poll", "--all"])?;
    ensure!(was_on && !posthog.is_on(&key(last))?, "harm was not seen, or it was off before (seed {seed})");
    is_sound(&lab).await
}
