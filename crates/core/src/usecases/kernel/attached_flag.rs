//! The flag of an experiment, as its service has it. Of one that runs elsewhere, "where it was put" is what was attached: the same arms,
//! the same shares, running. The runtime turns it off, and on again as it was; it writes nothing else.

use async_trait::async_trait;

use crate::characters::unseen;
use crate::digest::sha256_hex;
use crate::domain::{Attachment, Experiment};
use crate::ports::elsewhere::{Elsewhere, ElsewhereService};
use crate::ports::flags::{self, Drift};
use crate::ports::{FlagError, FlagService, FlagState, Right};

/// Where the flag of an experiment is, if that is not where it is expected. `None` where it is in place.
///
/// # Errors
/// The service's.
pub(in crate::usecases) async fn drift_of(
    service: &dyn FlagService,
    experiment: &Experiment,
    expected: &FlagState,
) -> Result<Option<Drift>, FlagError> {
    let flag = FlagOf::new(service, Some(experiment), !expected.is_on);
    flags::drift(flag.service(), expected).await
}

/// A flag service, looked at through one experiment.
pub(in crate::usecases) struct FlagOf<'s> {
    service: &'s dyn FlagService,
    attached: Option<AttachedFlag<'s>>,
}

impl<'s> FlagOf<'s> {
    /// As the runtime sees the flag of this experiment. `is_to_be_off`: what cannot be seen to be off is then said to be elsewhere, so
    /// that it is turned off again.
    pub(in crate::usecases) fn new(
        service: &'s dyn FlagService,
        experiment: Option<&'s Experiment>,
        is_to_be_off: bool,
    ) -> Self {
        let attached = experiment.and_then(|experiment| {
            let attachment = experiment.state.attached.as_deref()?;
            Some(AttachedFlag { service, attachment, key: &experiment.hypothesis.flag_key, is_to_be_off })
        });
        Self { service, attached }
    }

    /// The service.
    pub(in crate::usecases) fn service(&self) -> &dyn FlagService {
        match &self.attached {
            Some(attached) => attached,
            None => self.service,
        }
    }
}

struct AttachedFlag<'s> {
    service: &'s dyn FlagService,
    attachment: &'s Attachment,
    key: &'s str,
    is_to_be_off: bool,
}

impl AttachedFlag<'_> {
    fn elsewhere(&self) -> Result<&dyn ElsewhereService, FlagError> {
        let there = self.service.elsewhere().filter(|_| self.service.place() == self.attachment.place);
        there.ok_or_else(|| FlagError::Config {
            problem: format!("it was attached at another service than {}", self.service.name()),
            hint: format!("apply the `{}` at which it was attached again", self.attachment.provider),
        })
    }

    /// The experiment as it is now.
    async fn experiment(&self) -> Result<Elsewhere, FlagError> {
        let reference = &self.attachment.reference;
        let found = self.elsewhere()?.experiment(reference).await?;
        let found = found.ok_or_else(|| self.otherwise(format!("there is no experiment `{reference}` any more")))?;
        Ok(kept(found))
    }

    fn otherwise(&self, problem: String) -> FlagError {
        FlagError::Foreign { key: self.key.to_owned(), problem }
    }

    /// What differs from what was attached, in a sentence.
    fn difference(&self, found: &Elsewhere) -> Option<String> {
        let Attachment { control, treatment, reference, .. } = self.attachment;
        if found.flag_key != self.key {
            return Some(format!("the experiment `{reference}` uses the flag `{}` now", found.flag_key));
        }
        if (&found.control, &found.treatment) != (control, treatment) {
            return Some(format!(
                "its arms are `{}` and `{}` now, and were `{control}` and `{treatment}` when it was attached",
                found.control, found.treatment
            ));
        }
        if let Some(problem) = &found.off_problem {
            return Some(problem.clone());
        }
        if found.treatment_pct == self.attachment.treatment_pct && found.deal != self.attachment.deal {
            return Some(format!("the experiment `{reference}` deals its arms otherwise than when it was attached"));
        }
        found.idle.as_ref().map(|how| format!("its experiment {how}"))
    }
}

