//! The attacks that were found once, and neighbours of each: what is refused, and what is found.

use anyhow::{Result, ensure};

use super::git::GitTrick;
use super::human::{Act, FORBIDDEN, Ledger};
use super::oracle::Facts;
use super::play;
use super::shop::{BUILDING, BUILT, PAUSED, Prepared, RUNNING, WAITING};
use super::step::{Environment, FileTrick, POWERFUL, Step};
use super::store::{OTHERS, Row};
use outcome_tests::lab::OUTCOME;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    /// The member's list and the store agree, and nobody is alarmed.
    Refused,
    /// Another machine finds it.
    Found,
}

pub(super) fn command(args: &[&str]) -> Step {
    Step::Command { args: args.iter().map(|arg| (*arg).to_owned()).collect(), guess: false }
}

pub(super) fn poll() -> Step {
    command(&["poll", "--all"])
}

pub(super) fn written(table: &'static str, column: &'static str, value: &str) -> Step {
    let other = OTHERS.iter().position(|other| *other == value).unwrap_or(usize::MAX);
    Step::Row(Row::Written { table, column, other, row: 1 })
}

const LONG_AGO: &str = "'2020-01-01T00:00:00.000000Z'";
const FORGED: &str = "'forged'";
const DOCUMENT: &str = "'{\"forged\": true}'";

/// What nothing of the store is needed for.
fn through_doors() -> Vec<(&'static str, Is, Vec<Step>)> {
    let mut every_edit = Vec::new();
    for n in 0..POWERFUL.len() {
        every_edit.extend([
            Step::File(FileTrick::Powerful(n)),
            command(&["apply"]),
            Step::File(FileTrick::CommittedOutcomeFile),
        ]);
    }
    let (launch, waiting) = (format!("launch-{BUILT}"), format!("portfolio-{WAITING}"));
    let own = |args: &[&str]| Step::Command { args: args.iter().map(|arg| (*arg).to_owned()).collect(), guess: true };
    vec![
        ("every edit that needs a signature, applied without one", Is::Refused, every_edit),
        (
            "a source, a flag service and a query that are only in the file while a round runs",
            Is::Refused,
            [0, 1, 7, 10]
                .into_iter()
                .flat_map(|n| [Step::File(FileTrick::Powerful(n)), poll(), Step::File(FileTrick::CommittedOutcomeFile)])
                .collect(),
        ),
        (
            "the flags point elsewhere as the member pauses",
            Is::Refused,
            vec![Step::File(FileTrick::Powerful(1)), command(&["apply"]), Step::Human(Act::PauseTheRunning)],
        ),
        (
            "no flag service in the file, and a flag for everybody",
            Is::Refused,
            vec![Step::File(FileTrick::Powerful(10)), Step::File(FileTrick::FlagOn(0)), Step::Later(24), poll()],
        ),
        (
            "the flag of what was killed, and of what is paused",
            Is::Refused,
            vec![Step::File(FileTrick::FlagOn(2)), Step::File(FileTrick::FlagOn(1)), poll()],
        ),
        (
            "ends and decisions from a shell without the passphrase, and with another one",
            Is::Refused,
            vec![
                command(&["experiment", "kill", RUNNING, "--unsigned"]),
                command(&["gate", "decide", &launch, "--verdict", "approve", "--confirm-checklist", "--unsigned"]),
                own(&["gate", "decide", &launch, "--verdict", "approve", "--confirm-checklist", "--note", "x"]),
                own(&["gate", "decide", &waiting, "--verdict", "approve"]),
                command(&["abandon", OUTCOME]),
                own(&["experiment", "resume", PAUSED]),
                command(&["confirm", OUTCOME]),
            ],
        ),
        (
            "a git that lies to the agent's programs, and the member launches",
            Is::Refused,
            vec![
                Step::Environment(Environment::LyingGit),
                Step::Build { is_forbidden: true },
                Step::Human(Act::LaunchWhatWasBuilt),
            ],
        ),
        (
            "git's variables, and the member launches",
            Is::Refused,
            vec![
                Step::Environment(Environment::GitVariables),
                Step::Build { is_forbidden: true },
                Step::Human(Act::LaunchWhatWasBuilt),
            ],
        ),
        (
            "a forbidden change on the local default branch before a build",
            Is::Refused,
            vec![
                Step::Git(GitTrick::Amended),
                Step::Git(GitTrick::BranchMoved),
                Step::Build { is_forbidden: true },
                Step::Human(Act::LaunchWhatWasBuilt),
            ],
        ),
        (
            "a forbidden change on a default branch that another repository answers with",
            Is::Refused,
            vec![
                Step::Git(GitTrick::AskedElsewhere),
                Step::Build { is_forbidden: false },
                Step::Human(Act::LaunchWhatWasBuilt),
                Step::Human(Act::ApproveTheWaiting),
            ],
        ),
        (
            "a forbidden change with another remote, and with none",
            Is::Refused,
            vec![
                Step::Git(GitTrick::AskedElsewhere),
                Step::Git(GitTrick::NoRemote),
                Step::Build { is_forbidden: false },
                Step::Human(Act::LaunchWhatWasBuilt),
            ],
        ),
        (
            "what the repository configures, while the member acts",
            Is::Refused,
            vec![
                Step::Git(GitTrick::Programs),
                Step::Git(GitTrick::Hooks),
                Step::Human(Act::LaunchTheBuilt),
                Step::Human(Act::ApproveTheWaiting),
                Step::Human(Act::ChangeTheFile),
            ],
        ),
        (
            "another home, folder, database and workspace",
            Is::Refused,
            [
                Environment::OtherHome,
                Environment::RuntimeHome,
                Environment::OtherDatabase,
                Environment::ApplicationsDatabase,
                Environment::Workspace,
            ]
            .into_iter()
            .flat_map(|environment| {
                [
                    Step::Environment(environment),
                    own(&["init", "--email", "dana@example.com", "--name", "Dana"]),
                    own(&["gate", "decide", &waiting, "--verdict", "approve"]),
                    poll(),
                ]
            })
            .collect(),
        ),
    ]
}

