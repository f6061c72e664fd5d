//! Acts by hand, outside of a gate: pause, resume, kill, detach.

use super::Experiments;
use crate::audit::EventKind;
use crate::domain::{Assurance, DecisionSubject, Surface, Verdict};
use crate::error::{Code, Error, Result};
use crate::ids::ExperimentId;
use crate::lifecycle::ExperimentEvent;
use crate::usecases::Runtime;
use crate::usecases::gates::decided::Decided;
use crate::usecases::kernel::anchoring::anchor_quietly;
use crate::usecases::kernel::basis::About;
use crate::usecases::kernel::decision::{ToSign, check_words, decider, note_refused_decision, require, sign};
use crate::usecases::kernel::digest::digest;
use crate::usecases::kernel::experiment_step::experiment_step;
use crate::usecases::kernel::flag::refuse_moved_flag;
use crate::usecases::kernel::lookup::{experiment_named, outcome_of};
use crate::usecases::kernel::read_again::must_be_read_again;
use crate::usecases::kernel::step_context::StepContext;
use crate::usecases::kernel::unlock::Unlock;
use crate::usecases::outbox::aim::is_broken;
use crate::usecases::outbox::deliver::deliver_now;
use crate::usecases::outbox::tampered::off_without_history;

/// A human's act outside of a gate: pause, resume, kill, detach.
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

impl Experiments<'_> {
    /// Pauses, resumes, kills or detaches an experiment by hand, with a signed decision.
    ///
    /// # Errors
    /// As [`crate::usecases::Gates::decide`]. Without a signature: [`Self::act_unsigned`].
    #[tracing::instrument(level = "debug", name = "experiments.act", skip_all)]
    pub async fn act(self, request: ActRequest) -> Result<Decided> {
        let mut tx = self.0.read().await?;
        let experiment = experiment_named(&mut tx, &request.experiment).await?;
        drop(tx);
        let done = request.unlock.signing(|| try_act(self.0, &request)).await;
        match done {
            Ok(decided) => Ok(decided),
            Err(error) => {
                note_refused_decision(
                    self.0,
                    experiment.id.into(),
                    EventKind::ExperimentRefused,
                    Some(request.verdict),
                    &error,
                )
                .await;
                let stops = matches!(request.verdict, Verdict::Pause | Verdict::Kill);
                Err(if stops { off_all_the_same(self.0, experiment.id, error).await } else { error })
            }
        }
    }
}

/// Where nothing can be decided because what is stored is not what the log says, the flag goes off all the same.
pub(super) async fn off_all_the_same(runtime: &Runtime, id: ExperimentId, error: Error) -> Error {
    if !is_broken(&error) || !off_without_history(runtime, id).await.unwrap_or(false) {
        return error;
    }
    let said = deliver_now(runtime).await.join("; ");
    error.hint(format!("its flag is turned off all the same ({said}); run `outcome-runtime audit verify`"))
}

async fn try_act(runtime: &Runtime, request: &ActRequest) -> Result<Decided> {
    if !matches!(request.verdict, Verdict::Pause | Verdict::Resume | Verdict::Kill | Verdict::Detach) {
        return Err(Error::new(Code::InvalidInput, format!("`{}` needs a gate", request.verdict)).hint(
            "without a gate an experiment can only be paused, resumed, killed or, if it was attached, detached",
        ));
    }
    check_words(&[], request.note.as_deref(), request.verdict)?;
    if request.verdict == Verdict::Resume {
        let experiment = experiment_named(&mut runtime.read().await?, &request.experiment).await?;
        Box::pin(refuse_moved_flag(runtime, &experiment)).await?;
    }
    let signer = decider(runtime, request.member.as_deref(), &request.unlock, request.verdict).await?;
    let mut tx = runtime.write().await?;
    let mut experiment = experiment_named(&mut tx, &request.experiment).await?;
    let outcome = outcome_of(&mut tx, &experiment).await?;
    if request.verdict == Verdict::Resume {
        must_be_read_again(&mut tx, &experiment).await?;
    }
    if request.verdict == Verdict::Detach && !experiment.state.is_attached() {
        return Err(Error::new(
            Code::Conflict,
            format!("`{}` was launched by the runtime, and not attached", experiment.slug),
        )
        .hint("`outcome-runtime experiment kill` ends it and turns its flag off"));
    }
    let shown = digest(&experiment.state)?;
    let subject = DecisionSubject::Experiment(experiment.id);
    let about = About { experiment: Some((&experiment, &outcome)), ..About::default() };
    let what = ToSign { subject, shown: &shown, verdict: request.verdict, about };
    let decision = sign(runtime, &mut tx, &signer, what, |decision| {
        decision.note.clone_from(&request.note);
        decision.surface = request.surface;
    })
    .await?;
    require(&decision, Assurance::A3)?;
    tx.decision_insert(&decision).await?;
    let by = signer.principal();
    let context = StepContext {
        note: request.note.clone(),
        conclusion: Some(format!("{} by hand", request.verdict)),
        ..StepContext::default()
    };
    let assurance = decision.get().assurance;
    let event = ExperimentEvent::Decided { gate: None, decision };
    experiment_step(runtime, &mut tx, &outcome, &mut experiment, event, &by, &context).await?;
    tx.commit().await?;
    let deliveries = deliver_now(runtime).await;
    anchor_quietly(runtime, &signer).await;
    Ok(Decided {
        gate: None,
        gate_status: None,
        verdict: request.verdict,
        decided_by: signer.member.shown(),
        assurance,
        experiment: Some(experiment.slug.to_string()),
        experiment_status: Some(experiment.state.status),
        deliveries,
        unchecked: Vec::new(),
    })
}