#[async_trait]
impl FlagService for AttachedFlag<'_> {
    fn name(&self) -> &str {
        self.service.name()
    }

    fn place(&self) -> Option<String> {
        self.service.place()
    }

    async fn ensure(&self, key: &str, _description: &str) -> Result<FlagState, FlagError> {
        let found = self.read(key).await?;
        found.ok_or_else(|| self.otherwise(format!("there is no experiment `{}` any more", self.attachment.reference)))
    }

    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        let wanted = FlagState::on(key, treatment_pct);
        let is_on = match self.read(key).await? {
            Some(state) if state.is_same(&wanted) => return Ok(state),
            Some(state) => state.is_on,
            None => return self.ensure(key, "").await,
        };
        // Nobody is given what is not what was attached.
        let found = self.experiment().await?;
        if let Some(problem) = self.difference(&found) {
            return Err(self.otherwise(problem));
        }
        if is_on || found.treatment_pct != treatment_pct {
            return Err(self.otherwise(format!(
                "its treatment has {} % there, and had {treatment_pct} % when it was attached",
                found.treatment_pct
            )));
        }
        self.elsewhere()?.switch_on(key).await?;
        // What was changed there meanwhile is taken back.
        match self.read(key).await {
            Ok(Some(state)) if state.is_same(&wanted) || !state.is_on => Ok(state),
            other => {
                self.off(key).await?;
                Err(match other {
                    Err(error) => error,
                    Ok(_) => self.otherwise("it was changed while it was turned on, and is off again".to_owned()),
                })
            }
        }
    }

    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        self.elsewhere()?.switch_off(key, &self.attachment.reference).await?;
        Ok(FlagState::off(key))
    }

    async fn read(&self, key: &str) -> Result<Option<FlagState>, FlagError> {
        let flag = self.service.read(key).await;
        let found = self.experiment().await;
        match (&flag, &found) {
            (Ok(None), _) => return Ok(None),
            // Off, and what everybody gets then is the control: whatever became of the experiment.
            (Ok(Some(state)), found) if !state.is_on => {
                let problem = found.as_ref().ok().and_then(|found| found.off_problem.clone());
                return problem.map_or_else(|| Ok(Some(state.clone())), |problem| Err(self.otherwise(problem)));
            }
            (Ok(Some(_)) | Err(FlagError::Foreign { .. }), Ok(_)) => {}
            (Ok(Some(_)) | Err(FlagError::Foreign { .. }), Err(error)) if self.is_to_be_off => {
                return Err(self.otherwise(format!("it cannot be seen to be off: {error}")));
            }
            (Ok(Some(_)) | Err(FlagError::Foreign { .. }), Err(_)) => return found.map(|_| None),
            (Err(_), _) => return flag,
        }
        let found = found?;
        if !found.is_on && found.off_problem.is_none() {
            return Ok(Some(FlagState::off(key)));
        }
        match self.difference(&found) {
            Some(problem) if found.is_on => Err(self.otherwise(format!("{problem}, and its flag is on"))),
            Some(problem) => Err(self.otherwise(problem)),
            None => Ok(Some(FlagState::on(key, found.treatment_pct))),
        }
    }

    async fn last_change(&self, key: &str) -> Result<Option<String>, FlagError> {
        self.service.last_change(key).await
    }

    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        self.service.rights().await
    }
}

/// Longest text of the service that is kept and shown.
const MAX_TEXT: usize = 120;

/// An experiment as it is kept: texts that can be shown beside ours, without characters that steer or hide, and the hash of what deals.
pub(in crate::usecases) fn kept(found: Elsewhere) -> Elsewhere {
    let metrics = found.metrics.iter().take(20).map(|name| shown(name)).collect();
    Elsewhere {
        name: shown(&found.name),
        control: shown(&found.control),
        treatment: shown(&found.treatment),
        idle: found.idle.as_deref().map(shown),
        off_problem: found.off_problem.as_deref().map(shown),
        deal: sha256_hex(&found.deal),
        metrics,
        ..found
    }
}

fn shown(text: &str) -> String {
    let is_seen = |c: &char| !c.is_control() && unseen(c.encode_utf8(&mut [0; 4])).is_none();
    text.chars().filter(is_seen).collect::<String>().trim().chars().take(MAX_TEXT).collect()
}
