//! Poll rounds beside slow sources and other programs: who may measure, when a flag is set, and what is due.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::{ExperimentStatus, Measurement};
use outcome_core::usecases::{PollRequest, Polled, RecomputeRequest, Runtime};
use outcome_tests::held::{VENDORS, held};
use outcome_tests::lab::{FILE, Lab, OUTCOME, commit, file_beside_held, file_with_levels, local};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::journey::each_lab_declaring;

const QUERY: &str = "query: { level: \"SELECT 1 AS value WHERE :from < :to\" }";

/// The laboratory's outcome with a second signal that the held source `name` answers, and a third one.
fn beside(name: &str) -> String {
    let signals = format!(
        "      - {{ source: {name}, metric: held, method: custom, {QUERY} }}\n      - {{ source: game, metric: third, method: \
         custom, {QUERY} }}\n"
    );
    declared(name, &FILE.replace("      - { source: push, metric: orders, method: event }\n", &signals))
}

fn declared(name: &str, file: &str) -> String {
    file.replace(
        "signal_connectors:\n",
        &format!("signal_connectors:\n  - {{ name: {name}, type: held, config: {{}} }}\n"),
    )
}

type Round = tokio::task::JoinHandle<outcome_core::Result<Polled>>;

/// Begins a round that reads everything.
fn begin(runtime: &Runtime) -> Round {
    let runtime = runtime.clone();
    tokio::spawn(
        async move { runtime.signals().poll(&PollRequest { is_forced: true, ..PollRequest::default() }).await },
    )
}

async fn poll(lab: &Lab, is_forced: bool) -> Result<Polled> {
    Ok(lab.runtime.signals().poll(&PollRequest { is_forced, ..PollRequest::default() }).await?)
}

