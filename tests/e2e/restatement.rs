//! A source that corrects its past: the evidence becomes that of the corrected path, and nothing that was stored is lost.

use anyhow::{Context as _, Result};
use outcome_core::digest::{canonical_json, sha256_hex};
use outcome_core::domain::Experiment;
use outcome_core::stats::{self, Alpha, ArmSums, DataHealth, Evaluation, Phase, RunningState, Scope, Tau};
use outcome_core::store::StoredReading;
use outcome_core::usecases::{PollRequest, Polled};
use outcome_tests::lab::{self, Lab};
use outcome_tests::postgres;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::proof::{check_packs, check_paths, sealed, verify};

/// Units and successes of one arm.
type Counted = (u64, u64);

/// The laboratory's outcome on a source that remembers when each unit came, and that can be told to fail about its past.
fn file() -> String {
    let query = |columns: &str| {
        format!(
            "SELECT variant, sum(n) AS n, sum(n) AS n_units, {columns} AS successes FROM visits WHERE flag = :flag AND came_at >= :from AND \
             came_at < :to AND coalesce((SELECT json('{{' || before) FROM broken WHERE before > :to), 1) GROUP BY variant"
        )
    };
    let of = |columns: &str| {
        format!("SELECT variant, n, n AS n_units, {columns} FROM arms WHERE flag = :flag AND :from < :to")
    };
    lab::FILE
        .replace(&of("successes"), &query("sum(successes)"))
        .replace(&of("crashes AS successes"), &query("sum(crashes)"))
}

struct Visits {
    lab: Lab,
    experiment: String,
}

/// On SQLite and on PostgreSQL.
async fn each_source(test: impl AsyncFn(Visits) -> Result<()>) -> Result<()> {
    test(Visits::on(None).await?).await?;
    match postgres::server() {
        Ok(server) => test(Visits::on(Some(server.database().await)).await?).await,
        Err(skip) => {
            eprintln!("SKIPPED on PostgreSQL: {skip}");
            Ok(())
        }
    }
}

impl Visits {
    /// A running experiment.
    async fn on(database: Option<String>) -> Result<Self> {
        let tables = "
            CREATE TABLE visits (flag TEXT, variant TEXT, came_at TEXT, n INTEGER, successes INTEGER, crashes INTEGER,
                is_bot INTEGER);
            CREATE TABLE broken (before TEXT)";
        let lab = Lab::declaring_on(database, &file(), tables).await?;
        let experiment = lab.running("Softer level", "soft").await?;
        Ok(Self { lab, experiment })
    }

    /// So many units of an arm come now.
    async fn come(&self, variant: &str, (n, successes): (u64, u64), is_bot: bool) -> Result<()> {
        let at = self.lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S");
        let crashes = n / 500;
        let sql = format!(
            "INSERT INTO visits VALUES ('soft', '{variant}', '{at}', {n}, {successes}, {crashes}, {})",
            u8::from(is_bot)
        );
        self.lab.tell_source(&sql).await
    }

    /// Twelve hours of people, and in treatment of bots that always succeed; then a poll.
    async fn half_a_day(&self, control: (u64, u64), treatment: (u64, u64), bots: u64) -> Result<Polled> {
        self.come("control", control, false).await?;
        self.come("treatment", treatment, false).await?;
        if bots > 0 {
            self.come("treatment", (bots, bots), true).await?;
        }
        self.lab.poll_after(12).await
    }

    async fn experiment(&self) -> Result<Experiment> {
        Ok(self.lab.runtime.experiments().show(&self.experiment).await?.experiment)
    }

    async fn result(&self) -> Result<Value> {
        Ok(self.experiment().await?.current_result.context("nothing was evaluated")?.json().clone())
    }

    async fn running(&self) -> Result<RunningState> {
        Ok(self.experiment().await?.running.context("nothing is remembered")?.read()?.clone())
    }

    async fn readings(&self) -> Result<Vec<StoredReading>> {
        let mut tx = self.lab.runtime.db().read(self.lab.runtime.workspace().id).await?;
        Ok(tx.measurement_of_experiment(self.experiment().await?.id).await?)
    }

    /// What the log says about restatements, oldest first.
    async fn notes(&self) -> Result<Vec<Value>> {
        let log = self.lab.log().await?;
        Ok(log.into_iter().filter(|l| l.kind == "experiment.note_restated").map(|line| line.payload).collect())
    }

