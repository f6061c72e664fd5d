//! The flagd file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use outcome_core::Code;
use outcome_core::ports::flags::{Found, drift, write_and_read_back};
use outcome_core::ports::{FlagError, FlagService, FlagState};
use outcome_tests::peers::{npm, run};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::contract::flag_service;

const PATH: &str = "flags/flagd.json";

fn open(path: &str, root: &Path) -> Result<Box<dyn FlagService>, FlagError> {
    flag_service("flagd_file", "path: \"${FLAGS}\"", root, &[("${FLAGS}", path)])
}

fn service(root: &Path) -> Box<dyn FlagService> {
    open(PATH, root).unwrap()
}

fn document(root: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(root.join(PATH)).unwrap()).unwrap()
}

fn write(root: &Path, text: &str) {
    fs::create_dir_all(root.join("flags")).unwrap();
    fs::write(root.join(PATH), text).unwrap();
}

#[tokio::test]
async fn writes_what_flagd_reads() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    assert_eq!(service.read("new-checkout").await.unwrap(), None);
    assert_eq!(service.ensure("new-checkout", "Short form").await.unwrap(), FlagState::off("new-checkout"));
    let five = FlagState::on("new-checkout", 5);
    assert_eq!(write_and_read_back(&*service, &five, |pause| Box::pin(tokio::time::sleep(pause))).await.unwrap(), five);
    assert_eq!(service.ensure("new-checkout", "Other").await.unwrap(), five, "a flag that is there stays as it is");
    assert_eq!(
        document(dir.path()),
        json!({
            "$schema": "https://flagd.dev/schema/v0/flags.json",
            "flags": { "new-checkout": {
                "state": "ENABLED",
                "variants": { "control": false, "treatment": true },
                "defaultVariant": "control",
                "metadata": { "description": "Short form", "owner": "outcome-runtime" },
                "targeting": { "fractional": [
                    { "cat": [{ "var": "$flagd.flagKey" }, { "var": "targetingKey" }] },
                    ["treatment", 5],
                    ["control", 95],
                ] },
            } },
        })
    );
    let off = FlagState::off("new-checkout");
    assert_eq!(write_and_read_back(&*service, &off, |pause| Box::pin(tokio::time::sleep(pause))).await.unwrap(), off);
    assert_eq!(document(dir.path())["flags"]["new-checkout"]["state"], "DISABLED");
    assert!(drift(&*service, &five).await.unwrap().is_some());
    let left: Vec<_> =
        fs::read_dir(dir.path().join("flags")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name != ".flagd.json.tmp"), "{left:?}");
}

#[tokio::test]
async fn other_flags_and_unknown_fields_stay() {
    let dir = tempfile::tempdir().unwrap();
    let other =
        json!({ "state": "ENABLED", "variants": { "a": 1.50, "b": [null] }, "defaultVariant": "a", "x": { "y": "ü" } });
    let before = json!({ "$evaluators": { "e": 1 }, "flags": { "other": other }, "metadata": { "v": 2 } });
    write(dir.path(), &before.to_string());
    let service = service(dir.path());
    service.set_rollout("mine", 20).await.unwrap();
    let mut after = document(dir.path());
    after["flags"].as_object_mut().unwrap().remove("mine").unwrap();
    assert_eq!(after, before);

    let mut own = document(dir.path());
    own["flags"]["mine"]["metadata"]["team"] = json!("growth");
    write(dir.path(), &own.to_string());
    service.off("mine").await.unwrap();
    assert_eq!(document(dir.path())["flags"]["mine"]["metadata"]["team"], "growth");
}

#[tokio::test]
async fn a_file_that_is_not_understood_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["{", "[]", "", "{\"flags\": []}", "{} {}"] {
        write(dir.path(), text);
        let service = service(dir.path());
        let error = service.set_rollout("f", 5).await.unwrap_err();
        assert!(matches!(error, FlagError::Unreadable { .. }), "{text}: {error:?}");
        assert_eq!(error.code(), Code::FlagFailed);
        assert_eq!(fs::read_to_string(dir.path().join(PATH)).unwrap(), text);
    }
}

