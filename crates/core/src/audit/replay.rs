//! The log, folded: what the stored state must be. The oracle of `audit verify` and of the property tests.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AppliedBecause, ChainBreak, ChainCheck, ConfigurationApplied, EventKind, FoldedTable, KeyFold, LogEntry,
    MemberForgotten, PollLine, Restored, RowsStored, SubjectKind, UnknownKind, Vouched, WriterFold, chain_of, poll_key,
};
use crate::domain::{
    Assurance, DecisionSubject, ExperimentState, GateState, GateStatus, GateType, OutcomeState, SignedDecision, Verdict,
};
use crate::identity::{Keyring, VerifiedDecision};
use crate::ids::{ExperimentId, GateId, KeyId, MemberId, OutcomeId, WorkspaceId};
use crate::lifecycle::{
    ExperimentEvent, GateEvent, GateRules, OutcomeEvent, transition_experiment, transition_gate, transition_outcome,
};
use crate::principal::Principal;

/// First line of every log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceCreated {
    /// Fingerprint of the key that all others chain to.
    pub root_fingerprint: String,
    /// True when the workspace lives on a virtual clock.
    pub is_virtual_clock: bool,
    /// Its name.
    pub slug: String,
    /// True when the log holds the levels of outcomes from the beginning; false in logs of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holds_levels: bool,
}

/// Payload of `gate.opened`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateOpened {
    /// Fixed for its life.
    pub rules: GateRules,
    /// At its beginning.
    pub state: GateState,
    /// The outcome.
    pub outcome: Option<OutcomeId>,
    /// The experiment.
    pub experiment: Option<ExperimentId>,
}

/// Payload of `experiment.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentCreated {
    /// At its beginning.
    pub state: ExperimentState,
    /// SHA-256 of the canonical hypothesis.
    pub hypothesis_hash: String,
    /// The outcome.
    pub outcome: OutcomeId,
}

/// Payload of `outcome.created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeCreated {
    /// At its beginning.
    pub state: OutcomeState,
    /// SHA-256 of the canonical spec.
    pub spec_hash: String,
}

/// What the log says about an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedExperiment {
    /// Its state.
    pub state: ExperimentState,
    /// Hash of what was submitted.
    pub hypothesis_hash: String,
}

/// What the log says about an outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedOutcome {
    /// Its state.
    pub state: OutcomeState,
    /// Hash of the latest declaration.
    pub spec_hash: String,
    /// True when a human ever accepted, with their passphrase, that a gate asks for less than that.
    pub has_consent: bool,
}

/// What the log says about a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedGate {
    /// Fixed for its life.
    pub rules: GateRules,
    /// Its state.
    pub state: GateState,
    /// The experiment.
    pub experiment: Option<ExperimentId>,
}

/// The state that follows from the log.
#[derive(Debug, Clone)]
pub struct Replay {
    chain: ChainCheck,
    genesis: Option<WorkspaceCreated>,
    keys: KeyFold,
    signed_by: Vec<(KeyId, i64)>,
    decisions: Vec<i64>,
    lost: Vec<(i64, i64)>,
    /// Members whose names were removed.
    pub forgotten: BTreeSet<MemberId>,
    /// Who wrote the lines.
    pub writers: WriterFold,
    /// Hash of the last step about each subject.
    steps: BTreeMap<Uuid, String>,
    chains: BTreeMap<ExperimentId, String>,
    heads: Vec<String>,
    /// Which kinds of subject a decision was used for, by its name.
    used: BTreeMap<String, BTreeSet<SubjectKind>>,
    /// Whether a line has held rows that was no beginning, and whether one has held levels, which came later.
    rows_began: bool,
    levels_began: bool,
    /// What was applied, oldest first, with the numbers of the lines.
    pub configurations: Vec<(i64, ConfigurationApplied)>,
    /// Outcomes by id.
    pub outcomes: BTreeMap<OutcomeId, ReplayedOutcome>,
    /// Experiments by id.
    pub experiments: BTreeMap<ExperimentId, ReplayedExperiment>,
    /// Gates by id.
    pub gates: BTreeMap<GateId, ReplayedGate>,
    /// What counts of each row, by table and key.
    pub rows: BTreeMap<(FoldedTable, String), Option<String>>,
    /// Rows that somebody else had written before the runtime wrote them again: the number of its line, table and key.
    pub foreign: Vec<(i64, FoldedTable, String)>,
    /// Hash of the readings of each poll that was logged, by experiment and instant.
    pub readings: BTreeMap<(ExperimentId, jiff::Timestamp), String>,
}