/// Lets time pass for timers, which the laboratory's clock does not move.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Waits until whoever reads says that it is alive at least until `until`. The next time it says so may not have been scheduled yet when
/// time passes, so time passes again.
async fn until_alive(lab: &Lab, until: Timestamp) -> Result<()> {
    for n in 0..1000 {
        if n % 100 == 0 {
            pass(Duration::from_secs(21)).await;
        }
        if lab.raw(&format!("UPDATE worker SET holder = holder WHERE alive_until >= '{until:.6}'")).await? == 1 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("it does not say that it is alive");
}

async fn readings(lab: &Lab, signal: &str) -> Result<Vec<Measurement>> {
    let mut tx = lab.runtime.db().read(lab.runtime.workspace().id).await?;
    let outcome = tx.outcome_by_slug(OUTCOME).await?.context("no outcome")?;
    Ok(tx.measurement_levels(outcome.id, signal, 100).await?)
}

#[tokio::test]
async fn recomputing_waits_for_those_who_read_and_nobody_begins_meanwhile() -> Result<()> {
    let slow = held("slow-and-recomputed");
    let lab = Lab::with_vendors(None, &beside("slow-and-recomputed"), &VENDORS).await?;
    let round = begin(&lab.runtime);
    slow.until_asked().await;
    let runtime = lab.runtime.clone();
    let recomputing =
        tokio::spawn(async move { runtime.audit_log().recompute(&RecomputeRequest::default(), &local()).await });
    while lab.raw("UPDATE lease SET holder = holder WHERE name LIKE '%recompute%'").await? == 0 {
        ensure!(!recomputing.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(poll(&lab, true).await?.n_levels == 0, "nobody begins to read");
    ensure!(!recomputing.is_finished() && !round.is_finished(), "it waits for the source that is slow");
    slow.answer(1);
    ensure!(round.await??.failures.is_empty(), "what was begun is finished");
    recomputing.await??;
    Ok(())
}

#[tokio::test]
async fn what_a_round_reads_no_other_reads_while_it_waits_for_a_slow_source() -> Result<()> {
    let slow = held("slow-and-alive");
    let lab = Lab::with_vendors(None, &beside("slow-and-alive"), &VENDORS).await?;
    let began = lab.runtime.now();
    let round = begin(&lab.runtime);
    slow.until_asked().await;
    // Time that passes is none that other sources take.
    while readings(&lab, "third").await?.is_empty() {
        ensure!(!round.is_finished(), "the round is over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for n in 1..=3 {
        lab.clock.advance(SignedDuration::from_secs(10));
        until_alive(&lab, began + SignedDuration::from_secs(10 * n + 15)).await?;
    }
    let beside = poll(&lab, true).await?;
    ensure!(
        beside.n_levels == 2 && beside.failures.is_empty(),
        "what the other one has read is read again: {beside:?}"
    );
    let third = lab.runtime.signals().poll(&PollRequest::default()).await?;
    ensure!(third.is_skipped, "two programs read the same: {third:?}");
    slow.answer(1);
    let done = round.await??;
    ensure!(done.n_levels == 3 && done.failures.is_empty(), "{done:?}");
    slow.answer(1);
    ensure!(poll(&lab, true).await?.n_levels == 3, "what was read was not given back");
    Ok(())
}

#[tokio::test]
async fn a_poller_that_died_keeps_nobody_waiting_for_more_than_seconds() -> Result<()> {
    let slow = held("slow-and-dead");
    let lab = Lab::with_vendors(None, &beside("slow-and-dead"), &VENDORS).await?;
    let round = begin(&lab.runtime);
    slow.until_asked().await;
    round.abort();
    ensure!(round.await.is_err(), "the round ended by itself");
    lab.clock.advance(SignedDuration::from_secs(14));
    pass(Duration::from_secs(14)).await;
    ensure!(poll(&lab, true).await?.is_skipped);
    lab.clock.advance(SignedDuration::from_secs(1));
    slow.answer(1);
    ensure!(poll(&lab, true).await?.n_levels == 3);
    Ok(())
}

#[tokio::test]
async fn what_another_program_took_over_is_not_written() -> Result<()> {
    let slow = held("slow-and-late");
    let lab = Lab::with_vendors(None, &beside("slow-and-late"), &VENDORS).await?;
    let round = begin(&lab.runtime);
    slow.until_asked().await;
    // The program slept, as a laptop does, and another one took over.
    lab.clock.advance(SignedDuration::from_mins(2));
    let until = lab.runtime.now() + SignedDuration::from_secs(15);
    let workspace = lab.runtime.workspace().id;
    let mut tx = lab.runtime.db().write(workspace).await?;
    tx.worker_put("another", until).await?;
    tx.commit().await?;
    ensure!(lab.raw("UPDATE job SET holder = 'another' WHERE signal = 'held'").await? == 1);
    slow.answer(1);
    let done = round.await??;
    let [failure] = done.failures.as_slice() else { anyhow::bail!("{done:?}") };
    ensure!(failure.contains("`held`: another program reads it"), "{failure}");
    ensure!(done.n_levels == 2 && readings(&lab, "held").await?.is_empty(), "{done:?}");
    let again = lab.runtime.signals().poll(&PollRequest::default()).await?;
    ensure!(again.is_skipped && readings(&lab, "held").await?.is_empty(), "it is the other program's: {again:?}");
    Ok(())
}

#[tokio::test]
async fn what_was_read_is_stored_while_a_slow_source_is_waited_for() -> Result<()> {
    let slow = held("slow-after-others");
    let lab = Lab::with_vendors(None, &beside("slow-after-others"), &VENDORS).await?;
    lab.clock.advance(SignedDuration::from_mins(5));
    let n_before = readings(&lab, "came_back").await?.len();
    let round = begin(&lab.runtime);
    slow.until_asked().await;
    ensure!(readings(&lab, "came_back").await?.len() == n_before, "it waits for others to be stored with it");
    pass(Duration::from_secs(1)).await;
    let mut n_looks = 0;
    while readings(&lab, "came_back").await?.len() == n_before {
        n_looks += 1;
        ensure!(n_looks < 1000, "it still waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    round.abort();
    ensure!(round.await.is_err(), "the round ended by itself");
    ensure!(readings(&lab, "held").await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_cannot_be_read_or_stored_costs_no_other_its_reading() -> Result<()> {
    // More than are written in one transaction.
    const N_SIGNALS: usize = 130;
    let file =
        file_with_levels(N_SIGNALS).replace("SELECT 40 AS value", "SELECT 40 AS value, min(crashes) AS seen FROM arms");
    each_lab_declaring(&file, async |lab| {
        lab.tell_source("ALTER TABLE arms RENAME COLUMN crashes TO falls").await?;
        lab.raw(if lab.is_postgres() {
            "ALTER TABLE measurement ADD CONSTRAINT refused CHECK (signal <> 'level_70') NOT VALID"
        } else {
            "CREATE TRIGGER refused BEFORE INSERT ON measurement WHEN NEW.signal = 'level_70' BEGIN SELECT RAISE(ABORT, 'no'); END"
        })
        .await?;
        lab.clock.advance(SignedDuration::from_mins(5));
        let done = poll(&lab, true).await?;
        ensure!(usize::try_from(done.n_levels)? == N_SIGNALS - 2, "{} were read", done.n_levels);
        let [unread, refused] = done.failures.as_slice() else { anyhow::bail!("{:?}", done.failures) };
        ensure!(unread.contains("`level_40`") && unread.contains("crashes"), "{unread}");
        ensure!(refused.contains("`level_70`") && refused.contains("the database refused"), "{refused}");
        for n in 1..N_SIGNALS {
            let n_readings = readings(&lab, &format!("level_{n}")).await?.len();
            ensure!(n_readings == usize::from(n != 40 && n != 70), "{n_readings} readings of level_{n}");
        }
        // Both are tried again, but not at once.
        let next = poll(&lab, false).await?;
        ensure!(next.n_levels == 0 && next.failures.is_empty(), "{next:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_flag_is_off_while_the_source_of_another_outcome_hangs() -> Result<()> {
    let slow = held("slow-behind-a-flag");
    let later = format!(
        "  - id: slow\n    title: Slow\n    signal: {{ source: slow-behind-a-flag, metric: held, method: custom, {QUERY} }}\n    \
         target: {{ direction: increase, from: 0.50, to: 0.55, confidence: 0.95 }}\n    mde: 0.02\n    horizon: 8w\nsignal_connectors:\n"
    );
    let file = declared("slow-behind-a-flag", FILE);
    let lab = Lab::with_vendors(None, &file, &VENDORS).await?;
    // Younger, so that it is polled later.
    lab.clock.advance(SignedDuration::from_mins(1));
    std::fs::write(lab.root().join("outcome.yaml"), file.replace("signal_connectors:\n", &later))?;
    commit(&lab.root(), "Declare another outcome")?;
    let human = outcome_tests::lab::local();
    lab.runtime.outcomes().apply(&human, Some(&outcome_tests::lab::unlock())).await?;
    slow.answer(1);
    lab.runtime.outcomes().activate("slow", &outcome_tests::lab::unlock(), false).await?;
    slow.until_asked().await;
    let experiment = lab.running("Softer level", "soft").await?;
    ensure!(flag(&lab)?.contains("ENABLED"), "{}", flag(&lab)?);
    lab.arms("soft", (2000, 600, 8), (2000, 620, 900)).await?;
    lab.clock.advance(SignedDuration::from_hours(6));
    let round = begin(&lab.runtime);
    while !flag(&lab)?.contains("DISABLED") {
        ensure!(!round.is_finished(), "the round is over, and the flag is on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = lab.runtime.experiments().show(&experiment).await?.experiment.state.status;
    ensure!(status == ExperimentStatus::Paused, "{status}");
    ensure!(!round.is_finished(), "the slow source has not answered yet");
    slow.answer(100);
    let done = round.await??;
    ensure!(done.failures.is_empty(), "{done:?}");
    Ok(())
}

#[tokio::test]
async fn a_flag_is_off_while_fourteen_sources_hang() -> Result<()> {
    const N_SOURCES: usize = 14;
    let lab = Lab::with_vendors(None, &file_beside_held(N_SOURCES), &VENDORS).await?;
    let experiment = lab.running("Softer level", "soft").await?;
    lab.arms("soft", (2000, 600, 8), (2000, 620, 900)).await?;
    lab.clock.advance(SignedDuration::from_hours(6));
    let round = begin(&lab.runtime);
    while !flag(&lab)?.contains("DISABLED") {
        ensure!(!round.is_finished(), "the round is over, and the flag is on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let status = lab.runtime.experiments().show(&experiment).await?.experiment.state.status;
    ensure!(status == ExperimentStatus::Paused, "{status}");
    // Of what hangs, nothing has answered yet.
    ensure!(!round.is_finished());
    for n in 1..=N_SOURCES {
        held(&format!("hangs-{n}")).answer(100);
    }
    round.await??;
    Ok(())
}

fn flag(lab: &Lab) -> Result<String> {
    Ok(std::fs::read_to_string(lab.root().join("flags.json"))?)
}

#[tokio::test]
async fn what_is_due_is_read_and_what_is_applied_counts_at_the_next_round() -> Result<()> {
    let often = FILE.replace(
        "source: game\n        metric: crashed",
        "source: game\n        poll_interval: 1h\n        metric: crashed",
    );
    let lab = Lab::declaring(None, &often).await?;
    lab.running("Softer level", "soft").await?;
    lab.arms("soft", (400, 120, 1), (400, 121, 1)).await?;
    let first = poll(&lab, false).await?;
    ensure!((first.n_levels, first.experiments.len()) == (1, 1), "what was never read is due: {first:?}");
    let again = poll(&lab, false).await?;
    ensure!((again.n_levels, again.experiments.len()) == (0, 0), "{again:?}");
    lab.clock.advance(SignedDuration::from_hours(1));
    let hourly = poll(&lab, false).await?;
    ensure!((hourly.n_levels, hourly.experiments.len()) == (0, 1), "the constraint is read more often: {hourly:?}");

    // What lies in the work tree is a proposal, whatever it says.
    let path = lab.root().join("outcome.yaml");
    for text in [often.replace("sqlite:game.db", "sqlite:gone.db"), "version: 1\noutcomes: [".to_owned()] {
        std::fs::write(&path, text)?;
        lab.clock.advance(SignedDuration::from_hours(6));
        let unmoved = poll(&lab, false).await?;
        ensure!((unmoved.n_levels, unmoved.failures.len()) == (1, 0), "{unmoved:?}");
    }
    // What is applied counts at the next round; to read more often needs no signature.
    let hourly = "source: game\n        poll_interval: 1h\n        metric: came_back";
    std::fs::write(
        &path,
        often.replace("source: game\n      metric: came_back", &hourly.replace("        ", "      ")),
    )?;
    let applied = lab.runtime.outcomes().apply(&outcome_tests::lab::local(), None).await?;
    ensure!(applied.is_applied && applied.plan.is_change(), "{applied:?}");
    lab.clock.advance(SignedDuration::from_hours(1));
    let sooner = poll(&lab, false).await?;
    ensure!((sooner.n_levels, sooner.failures.len()) == (1, 0), "{sooner:?}");
    Ok(())
}

/// Everything that spans say, as lines.
#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::Error::other("poisoned"))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_poll_has_spans_and_they_carry_no_secret() -> Result<()> {
    let lab = Lab::sqlite().await?;
    lab.running("Softer level", "soft").await?;
    lab.arms("soft", (400, 120, 1), (400, 121, 1)).await?;
    lab.clock.advance(SignedDuration::from_hours(6));
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::NEW)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With a single subscriber in the process, other tests' threads, which have none, would decide that a span is off.
    let beside = tracing_subscriber::registry().set_default();
    let guard = subscriber.set_default();
    poll(&lab, true).await?;
    drop((guard, beside));
    let bytes = lines.0.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
    let text = String::from_utf8(bytes)?;
    // SQLite's statements have a target of their own, which no program turns on.
    let own: Vec<&str> = text.lines().filter(|line| !line.contains(" sqlx::")).collect();
    let own = own.join("\n");
    for span in [
        "signals.poll",
        "poll.round{is_forced=true}",
        "poll.signal{outcome=retention signal=came_back source=game}",
        "poll.experiment{experiment=softer-level}",
        "poll.phases{signal=crashes source=game}",
        "sql.query{source=game signal=came_back}",
    ] {
        ensure!(own.contains(span), "no span `{span}` in\n{own}");
    }
    for secret in [outcome_tests::lab::INGEST_SECRET, outcome_tests::lab::PASSPHRASE, "SELECT", "sqlite:"] {
        ensure!(!own.contains(secret), "`{secret}` is in\n{own}");
    }
    Ok(())
}
