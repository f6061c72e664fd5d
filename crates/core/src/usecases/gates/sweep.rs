//! Gates whose time has come.

use jiff::Timestamp;

use super::Gates;
use crate::domain::{Gate, GateNotice, GateStatus, Message, MessageKey, Notice};
use crate::error::Result;
use crate::lifecycle::{GateEvent, GateEventKind, GateRules};
use crate::principal::Principal;
use crate::usecases::kernel::gate_opening::notice_about;
use crate::usecases::kernel::gate_step::gate_step;

impl Gates<'_> {
    /// Reminds, escalates and times out gates whose time has come. Silence never approves.
    ///
    /// # Errors
    /// When the database fails.
    #[tracing::instrument(level = "debug", name = "gates.sweep", skip_all)]
    pub async fn sweep(self) -> Result<u32> {
        let by = Principal::system("gates");
        let now = self.0.now();
        let mut n_steps = 0;
        // Where nothing has come, nothing is locked.
        let is_due = |(gate, rules): &(Gate, GateRules)| due(gate, rules, now).is_some();
        if !self.0.read().await?.gate_list_open().await?.iter().any(is_due) {
            return Ok(n_steps);
        }
        let mut tx = self.0.write().await?;
        for (mut gate, rules) in tx.gate_list_open().await? {
            let Some(event) = due(&gate, &rules, now) else { continue };
            let kind = event.kind();
            gate_step(self.0, &mut tx, &mut gate, &rules, event, &by).await?;
            if let Some(notice) = notice_of(kind, notice_about(&gate, &rules)) {
                let key = MessageKey::GateStep(gate.id, kind.as_str(), gate.state.holder);
                tx.outbox_insert(self.0.ids.next(), &Message::Notice(notice), &key, now).await?;
            }
            n_steps += 1;
        }
        tx.commit().await?;
        Ok(n_steps)
    }
}

/// What the time that has come for a gate leads to.
fn due(gate: &Gate, rules: &GateRules, now: Timestamp) -> Option<GateEvent> {
    if gate.state.status != GateStatus::Pending {
        return None;
    }
    let sla = rules.policy.sla.get();
    let half = gate.state.due_at.checked_sub(sla / 2).unwrap_or(now);
    if now < gate.state.due_at {
        return (now >= half && !gate.state.reminded).then_some(GateEvent::Reminded);
    }
    Some(match gate.state.holder + 1 < rules.holders.len() {
        true => GateEvent::Escalated { due_at: now.checked_add(sla).unwrap_or(now) },
        false => GateEvent::TimedOut,
    })
}

/// What people are told about a step that time brought.
fn notice_of(kind: GateEventKind, about: GateNotice) -> Option<Notice> {
    match kind {
        GateEventKind::Reminded => Some(Notice::GateReminded { about }),
        GateEventKind::Escalated => Some(Notice::GateEscalated { about }),
        GateEventKind::TimedOut => Some(Notice::GateTimedOut { about }),
        GateEventKind::Decided | GateEventKind::Superseded => None,
    }
}
