//! Verifying the audit log: chain, signatures, each step, the stored state, and the anchors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::AuditLog;
use super::reach::{AnchorReach, compare_anchors};
use super::root::compare_root;
use crate::audit::replay::Replay;
use crate::audit::{EventKind, FoldedTable, KnownWriter, WriterFold};
use crate::digest::sha256_hex;
use crate::error::{Code, Result};
use crate::ids::{ExperimentId, GateId};
use crate::store::{StoredReading, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::applied::check_text;
use crate::usecases::kernel::digest::{digest, readings_digest};
use crate::usecases::kernel::people::{Called, called};

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
    /// How far the anchors reach.
    pub reach: AnchorReach,
    /// The accounts that wrote the lines.
    pub writers: Vec<WriterSeen>,
    /// Number of the last line up to which rows were taken into the log as they lay there, where no member has signed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unvouched_until: Option<i64>,
    /// Members whose names were removed.
    #[serde(skip_serializing_if = "is_none")]
    pub n_removed_members: usize,
    /// What is wrong, as sentences.
    pub problems: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_none(n: &usize) -> bool {
    *n == 0
}

/// An account that wrote lines of the log, as it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WriterSeen {
    /// Its public key, in hexadecimal.
    pub writer: String,
    /// `ACCOUNT@HOST`.
    pub place: String,
    /// Number of the line that enrolled it.
    pub since_line: i64,
    /// Lines that it wrote.
    pub n_lines: i64,
    /// Whether a member has signed on top of its enrolment.
    pub is_vouched: bool,
}

impl WriterSeen {
    fn all(fold: &WriterFold) -> Vec<Self> {
        let seen = |(writer, known): (&String, &KnownWriter)| Self {
            writer: writer.clone(),
            place: known.enrolled.place(),
            since_line: known.line,
            n_lines: known.n_lines,
            is_vouched: known.vouched_line.is_some(),
        };
        let mut all: Vec<Self> = fold.known().iter().map(seen).collect();
        all.sort_by_key(|seen| seen.since_line);
        all
    }
}

/// Lines of the log that are read at once.
const PAGE: i64 = 500;
/// Experiments or gates that are read at once.
const ROWS: i64 = 200;
/// Polls, and readings of them, that are read at once; one poll is never cut.
const POLLS: usize = 500;
const READINGS: usize = 4_000;

/// Digests of the readings of polls.
type Logged = BTreeMap<(ExperimentId, Timestamp), String>;

/// The next id there can be.
fn following(id: Uuid) -> Option<Uuid> {
    id.as_u128().checked_add(1).map(Uuid::from_u128)
}

