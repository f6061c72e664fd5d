//! A human decides: the only way in which a gate ends other than by being superseded.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::effects::StepContext;
use super::gate::GateView;
use super::runtime::Runtime;
use crate::domain::{
    Assurance, ContextPackage, Decision, DecisionSubject, Experiment, ExperimentStatus, Gate, GateStatus, GateType,
    Outcome, Surface, Verdict,
};
use crate::error::{Code, Error, Result};
use crate::hypotheses::Plan;
use crate::lifecycle::{ExperimentEvent, GateEvent, GateRules};
use crate::principal::Principal;
use crate::signing::{KeyKind, Keyring, SigningKey, VerifiedDecision, sign_decision};
use crate::store::{Member, MemberKey, Tx};

/// How the human proves to be one.
#[derive(Clone)]
pub enum Unlock {
    /// The passphrase that unlocks the member's signing key: assurance A3.
    Passphrase(SecretString),
    /// The unsealed key in the workspace's folder: assurance A2, "local, unverified".
    Local,
}

/// A decision that is asked for.
pub struct DecideRequest {
    /// Slug or id of the gate.
    pub gate: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Conditions, for `approve_with_conditions`.
    pub conditions: Vec<String>,
    /// The human's words.
    pub note: Option<String>,
    /// SHA-256 of what the human was shown; refused when the gate shows something else.
    pub context_hash: Option<String>,
    /// E-mail of the member; the first one when absent.
    pub member: Option<String>,
    /// Proof.
    pub unlock: Unlock,
    /// Where.
    pub surface: Surface,
}

/// A human's act outside of a gate: pause, resume, kill.
pub struct ActRequest {
    /// Slug or id of the experiment.
    pub experiment: String,
    /// What was decided.
    pub verdict: Verdict,
    /// The human's words.
    pub note: Option<String>,
    /// E-mail of the member; the first one when absent.
    pub member: Option<String>,
    /// Proof.
    pub unlock: Unlock,
    /// Where.
    pub surface: Surface,
}

/// What came of a decision.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Decided {
    /// Slug of the gate; absent for acts outside of a gate.
    pub gate: Option<String>,
    /// Status of the gate afterwards.
    pub gate_status: Option<GateStatus>,
    /// The verdict.
    pub verdict: Verdict,
    /// Who.
    pub decided_by: String,
    /// How surely.
    pub assurance: Assurance,
    /// Slug of the experiment.
    pub experiment: Option<String>,
    /// Where it stands now.
    pub experiment_status: Option<ExperimentStatus>,
    /// What the runtime did about flags at once, or why it will be tried again.
    pub deliveries: Vec<String>,
}

struct Signer {
    member: Member,
    key: SigningKey,
    stored: MemberKey,
}

impl Runtime {
    /// Decides a gate with a signed decision.
    ///
    /// # Errors
    /// [`Code::PassphraseWrong`], [`Code::AssuranceTooLow`], [`Code::GateNotPending`], [`Code::NotGateHolder`],
    /// [`Code::ContextChanged`], [`Code::SlotsFull`], [`Code::StateTampered`] ... Refusals are recorded.
    pub async fn gate_decide(&self, request: DecideRequest) -> Result<Decided> {
        let mut tx = self.read().await?;
        let (gate, _) = Self::gate_named(&mut tx, &request.gate).await?;
        drop(tx);
        match self.try_decide(&gate, &request).await {
            Ok(decided) => Ok(decided),
            Err(error) => {
                self.note_refused_decision(gate.id.into(), "gate.refused", Some(request.verdict), &error).await;
                Err(error)
            }
        }
    }

    /// Records that a front end refused a decision before any key was tried, for want of a human.
    pub async fn gate_refused(&self, gate: &GateView, verdict: Option<Verdict>, error: &Error) {
        self.note_refused_decision(gate.id.into(), "gate.refused", verdict, error).await;
    }

