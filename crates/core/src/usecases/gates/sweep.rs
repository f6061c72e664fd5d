//! Gates whose time has come.

use super::Gates;
use crate::domain::{GateNotice, GateStatus, Message, MessageKey, Notice};
use crate::error::Result;
use crate::lifecycle::{GateEvent, GateEventKind};
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
        let mut tx = self.0.write().await?;
        for (mut gate, rules) in tx.gate_list_open().await? {
            if gate.state.status != GateStatus::Pending {
                continue;
            }
            let sla = rules.policy.sla.get();
            let half = gate.state.due_at.checked_sub(sla / 2).unwrap_or(now);
            let event = if now >= gate.state.due_at {
                if gate.state.holder + 1 < rules.holders.len() {
                    Some(GateEvent::Escalated { due_at: now.checked_add(sla).unwrap_or(now) })
                } else {
                    Some(GateEvent::TimedOut)
                }
            } else if now >= half && !gate.state.reminded {
                Some(GateEvent::Reminded)
            } else {
                None
            };
            let Some(event) = event else { continue };
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

/// What people are told about a step that time brought.
fn notice_of(kind: GateEventKind, about: GateNotice) -> Option<Notice> {
    match kind {
        GateEventKind::Reminded => Some(Notice::GateReminded { about }),
        GateEventKind::Escalated => Some(Notice::GateEscalated { about }),
        GateEventKind::TimedOut => Some(Notice::GateTimedOut { about }),
        GateEventKind::Decided | GateEventKind::Superseded => None,
    }
}