/// Takes the next lines of the log; false when there were none, or one of them does not hold.
async fn fold_page(tx: &mut Tx, replay: &mut Replay, problems: &mut Vec<String>) -> Result<bool> {
    // Before the first line there is none, whatever number it claims.
    let after = Some(replay.head().0).filter(|head| *head > 0).unwrap_or(i64::MIN);
    let page = match tx.event_page(after, PAGE).await {
        Ok(page) => page,
        Err(error) if error.code() == Code::AuditBroken => {
            problems.push(error.message().to_owned());
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    for entry in &page {
        if let Err(broken) = replay.apply(entry) {
            problems.push(broken.to_string());
            return Ok(false);
        }
    }
    Ok(!page.is_empty())
}

impl AuditLog<'_> {
    /// Walks the whole log: chain, signatures, legality of each step; compares the state that follows with what is stored,
    /// and the chain with its anchors (the default file, git notes, and `files`).
    ///
    /// Others write meanwhile, and a long transaction would keep SQLite from shortening its write-ahead log. So what only
    /// grows is read in short transactions, a page each: lines of the log, which hold on to each other, and readings, which
    /// are stored together with the line that names them. Everything else is compared in one short transaction at the end,
    /// a snapshot, together with the lines that were appended meanwhile: a step stores its line and its rows in one
    /// transaction, so in a snapshot they agree. Readings that seemed to differ are looked at again there: a second poll may
    /// have stored more of them at the same instant.
    ///
    /// # Errors
    /// When the database cannot be read at all. What is wrong with the log is in the result.
    #[tracing::instrument(level = "debug", name = "audit_log.verify", skip_all)]
    pub async fn verify(self, files: &[PathBuf]) -> Result<Verification> {
        self.verify_on(&mut Verified::default(), files).await
    }

    /// The same, without reading again the lines and the readings that `verified` holds. Rows are compared all the same.
    ///
    /// # Errors
    /// As [`Self::verify`].
    #[tracing::instrument(level = "debug", name = "audit_log.verify_on", skip_all)]
    pub async fn verify_on(self, verified: &mut Verified, files: &[PathBuf]) -> Result<Verification> {
        let (mut replay, mut polls) = match verified.0.take() {
            Some((replay, polls)) if self.goes_on_from(&replay).await? => (replay, polls),
            _ => (Replay::new(self.0.workspace.id), Polls::new()),
        };
        let mut problems = Vec::new();
        while problems.is_empty() && fold_page(&mut self.0.read().await?, &mut replay, &mut problems).await? {}
        if problems.is_empty() {
            let mut doubtful = differing_readings(self.0, &replay.readings).await?;
            polls.extend(replay.readings.keys().copied());
            replay.readings.clear();
            let mut tx = self.0.read().await?;
            while problems.is_empty() && fold_page(&mut tx, &mut replay, &mut problems).await? {}
            if problems.is_empty() {
                polls.extend(replay.readings.keys().copied());
                doubtful.append(&mut replay.readings);
                compare_head(self.0, &mut tx, &replay, &mut problems).await?;
                compare_step_kinds(&mut tx, &mut problems).await?;
                compare_state(&mut tx, &replay, &mut problems).await?;
                compare_configurations(self.0, &mut tx, &replay, &mut problems).await?;
                compare_keys(&mut tx, &replay, &mut problems).await?;
                compare_names(&mut tx, &replay, &mut problems).await?;
                compare_readings(&mut tx, &doubtful, &mut problems).await?;
                compare_polls(&mut tx, &polls, &mut problems).await?;
                compare_rows(&mut tx, &replay, &mut problems).await?;
            }
        }
        problems.extend(replay.doubtful().map(|line| {
            format!("line {line} of the log was signed with a key that somebody else had by then, as a member said: decide it again")
        }));
        compare_seen(self.0, &replay, &mut problems)?;
        let root = replay.genesis().map(|genesis| genesis.root_fingerprint.as_str());
        compare_root(self.0, root, &mut problems).await;
        let anchors = compare_anchors(self.0, &replay, files, &mut problems).await?;
        let (n_lines, head) = replay.head();
        let (is_intact, head) = (problems.is_empty(), head.to_owned());
        let writers = WriterSeen::all(&replay.writers);
        let n_removed_members = replay.forgotten.len();
        let unvouched_until = self.unvouched_beginning().await?;
        let (n_anchors, reach) = (anchors.n_checked, anchors.reach);
        if is_intact {
            verified.0 = Some((replay, polls));
        }
        Ok(Verification {
            is_intact,
            n_lines,
            head,
            n_anchors,
            reach,
            writers,
            unvouched_until,
            n_removed_members,
            problems,
        })
    }

    /// Whether the log still has the last line that was verified.
    async fn goes_on_from(self, replay: &Replay) -> Result<bool> {
        let (seq, head) = replay.head();
        match self.0.read().await?.event_is(seq, head).await {
            Err(error) if error.code() == Code::AuditBroken => Ok(false),
            is_there => is_there,
        }
    }
}

/// What was verified before: the next time goes on from there. It is kept by the process that verified and nowhere else: whoever can
/// write the database could write that, too.
#[derive(Debug, Default)]
pub struct Verified(Option<(Replay, Polls)>);

/// Polls that the log names.
type Polls = BTreeSet<(ExperimentId, Timestamp)>;

/// Of the logged polls, those whose stored readings are not the logged ones.
async fn differing_readings(runtime: &Runtime, logged: &Logged) -> Result<Logged> {
    let mut differing = Logged::new();
    let polls: Vec<(&(ExperimentId, Timestamp), &String)> = logged.iter().collect();
    for polls in polls.chunk_by(|((a, _), _), ((b, _), _)| a == b) {
        let mut rest = polls;
        while let Some(((experiment, from), _)) = rest.first() {
            let to = rest.get(..POLLS).unwrap_or(rest).last().map_or(*from, |((_, at), _)| *at);
            let page = runtime.read().await?.measurement_page(*experiment, (*from, to), READINGS).await?;
            let mut found: BTreeMap<Timestamp, &[StoredReading]> = BTreeMap::new();
            for poll in page.readings.chunk_by(|a, b| a.measurement.measured_at == b.measurement.measured_at) {
                found.extend(poll.first().map(|first| (first.measurement.measured_at, poll)));
            }
            let (now, later) = rest.split_at(rest.partition_point(|((_, at), _)| *at <= page.until));
            for (key, digest) in now {
                if readings_digest(found.get(&key.1).copied().unwrap_or_default())? != **digest {
                    differing.insert(**key, (*digest).clone());
                }
            }
            rest = later;
        }
    }
    Ok(differing)
}

async fn compare_head(runtime: &Runtime, tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    let (seq, head) = tx.log_head().await?;
    if (seq, head.as_str()) != replay.head() {
        problems.push(format!(
            "the log ends at line {}, but the workspace's row says {seq}: lines were removed at the end",
            replay.head().0
        ));
    }
    for stranger in tx.workspace_without_log().await? {
        problems.push(format!("workspace {stranger} is in the database and has no log: `init` did not make it"));
    }
    let pinned = runtime.settings.read_workspace_file()?.map(|file| file.root_fingerprint);
    let found = replay.genesis().map(|genesis| genesis.root_fingerprint.clone());
    if pinned.is_some() && pinned != found {
        problems.push("the log's root key differs from the key with which this workspace was created".to_owned());
    }
    Ok(())
}

/// What a step reads back are the lines that are marked as steps.
async fn compare_step_kinds(tx: &mut Tx, problems: &mut Vec<String>) -> Result<()> {
    for (kind, is_step) in tx.event_step_kinds().await? {
        if kind.parse::<EventKind>().is_ok_and(|known| known.is_step() != is_step) {
            let (not, is) = if is_step { ("a", "no") } else { ("no", "a") };
            problems.push(format!("a line `{kind}` is marked as {not} step and is {is} step"));
        }
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
            Some(_) => problems.push(format!("outcome `{}` differs from the log", outcome.spec.slug)),
            None => problems.push(format!("outcome `{}` is not in the log", outcome.spec.slug)),
        }
    }
    if n_outcomes < replay.outcomes.len() {
        problems.push(format!("{} outcomes of the log are missing", replay.outcomes.len() - n_outcomes));
    }
    let (mut n_experiments, mut next) = (0, Some(Uuid::nil()));
    while let Some(from) = next {
        let rows = tx.experiment_states(ExperimentId(from), ROWS).await?;
        next = rows.last().and_then(|last| following(last.id.0));
        n_experiments += rows.len();
        for row in rows {
            let content = digest(&row.hypothesis.0)?;
            match replay.experiments.get(&row.id) {
                Some(known)
                    if known.state == row.state.0
                        && known.state.status == row.status
                        && known.hypothesis_hash == row.hypothesis_hash
                        && known.hypothesis_hash == content => {}
                Some(_) => problems.push(format!("experiment `{}` differs from the log", row.slug)),
                None => problems.push(format!("experiment `{}` is not in the log", row.slug)),
            }
        }
    }
    if n_experiments < replay.experiments.len() {
        problems.push(format!("{} experiments of the log are missing", replay.experiments.len() - n_experiments));
    }
    let (mut n_gates, mut next) = (0, Some(Uuid::nil()));
    while let Some(from) = next {
        let rows = tx.gate_states(GateId(from), ROWS).await?;
        next = rows.last().and_then(|last| following(last.id.0));
        n_gates += rows.len();
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
                Some(false) => problems.push(format!("gate {} differs from the log", row.id)),
                None => problems.push(format!("gate {} is not in the log", row.id)),
            }
        }
    }
    if n_gates < replay.gates.len() {
        problems.push(format!("{} gates of the log are missing", replay.gates.len() - n_gates));
    }
    Ok(())
}

