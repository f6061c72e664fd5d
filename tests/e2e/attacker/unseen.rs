//! What an attacker in the member's account can do unseen. Nothing of it decides a gate, applies a change that needs a signature or
//! turns a flag on; each entry is shown.

use anyhow::{Result, ensure};

use super::catalogue::{command, poll};
use super::human::{Act, Ledger};
use super::oracle::{self, Facts};
use super::play::{self, Played};
use super::shop::{Prepared, RUNNING};
use super::step::{Environment, FileTrick, Step};
use super::store::Row;

/// Something that goes unseen.
struct Unseen {
    what: &'static str,
    steps: Vec<Step>,
    /// That it happened.
    happened: fn(&Facts) -> bool,
}

fn said(statements: &[&'static str]) -> Vec<Step> {
    statements.iter().map(|sql| Step::Row(Row::Said(sql))).collect()
}

fn status(facts: &Facts, slug: &str) -> String {
    facts.experiments.get(slug).cloned().unwrap_or_default()
}

/// The list, as `docs/security.md` has to have it.
fn list() -> Vec<Unseen> {
    vec![
        Unseen {
            what: "readings of a source that the attacker can write",
            steps: vec![Step::Source { flag: 0, successes: 700 }, Step::Later(6), poll()],
            happened: |facts| facts.readings.iter().any(|sums| sums.contains("1100") && sums.contains("700")),
        },
        Unseen {
            what: "a pause, which the log calls local",
            steps: vec![command(&["experiment", "pause", RUNNING, "--unsigned"])],
            happened: |facts| status(facts, RUNNING) == "paused",
        },
        Unseen {
            what: "a clock ahead, by which gates time out",
            steps: vec![Step::Environment(Environment::Clock(4)), poll()],
            happened: |facts| facts.gates.values().any(|status| status == "timed_out"),
        },
        Unseen {
            what: "lines after the member's last anchor, without a decision in them, are taken back: here a pause",
            steps: vec![
                Step::KeepStore,
                command(&["experiment", "pause", RUNNING, "--unsigned"]),
                Step::File(FileTrick::ForgetSeen),
                Step::PutStoreBack,
            ],
            happened: |facts| status(facts, RUNNING) != "paused",
        },
        Unseen {
            what: "when something is read, sent or tried again: a round, a message and a round's lease can be put off for ever",
            steps: said(&[
                "UPDATE signal_health SET due_at = '2099-01-01T00:00:00.000000Z'",
                "UPDATE outbox SET attempts = 19, next_attempt_at = '2099-01-01T00:00:00.000000Z'",
                "DELETE FROM lease",
                "UPDATE job SET due_at = '2099-01-01T00:00:00.000000Z', holder = 'gone'",
                "DELETE FROM account_turn",
                "DELETE FROM nonce",
                "DELETE FROM machine_clock",
            ]),
            happened: |facts| facts.n_decisions > 0,
        },
        Unseen {
            what: "a session and an agent's token in their tables, which give what this account has without them",
            steps: said(&[
                "INSERT INTO session (workspace_id, token_hash, member_id, csrf, created_at, expires_at)
                 SELECT workspace_id, 'forged', id, 'forged', created_at, '2099-01-01T00:00:00.000000Z' FROM member",
                "INSERT INTO agent_token (workspace_id, id, name, token_hash, created_at)
                 SELECT id, randomblob(16), 'forged', 'forged', created_at FROM workspace",
            ]),
            happened: |facts| facts.n_decisions > 0,
        },
        Unseen {
            what: "a line that needs no signature, with hashes that fit: here a refused try, once more",
            steps: vec![
                command(&["gate", "decide", "portfolio-shorter-level", "--verdict", "approve", "--unsigned"]),
                Step::Row(Row::Again { line: 1 }),
            ],
            happened: |facts| facts.n_decisions > 0,
        },
        Unseen {
            what: "columns that are only shown or sorted by",
            steps: said(&[
                "UPDATE experiment SET created_at = '2020-01-01T00:00:00.000000Z', updated_at = '2020-01-01T00:00:00.000000Z'",
                "UPDATE outcome SET created_at = '2020-01-01T00:00:00.000000Z'",
                "UPDATE measurement SET source = 'elsewhere', n = 1, value = 1",
                "UPDATE learning SET confidence = 0.99",
                "UPDATE workspace SET organisation = 'x'",
            ]),
            happened: |facts| facts.n_decisions > 0,
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_unseen_is_this_and_decides_nothing() -> Result<()> {
    let prepared = Prepared::on(None).await?;
    let ledger = Ledger::prepared(&Facts::of(&prepared.shop().await?).await?);
    let mut wrong = Vec::new();
    for Unseen { what, steps, happened } in list() {
        let played = play::played(&prepared, &ledger, &steps).await?;
        let Played { facts: Some(facts), found, differences, .. } = &played else { continue };
        if !happened(facts) || !found.verify.is_empty() || !differences.is_empty() {
            wrong.push(format!(
                "{what}: {}, {found:?}, {differences:?}, {:?} {:?}",
                happened(facts),
                facts.experiments,
                facts.gates
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Until the next round; then it is put right or said.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_flag_file_is_seen_by_the_next_round_and_not_before() -> Result<()> {
    let prepared = Prepared::on(None).await?;
    let ledger = Ledger::prepared(&Facts::of(&prepared.shop().await?).await?);
    for flag in [0, 1, 2] {
        let mut world = play::World::begun(&prepared, &ledger).await?;
        world.step(&Step::File(FileTrick::FlagOn(flag))).await?;
        ensure!(!oracle::flags(&world.shop, &ledger).is_empty(), "flag {flag} was not edited");
        ensure!(oracle::verified(&world.shop)?.is_empty());
        oracle::polled(&mut world.shop)?;
        ensure!(oracle::flags(&world.shop, &ledger).is_empty(), "flag {flag} is on after a round");
    }
    Ok(())
}

/// The oracle can fail: without the member's own launch in its list, that launch is one that nobody made.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_not_on_the_list_fails() -> Result<()> {
    let prepared = Prepared::on(None).await?;
    let ledger = Ledger::prepared(&Facts::of(&prepared.shop().await?).await?);
    let played = play::played(&prepared, &ledger, &[Step::Human(Act::LaunchTheBuilt)]).await?;
    ensure!(played.unseen().is_empty() && played.found.unsealing.is_none(), "{played:?}");
    let facts = played.facts.as_ref().ok_or_else(|| anyhow::anyhow!("no store"))?;
    let found = oracle::differences(facts, &ledger);
    ensure!(found.len() == 3, "gate, number of decisions and status: {found:?}");
    Ok(())
}