    async fn try_decide(&self, gate: &Gate, request: &DecideRequest) -> Result<Decided> {
        if request.context_hash.as_ref().is_some_and(|shown| *shown != gate.context_hash) {
            return Err(Error::new(Code::ContextChanged, format!("gate `{}` shows something else now", gate.slug))
                .hint("look at it again, then decide"));
        }
        let shown: ContextPackage = serde_json::from_str(&gate.context)
            .map_err(|e| Error::new(Code::StateTampered, "what the gate shows cannot be read").because(e))?;
        if !shown.verdicts.contains(&request.verdict) {
            let valid: Vec<_> = shown.verdicts.iter().map(|verdict| verdict.as_str()).collect();
            return Err(Error::new(
                Code::InvalidInput,
                format!("gate `{}` ({}) does not take `{}`", gate.slug, gate.gate_type, request.verdict),
            )
            .hint(format!("it takes {}", valid.join(", "))));
        }
        check_words(&request.conditions, request.note.as_deref(), request.verdict)?;
        let signer = self.signer(request.member.as_deref(), &request.unlock).await?;
        let head_of_branch = self.launch_drift(gate).await?;

        let mut tx = self.write().await?;
        let (mut gate, rules) = Self::gate_named(&mut tx, &request.gate).await?;
        let decision = self
            .sign(&mut tx, &signer, DecisionSubject::Gate(gate.id), &gate.context_hash, request.verdict, |decision| {
                decision.conditions.clone_from(&request.conditions);
                decision.note.clone_from(&request.note);
                decision.surface = request.surface;
            })
            .await?;
        let by = Principal::Human { member: signer.member.id, name: signer.member.email.clone() };
        if let Some(reason) = self.void_reason(&mut tx, &gate, head_of_branch).await? {
            return self.void_launch(tx, &mut gate, &reason).await;
        }
        self.gate_step(&mut tx, &mut gate, &rules, GateEvent::Decided { decision: decision.clone() }, &by).await?;
        let experiment = self.follow_decision(&mut tx, &gate, &rules, &decision, &by).await?;
        tx.commit().await?;
        let deliveries = self.deliver_now().await;
        Ok(Decided {
            gate: Some(gate.slug.to_string()),
            gate_status: Some(gate.state.status),
            verdict: request.verdict,
            decided_by: signer.member.email,
            assurance: decision.get().assurance,
            experiment: experiment.as_ref().map(|experiment| experiment.slug.to_string()),
            experiment_status: experiment.map(|experiment| experiment.state.status),
            deliveries,
        })
    }

    /// Pauses, resumes or kills an experiment by hand, with a signed decision.
    ///
    /// # Errors
    /// As [`Self::gate_decide`]. Resuming needs a passphrase; stopping may be "local, unverified".
    pub async fn experiment_act(&self, request: ActRequest) -> Result<Decided> {
        let mut tx = self.read().await?;
        let experiment = Self::experiment_named(&mut tx, &request.experiment).await?;
        drop(tx);
        match self.try_act(&request).await {
            Ok(decided) => Ok(decided),
            Err(error) => {
                self.note_refused_decision(experiment.id.into(), "experiment.refused", Some(request.verdict), &error)
                    .await;
                Err(error)
            }
        }
    }