/// Each text that was applied is there, and what was applied without a signature needed none.
async fn compare_configurations(
    runtime: &Runtime,
    tx: &mut Tx,
    replay: &Replay,
    problems: &mut Vec<String>,
) -> Result<()> {
    let mut before = None;
    for (seq, applied) in &replay.configurations {
        match check_text(runtime, tx, *seq, before, applied).await {
            Ok(()) => {}
            Err(error) if matches!(error.code(), Code::StateTampered | Code::SignatureInvalid) => {
                problems.push(format!("line {seq}: {}", error.message()));
            }
            Err(error) if error.code() == Code::ConfigInvalid => {}
            Err(error) => return Err(error),
        }
        before = Some(applied.hash.as_str());
    }
    Ok(())
}

async fn compare_keys(tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    for key in tx.key_list().await? {
        if !replay.keyring().enrolments().any(|known| *known == key.certificate.enrolment) {
            problems.push(format!("key {} is stored, but it is not enrolled in the log", key.id));
        }
    }
    Ok(())
}

/// What members are called is what their certificates commit to, or was removed by a member.
async fn compare_names(tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    let openings = tx.member_opening_list().await?;
    let members = tx.member_list().await?;
    for opening in openings.iter().filter(|opening| members.iter().all(|row| row.id != opening.member)) {
        problems.push(format!("a name is stored for member {}, who is none", opening.member));
    }
    for row in members {
        let (id, is_removed) = (row.id, replay.forgotten.contains(&row.id));
        let opening = openings.iter().find(|opening| opening.member == id);
        let is_there = opening.is_some() || row.email.is_some() || row.name.is_some();
        match called(row, opening, is_removed, replay.keyring()) {
            Called::Named { .. } | Called::Removed => {}
            Called::Tampered if is_removed => {
                problems.push(format!("the name of member {id} is stored again, and a member had it removed"));
            }
            Called::Tampered if is_there => problems.push(format!(
                "what member {id} is called was written past the runtime: it is not what their key was enrolled with"
            )),
            Called::Tampered => {
                problems.push(format!("what member {id} is called is gone, and no member had it removed"));
            }
        }
    }
    Ok(())
}