/// What somebody who can write the database does.
fn past_the_runtime() -> Vec<(&'static str, Is, Vec<Step>)> {
    let lines = |rows: Vec<Row>| rows.into_iter().map(Step::Row).collect::<Vec<_>>();
    let kept = |table: &'static str| {
        vec![Step::Row(Row::Kept { table }), Step::Human(Act::KillTheRunning), Step::Row(Row::Older { table })]
    };
    vec![
        ("a base of the attacker's", Is::Found, vec![written("experiment", "base_commit", FORGED)]),
        ("a launch long ago", Is::Found, vec![written("experiment", "launched_at", LONG_AGO)]),
        ("a phase that began long ago", Is::Found, vec![written("allocation_phase", "started_at", LONG_AGO)]),
        ("evidence", Is::Found, vec![written("experiment", "running", DOCUMENT)]),
        ("a status", Is::Found, vec![written("experiment", "status", "'running'")]),
        (
            "a gate that is approved",
            Is::Found,
            lines(vec![Row::Said("UPDATE gate SET status = 'approved' WHERE status = 'pending'")]),
        ),
        ("a page", Is::Found, vec![written("gate", "context", DOCUMENT), Step::Human(Act::LaunchTheBuilt)]),
        ("a page whose every hash fits", Is::Found, lines(vec![Row::Rehashed { line: 12 }])),
        ("a decision's document", Is::Found, vec![written("decision", "document", FORGED)]),
        (
            "a key that is revoked",
            Is::Found,
            vec![Step::Row(Row::Written { table: "member_key", column: "revoked_at", other: 6, row: 0 })],
        ),
        (
            "a member's address",
            Is::Found,
            vec![Step::Row(Row::Written { table: "member_opening", column: "email", other: 10, row: 0 })],
        ),
        (
            "a member's address where it was before",
            Is::Found,
            vec![Step::Row(Row::Written { table: "member", column: "email", other: 10, row: 0 })],
        ),
        ("a name that is gone", Is::Found, lines(vec![Row::Removed { table: "member_opening", row: None }])),
        (
            "what was learnt",
            Is::Found,
            vec![Step::Row(Row::Written { table: "learning", column: "finding", other: 10, row: 0 })],
        ),
        ("a message that raises a flag", Is::Found, lines(vec![Row::Copied { table: "outbox", row: 0, other: 7 }])),
        ("a message that is gone", Is::Found, lines(vec![Row::Removed { table: "outbox", row: Some(0) }])),
        ("the newest lines", Is::Found, lines(vec![Row::Cut { lines: 3 }])),
        ("decisions that are gone", Is::Found, lines(vec![Row::Removed { table: "decision", row: None }])),
        ("an older row after the member killed", Is::Found, kept("experiment")),
        ("an older log after the member killed", Is::Found, kept("event")),
        ("older decisions after the member killed", Is::Found, kept("decision")),
        (
            "the whole store of before the member killed",
            Is::Found,
            vec![
                Step::KeepStore,
                Step::Human(Act::KillTheRunning),
                Step::File(FileTrick::ForgetSeen),
                Step::PutStoreBack,
            ],
        ),
        ("the workspace made anew", Is::Found, vec![Step::MadeAnew]),
        (
            "a source that is said to need no signature, in a line that fits",
            Is::Found,
            vec![Step::File(FileTrick::Powerful(0)), Step::Row(Row::Applied { powerful: 0, because: "free" }), poll()],
        ),
        (
            "a source that is said to be from before, in a line that fits",
            Is::Found,
            vec![
                Step::File(FileTrick::Powerful(0)),
                Step::Row(Row::Applied { powerful: 0, because: "adopted" }),
                poll(),
            ],
        ),
        ("another root in the pin", Is::Found, vec![Step::File(FileTrick::Pin)]),
    ]
}

