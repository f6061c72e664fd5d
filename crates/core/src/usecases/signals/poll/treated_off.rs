//! Off is proven by the source, too: units that are still shown the treatment after the flag went off are an alarm. The flag service may say
//! "off" while an application does not ask it any more.

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::config::vendor::Asked;
use crate::domain::{Experiment, Message, MessageKey, Notice, Plan, Window};
use crate::error::{Error, Result};
use crate::ports::{SignalSource as _, Treated};
use crate::present::{count, instant};
use crate::store::{AllocationPhase, Tx};
use crate::usecases::Runtime;
use crate::usecases::kernel::phases::is_on;
use crate::usecases::kernel::turns::{Urgency, queued_source};

/// How long after the flag went off applications may still show what they had asked for before.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// Units that were shown the treatment although the flag is off.
pub(super) struct TreatedOff {
    n: u64,
    /// When the last of them was.
    newest: Option<Timestamp>,
    /// When the flag went off.
    off_at: Timestamp,
}

/// Asks who was shown the treatment since the flag went off; `None` while it is on, soon after, and where nobody knows.
pub(super) async fn read_treated_off(
    runtime: &Runtime,
    config: &Config,
    experiment: &Experiment,
    plan: &Plan,
    phases: &[AllocationPhase],
    now: Timestamp,
) -> Result<Option<TreatedOff>> {
    let Some(off_at) = phases.last().and_then(|phase| phase.ended_at).filter(|_| !is_on(phases)) else {
        return Ok(None);
    };
    let from = off_at.0.checked_add(GRACE).unwrap_or(Timestamp::MAX);
    let signal = &plan.signal;
    let may_know = match config.connector(&signal.source).map(|spec| spec.asked) {
        Some(Asked::WithSql) => signal.contract.is_some(),
        Some(Asked::ByName(answers)) => answers.by_variant,
        Some(Asked::ItPushes) | None => false,
    };
    if from >= now || !plan.design.has_control() || !may_know {
        return Ok(None);
    }
    let window = Window { from, to: now };
    let key = &experiment.hypothesis.flag_key;
    let found = queued_source(runtime, config, &signal.source, Urgency::Urgent)
        .await?
        .treated(signal, key, window)
        .await
        .map_err(Error::from)?;
    let Some(Treated { n, newest }) = found else { return Ok(None) };
    let n = u64::try_from(n).ok().filter(|n| *n > 0);
    Ok(n.map(|n| TreatedOff { n, newest, off_at: off_at.0 }))
}

impl TreatedOff {
    /// Tells it, once for each time that the flag was turned off. Returns the sentence.
    pub(super) async fn tell(
        self,
        runtime: &Runtime,
        tx: &mut Tx,
        experiment: &Experiment,
        now: Timestamp,
    ) -> Result<String> {
        let newest = self.newest.map_or_else(String::new, |newest| format!(", the last one at {}", instant(newest)));
        let detail = format!(
            "{} {} still shown the treatment more than an hour after the flag `{}` went off ({}{newest}): some application does not ask the \
             flag any more",
            count(self.n),
            if self.n == 1 { "unit was" } else { "units were" },
            experiment.hypothesis.flag_key,
            instant(self.off_at)
        );
        let notice =
            Message::Notice(Notice::FlagNotOff { experiment: experiment.slug.to_string(), detail: detail.clone() });
        let key = MessageKey::FlagNotOff(experiment.id, self.off_at);
        tx.outbox_insert(runtime.ids.next(), &notice, &key, now).await?;
        Ok(format!("`{}`: {detail}", experiment.slug))
    }
}
