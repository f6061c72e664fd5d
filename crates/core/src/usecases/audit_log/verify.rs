//! Verifying the audit log: chain, signatures, each step, the stored state, and the anchors.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::AuditLog;
use super::anchor::read_notes;
use crate::audit::SignedAnchor;
use crate::error::{Code, Error, Result};
use crate::lifecycle::replay::Replay;
use crate::signing::sha256_hex;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::digest::{digest, readings_digest};

/// What verification found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Verification {
    /// True when nothing is wrong.
    pub is_intact: bool,
    /// Lines that were checked.
    pub n_lines: i64,
    /// Hash of the last good line.
    pub head: String,
    /// Anchors that were checked.
    pub n_anchors: usize,
    /// What is wrong, as sentences.
    pub problems: Vec<String>,
}

const PAGE: i64 = 500;

impl AuditLog<'_> {
    /// Walks the whole log: chain, signatures, legality of each step; compares the state that follows with what is stored,
    /// and the chain with its anchors (the default file, git notes, and `files`).
    ///
    /// # Errors
    /// When the database cannot be read at all. What is wrong with the log is in the result.
    pub async fn verify(self, files: &[PathBuf]) -> Result<Verification> {
        let mut tx = self.0.read().await?;
        let mut replay = Replay::new(self.0.workspace.id);
        let mut problems = Vec::new();
        let mut after = 0;
        'pages: loop {
            let page = match tx.event_page(after, PAGE).await {
                Ok(page) => page,
                Err(error) if error.code() == Code::AuditBroken => {
                    problems.push(error.message().to_owned());
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some(last) = page.last() else { break };
            after = last.seq;
            for entry in &page {
                if let Err(broken) = replay.apply(entry) {
                    problems.push(broken.to_string());
                    break 'pages;
                }
            }
        }
        if problems.is_empty() {
            compare_head(self.0, &mut tx, &replay, &mut problems).await?;
            compare_state(&mut tx, &replay, &mut problems).await?;
            compare_keys(&mut tx, &replay, &mut problems).await?;
            compare_readings(&mut tx, &replay, &mut problems).await?;
        }
        drop(tx);
        let n_anchors = compare_anchors(self.0, &replay, files, &mut problems).await?;
        let (n_lines, head) = replay.head();
        Ok(Verification { is_intact: problems.is_empty(), n_lines, head: head.to_owned(), n_anchors, problems })
    }
}

async fn compare_head(runtime: &Runtime, tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    let (seq, head) = tx.log_head().await?;
    if (seq, head.as_str()) != replay.head() {
        problems.push(format!(
            "the log ends at line {} but the workspace's row says {seq}: lines were cut off",
            replay.head().0
        ));
    }
    let pinned = runtime.settings.read_workspace_file()?.map(|file| file.root_fingerprint);
    let found = replay.genesis().map(|genesis| genesis.root_fingerprint.clone());
    if pinned.is_some() && pinned != found {
        problems.push("the log's root key is not the one this workspace was set up with".to_owned());
    }
    Ok(())
}