    async fn try_act(&self, request: &ActRequest) -> Result<Decided> {
        if !matches!(request.verdict, Verdict::Pause | Verdict::Resume | Verdict::Kill) {
            return Err(Error::new(Code::InvalidInput, format!("`{}` needs a gate", request.verdict))
                .hint("outside of a gate an experiment can be paused, resumed or killed"));
        }
        check_words(&[], request.note.as_deref(), request.verdict)?;
        let signer = self.signer(request.member.as_deref(), &request.unlock).await?;
        let mut tx = self.write().await?;
        let mut experiment = Self::experiment_named(&mut tx, &request.experiment).await?;
        let outcome = Self::outcome_of(&mut tx, &experiment).await?;
        let shown = super::steps::digest(&experiment.state)?;
        let decision = self
            .sign(&mut tx, &signer, DecisionSubject::Experiment(experiment.id), &shown, request.verdict, |decision| {
                decision.note.clone_from(&request.note);
                decision.surface = request.surface;
            })
            .await?;
        require(&decision, if request.verdict.is_negative() { Assurance::A2 } else { Assurance::A3 })?;
        tx.decision_insert(&decision).await?;
        let by = Principal::Human { member: signer.member.id, name: signer.member.email.clone() };
        let context = StepContext {
            note: request.note.clone(),
            conclusion: Some(format!("{} by hand", request.verdict)),
            ..StepContext::default()
        };
        let assurance = decision.get().assurance;
        let event = ExperimentEvent::Decided { gate: None, decision };
        self.experiment_step(&mut tx, &outcome, &mut experiment, event, &by, &context).await?;
        tx.commit().await?;
        let deliveries = self.deliver_now().await;
        Ok(Decided {
            gate: None,
            gate_status: None,
            verdict: request.verdict,
            decided_by: signer.member.email,
            assurance,
            experiment: Some(experiment.slug.to_string()),
            experiment_status: Some(experiment.state.status),
            deliveries,
        })
    }

    /// The experiment takes the step that the gate's decision stands for.
    async fn follow_decision(
        &self,
        tx: &mut Tx,
        gate: &Gate,
        rules: &GateRules,
        decision: &VerifiedDecision,
        by: &Principal,
    ) -> Result<Option<Experiment>> {
        let Some(id) = gate.experiment else { return Ok(None) };
        let Some(mut experiment) = tx.experiment_get(id).await? else { return Ok(None) };
        if rules.gate_type == GateType::Escalation || !gate.state.status.is_decided() {
            return Ok(Some(experiment));
        }
        let outcome = Self::outcome_of(tx, &experiment).await?;
        let verdict = decision.get().verdict;
        if !verdict.is_negative() && gate.gate_type == GateType::LaunchApproval {
            let conflicts = self.conflicts(tx, &experiment).await?;
            if let Some(conflict) = conflicts.first() {
                return Err(Error::new(Code::Conflict, format!("`{}` cannot launch: {conflict}", experiment.slug))
                    .hint("conclude the other experiment first, or send this one back for rework"));
            }
        }
        let head = match self.repo().await {
            Ok(repo) => repo.head().await.ok().map(|commit| commit.to_string()),
            Err(_) => None,
        };
        let context = StepContext {
            note: decision.get().note.clone(),
            head,
            conclusion: Some(format!("{verdict} at the {} gate", gate.gate_type)),
            ..StepContext::default()
        };
        let event = ExperimentEvent::Decided { gate: Some(gate.gate_type), decision: decision.clone() };
        self.experiment_step(tx, &outcome, &mut experiment, event, by, &context).await?;
        Ok(Some(experiment))
    }

    /// For a launch gate: the commit to which the reported branch points now, where it can be seen.
    async fn launch_drift(&self, gate: &Gate) -> Result<Option<String>> {
        if gate.gate_type != GateType::LaunchApproval {
            return Ok(None);
        }
        let Some(id) = gate.experiment else { return Ok(None) };
        let mut tx = self.read().await?;
        let Some(experiment) = tx.experiment_get(id).await? else { return Ok(None) };
        drop(tx);
        let branch = experiment.build.as_ref().and_then(|build| build["branch"].as_str().map(ToOwned::to_owned));
        let (Some(branch), Ok(repo)) = (branch, self.repo().await) else { return Ok(None) };
        Ok(repo.resolve(&format!("refs/heads/{branch}")).await.ok().map(|commit| commit.to_string()))
    }