impl Replay {
    /// Before the first line.
    #[must_use]
    pub fn new(workspace: WorkspaceId) -> Self {
        Self {
            chain: ChainCheck::new(workspace),
            genesis: None,
            keys: KeyFold::new(workspace, ""),
            signed_by: Vec::new(),
            decisions: Vec::new(),
            lost: Vec::new(),
            forgotten: BTreeSet::new(),
            writers: WriterFold::default(),
            steps: BTreeMap::new(),
            chains: BTreeMap::new(),
            heads: Vec::new(),
            used: BTreeMap::new(),
            configurations: Vec::new(),
            outcomes: BTreeMap::new(),
            experiments: BTreeMap::new(),
            gates: BTreeMap::new(),
            rows: BTreeMap::new(),
            foreign: Vec::new(),
            rows_began: false,
            levels_began: false,
            readings: BTreeMap::new(),
        }
    }

    /// Number and hash of the last line.
    #[must_use]
    pub fn head(&self) -> (i64, &str) {
        (self.chain.seq, &self.chain.head)
    }

    /// Hash of line `seq`.
    #[must_use]
    pub fn hash_at(&self, seq: i64) -> Option<&str> {
        self.heads.get(usize::try_from(seq).ok()?.checked_sub(1)?).map(String::as_str)
    }

