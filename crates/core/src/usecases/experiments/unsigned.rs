//! Acts on an experiment without a signature: stopping it, and asking a member for the rest.

use jiff::SignedDuration;

use super::Experiments;
use super::act::off_all_the_same;
use crate::audit::EventKind;
use crate::domain::{Experiment, Notice, Verdict};
use crate::error::{Code, Error, Result};
use crate::lifecycle::{ExperimentEvent, ExperimentEventKind};
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;
use crate::usecases::kernel::ask::{UnsignedAct, note_asked};
use crate::usecases::kernel::decision::check_words;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::outbox::deliver::deliver_now;

/// For so long after a member resumed an experiment, nobody stops it again without a signature.
const AFTER_A_RESUME: SignedDuration = SignedDuration::from_hours(24);

impl Experiments<'_> {
    /// Acts without a signature: a pause is done, since switching off is safe; a resume, a kill, and a pause within a day of a
    /// member's resume are asked of the members.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] for another verdict; [`Code::Conflict`] when the experiment cannot be paused.
    #[tracing::instrument(level = "debug", name = "experiments.act_unsigned", skip_all, fields(reference))]
    pub async fn act_unsigned(
        self,
        reference: &str,
        verdict: Verdict,
        note: Option<&str>,
        by: &Principal,
    ) -> Result<UnsignedAct> {
        if !matches!(verdict, Verdict::Pause | Verdict::Resume | Verdict::Kill) {
            return Err(Error::new(Code::InvalidInput, format!("`{verdict}` needs a gate"))
                .hint("without a gate an experiment can only be paused, resumed or killed"));
        }
        check_words(&[], note, verdict)?;
        let mut tx = self.0.write().await?;
        let mut experiment = experiment_named(&mut tx, reference).await?;
        let is_done = verdict == Verdict::Pause && !was_just_resumed(self.0, &mut tx, &experiment).await?;
        if is_done {
            let outcome = outcome_of(&mut tx, &experiment).await?;
            let reason = note.unwrap_or("paused by hand, without a signature").to_owned();
            let event = ExperimentEvent::PausedLocally { reason };
            let context = StepContext { note: note.map(ToOwned::to_owned), ..StepContext::default() };
            let stepped = experiment_step(self.0, &mut tx, &outcome, &mut experiment, event, by, &context).await;
            if let Err(error) = stepped {
                drop(tx);
                return Err(off_all_the_same(self.0, experiment.id, error).await);
            }
        } else {
            let slug = experiment.slug.to_string();
            let about = (experiment.id.into(), EventKind::ExperimentAsked);
            let notice = |detail| Notice::ExperimentAsked { experiment: slug, detail };
            note_asked(self.0, &mut tx, about, (verdict, note), by, notice).await?;
        }
        tx.commit().await?;
        let deliveries = if is_done { deliver_now(self.0).await } else { Vec::new() };
        Ok(UnsignedAct {
            verdict,
            is_done,
            gate: None,
            experiment: Some(experiment.slug.to_string()),
            experiment_status: Some(experiment.state.status),
            deliveries,
        })
    }
}

async fn was_just_resumed(runtime: &Runtime, tx: &mut Tx, experiment: &Experiment) -> Result<bool> {
    let resumed = EventKind::Experiment(ExperimentEventKind::Resumed);
    let last = tx.event_last_of_kind(experiment.id.0, resumed, i64::MAX).await?;
    Ok(last.is_some_and(|line| runtime.now().duration_since(line.at) < AFTER_A_RESUME))
}