    /// Why a launch approval would approve something else than what was shown.
    async fn void_reason(&self, tx: &mut Tx, gate: &Gate, branch_head: Option<String>) -> Result<Option<String>> {
        if gate.gate_type != GateType::LaunchApproval || gate.state.status.is_decided() {
            return Ok(None);
        }
        let Some(id) = gate.experiment else { return Ok(None) };
        let Some(experiment) = tx.experiment_get(id).await? else { return Ok(None) };
        if experiment.state.status != ExperimentStatus::AwaitingLaunchGate {
            return Ok(None);
        }
        let outcome = Self::outcome_of(tx, &experiment).await?;
        let plan_hash =
            super::steps::digest(&Plan::of(&outcome.spec, &experiment.hypothesis, experiment.state.budget_part))?;
        if experiment.state.plan_hash.as_ref() != Some(&plan_hash) {
            return Ok(Some("the outcome file changed the plan after the build was reported".to_owned()));
        }
        match (&experiment.state.commit, branch_head) {
            (Some(reported), Some(head)) if *reported != head => {
                Ok(Some(format!("the branch moved from the reported commit {reported} to {head}")))
            }
            _ => Ok(None),
        }
    }

    async fn void_launch(&self, mut tx: Tx, gate: &mut Gate, reason: &str) -> Result<Decided> {
        let Some(id) = gate.experiment else {
            return Err(Error::new(Code::Internal, "a launch gate without an experiment"));
        };
        let mut experiment =
            tx.experiment_get(id).await?.ok_or_else(|| Error::not_found("experiment", &id.to_string()))?;
        let outcome = Self::outcome_of(&mut tx, &experiment).await?;
        let event = ExperimentEvent::LaunchVoided { reason: reason.to_owned() };
        let by = Principal::system("launch");
        self.experiment_step(&mut tx, &outcome, &mut experiment, event, &by, &StepContext::default()).await?;
        tx.commit().await?;
        Err(Error::new(Code::ContextChanged, format!("gate `{}` is void: {reason}", gate.slug))
            .hint("the experiment is building again; have the build reported anew, then decide on what it shows"))
    }

    /// The member who acts and their unlocked key.
    async fn signer(&self, email: Option<&str>, unlock: &Unlock) -> Result<Signer> {
        let mut tx = self.read().await?;
        let members = tx.member_list().await?;
        let keys = tx.key_list().await?;
        drop(tx);
        let member = match email {
            None => members.into_iter().next(),
            Some(email) => members.into_iter().find(|member| member.email.eq_ignore_ascii_case(email)),
        }
        .ok_or_else(|| Error::not_found("member", email.unwrap_or("(none)")))?;
        let kind = match unlock {
            Unlock::Passphrase(_) => KeyKind::Passphrase,
            Unlock::Local => KeyKind::Local,
        };
        let stored = keys
            .into_iter()
            .find(|key| key.member == member.id && key.kind == kind && key.revoked_at.is_none())
            .ok_or_else(|| Error::new(Code::Unauthenticated, format!("{} has no {kind} key", member.email)))?;
        let key = match unlock {
            Unlock::Local => self.local_key()?,
            Unlock::Passphrase(passphrase) => {
                let (sealed, id, passphrase) = (stored.sealed.clone(), stored.id, passphrase.clone());
                let sealed = sealed.ok_or_else(|| Error::new(Code::DatabaseCorrupt, "the sealed key is missing"))?;
                tokio::task::spawn_blocking(move || sealed.open(id, &passphrase))
                    .await
                    .map_err(|e| Error::new(Code::Internal, "unlocking the key was interrupted").because(e))??
            }
        };
        Ok(Signer { member, key, stored })
    }

    /// A member and their unlocked key.
    pub(super) async fn member_key(&self, email: Option<&str>, unlock: &Unlock) -> Result<(Member, SigningKey)> {
        let signer = self.signer(email, unlock).await?;
        Ok((signer.member, signer.key))
    }

