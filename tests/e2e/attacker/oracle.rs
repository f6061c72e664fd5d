//! What the member did is compared with what the store and the flag service say; a difference must be refused or found.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use outcome_core::digest::sha256_hex;
use outcome_tests::lab::git;
use serde_json::Value;

use super::human::{Ledger, is_decided};
use super::shop::{FLAGS, RESERVE, Shop};
use super::store::Store;

/// Units that only a source of the attacker's own speaks of.
pub(super) const FORGED_N: i64 = 777_777;

/// What the store says, however it came there.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) workspace: String,
    pub(super) experiments: BTreeMap<String, String>,
    pub(super) outcomes: BTreeMap<String, String>,
    pub(super) gates: BTreeMap<String, String>,
    pub(super) n_decisions: i64,
    /// Texts that the log says were applied, the newest last.
    pub(super) applied: Vec<String>,
    /// What was read of sources.
    pub(super) readings: Vec<String>,
}

impl Facts {
    pub(super) async fn of(shop: &Shop) -> Result<Self> {
        let mut store = Store::of(shop).await?;
        let workspace = if store.is_postgres() { "id::text" } else { "hex(id)" };
        let mut pairs = async |sql: &str| -> Result<BTreeMap<String, String>> {
            let rows = store.read(sql).await?;
            Ok(rows.into_iter().filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone()))).collect())
        };
        let experiments = pairs("SELECT slug, status FROM experiment").await?;
        let outcomes = pairs("SELECT slug, status FROM outcome").await?;
        let gates = pairs("SELECT slug, status FROM gate").await?;
        let one = async |store: &mut Store, sql: &str| -> Result<String> {
            Ok(store.read(sql).await?.into_iter().flatten().next().unwrap_or_default())
        };
        let n_decisions = one(&mut store, "SELECT CAST(COUNT(*) AS TEXT) FROM decision").await?.parse()?;
        let workspace = one(&mut store, &format!("SELECT {workspace} FROM workspace")).await?;
        let lines = store
            .read("SELECT CAST(payload AS TEXT) FROM event WHERE kind = 'configuration.applied' ORDER BY seq")
            .await?;
        let mut applied = Vec::new();
        for payload in lines.into_iter().flatten() {
            let said: Value = serde_json::from_str(&payload).unwrap_or_default();
            let hash = said["hash"].as_str().unwrap_or_default().replace('\'', "");
            applied.push(one(&mut store, &format!("SELECT content FROM configuration WHERE hash = '{hash}'")).await?);
        }
        let readings = store.read("SELECT CAST(sums AS TEXT) FROM measurement").await?.into_iter().flatten().collect();
        Ok(Self { readings, workspace, experiments, outcomes, gates, n_decisions, applied })
    }
}

const LIVE: [&str; 6] =
    ["running", "measuring", "awaiting_analysis_gate", "scaling", "awaiting_scale_gate", "awaiting_ship_gate"];

/// What in the store the member did not cause, or did and is gone. `stops` of others are no difference.
pub(super) fn differences(facts: &Facts, ledger: &Ledger) -> Vec<String> {
    let mut found = Vec::new();
    if facts.workspace != ledger.workspace {
        found.push("another workspace stands in its place".to_owned());
    }
    let n_foreign = facts.readings.iter().filter(|sums| sums.contains(&FORGED_N.to_string())).count();
    if n_foreign > 0 {
        found.push(format!("{n_foreign} readings are of a source that the member never named"));
    }
    for (gate, status) in &facts.gates {
        if is_decided(status) && ledger.gates.get(gate) != Some(status) {
            found.push(format!("gate {gate} is {status}"));
        }
    }
    for (gate, status) in &ledger.gates {
        if facts.gates.get(gate) != Some(status) {
            found.push(format!("the member's decision of {gate} is gone"));
        }
    }
    if facts.n_decisions != ledger.n_decisions {
        found.push(format!("{} decisions are stored, and the member made {}", facts.n_decisions, ledger.n_decisions));
    }
    for (slug, status) in &facts.experiments {
        let (status, wrong) = (status.as_str(), |what: &str| Some(format!("{slug} is {status}, {what}")));
        let difference = if status == "shipped" {
            wrong("and nobody shipped it")
        } else if ledger.killed.contains(slug) && status != "killed" {
            wrong("and the member killed it")
        } else if status == "killed" && !ledger.killed.contains(slug) {
            wrong("and the member did not kill it")
        } else if LIVE.contains(&status) && !ledger.live.contains(slug) {
            wrong("and is not launched, or is paused by the member")
        } else if ["building", "awaiting_launch_gate"].contains(&status) && !ledger.approved.contains(slug) {
            wrong("and nobody approved it")
        } else {
            None
        };
        found.extend(difference);
    }
    for (slug, status) in &facts.outcomes {
        if status != "active" {
            found.push(format!("outcome {slug} is {status}"));
        }
    }
    if let Some(text) = facts.applied.last()
        && !ledger.files.contains(&sha256_hex(text))
        && is_powerful(text)
    {
        found.push("a text is applied that the member did not sign".to_owned());
    }
    found
}

