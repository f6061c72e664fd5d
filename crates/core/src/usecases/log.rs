//! The audit log: verifying, exporting, anchoring.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::decide::Unlock;
use super::init::{io, new_event};
use super::runtime::Runtime;
use super::steps::digest;
use crate::audit::{LogEntry, SignedAnchor};
use crate::error::{Code, Error, Result};
use crate::lifecycle::replay::Replay;
use crate::principal::Principal;
use crate::signing::sha256_hex;
use crate::store::Tx;

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

/// Where an anchor is kept.
#[derive(Debug, Clone)]
pub enum AnchorPlace {
    /// A line at the end of a file.
    File(PathBuf),
    /// A git note at the head commit, under `refs/notes/outcome-audit`.
    GitNote,
}

const PAGE: i64 = 500;

impl Runtime {
    /// Default file of anchors.
    #[must_use]
    pub fn anchor_file(&self) -> PathBuf {
        self.settings.folder().join("anchors.jsonl")
    }

    /// Walks the whole log: chain, signatures, legality of each step; compares the state that follows with what is stored,
    /// and the chain with its anchors (the default file, git notes, and `files`).
    ///
    /// # Errors
    /// When the database cannot be read at all. What is wrong with the log is in the result.
    pub async fn audit_verify(&self, files: &[PathBuf]) -> Result<Verification> {
        let mut tx = self.read().await?;
        let mut replay = Replay::new(self.workspace.id);
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
            self.compare_head(&mut tx, &replay, &mut problems).await?;
            self.compare_state(&mut tx, &replay, &mut problems).await?;
            self.compare_keys(&mut tx, &replay, &mut problems).await?;
            self.compare_readings(&mut tx, &replay, &mut problems).await?;
        }
        drop(tx);
        let n_anchors = self.compare_anchors(&replay, files, &mut problems).await?;
        let (n_lines, head) = replay.head();
        Ok(Verification { is_intact: problems.is_empty(), n_lines, head: head.to_owned(), n_anchors, problems })
    }

    async fn compare_head(&self, tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
        let (seq, head) = tx.log_head().await?;
        if (seq, head.as_str()) != replay.head() {
            problems.push(format!(
                "the log ends at line {} but the workspace's row says {seq}: lines were cut off",
                replay.head().0
            ));
        }
        let pinned = self.settings.read_workspace_file()?.map(|file| file.root_fingerprint);
        let found = replay.genesis().map(|genesis| genesis.root_fingerprint.clone());
        if pinned.is_some() && pinned != found {
            problems.push("the log's root key is not the one this workspace was set up with".to_owned());
        }
        Ok(())
    }

    async fn compare_state(&self, tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
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

    async fn compare_keys(&self, tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
        for key in tx.key_list().await? {
            if !replay.keyring().enrolments().any(|known| *known == key.certificate.enrolment) {
                problems.push(format!("key {} is stored, but the log never enrolled it", key.id));
            }
        }
        Ok(())
    }

    async fn compare_readings(&self, tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
        for (key, logged) in &replay.readings {
            let Some((experiment, at)) = key.split_once('@') else { continue };
            let (Ok(experiment), Ok(at)) = (experiment.parse(), at.parse::<jiff::Timestamp>()) else { continue };
            let readings = tx.measurement_of_poll(experiment, at).await?;
            if super::poll::readings_digest(&readings)? != *logged {
                problems.push(format!("the readings of experiment {experiment} at {at} are not what was logged"));
            }
        }
        Ok(())
    }

    async fn compare_anchors(&self, replay: &Replay, files: &[PathBuf], problems: &mut Vec<String>) -> Result<usize> {
        let mut lines: Vec<(String, String)> = Vec::new();
        let default = self.anchor_file();
        for path in std::iter::once(&default).chain(files) {
            match std::fs::read_to_string(path) {
                Ok(text) => lines.extend(text.lines().map(|line| (path.display().to_string(), line.to_owned()))),
                Err(_) if *path == default => {}
                Err(e) => return Err(Error::new(Code::Io, format!("{} cannot be read", path.display())).because(e)),
            }
        }
        for note in self.read_notes().await {
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
            if anchor.workspace != self.workspace.id {
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

    /// Signs the head of the log and keeps it elsewhere.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`], [`Code::Io`], git's errors.
    pub async fn audit_anchor(&self, place: &AnchorPlace, unlock: &Unlock) -> Result<String> {
        let (member, key) = self.member_key(None, unlock).await?;
        let mut tx = self.write().await?;
        let by = Principal::Human { member: member.id, name: member.email };
        let shown = match place {
            AnchorPlace::File(path) => path.display().to_string(),
            AnchorPlace::GitNote => "git note".to_owned(),
        };
        let event = new_event("audit.anchored", self.workspace.id.into(), &by, &json!({ "place": shown }))?;
        let entry = tx.event_append(event, self.now()).await?;
        tx.commit().await?;
        let signed = SignedAnchor::sign(self.workspace.id, entry.seq, entry.hash, entry.at, &key)
            .map_err(|e| Error::new(Code::Internal, e.to_string()))?;
        let line = serde_json::to_string(&signed)
            .map_err(|e| Error::new(Code::Internal, "the anchor cannot be written").because(e))?;
        match place {
            AnchorPlace::File(path) => append_line(path, &line)?,
            AnchorPlace::GitNote => self.write_note(&line).await?,
        }
        Ok(line)
    }

    /// Up to `limit` lines after line `after`.
    ///
    /// # Errors
    /// [`Code::AuditBroken`] for a line that cannot be read.
    pub async fn audit_page(&self, after: i64, limit: i64) -> Result<Vec<LogEntry>> {
        self.read().await?.event_page(after, limit.clamp(1, 1000)).await
    }

    async fn write_note(&self, line: &str) -> Result<()> {
        let repo = self.repo().await?;
        let head = repo.head().await?;
        let done = tokio::process::Command::new("git")
            .arg("-C")
            .arg(repo.root())
            .args(["notes", "--ref=refs/notes/outcome-audit", "append", "-m", line])
            .arg(head.as_str())
            .output()
            .await
            .map_err(|e| Error::new(Code::GitUnavailable, "git cannot be run").because(e))?;
        if done.status.success() {
            return Ok(());
        }
        let text: String = String::from_utf8_lossy(&done.stderr).chars().take(300).collect();
        Err(Error::new(Code::GitFailed, format!("the git note was not written: {}", text.trim())))
    }

    /// The lines of all notes of ours; none where there is no repository.
    async fn read_notes(&self) -> Vec<String> {
        let Ok(repo) = self.repo().await else { return Vec::new() };
        let list = tokio::process::Command::new("git")
            .arg("-C")
            .arg(repo.root())
            .args(["log", "--notes=refs/notes/outcome-audit", "--format=%N", "-n", "2000"])
            .output()
            .await;
        let Ok(list) = list else { return Vec::new() };
        String::from_utf8_lossy(&list.stdout)
            .lines()
            .filter(|line| line.trim_start().starts_with('{'))
            .map(ToOwned::to_owned)
            .collect()
    }
}

fn append_line(path: &std::path::Path, line: &str) -> Result<()> {
    use std::io::Write as _;
    let shown = path.display().to_string();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(|e| io(&shown, e))?;
    file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(|e| io(&shown, e))
}
