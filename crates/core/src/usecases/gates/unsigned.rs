//! Asking for a gate's decision without a signature: the gate stays open.

use super::Gates;
use crate::audit::EventKind;
use crate::domain::{Notice, Verdict};
use crate::error::Result;
use crate::principal::Principal;
use crate::usecases::kernel::ask::{UnsignedAct, note_asked};
use crate::usecases::kernel::decision::check_words;
use crate::usecases::kernel::gate_opening::notice_about;
use crate::usecases::kernel::lookup::gate_named;

impl Gates<'_> {
    /// Writes down that somebody without a signature wants this decision, and tells the gate's holder.
    ///
    /// # Errors
    /// [`crate::Code::NotFound`]; [`crate::Code::InvalidInput`] for a note that is too long.
    #[tracing::instrument(level = "debug", name = "gates.ask", skip_all, fields(reference))]
    pub async fn ask(
        self,
        reference: &str,
        verdict: Verdict,
        note: Option<&str>,
        by: &Principal,
    ) -> Result<UnsignedAct> {
        check_words(&[], note, verdict)?;
        let mut tx = self.0.write().await?;
        let (gate, rules) = gate_named(&mut tx, reference).await?;
        let about = notice_about(&gate, &rules);
        let notice = |detail| Notice::GateAsked { about, detail };
        note_asked(self.0, &mut tx, (gate.id.into(), EventKind::GateAsked), (verdict, note), by, notice).await?;
        tx.commit().await?;
        Ok(UnsignedAct {
            verdict,
            is_done: false,
            gate: Some(gate.slug.to_string()),
            experiment: None,
            experiment_status: None,
            deliveries: Vec::new(),
        })
    }
}