#[tokio::test]
async fn a_flag_changed_by_hand_is_drift_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    for (path, value) in [
        ("/flags/f/state", json!("PAUSED")),
        ("/flags/f/defaultVariant", json!("treatment")),
        ("/flags/f/variants", json!({ "on": true })),
        ("/flags/f/targeting/fractional/1/0", json!("control")),
        ("/flags/f/targeting", json!({ "if": [true, "treatment", "control"] })),
    ] {
        let _ = fs::remove_file(dir.path().join(PATH));
        service.set_rollout("f", 5).await.unwrap();
        let mut changed = document(dir.path());
        *changed.pointer_mut(path).unwrap() = value;
        write(dir.path(), &changed.to_string());
        assert_eq!(service.read("f").await.unwrap_err().code(), Code::FlagDrift, "{path}");
        assert_eq!(service.set_rollout("f", 7).await.unwrap_err().code(), Code::FlagDrift, "{path}");
        assert_eq!(document(dir.path()), changed);
        // Off is off, and nothing else of it is touched.
        assert_eq!(service.off("f").await.unwrap(), FlagState::off("f"), "{path}");
        assert_eq!(service.read("f").await.unwrap(), Some(FlagState::off("f")), "{path}");
        changed["flags"]["f"]["state"] = json!("DISABLED");
        assert_eq!(document(dir.path()), changed);
    }
    let _ = fs::remove_file(dir.path().join(PATH));
    service.set_rollout("f", 5).await.unwrap();
    let mut changed = document(dir.path());
    changed["flags"]["f"]["targeting"]["fractional"][1][1] = json!(50);
    changed["flags"]["f"]["targeting"]["fractional"][2][1] = json!(50);
    write(dir.path(), &changed.to_string());
    let drift = drift(&*service, &FlagState::on("f", 5)).await.unwrap().unwrap();
    assert_eq!(drift.found, Found::At(FlagState::on("f", 50)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40_u8 {
        // Each its own service, as in different programs.
        let service = service(dir.path());
        tasks.spawn(async move { service.set_rollout(&format!("f{number}"), number).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    let service = service(dir.path());
    for number in 0..40_u8 {
        let key = format!("f{number}");
        assert_eq!(service.read(&key).await.unwrap(), Some(FlagState::on(&key, number)));
    }
}

#[tokio::test]
async fn a_lock_that_is_held_is_waited_for_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    service.set_rollout("f", 5).await.unwrap();
    let held = fs::File::open(dir.path().join("flags/.flagd.json.lock")).unwrap();
    held.lock().unwrap();
    let error = service.off("f").await.unwrap_err();
    assert!(matches!(error, FlagError::Locked { .. }), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(service.read("f").await.unwrap(), Some(FlagState::on("f", 5)), "reading needs no lock");
    drop(held);
    assert!(service.off("f").await.is_ok());
}

#[tokio::test]
async fn nothing_outside_of_the_workspace_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["/etc/flags.json", "../flags.json", "a/../../b.json", "", "."] {
        let Err(error) = open(path, dir.path()) else { panic!("{path} was opened") };
        assert_eq!(error.code(), Code::ConnectorConfig, "{path}");
    }
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("flags")).unwrap();
    assert!(service(dir.path()).set_rollout("f", 5).await.is_err());
    assert!(open("flags/deeper/flagd.json", dir.path()).unwrap().set_rollout("f", 5).await.is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    fs::remove_file(dir.path().join("flags")).unwrap();
    fs::create_dir(dir.path().join("flags")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.json"), dir.path().join(PATH)).unwrap();
    assert!(service(dir.path()).set_rollout("f", 5).await.is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

/// Which of `n` units flagd's own evaluator gives the treatment; `None`, said loudly, without Node.
fn treated(package: &str, root: &Path, n: u32) -> Option<BTreeSet<u64>> {
    let packages = npm("flagd").unwrap()?;
    let mut command = Command::new("node");
    command.arg(packages.join("evaluate.mjs")).arg(package).arg(root.join(PATH)).args(["new-checkout", &n.to_string()]);
    let said: Value = serde_json::from_str(&run(&mut command).unwrap()).unwrap();
    Some(said["treated"].as_array().unwrap().iter().map(|unit| unit.as_u64().unwrap()).collect())
}

#[tokio::test]
async fn flagds_own_evaluator_gives_what_was_written() {
    const NOW: &str = "@openfeature/flagd-core";
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    let mut before = BTreeSet::new();
    for pct in [5_u8, 20, 50, 99] {
        service.set_rollout("new-checkout", pct).await.unwrap();
        let Some(now) = treated(NOW, dir.path(), 4000) else { return };
        // 4 standard deviations of a share of 4,000 units are at most 3.2 points.
        let share = now.len() * 100 / 4000;
        assert!(share.abs_diff(usize::from(pct)) <= 3, "{share} % of the units, and not {pct} %");
        assert!(before.is_subset(&now), "somebody lost the treatment as the share grew to {pct} %");
        before = now;
    }
    service.off("new-checkout").await.unwrap();
    assert_eq!(treated(NOW, dir.path(), 1000).unwrap(), BTreeSet::new());
    service.set_rollout("new-checkout", 100).await.unwrap();
    assert_eq!(treated(NOW, dir.path(), 1000).unwrap().len(), 1000);
}

/// Why an application must not change its evaluator while an experiment runs: docs/flags/flagd-file.md.
#[tokio::test]
async fn another_release_of_flagds_evaluator_deals_the_arms_anew() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    service.set_rollout("new-checkout", 20).await.unwrap();
    let Some(now) = treated("@openfeature/flagd-core", dir.path(), 1000) else { return };
    let before = treated("flagd-core-before", dir.path(), 1000).unwrap();
    let n_moved = now.symmetric_difference(&before).count();
    assert!(before.len().abs_diff(200) < 50 && n_moved > 100, "{} treated before, {n_moved} moved", before.len());
}