    /// The keys that count.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        self.keys.ring()
    }

    /// Whether a line with this number was lost, as a member said when they went on from a backup: there may be an anchor of it.
    #[must_use]
    pub fn may_be_lost(&self, seq: i64) -> bool {
        self.lost.iter().any(|(from, to)| (*from..=*to).contains(&seq))
    }

    /// The numbers of the lines in which a decision is used for the first time.
    pub fn decisions(&self) -> impl Iterator<Item = i64> {
        self.decisions.iter().copied()
    }

    /// Decisions that were signed with a key after somebody else had it, as a member said: the numbers of their lines.
    pub fn doubtful(&self) -> impl Iterator<Item = i64> {
        let is_doubtful = |(key, line): &&(KeyId, i64)| {
            self.keyring().get(*key).and_then(|known| known.compromised_since).is_some_and(|since| *line >= since)
        };
        self.signed_by.iter().filter(is_doubtful).map(|(_, line)| *line)
    }

    /// The first line.
    #[must_use]
    pub fn genesis(&self) -> Option<&WorkspaceCreated> {
        self.genesis.as_ref()
    }

    /// Takes the next line.
    ///
    /// # Errors
    /// [`ChainBreak`] when the line does not hold, or says something that could not have happened.
    pub fn apply(&mut self, entry: &LogEntry) -> Result<(), ChainBreak> {
        self.chain.next(entry)?;
        let broken = |reason| ChainBreak { seq: entry.seq, reason };
        self.fold_writer(entry).map_err(broken)?;
        self.fold(entry).map_err(broken)?;
        self.heads.push(entry.hash.clone());
        Ok(())
    }

    /// Who wrote it, and that it follows the step before about its subject.
    fn fold_writer(&mut self, entry: &LogEntry) -> Result<(), String> {
        self.writers.apply(entry)?;
        if !entry.event_kind().is_ok_and(EventKind::is_step) {
            return Ok(());
        }
        let before = self.steps.insert(entry.subject.id, entry.hash.clone());
        match entry.writer.is_none() || entry.previous_step == before {
            true => Ok(()),
            false => Err("it does not follow the step before about the same thing".to_owned()),
        }
    }

    fn fold(&mut self, entry: &LogEntry) -> Result<(), String> {
        let Ok(kind) = entry.event_kind() else { return unknown_kind(entry) };
        match kind {
            EventKind::WorkspaceCreated => {
                if entry.seq != 1 {
                    return Err("a workspace is created once, in the first line".to_owned());
                }
                let genesis: WorkspaceCreated = payload(entry)?;
                self.keys = KeyFold::new(self.chain.workspace(), &genesis.root_fingerprint);
                self.levels_began = genesis.holds_levels;
                self.genesis = Some(genesis);
                Ok(())
            }
            EventKind::MemberEnrolled | EventKind::MemberKeyRevoked | EventKind::MemberKeyCompromised => {
                if let Some(decision) = self.keys.apply(entry)? {
                    self.check_signed(&decision, entry, DecisionSubject::Key(KeyId(entry.subject.id)))?;
                }
                Ok(())
            }
            EventKind::MemberForgotten => self.fold_forgotten(entry),
            EventKind::AuditRestored => self.fold_restored(entry),
            EventKind::AuditVouched => self.fold_vouched(entry),
            EventKind::RowsStored => {
                let stored: RowsStored = payload(entry)?;
                self.rows_began |= !stored.is_beginning;
                for (table, key, before, after) in stored.rows {
                    let is_level = table == FoldedTable::Measurement;
                    self.levels_began |= is_level && !stored.is_beginning;
                    if stored.is_beginning && if is_level { self.levels_began } else { self.rows_began } {
                        return Err("rows begin to be held once, before any other line about them".to_owned());
                    }
                    let known = self.rows.insert((table, key.clone()), after).flatten();
                    if known != before && !stored.is_beginning {
                        self.foreign.push((entry.seq, table, key));
                    }
                }
                Ok(())
            }
            EventKind::ConfigurationApplied => self.fold_configuration(entry),
            EventKind::OutcomeCreated | EventKind::Outcome(_) => self.fold_outcome(entry, kind),
            EventKind::ExperimentCreated | EventKind::ExperimentMeasured | EventKind::Experiment(_) => {
                self.fold_experiment(entry, kind)
            }
            EventKind::GateOpened | EventKind::Gate(_) => self.fold_gate(entry, kind),
            EventKind::WriterEnrolled
            | EventKind::WorkspaceRecomputed
            | EventKind::MemberRefused
            | EventKind::SessionOpened
            | EventKind::AgentTokenMade
            | EventKind::ReadingsThinned
            | EventKind::SecretSet
            | EventKind::SecretRemoved
            | EventKind::SecretsResealed
            | EventKind::AgentRefused
            | EventKind::AuditAnchored
            | EventKind::FlagSet
            | EventKind::LearningStored
            | EventKind::ExperimentRestated
            | EventKind::ExperimentScopeViolated
            | EventKind::ExperimentRefused
            | EventKind::ExperimentAsked
            | EventKind::GateAsked
            | EventKind::GateRefused => Ok(()),
        }
    }

    fn fold_forgotten(&mut self, entry: &LogEntry) -> Result<(), String> {
        let MemberForgotten { act, decision } = payload(entry)?;
        let verified = self.sealed_act(&decision, entry, Verdict::ForgetMember, act.shown())?;
        let by = verified.get().member;
        if MemberId(entry.subject.id) != act.forget_member
            || (by != act.forget_member && self.keyring().root_member() != Some(by))
        {
            return Err("its decision is about something else, or by somebody whose name it is not".to_owned());
        }
        self.check_signed(&decision, entry, DecisionSubject::Member(act.forget_member))?;
        self.forgotten.insert(act.forget_member);
        Ok(())
    }

    fn fold_restored(&mut self, entry: &LogEntry) -> Result<(), String> {
        let restored: Restored = payload(entry)?;
        let workspace = self.chain.workspace();
        let verified = self.sealed_act(&restored.decision, entry, Verdict::Restore, restored.shown())?;
        self.check_signed(&restored.decision, entry, DecisionSubject::Workspace(workspace))?;
        self.lost.push((verified.get().log_seq + 1, restored.lost.0));
        Ok(())
    }

    fn fold_vouched(&mut self, entry: &LogEntry) -> Result<(), String> {
        let vouched: Vouched = payload(entry)?;
        let workspace = self.chain.workspace();
        let verified = self.sealed_act(&vouched.decision, entry, Verdict::Vouch, vouched.shown())?;
        if vouched.upto != (verified.get().log_seq, verified.get().log_head.clone()) {
            return Err("it vouches for other lines than the ones it was signed on".to_owned());
        }
        self.check_signed(&vouched.decision, entry, DecisionSubject::Workspace(workspace))
    }

    /// A decision about the workspace itself, which only a sealed key makes. `shown`: SHA-256 of what it is about.
    fn sealed_act(
        &self,
        decision: &SignedDecision,
        entry: &LogEntry,
        verdict: Verdict,
        shown: serde_json::Result<String>,
    ) -> Result<VerifiedDecision, String> {
        let verified = self.keyring().verify(decision, entry.seq).map_err(|e| e.to_string())?;
        let decision = verified.get();
        let is_about_it = decision.verdict == verdict && shown.is_ok_and(|shown| shown == decision.context_hash);
        match is_about_it && decision.assurance >= Assurance::A3 {
            true => Ok(verified),
            false => Err("its decision is about something else".to_owned()),
        }
    }

    fn fold_configuration(&mut self, entry: &LogEntry) -> Result<(), String> {
        let applied: ConfigurationApplied = payload(entry)?;
        if applied.previous.as_ref() != self.configurations.last().map(|(_, last)| &last.hash) {
            return Err("it does not follow from the configuration before".to_owned());
        }
        match &applied.because {
            AppliedBecause::Signed { decision } => {
                let verified = self.keyring().verify(decision, entry.seq).map_err(|e| e.to_string())?;
                let DecisionSubject::Gate(id) = verified.get().subject else {
                    return Err("a change without a gate".to_owned());
                };
                let known = self.gates.get(&id).is_some_and(|gate| {
                    gate.rules.gate_type == GateType::ChangeApproval && gate.state.status == GateStatus::Approved
                });
                if !known {
                    return Err("it uses the decision of another gate, or of a gate that is not approved".to_owned());
                }
                self.check_signed(verified.signed(), entry, DecisionSubject::Gate(id))?;
            }
            AppliedBecause::Adopted if !self.configurations.is_empty() || self.outcomes.is_empty() => {
                return Err("only the first configuration of an older workspace is adopted".to_owned());
            }
            AppliedBecause::Adopted | AppliedBecause::Free { .. } => {}
        }
        self.configurations.push((entry.seq, applied));
        Ok(())
    }

    fn fold_outcome(&mut self, entry: &LogEntry, kind: EventKind) -> Result<(), String> {
        let id = OutcomeId(entry.subject.id);
        if kind == EventKind::OutcomeCreated {
            let created: OutcomeCreated = payload(entry)?;
            let fresh = ReplayedOutcome { state: created.state, spec_hash: created.spec_hash, has_consent: false };
            return once(self.outcomes.insert(id, fresh).is_none());
        }
        let event: OutcomeEvent<SignedDecision> = payload(entry)?;
        let event = event.verify(self.keyring(), entry.seq).map_err(|e| e.to_string())?;
        if let Some(decision) = event.decision() {
            self.check_signed(decision.signed(), entry, DecisionSubject::Outcome(id))?;
        }
        let outcome = self.outcomes.get_mut(&id).ok_or("it names an outcome that was never created")?;
        outcome.state = transition_outcome(&outcome.state, &event, &entry.principal).map_err(|e| e.to_string())?;
        if let OutcomeEvent::Applied { spec_hash, consent, .. } = event {
            outcome.spec_hash = spec_hash;
            outcome.has_consent |= consent.is_some();
        }
        Ok(())
    }

    fn fold_experiment(&mut self, entry: &LogEntry, kind: EventKind) -> Result<(), String> {
        let id = ExperimentId(entry.subject.id);
        match kind {
            EventKind::ExperimentCreated => {
                let created: ExperimentCreated = payload(entry)?;
                let fresh = ReplayedExperiment { state: created.state, hypothesis_hash: created.hypothesis_hash };
                return once(self.experiments.insert(id, fresh).is_none());
            }
            EventKind::ExperimentMeasured => {
                let poll: PollLine = payload(entry)?;
                if poll.key != poll_key(id, entry.at) {
                    return Err("a poll of another experiment or instant".to_owned());
                }
                let end = self.chains.get(&id).map(String::as_str);
                let expected = PollLine::after(end, poll.key.clone(), poll.digest.clone(), poll.n)
                    .map(|expected| expected.saying(poll.said.clone()));
                if poll.chain.is_some() && expected.ok().as_ref() != Some(&poll) {
                    return Err("it does not follow from the readings before".to_owned());
                }
                self.chains.insert(id, chain_of(entry));
                self.readings.insert((id, entry.at), poll.digest);
                return Ok(());
            }
            _ => {}
        }
        let event: ExperimentEvent<SignedDecision> = payload(entry)?;
        let event = event.verify(self.keyring(), entry.seq).map_err(|e| e.to_string())?;
        if let Some((gate, decision)) = event.decision() {
            let subject = match gate {
                None => DecisionSubject::Experiment(id),
                Some(gate_type) => {
                    let DecisionSubject::Gate(gate) = decision.get().subject else {
                        return Err("a gate's verdict without a gate".to_owned());
                    };
                    let known = self.gates.get(&gate).is_some_and(|known| {
                        known.experiment == Some(id)
                            && known.rules.gate_type == gate_type
                            && known.state.status.is_decided()
                    });
                    if !known {
                        return Err("it uses the decision of another gate, or of a gate that is not decided".to_owned());
                    }
                    DecisionSubject::Gate(gate)
                }
            };
            self.check_signed(decision.signed(), entry, subject)?;
        }
        let experiment = self.experiments.get_mut(&id).ok_or("it names an experiment that was never created")?;
        let (next, _) =
            transition_experiment(&experiment.state, &event, &entry.principal).map_err(|e| e.to_string())?;
        experiment.state = next;
        Ok(())
    }

    fn fold_gate(&mut self, entry: &LogEntry, kind: EventKind) -> Result<(), String> {
        let id = GateId(entry.subject.id);
        if kind == EventKind::GateOpened {
            let opened: GateOpened = payload(entry)?;
            let outcome = opened.outcome.and_then(|outcome| self.outcomes.get(&outcome));
            let has_consent = outcome.is_some_and(|outcome| outcome.has_consent);
            if opened.rules.policy.assurance < Assurance::A3 && !has_consent {
                return Err("it opens a gate with an assurance below A3 that no member accepted".to_owned());
            }
            let fresh = ReplayedGate { rules: opened.rules, state: opened.state, experiment: opened.experiment };
            return once(self.gates.insert(id, fresh).is_none());
        }
        let event: GateEvent<SignedDecision> = payload(entry)?;
        let event = event.verify(self.keyring(), entry.seq).map_err(|e| e.to_string())?;
        if let GateEvent::Decided { decision } = &event {
            self.check_signed(decision.signed(), entry, DecisionSubject::Gate(id))?;
        }
        let email = match &entry.principal {
            Principal::Human { member, .. } => self.keyring().email_of_before(*member),
            Principal::Local { .. } | Principal::Agent { .. } | Principal::System { .. } => None,
        };
        let gate = self.gates.get_mut(&id).ok_or("it names a gate that was never opened")?;
        gate.state = transition_gate(&gate.rules, &gate.state, &event, &entry.principal, email.as_deref())
            .map_err(|e| e.to_string())?;
        Ok(())
    }

    /// A decision counts once for a kind of subject, about its own subject, over a log that this one continues.
    fn check_signed(
        &mut self,
        signed: &SignedDecision,
        entry: &LogEntry,
        subject: DecisionSubject,
    ) -> Result<(), String> {
        let decision = signed.decision();
        if decision.subject != subject {
            return Err("its decision is about something else".to_owned());
        }
        if let Some(basis) = &decision.basis {
            let applied = self.configurations.last().map(|(_, applied)| &applied.hash);
            let of_gate = |id| self.gates.get(&id).and_then(|gate: &ReplayedGate| gate.experiment);
            let experiment = match subject {
                DecisionSubject::Experiment(id) => Some(id),
                DecisionSubject::Gate(id) => of_gate(id),
                DecisionSubject::Outcome(_)
                | DecisionSubject::Key(_)
                | DecisionSubject::Member(_)
                | DecisionSubject::Workspace(_) => None,
            };
            let readings = basis.evidence.as_ref().and_then(|evidence| evidence.readings.as_ref());
            if basis.applied.as_ref() != applied {
                return Err("its decision rests on another configuration than the one that was applied".to_owned());
            }
            if basis.evidence.is_some() && readings != experiment.and_then(|id| self.chains.get(&id)) {
                return Err("its decision rests on other readings than the ones that were logged".to_owned());
            }
        }
        if self.hash_at(decision.log_seq) != Some(decision.log_head.as_str()) {
            return Err(format!(
                "its decision was signed over a different line {}: the log before it was rewritten",
                decision.log_seq
            ));
        }
        let kinds = self.used.entry(signed.name()).or_default();
        if kinds.is_empty() {
            self.decisions.push(entry.seq);
        }
        if !kinds.insert(entry.subject.kind) {
            return Err("its decision was already used".to_owned());
        }
        self.signed_by.push((decision.key, entry.seq));
        self.writers.vouch(decision.log_seq, entry.seq);
        Ok(())
    }
}

fn payload<T: DeserializeOwned>(entry: &LogEntry) -> Result<T, String> {
    T::deserialize(&entry.payload).map_err(|e| format!("its data cannot be read: {e}"))
}

/// A line of a newer program. What it says about something that has a state cannot be left out.
fn unknown_kind(entry: &LogEntry) -> Result<(), String> {
    match entry.subject.kind {
        SubjectKind::Member | SubjectKind::Outcome | SubjectKind::Experiment | SubjectKind::Gate => {
            Err(UnknownKind(entry.kind.clone()).to_string())
        }
        SubjectKind::Workspace | SubjectKind::Writer | SubjectKind::Learning | SubjectKind::Signal => Ok(()),
    }
}

fn once(is_first: bool) -> Result<(), String> {
    if is_first { Ok(()) } else { Err("it creates something that already exists".to_owned()) }
}