    /// The log holds, the readings explain the evaluation, and the independent program agrees.
    async fn check(&self) -> Result<()> {
        assert_eq!(self.lab.runtime.audit_log().verify(&[]).await?.problems, Vec::<String>::new());
        assert_eq!(check_paths(&self.lab).await?, 1);
        check_packs(&self.lab).await?;
        Ok(())
    }
}

/// Units and successes of control and treatment that come in each half day.
const PEOPLE: [((u64, u64), (u64, u64)); 5] = [
    ((700, 205), (690, 230)),
    ((650, 200), (640, 205)),
    ((800, 240), (810, 262)),
    ((720, 214), (700, 212)),
    ((900, 270), (905, 290)),
];

/// What the statistics remember of the primary signal after looks at these cumulative sums, in the first epoch.
fn remembered(experiment: &Experiment, looks: &[(Counted, Counted)]) -> Result<RunningState> {
    let launched_at = experiment.launched_at.context("not launched")?;
    let plan = experiment.plan.as_ref().context("no plan")?.read()?;
    let plan = stats::TestPlan {
        alpha: Alpha::try_new(plan.alpha)?,
        tau: Some(Tau::try_new(plan.tau)?),
        ..stats::TestPlan::default()
    };
    let mut state = RunningState::default();
    let (mut control, mut treatment) = ((0, 0), (0, 0));
    for (i, (more_control, more_treatment)) in looks.iter().enumerate() {
        let sums = |all: &mut (u64, u64), more: &(u64, u64)| {
            *all = (all.0 + more.0, all.1 + more.1);
            ArmSums::Proportion { n: all.0, successes: all.1 }
        };
        let phases = [Phase {
            number: 0,
            control_weight: 50.0,
            treatment_weight: 50.0,
            control: sums(&mut control, more_control),
            treatment: sums(&mut treatment, more_treatment),
        }];
        let input = Evaluation {
            cohorts: None,
            plan: &plan,
            phases: &phases,
            elapsed_days: 1.0,
            as_of: launched_at.as_second() + 43_200 * (i as i64 + 1),
            guardrails: &[],
            health: DataHealth::default(),
            scope: Scope::default(),
        };
        stats::assess(&input, &mut state);
    }
    Ok(state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_past_becomes_the_evidence_of_a_new_epoch() -> Result<()> {
    each_source(async |source| {
        for (control, treatment) in PEOPLE {
            source.half_a_day(control, treatment, 60).await?;
        }
        let wrong = source.running().await?;
        assert!(wrong.test.max_ln_e > 3.0, "bots make the treatment look better: {:?}", wrong.test);
        let before = source.readings().await?;

        // The bots are taken out of the past. The next poll replays the path without them, and is judged.
        source.lab.tell_source("DELETE FROM visits WHERE is_bot = 1").await?;
        let polled = source.lab.poll_after(1).await?;
        assert_eq!(polled.failures, Vec::<String>::new());
        let (result, running) = (source.result().await?, source.running().await?);
        assert_eq!(result["verdict"]["decision"], "continue", "{result}");
        assert_eq!(result["health"][0]["code"], "restated", "{result}");
        let want = remembered(&source.experiment().await?, &PEOPLE)?;
        assert_eq!((running.epoch, running.test), (2, want.test));
        assert!(want.test.max_ln_e > 0.1 && want.test.max_ln_e < 3.0, "{:?}", want.test);
        assert_eq!(running.srm_max_ln_e, want.srm_max_ln_e);
        assert_eq!(running.tuning, wrong.tuning);
        assert_eq!(result["p_running"], json!(want.test.p()));
        assert_eq!(result["ci_running"], json!(want.test.ci));
        let notes = source.notes().await?;
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0]["n_reread"], 5, "{}", notes[0]);
        assert_eq!(
            (&notes[0]["n_replayed"], &notes[0]["epoch"], &notes[0]["failure"]),
            (&json!(5), &json!(2), &json!(null))
        );

        // Nothing that was stored is changed; what was read again stands beside it: five polls of two signals and arms.
        let after = source.readings().await?;
        assert_eq!(after[..before.len()], before[..]);
        let reread = after.iter().filter(|reading| reading.origin.reread_of().is_some());
        assert_eq!(reread.count(), 5 * 2 * 2);
        assert_eq!(after.len(), before.len() + 5 * 2 * 2 + 2 * 2);
        assert_eq!(source.lab.runtime.experiments().series(&source.experiment, 1000).await?.len(), 6 * 2);
        source.check().await?;

        // The same poll again changes nothing.
        let request = PollRequest { is_forced: true, ..PollRequest::default() };
        source.lab.runtime.signals().poll(&request).await?;
        assert_eq!(source.running().await?, running);
        assert_eq!(source.result().await?["ci_running"], result["ci_running"]);
        assert_eq!(source.readings().await?, after);
        assert_eq!(source.notes().await?.len(), 1);

        // And the experiment goes on.
        source.half_a_day((5000, 1500), (5000, 1700), 0).await?;
        let (result, running) = (source.result().await?, source.running().await?);
        assert_eq!((running.epoch, &result["verdict"]["decision"]), (2, &json!("continue")), "{result}");
        assert!(running.test.max_ln_e > want.test.max_ln_e && source.notes().await?.len() == 1);
        source.check().await?;

        // A second correction begins a third epoch, of all earlier polls.
        source.lab.tell_source("UPDATE visits SET n = n - 100, successes = successes - 50 WHERE n > 4000").await?;
        source.lab.poll_after(1).await?;
        assert_eq!(source.running().await?.epoch, 3);
        assert_eq!(source.notes().await?[1]["n_replayed"], 7);
        source.check().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_what_was_read_again_is_found() -> Result<()> {
    let source = Visits::on(None).await?;
    for (control, treatment) in PEOPLE {
        source.half_a_day(control, treatment, 60).await?;
    }
    source.lab.tell_source("DELETE FROM visits WHERE is_bot = 1").await?;
    source.lab.poll_after(1).await?;
    let pack = serde_json::to_value(source.lab.runtime.audit_log().proof(&source.experiment).await?)?;
    let last = pack["snapshots"].as_array().context("no snapshots")?.len() - 1;
    let readings = pack["snapshots"][last]["readings"].as_array().context("no readings")?;
    let of = |reading: &Value| reading["signal"] == "came_back" && reading["reread_of"].is_string();
    let i = readings.iter().rposition(of).context("nothing was read again")?;
    let Some((Some(0), _)) = verify(&source.lab, &pack, None)? else {
        eprintln!("SKIPPED: the independent program does not run here");
        return Ok(());
    };
    let place = format!("/snapshots/{last}/readings/{i}");
    for (what, changed) in [
        ("/sums/successes", json!(1)),
        ("/window/to", pack["experiment"]["launched_at"].clone()),
        ("/reread_of", Value::Null),
        ("/reread_of", pack["snapshots"][1]["measured_at"].clone()),
    ] {
        // A forger makes seal and digest fit again; the calculation finds it all the same.
        for is_digest_kept in [true, false] {
            let mut forged = pack.clone();
            *forged.pointer_mut(&format!("{place}{what}")).context("no such place")? = changed.clone();
            if !is_digest_kept {
                let readings = forged["snapshots"][last]["readings"].as_array().context("no readings")?;
                let names = ["signal", "phase", "variant", "window", "sums", "query_hash", "raw_hash"];
                let line = |r: &Value| -> Vec<Value> {
                    let again = Some(r["reread_of"].clone()).filter(|of| !of.is_null());
                    names.map(|name| r[name].clone()).into_iter().chain(again).collect()
                };
                let digest = sha256_hex(canonical_json(&readings.iter().map(line).collect::<Vec<_>>())?);
                forged["snapshots"][last]["logged"]["digest"] = json!(digest);
            }
            let said = verify(&source.lab, &sealed(forged)?, None)?;
            assert!(matches!(said, Some((Some(1), _))), "{what} with {changed}: {said:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_about_its_past_leaves_an_empty_epoch_and_says_so() -> Result<()> {
    each_source(async |source| {
        for (control, treatment) in PEOPLE {
            source.half_a_day(control, treatment, 60).await?;
        }
        let now = source.lab.runtime.now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        source.lab.tell_source("DELETE FROM visits WHERE is_bot = 1").await?;
        source.lab.tell_source(&format!("INSERT INTO broken VALUES ('{now}')")).await?;
        let n_before = source.readings().await?.len();
        let polled = source.lab.poll_after(1).await?;
        assert!(polled.failures.len() == 1 && polled.failures[0].contains("could not be read again"), "{polled:?}");
        let running = source.running().await?;
        // The evidence is that of this poll alone.
        let result = source.result().await?;
        let ln_e = result["ln_e"].as_f64().context("no evidence")?;
        assert_eq!((running.epoch, running.test.max_ln_e), (2, ln_e.max(0.0)));
        assert_eq!(result["ci_running"], result["ci"]);
        assert_eq!(result["verdict"]["decision"], "continue");
        let notes = source.notes().await?;
        assert_eq!((&notes[0]["n_reread"], &notes[0]["n_replayed"]), (&json!(0), &json!(0)));
        assert!(
            notes[0]["failure"].as_str().context("no failure")?.contains("could not be read again"),
            "{}",
            notes[0]
        );
        assert_eq!(source.readings().await?.len(), n_before + 4, "half of a path is not stored");
        source.check().await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_pushed_the_newest_revisions_count_and_contradictions_do_not() -> Result<()> {
    // Activation has to ask; what is asked may be pushed from then on.
    let (begin, rest) = lab::FILE.split_once("      source: game\n      metric: came_back").context("no signal")?;
    let (_, rest) = rest.split_once("    secondary_signals:").context("no secondary signals")?;
    let (middle, rest) = rest.split_once("    constraints:").context("no constraints")?;
    let (_, end) = rest.split_once("    horizon:").context("no horizon")?;
    let signal = "      source: push\n      metric: came_back\n      method: event\n    secondary_signals:";
    let lab = Lab::sqlite().await?;
    lab::write(&lab.root(), "outcome.yaml", &format!("{begin}{signal}{middle}    horizon:{end}"))?;
    let human = outcome_tests::lab::local();
    lab.runtime.outcomes().apply(&human, Some(&outcome_tests::lab::unlock())).await?;
    lab::commit(&lab.root(), "Push the signal")?;
    let experiment = lab.running("Softer level", "soft").await?;
    let source = Visits { lab, experiment };
    let began = source.lab.runtime.now();
    let hours = |hours: i64| began.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
    // Cumulative sums of the windows up to 12, 24, 36 ... hours, as they are pushed.
    let pushes: [(i64, Counted, Counted); 7] = [
        (12, (700, 205), (750, 290)),
        (24, (1350, 405), (1450, 495)),
        (36, (2150, 645), (2320, 820)),
        // Revisions of the first and the second window; the third is not corrected, and contradicts what comes.
        (12, (700, 205), (690, 230)),
        (24, (1350, 405), (1330, 435)),
        (48, (2140, 640), (2130, 700)),
        (60, (3000, 900), (3000, 990)),
    ];
    for (i, (until, control, treatment)) in pushes.into_iter().enumerate() {
        source.lab.clock.advance(jiff::SignedDuration::from_hours(13));
        let arm = |name: &str, (n, successes): (u64, u64)| json!({ "variant": name, "n": n, "successes": successes });
        let body = json!({ "schema_version": 1, "source": "push", "signal": "came_back", "outcome": lab::OUTCOME,
            "experiment": source.experiment, "phase": 0, "window": { "from": began, "to": hours(until) },
            "readings": [arm("control", control), arm("treatment", treatment)] });
        source.lab.push(&format!("msg_{i}"), &body).await?;
        source.lab.poll_after(1).await?;
        source.check().await?;
        let running = source.running().await?;
        match i {
            // What is older than what was seen is held and leaves no trace.
            0..=4 => assert_eq!((running.epoch, source.notes().await?.len()), (1, 0), "push {i}"),
            5 => {
                let looks = [((700, 205), (690, 230)), ((650, 200), (640, 205))];
                let want = remembered(&source.experiment().await?, &looks)?;
                // The evidence of the path, and then that of this poll.
                assert!(running.epoch == 2 && running.test.max_ln_e >= want.test.max_ln_e, "{running:?}");
                assert!(want.test.ci != stats::Interval::UNBOUNDED);
                let notes = source.notes().await?;
                assert_eq!((&notes[0]["n_reread"], &notes[0]["n_replayed"]), (&json!(0), &json!(2)));
                assert_eq!(source.result().await?["health"][0]["code"], "restated");
            }
            _ => assert_eq!(
                (running.epoch, source.result().await?["verdict"]["decision"].clone()),
                (2, json!("continue"))
            ),
        }
    }
    Ok(())
}