async fn compare_readings(tx: &mut Tx, logged: &Logged, problems: &mut Vec<String>) -> Result<()> {
    for ((experiment, at), digest) in logged {
        if readings_digest(&tx.measurement_of_poll(*experiment, *at).await?)? != *digest {
            problems.push(format!("the readings of experiment {experiment} at {at} differ from the logged ones"));
        }
    }
    Ok(())
}

/// No reading of an experiment is stored that no line names.
async fn compare_polls(tx: &mut Tx, logged: &Polls, problems: &mut Vec<String>) -> Result<()> {
    for (experiment, at) in tx.measurement_polls().await? {
        if !logged.contains(&(experiment, at)) {
            problems.push(format!("the readings of experiment {experiment} at {at} are in no line of the log"));
        }
    }
    Ok(())
}

/// Most rows that are named one by one.
const MAX_NAMED: usize = 20;

/// Each row is what the log says it is, none is missing, and none is there that the log does not know.
async fn compare_rows(tx: &mut Tx, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    let mut logged: BTreeMap<FoldedTable, BTreeMap<&str, &str>> = BTreeMap::new();
    for ((table, key), digest) in &replay.rows {
        if let Some(digest) = digest {
            logged.entry(*table).or_default().insert(key, digest);
        }
    }
    for (seq, table, key) in replay.foreign.iter().take(MAX_NAMED) {
        problems.push(format!("row {key} of {table} was written past the runtime before line {seq}"));
    }
    for table in FoldedTable::ALL {
        let stored = tx.folded_rows(*table).await?;
        let known = logged.remove(table).unwrap_or_default();
        let mut found = Vec::new();
        for (key, digest) in &stored {
            match known.get(key.as_str()) {
                Some(logged) if *logged == digest => {}
                Some(_) => found.push(format!("row {key} of {table} was written past the runtime")),
                None => found.push(format!("row {key} of {table} is in no line of the log")),
            }
        }
        let missing = known.keys().filter(|key| !stored.contains_key(**key));
        found.extend(missing.map(|key| format!("row {key} of {table} is missing")));
        let n_more = found.len().saturating_sub(MAX_NAMED);
        problems.extend(found.into_iter().take(MAX_NAMED));
        if n_more > 0 {
            problems.push(format!("{n_more} more rows of {table} differ"));
        }
    }
    Ok(())
}

/// The log goes on from what this account saw of it, and the folder holds the workspace that it held.
fn compare_seen(runtime: &Runtime, replay: &Replay, problems: &mut Vec<String>) -> Result<()> {
    let Some(seen) = runtime.settings.seen() else { return Ok(()) };
    let id = runtime.workspace.id;
    if let Some(last) = seen.head(id)
        && replay.hash_at(last.seq) != Some(last.head.as_str())
    {
        let n_lines = replay.head().0;
        problems.push(format!(
            "this account saw line {} of the log, and it is not in the {n_lines} lines that are here: the store was put back to an \
             older state or rewritten (if you restored a backup yourself, say so: `outcome-runtime audit restore`)",
            last.seq
        ));
    }
    let root = runtime.settings.real_root();
    if let (Some(before), Some(now)) = (seen.workspace_of(&root), runtime.settings.read_workspace_file()?)
        && (before.workspace, before.root_fingerprint.as_str()) != (now.workspace, now.root_fingerprint.as_str())
    {
        problems.push(format!(
            "this folder held workspace {} with another root key before: it was made anew past `init` (remove {} if you did that \
             yourself)",
            before.workspace,
            seen.file_of_root(&root).display()
        ));
    }
    Ok(())
}
