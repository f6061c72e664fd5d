//! A flag that could not be put where it was decided: people are told, again and again, until it is there.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{FlagPosition, Message, MessageKey, Notice};
use crate::error::Result;
use crate::ids::ExperimentId;
use crate::present::{count, span};
use crate::store::{QueuedMessage, Tx};
use crate::usecases::Runtime;

/// When people are told, after the flag was decided; from then on every [`AGAIN`].
const FIRST: [SignedDuration; 3] =
    [SignedDuration::from_mins(2), SignedDuration::from_mins(12), SignedDuration::from_mins(72)];
const AGAIN: SignedDuration = SignedDuration::from_hours(6);

/// How many times people should have been told by now.
fn n_times(waits: SignedDuration) -> u32 {
    let [.., last] = FIRST;
    let first = FIRST.iter().filter(|after| waits >= **after).count();
    let again = waits.saturating_sub(last).as_secs().max(0) / AGAIN.as_secs();
    u32::try_from(first).unwrap_or(0) + u32::try_from(again).unwrap_or(u32::MAX)
}

/// A sentence about a position that could not be written: since when, how often it was tried, why.
pub(in crate::usecases) fn sentence(queued: &QueuedMessage, position: &FlagPosition, now: Timestamp) -> String {
    let FlagPosition { key, treatment_pct, .. } = position;
    let aim = match treatment_pct {
        0 => "turned off".to_owned(),
        pct => format!("set to {pct} %"),
    };
    let tries = u64::try_from(queued.attempts).unwrap_or(0);
    let tries = format!("{} {}", count(tries), if tries == 1 { "try" } else { "tries" });
    let why = queued.last_error.as_deref().unwrap_or("it is not known why");
    match now.duration_since(queued.created_at).as_mins() {
        0 => format!("the flag `{key}` could not be {aim} yet ({tries}): {why}"),
        mins => format!("the flag `{key}` could not be {aim} for {} ({tries}): {why}", span(mins)),
    }
}

/// The same for a message that may be another, or one that was not tried yet.
pub(in crate::usecases) fn flag_problem(queued: &QueuedMessage, now: Timestamp) -> Option<String> {
    match &queued.message {
        Ok(Message::Flag(position)) if queued.last_error.is_some() => Some(sentence(queued, position, now)),
        Ok(Message::Flag(_) | Message::Notice(_)) | Err(_) => None,
    }
}

/// Tells people that a position could not be written, if it is time to. `queued`: with the try that has just failed.
pub(super) async fn tell(
    runtime: &Runtime,
    tx: &mut Tx,
    queued: &QueuedMessage,
    position: &FlagPosition,
    now: Timestamp,
) -> Result<()> {
    let (time, Some(subject)) = (n_times(now.duration_since(queued.created_at)), queued.subject) else {
        return Ok(());
    };
    if time == 0 {
        return Ok(());
    }
    let sentence = sentence(queued, position, now);
    let experiment = position.experiment.clone();
    let notice = match position.treatment_pct {
        0 => Notice::FlagNotOff {
            detail: format!(
                "{sentence}. It is tried again about once a minute, and users may still be in the experiment: turn it off \
                 in the flag service by hand"
            ),
            experiment,
        },
        _ => Notice::FlagNotSet {
            detail: format!("{sentence}. It is tried again every few minutes; until then the flag stays where it was"),
            experiment,
        },
    };
    let key = MessageKey::FlagStuck(ExperimentId(subject), queued.id, time);
    tx.outbox_insert(runtime.ids.next(), &Message::Notice(notice), &key, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_at_growing_intervals() {
        let told = |mins| n_times(SignedDuration::from_mins(mins));
        assert_eq!([0, 1, 2, 11, 12, 71, 72, 431, 432, 791, 792].map(told), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
    }
}
