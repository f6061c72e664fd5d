//! What the member really does, and the list of it that the test keeps.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use outcome_core::digest::sha256_hex;
use outcome_tests::lab::write;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::oracle::Facts;
use super::shop::{BUILDING, BUILT, KILLED, PAUSED, RUNNING, Shop, WAITING};

/// What a build may not change.
pub(super) const FORBIDDEN: &str = "game/payments/charge.txt";

/// An act with the passphrase.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    ApproveTheWaiting,
    LaunchTheBuilt,
    /// Where a build was reported of it.
    LaunchWhatWasBuilt,
    PauseTheRunning,
    KillTheRunning,
    ResumeThePaused,
    KillThePaused,
    /// A longer horizon, in a file that the member wrote whole.
    ChangeTheFile,
}

pub(super) fn any(rng: &mut StdRng) -> Act {
    match rng.random_range(0..8) {
        0 => Act::ApproveTheWaiting,
        1 => Act::LaunchTheBuilt,
        2 => Act::LaunchWhatWasBuilt,
        3 => Act::PauseTheRunning,
        4 => Act::KillTheRunning,
        5 => Act::ResumeThePaused,
        6 => Act::KillThePaused,
        _ => Act::ChangeTheFile,
    }
}

/// What the member did, by what it entitles to.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Gates that the member decided, with the status that they then have.
    pub(super) gates: BTreeMap<String, String>,
    /// Decisions of the member, with those outside of gates.
    pub(super) n_decisions: i64,
    pub(super) approved: BTreeSet<String>,
    /// Launched, and neither paused nor killed since.
    pub(super) live: BTreeSet<String>,
    pub(super) launched: BTreeSet<String>,
    pub(super) killed: BTreeSet<String>,
    /// Hashes of texts that may count.
    pub(super) files: BTreeSet<String>,
    /// How many acts, to see whether a copy is older than one.
    pub(super) n_acts: usize,
    pub(super) workspace: String,
    /// The page named the forbidden path, and the member launched all the same.
    pub(super) was_told: bool,
    /// Codes of acts that were refused.
    pub(super) refused: Vec<String>,
}

impl Ledger {
    /// The list of what was prepared, in which nobody but the member acted.
    pub(super) fn prepared(facts: &Facts) -> Self {
        let set = |slugs: &[&str]| slugs.iter().map(|slug| (*slug).to_owned()).collect::<BTreeSet<_>>();
        Self {
            gates: facts
                .gates
                .iter()
                .filter(|(_, status)| is_decided(status))
                .map(|(slug, status)| (slug.clone(), status.clone()))
                .collect(),
            n_decisions: facts.n_decisions,
            approved: set(&[KILLED, PAUSED, RUNNING, BUILDING, BUILT]),
            live: set(&[RUNNING]),
            launched: set(&[KILLED, PAUSED, RUNNING]),
            killed: set(&[KILLED]),
            files: facts.applied.iter().map(sha256_hex).collect(),
            n_acts: 0,
            workspace: facts.workspace.clone(),
            was_told: false,
            refused: vec![],
        }
    }
}

pub(super) fn is_decided(status: &str) -> bool {
    ["approved", "approved_with_conditions", "rejected"].contains(&status)
}

impl Act {
    /// Does it; the list says so where it was done.
    pub(super) fn done(self, shop: &Shop, ledger: &mut Ledger) -> Result<()> {
        let approve = |gate: &str| {
            shop.signed(&[
                "gate",
                "decide",
                gate,
                "--verdict",
                "approve",
                "--confirm-checklist",
                "--note",
                "the member wants it",
            ])
        };
        let portfolio = format!("portfolio-{WAITING}");
        let said = match self {
            Self::ApproveTheWaiting => gate(ledger, &portfolio, approve(&portfolio), |ledger| {
                ledger.approved.insert(WAITING.to_owned());
            }),
            Self::LaunchTheBuilt => launch(ledger, BUILT, &approve),
            Self::LaunchWhatWasBuilt => {
                let page = shop.plain(&["gate", "show", &format!("launch-{BUILDING}")]);
                ledger.was_told |= page.is_ok_and(|page| page.to_string().contains(FORBIDDEN));
                launch(ledger, BUILDING, &approve)
            }
            Self::PauseTheRunning => {
                act(ledger, shop.signed(&["experiment", "pause", RUNNING, "--note", "wait"]), |ledger| {
                    ledger.live.remove(RUNNING);
                })
            }
            Self::KillTheRunning => {
                act(ledger, shop.signed(&["experiment", "kill", RUNNING, "--note", "stop"]), |ledger| {
                    ledger.live.remove(RUNNING);
                    ledger.killed.insert(RUNNING.to_owned());
                })
            }
            Self::ResumeThePaused => {
                act(ledger, shop.signed(&["experiment", "resume", PAUSED, "--note", "go on"]), |ledger| {
                    ledger.live.insert(PAUSED.to_owned());
                })
            }
            Self::KillThePaused => {
                act(ledger, shop.signed(&["experiment", "kill", PAUSED, "--note", "stop"]), |ledger| {
                    ledger.live.remove(PAUSED);
                    ledger.killed.insert(PAUSED.to_owned());
                })
            }
            Self::ChangeTheFile => {
                let text = super::shop::file().replace("horizon: 8w", "horizon: 9w");
                write(&shop.root, "outcome.yaml", &text)?;
                let files = ledger.files.clone();
                ledger.files.insert(sha256_hex(&text));
                match shop.signed(&["apply"]) {
                    // Approved at once, with the same passphrase.
                    Ok(applied) if applied["is_applied"] == true => match applied["gate"].as_str() {
                        Some(opened) => gate(ledger, opened, Ok(applied.clone()), |_| {}),
                        None => Ok(()),
                    },
                    Ok(applied) => Err(("none".to_owned(), applied.to_string())),
                    Err((code, text)) => {
                        ledger.files = files;
                        Err((code, text))
                    }
                }
            }
        };
        match said {
            // What cannot be anchored any more was found before.
            Ok(()) => {
                if let Err(error) = shop.anchor() {
                    ledger.refused.push(super::oracle::code_of(&error.to_string()));
                }
            }
            Err((code, _)) => ledger.refused.push(code),
        }
        Ok(())
    }
}

type Done = Result<(), (String, String)>;

fn launch(ledger: &mut Ledger, experiment: &str, approve: &dyn Fn(&str) -> super::shop::Said) -> Done {
    let name = format!("launch-{experiment}");
    gate(ledger, &name, approve(&name), |ledger| {
        ledger.live.insert(experiment.to_owned());
        ledger.launched.insert(experiment.to_owned());
    })
}

fn gate(ledger: &mut Ledger, gate: &str, said: super::shop::Said, then: impl FnOnce(&mut Ledger)) -> Done {
    act(ledger, said, |ledger| {
        ledger.gates.insert(gate.to_owned(), "approved".to_owned());
        then(ledger);
    })
}

fn act(ledger: &mut Ledger, said: super::shop::Said, then: impl FnOnce(&mut Ledger)) -> Done {
    said?;
    ledger.n_decisions += 1;
    ledger.n_acts += 1;
    then(ledger);
    Ok(())
}