async fn holds(attacks: Vec<(&'static str, Is, Vec<Step>)>) -> Result<()> {
    let prepared = Prepared::on(None).await?;
    let ledger = Ledger::prepared(&Facts::of(&prepared.shop().await?).await?);
    let mut wrong = Vec::new();
    for (name, expected, steps) in attacks {
        let played = play::played(&prepared, &ledger, &steps).await?;
        let is_as_expected = match expected {
            Is::Refused => played.differences.is_empty() && played.found.verify.is_empty() && played.broken.is_empty(),
            Is::Found => !played.found.verify.is_empty() && played.broken.is_empty(),
        };
        if !is_as_expected {
            wrong.push(format!("{name} is not {expected:?}: {played:#?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn known_attacks_through_doors_files_and_git_are_refused() -> Result<()> {
    holds(through_doors()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn known_attacks_on_the_store_are_found_elsewhere() -> Result<()> {
    holds(past_the_runtime()).await
}

/// The user's own configuration may send a question elsewhere; then the page names who answered, and that it was another before.
#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_the_users_configuration_redirects_is_named_on_the_page() -> Result<()> {
    let prepared = Prepared::on(None).await?;
    let ledger = Ledger::prepared(&Facts::of(&prepared.shop().await?).await?);
    let mut world = play::World::begun(&prepared, &ledger).await?;
    world.step(&Step::Git(GitTrick::AskedElsewhere)).await?;
    world.step(&Step::Build { is_forbidden: false }).await?;
    let page = world.shop.plain(&["gate", "show", &format!("launch-{BUILDING}")]);
    let page = page.map_err(|(_, text)| anyhow::anyhow!("{text}"))?.to_string();
    ensure!(page.contains("scratch/elsewhere.git") && page.contains(FORBIDDEN), "{page}");
    Ok(())
}
