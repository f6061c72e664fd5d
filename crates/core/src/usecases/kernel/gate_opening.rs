//! Opening a gate: its holders, its slug, what it shows, and the message about it.

use super::applied::applied;
use super::event::new_event;
use super::gate_context::context_package;
use super::keyring::keyring;
use super::people::People;
use super::step_context::StepContext;
use crate::audit::EventKind;
use crate::audit::replay::GateOpened;
use crate::digest::{canonical_json, sha256_hex};
use crate::domain::{
    ContextPackage, Experiment, Gate, GateNotice, GatePolicy, GateState, GateStatus, GateType, Holder, Message,
    MessageKey, Notice, Outcome, Slug,
};
use crate::error::{Code, Error, Result};
use crate::ids::{ExperimentId, GateId, OutcomeId};
use crate::lifecycle::GateRules;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Opens a gate and shows it what there is to see.
pub(in crate::usecases) async fn open_gate(
    runtime: &Runtime,
    tx: &mut Tx,
    outcome: &Outcome,
    experiment: Option<&Experiment>,
    gate_type: GateType,
    by: &Principal,
    context: &StepContext,
) -> Result<Gate> {
    let id = runtime.ids.next::<GateId>();
    let package = context_package(runtime, tx, id, outcome, experiment, gate_type, context).await?;
    let new = NewGate {
        base: experiment.map_or(&outcome.spec.slug, |experiment| &experiment.slug),
        policy: GatePolicy::at_least_signed(outcome.spec.gate_policy(gate_type)),
        outcome: Some(outcome.id),
        experiment: experiment.map(|experiment| experiment.id),
        package,
    };
    let (gate, rules) = insert_gate(runtime, tx, new, by).await?;
    tell_opened(runtime, tx, &gate, &rules).await?;
    Ok(gate)
}

/// A gate that is about to be opened.
pub(in crate::usecases) struct NewGate<'g> {
    /// What its name is made of.
    pub(in crate::usecases) base: &'g Slug,
    pub(in crate::usecases) policy: GatePolicy,
    pub(in crate::usecases) outcome: Option<OutcomeId>,
    pub(in crate::usecases) experiment: Option<ExperimentId>,
    /// What it shows.
    pub(in crate::usecases) package: ContextPackage,
}

/// Opens a gate that shows this. Its holder is told by [`tell_opened`].
pub(in crate::usecases) async fn insert_gate(
    runtime: &Runtime,
    tx: &mut Tx,
    new: NewGate<'_>,
    by: &Principal,
) -> Result<(Gate, GateRules)> {
    let now = runtime.now();
    let NewGate { base, policy, outcome, experiment, package } = new;
    let (id, gate_type) = (package.gate, package.gate_type);
    let text = canonical_json(&package)
        .map_err(|e| Error::new(Code::Internal, "a gate's context cannot be written").because(e))?;
    let rules = GateRules {
        id,
        gate_type,
        context_hash: sha256_hex(&text),
        holders: holders(runtime, tx, &policy.assigned_to, &policy.escalation).await?,
        policy: policy.clone(),
    };
    let due_at = now.checked_add(policy.sla.get()).unwrap_or(now);
    let gate = Gate {
        id,
        slug: free_gate_slug(tx, base, gate_type).await?,
        gate_type,
        outcome,
        experiment,
        policy,
        state: GateState { status: GateStatus::Pending, holder: 0, due_at, reminded: false, votes: Vec::new() },
        context: text,
        context_hash: rules.context_hash.clone(),
        created_at: now,
        responded_at: None,
    };
    let opened = GateOpened { rules: rules.clone(), state: gate.state.clone(), outcome, experiment };
    tx.gate_insert(&gate, &rules).await?;
    tx.event_append(new_event(EventKind::GateOpened, id.into(), by, &opened)?, now).await?;
    Ok((gate, rules))
}

/// Tells the holder of a gate that it waits, once.
pub(in crate::usecases) async fn tell_opened(
    runtime: &Runtime,
    tx: &mut Tx,
    gate: &Gate,
    rules: &GateRules,
) -> Result<()> {
    let about = notice_about(gate, rules);
    let notice = Message::Notice(Notice::GateOpened { about, gate_type: gate.gate_type });
    tx.outbox_insert(runtime.ids.next(), &notice, &MessageKey::GateOpened(gate.id), runtime.now()).await
}

/// The gate as messages name it, with its present holder.
pub(in crate::usecases) fn notice_about(gate: &Gate, rules: &GateRules) -> GateNotice {
    GateNotice {
        gate: gate.slug.to_string(),
        holder: rules.holders.get(gate.state.holder).cloned(),
        channel: rules.policy.channel.clone(),
    }
}

/// Members that hold a gate, in order: those whose e-mails the file names. Where it names nobody who is a member, the first member
/// holds it, so that a gate can always be decided by somebody.
async fn holders(
    runtime: &Runtime,
    tx: &mut Tx,
    assigned: &Option<String>,
    escalation: &[String],
) -> Result<Vec<Holder>> {
    let ring = keyring(runtime, tx).await?;
    let people = People::of(tx, &ring).await?;
    let named = assigned.iter().chain(escalation).filter_map(|email| people.with_email(email));
    let mut holders: Vec<Holder> = named.map(|person| Holder::Member { member: person.id }).collect();
    if holders.is_empty() {
        holders.extend(people.first().map(|person| Holder::Member { member: person.id }));
    }
    Ok(holders)
}

async fn free_gate_slug(tx: &mut Tx, base: &Slug, gate_type: GateType) -> Result<Slug> {
    let short = gate_type.as_str().split('_').next().unwrap_or("gate");
    let base: String = base.as_str().chars().take(48).collect();
    let wanted = Slug::from_title(&format!("{short} {base}"));
    for number in 1..10_000 {
        let slug = if number == 1 { wanted.clone() } else { wanted.numbered(number) };
        if !tx.gate_slug_taken(&slug).await? {
            return Ok(slug);
        }
    }
    Err(Error::new(Code::Conflict, "too many gates have this name"))
}

/// Where the pages are: what is applied says it, else where the daemon of this process listens, else the default.
pub(in crate::usecases) async fn pages(runtime: &Runtime, tx: &mut Tx) -> Result<String> {
    // What cannot be read is told where it is used; a link is no reason to fail.
    let applied = applied(runtime, tx).await.ok().flatten();
    let declared = applied.and_then(|applied| applied.config.review_url.clone());
    Ok(declared.unwrap_or_else(|| runtime.settings.pages.value.clone()))
}

/// The page on which a human decides a gate.
pub(in crate::usecases) fn gate_url(pages: &str, gate_slug: &str) -> String {
    format!("{pages}/gates/{gate_slug}")
}
