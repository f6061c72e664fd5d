//! A constraint whose value of everybody goes beyond its limit: people are told once, and the flag stays where it is.

use jiff::Timestamp;

use crate::domain::{Evaluation, Experiment, Message, MessageKey, Notice, Plan, Stored, signal_of_limit};
use crate::error::Result;
use crate::evaluation::Judged;
use crate::present::number;
use crate::stats::GuardrailResult;
use crate::store::Tx;
use crate::usecases::Runtime;

/// Tells of the incidents that the last result did not have. `experiment`: as it was before this poll.
pub(super) async fn tell_incidents(
    runtime: &Runtime,
    tx: &mut Tx,
    experiment: &Experiment,
    plan: &Plan,
    judged: &Judged,
    now: Timestamp,
) -> Result<()> {
    let last = experiment.current_result.as_ref().and_then(|result: &Stored<Evaluation>| result.read().ok());
    let was_incident = |name: &str| {
        last.is_some_and(|last| last.guardrails.iter().any(|guard| guard.name == name && guard.is_incident))
    };
    for found in judged.guardrails.iter().filter(|found| found.is_incident && !was_incident(&found.name)) {
        let signal = signal_of_limit(&found.name).unwrap_or(&found.name).to_owned();
        let notice = Notice::Incident {
            experiment: experiment.slug.to_string(),
            signal: signal.clone(),
            detail: detail(found, &signal, &plan.hypothesis.flag_key),
        };
        let key = MessageKey::Incident(experiment.id, found.name.clone(), now);
        tx.outbox_insert(runtime.ids.next(), &Message::Notice(notice), &key, now).await?;
    }
    Ok(())
}

fn detail(found: &GuardrailResult, signal: &str, flag: &str) -> String {
    let figure = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), number);
    format!(
        "`{signal}` of everybody is {}, beyond its limit of {}, for {} readings in a row. That is an incident and no evidence about \
         the treatment, so the flag `{flag}` stays where it is and nothing is claimed until it is over. If the change may be the \
         cause, pause the experiment",
        figure(found.value),
        figure(found.bound),
        found.n_consecutive
    )
}