    fn local_key(&self) -> Result<SigningKey> {
        let path = self.settings.folder().join("local.key");
        let unusable = || {
            Error::new(Code::Unauthenticated, format!("{} is missing or damaged", path.display()))
                .hint("decide with your passphrase instead")
        };
        let text = std::fs::read_to_string(&path).map_err(|_| unusable())?;
        let bytes: [u8; 32] =
            hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(unusable)?;
        Ok(SigningKey::from_bytes(&bytes))
    }

    /// Signs a decision over the present head of the log and verifies it like anybody else's.
    async fn sign(
        &self,
        tx: &mut Tx,
        signer: &Signer,
        subject: DecisionSubject,
        context_hash: &str,
        verdict: Verdict,
        fill: impl FnOnce(&mut Decision),
    ) -> Result<VerifiedDecision> {
        let keyring: Keyring = self.keyring(tx).await?;
        let (log_seq, log_head) = tx.log_head().await?;
        let mut decision = Decision {
            version: 1,
            workspace: self.workspace.id,
            subject,
            context_hash: context_hash.to_owned(),
            log_seq,
            log_head,
            verdict,
            conditions: Vec::new(),
            note: None,
            member: signer.member.id,
            key: signer.stored.id,
            assurance: signer.stored.kind.assurance(),
            surface: Surface::Terminal,
            decided_at: self.now(),
        };
        fill(&mut decision);
        let signed = sign_decision(decision, &signer.key)?;
        Ok(keyring.verify(&signed)?)
    }

    /// Signs a decision about an outcome.
    pub(super) async fn sign_for_outcome(
        &self,
        outcome: &Outcome,
        verdict: Verdict,
        member: Option<&str>,
        unlock: &Unlock,
        needed: Assurance,
    ) -> Result<(VerifiedDecision, Principal)> {
        let signer = match self.signer(member, unlock).await {
            Ok(signer) => signer,
            Err(error) => {
                self.note_refused_decision(self.workspace.id.into(), "member.refused", Some(verdict), &error).await;
                return Err(error);
            }
        };
        let mut tx = self.read().await?;
        let shown = super::steps::digest(&outcome.spec)?;
        let subject = DecisionSubject::Outcome(outcome.id);
        let decision = self.sign(&mut tx, &signer, subject, &shown, verdict, |_| ()).await?;
        require(&decision, needed)?;
        Ok((decision, Principal::Human { member: signer.member.id, name: signer.member.email }))
    }

    async fn note_refused_decision(
        &self,
        subject: crate::audit::Subject,
        kind: &str,
        verdict: Option<Verdict>,
        error: &Error,
    ) {
        let detail = json!({ "verdict": verdict, "code": error.code().as_str(), "reason": error.message() });
        let by = Principal::system("decide");
        if let Err(failed) = self.record_refusal(subject, kind, &by, &detail).await {
            tracing::warn!(code = %failed.code(), "A refused decision could not be recorded: {failed}");
        }
    }
}

fn require(decision: &VerifiedDecision, needed: Assurance) -> Result<()> {
    let got = decision.get().assurance;
    if got >= needed {
        return Ok(());
    }
    Err(crate::lifecycle::TransitionError::AssuranceTooLow { needed, got }.into())
}

/// Words of a human are kept in the log for ever: bounded, without NUL.
fn check_words(conditions: &[String], note: Option<&str>, verdict: Verdict) -> Result<()> {
    let bad = |text: &str| text.contains('\0') || text.chars().count() > 4000;
    if conditions.len() > 20 || conditions.iter().any(|text| bad(text)) || note.is_some_and(bad) {
        return Err(Error::new(Code::InvalidInput, "a note or condition is too long or holds a NUL character")
            .hint("at most 20 conditions and 4,000 characters each"));
    }
    if verdict == Verdict::ApproveWithConditions && conditions.is_empty() {
        return Err(Error::new(Code::InvalidInput, "an approval with conditions needs at least one condition")
            .hint("give --condition, or approve without"));
    }
    Ok(())
}