async fn compare_state(tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    let mut n_outcomes = 0;
    for outcome in tx.outcome_list(None).await? {
        n_outcomes += 1;
        let hash = digest(&outcome.spec)?;
        match replay.outcomes.get(&outcome.id) {
            Some(known) if known.state == outcome.state && known.spec_hash == hash => {}
            Some(_) => problems.push(format!("outcome `{}` is not what the log says", outcome.spec.slug)),
            None => problems.push(format!("outcome `{}` is not in the log", outcome.spec.slug)),
        }
    }
    if n_outcomes < replay.outcomes.len() {
        problems.push(format!("{} outcomes of the log are missing", replay.outcomes.len() - n_outcomes));
    }
    let rows = tx.experiment_states().await?;
    if rows.len() < replay.experiments.len() {
        problems.push(format!("{} experiments of the log are missing", replay.experiments.len() - rows.len()));
    }
    for (id, hypothesis_hash, status, state) in rows {
        let stored = tx.experiment_get(id).await?;
        let name = stored.as_ref().map_or_else(|| id.to_string(), |experiment| experiment.slug.to_string());
        let content = stored.map(|experiment| digest(&experiment.hypothesis)).transpose()?;
        match replay.experiments.get(&id) {
            Some(known)
                if known.state == state.0
                    && known.state.status == status
                    && known.hypothesis_hash == hypothesis_hash
                    && content.as_ref() == Some(&known.hypothesis_hash) => {}
            Some(_) => problems.push(format!("experiment `{name}` is not what the log says")),
            None => problems.push(format!("experiment `{name}` is not in the log")),
        }
    }
    let rows = tx.gate_states().await?;
    if rows.len() < replay.gates.len() {
        problems.push(format!("{} gates of the log are missing", replay.gates.len() - rows.len()));
    }
    for row in rows {
        let same = replay.gates.get(&row.id).map(|known| {
            known.state == row.state.0
                && known.state.status == row.status
                && known.rules == row.rules.0
                && known.rules.context_hash == row.context_hash
                && sha256_hex(&row.context) == row.context_hash
        });
        match same {
            Some(true) => {}
            Some(false) => problems.push(format!("gate {} is not what the log says", row.id)),
            None => problems.push(format!("gate {} is not in the log", row.id)),
        }
    }
    Ok(())
}

async fn compare_keys(tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    for key in tx.key_list().await? {
        if !replay.keyring().enrolments().any(|known| *known == key.certificate.enrolment) {
            problems.push(format!("key {} is stored, but the log never enrolled it", key.id));
        }
    }
    Ok(())
}

async fn compare_readings(tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    for (key, logged) in &replay.readings {
        let Some((experiment, at)) = key.split_once('@') else { continue };
        let (Ok(experiment), Ok(at)) = (experiment.parse(), at.parse::<jiff::Timestamp>()) else { continue };
        let readings = tx.measurement_of_poll(experiment, at).await?;
        if readings_digest(&readings)? != *logged {
            problems.push(format!("the readings of experiment {experiment} at {at} are not what was logged"));
        }
    }
    Ok(())
}

async fn compare_anchors(
    runtime: &Runtime,
    replay: &Replay,
    files: &[PathBuf],
    problems: &mut Vec<String>,
) -> Result<usize> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let default = runtime.audit_log().anchor_file();
    for path in std::iter::once(&default).chain(files) {
        match std::fs::read_to_string(path) {
            Ok(text) => lines.extend(text.lines().map(|line| (path.display().to_string(), line.to_owned()))),
            Err(_) if *path == default => {}
            Err(e) => return Err(Error::new(Code::Io, format!("{} cannot be read", path.display())).because(e)),
        }
    }
    for note in read_notes(runtime).await {
        lines.push(("git notes".to_owned(), note));
    }
    let mut n_checked = 0;
    for (place, line) in lines.iter().filter(|(_, line)| !line.trim().is_empty()) {
        let anchor = match SignedAnchor::parse(line) {
            Ok(signed) => signed.anchor,
            Err(error) => {
                problems.push(format!("{place}: {error}"));
                continue;
            }
        };
        if anchor.workspace != runtime.workspace.id {
            continue;
        }
        n_checked += 1;
        let is_member = replay.keyring().enrolments().any(|known| known.public_key == anchor.public_key);
        if replay.hash_at(anchor.seq) != Some(anchor.head.as_str()) {
            problems.push(format!(
                "{place}: the anchor of {} says that line {} had another hash: the log was rewritten or cut",
                anchor.at, anchor.seq
            ));
        } else if !is_member {
            problems.push(format!("{place}: the anchor of line {} was signed by an unknown key", anchor.seq));
        }
    }
    Ok(n_checked)
}