/// Whether a text differs from the members' in more than what needs no signature. Steps of the attacker mark what is powerful.
fn is_powerful(text: &str) -> bool {
    text.is_empty()
        || super::step::POWERFUL.iter().any(|(_, new)| !new.is_empty() && text.contains(new))
        || !text.contains("feature_flags:")
}

/// Flags that are on, or further than 50 %, without the member.
pub(super) fn flags(shop: &Shop, ledger: &Ledger) -> Vec<String> {
    let text = std::fs::read_to_string(shop.root.join("flags.json")).unwrap_or_default();
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    let mut found = Vec::new();
    for (experiment, key) in FLAGS {
        let flag = &said["flags"][key];
        let arms = flag["targeting"]["fractional"].as_array().cloned().unwrap_or_default();
        let share = arms.iter().find(|arm| arm[0] == "treatment").and_then(|arm| arm[1].as_i64()).unwrap_or(0);
        let is_on = flag["state"] == "ENABLED";
        if is_on && (!ledger.live.contains(experiment) || share > 50) {
            found.push(format!("flag {key} is on at {share} %"));
        }
    }
    found
}

/// Refusals that tell a member that something is wrong with the store, the root or what is shown.
const TELLING: [&str; 14] = [
    "state_tampered",
    "root_changed",
    "signature_invalid",
    "audit_broken",
    "row_missing",
    "context_changed",
    "git_object_forged",
    "passphrase_wrong",
    "unauthenticated",
    "not_found",
    "workspace_not_found",
    "database_empty",
    "database_corrupt",
    "database_failed",
];

pub(super) fn is_telling(code: &str) -> bool {
    TELLING.contains(&code)
}

pub(super) fn code_of(text: &str) -> String {
    text.split("\"code\":").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or("none").to_owned()
}

/// What the doors of the member say after the attacker is done.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Another machine, with the member's anchors.
    pub(super) verify: Vec<String>,
    /// The next round.
    pub(super) poll: Vec<String>,
    /// The next unsealing.
    pub(super) unsealing: Option<String>,
}

impl Found {
    pub(super) fn is_any(&self) -> bool {
        !self.verify.is_empty() || self.unsealing.as_deref().is_some_and(is_telling)
    }
}

/// Verifies from another machine.
pub(super) fn verified(shop: &Shop) -> Result<Vec<String>> {
    let anchors = shop.anchors().display().to_string();
    let done = shop.elsewhere()?.try_run(&["--json", "--no-input", "audit", "verify", "--anchor", &anchors])?;
    let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
    if done.status.success() && said["is_intact"] == true {
        return Ok(vec![]);
    }
    let problems = said["problems"].as_array().cloned().unwrap_or_default();
    let error = said["error"]["code"].as_str().map(|code| format!("{code}: {}", said["error"]["message"]));
    let all: Vec<String> = problems.iter().map(ToString::to_string).chain(error).collect();
    Ok(if all.is_empty() { vec![format!("{} {}", done.status, String::from_utf8_lossy(&done.stderr))] } else { all })
}

/// The next round, and what it says of flags and the store.
pub(super) fn polled(shop: &mut Shop) -> Result<Vec<String>> {
    shop.later(6)?;
    Ok(match shop.plain(&["poll", "--all"]) {
        Ok(_) => vec![],
        Err((code, text)) => vec![format!("{code} {text}")],
    })
}

/// The member decides what was left for this.
pub(super) fn unsealed(shop: &Shop) -> Option<String> {
    let gate = format!("portfolio-{RESERVE}");
    shop.signed(&["gate", "decide", &gate, "--verdict", "reject", "--note", "not now"]).err().map(|(code, _)| code)
}

/// Builds that run though a path of theirs is forbidden, came to the default branch in no other way, and was not on the page that the
/// member launched from.
pub(super) fn forbidden(shop: &Shop, ledger: &Ledger) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if ledger.was_told {
        return Ok(found);
    }
    for slug in ledger.live.iter().filter(|slug| slug.as_str() == super::shop::BUILDING) {
        let branch = git(&shop.root, &["-c", "core.fsmonitor=false", "rev-parse", &format!("refs/heads/{slug}")]);
        let Ok(head) = branch else { continue };
        let origin = shop.beside.join("origin.git");
        let bare = origin.to_str().context("no path")?;
        let main = git(&shop.root, &["--git-dir", bare, "rev-parse", "main"]).unwrap_or_default();
        let changed = git(&shop.root, &["--no-replace-objects", "diff", "--name-only", &format!("{main}...{head}")]);
        if changed.is_ok_and(|paths| paths.contains("game/payments/")) {
            found.push(format!("{slug} runs with a change of a forbidden path"));
        }
    }
    Ok(found)
}
