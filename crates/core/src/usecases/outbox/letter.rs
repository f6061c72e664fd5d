//! The one place that says a notice in words.

use jiff::Timestamp;

use crate::domain::{ExperimentStatus, GateNotice, GateType, Notice};
use crate::ports::{Letter, LetterAbout};
use crate::present::plain;
use crate::store::QueuedMessage;

/// A line about a notice, for lists.
pub(in crate::usecases) fn subject(notice: &Notice) -> String {
    match notice {
        Notice::GateOpened { about, gate_type } => format!("Gate `{}` waits for {}", about.gate, wanted(*gate_type)),
        Notice::GateReminded { about } => format!("Half of the time for gate `{}` is over", about.gate),
        Notice::GateEscalated { about } => format!("Gate `{}` was passed on", about.gate),
        Notice::GateTimedOut { about } => format!("Gate `{}` was not decided in time", about.gate),
        Notice::GateAsked { about, .. } => format!("A decision of gate `{}` is asked for", about.gate),
        Notice::ExperimentAsked { experiment, .. } => format!("Somebody asks you to act on experiment `{experiment}`"),
        Notice::SignalFailing { signal, source, .. } => format!("Signal `{signal}` of `{source}` cannot be read"),
        Notice::NobodyExposed { experiment, .. } => format!("Nobody is exposed to experiment `{experiment}`"),
        Notice::Incident { experiment, signal, .. } => {
            format!("`{signal}` is beyond its limit for everybody, beside experiment `{experiment}`")
        }
        Notice::FlagNotOff { experiment, .. } => format!("The flag of experiment `{experiment}` is not off"),
        Notice::ClockDoubted { .. } => "The clock of a machine is wrong".to_owned(),
        Notice::FlagNotSet { experiment, .. } => format!("The flag of experiment `{experiment}` could not be set"),
        Notice::ExperimentMoved { experiment, status } => format!("Experiment `{experiment}` {}", stands(*status)),
    }
}

/// Who holds the gate of a notice, as people are told. The message itself names a member by their id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Who.
    pub(super) by: String,
    /// Where they are reached; none for a removed member.
    pub(super) email: Option<String>,
}

/// A notice as a channel delivers it, the same at each attempt. `pages`: where the pages are.
pub(super) fn letter(
    notice: &Notice,
    queued: &QueuedMessage,
    held: Option<&Held>,
    place: Option<String>,
    pages: &str,
) -> Letter {
    let gate_page = |about: &GateNotice| format!("{pages}/gates/{}", about.gate);
    let link = Some(notice.gate().map_or_else(|| pages.to_owned(), gate_page));
    Letter {
        key: queued.key.clone(),
        kind: notice.word().to_owned(),
        created_at: queued.created_at,
        about: about(notice),
        subject: subject(notice),
        text: text(notice, held),
        link,
        recipient: held.and_then(|held| held.email.clone()),
        place,
    }
}

/// A letter that says that messages arrive.
pub(super) fn test_letter(key: String, at: Timestamp, pages: &str) -> Letter {
    Letter {
        key,
        kind: "test".to_owned(),
        created_at: at,
        about: LetterAbout::default(),
        subject: "A test message of Outcome Runtime".to_owned(),
        text: "Messages about gates, stops and failing sources arrive here. Nothing is asked of you.".to_owned(),
        link: Some(pages.to_owned()),
        recipient: None,
        place: None,
    }
}

fn about(notice: &Notice) -> LetterAbout {
    let signal = match notice {
        Notice::SignalFailing { signal, .. } | Notice::Incident { signal, .. } => Some(signal.clone()),
        Notice::GateOpened { .. }
        | Notice::GateReminded { .. }
        | Notice::GateEscalated { .. }
        | Notice::GateTimedOut { .. }
        | Notice::GateAsked { .. }
        | Notice::ExperimentAsked { .. }
        | Notice::NobodyExposed { .. }
        | Notice::FlagNotOff { .. }
        | Notice::FlagNotSet { .. }
        | Notice::ClockDoubted { .. }
        | Notice::ExperimentMoved { .. } => None,
    };
    LetterAbout {
        gate: notice.gate().map(|about| about.gate.clone()),
        experiment: notice.experiment().map(ToOwned::to_owned),
        signal,
    }
}

fn text(notice: &Notice, by: Option<&Held>) -> String {
    match notice {
        Notice::GateOpened { about, gate_type } => {
            format!("{} asks for {}. {} Nothing happens until it is decided.", about.gate, wanted(*gate_type), held(by))
        }
        Notice::GateReminded { about } => {
            format!("Half of the time to decide {} is over. {}", about.gate, held(by))
        }
        Notice::GateEscalated { about } => {
            format!(
                "The time to decide {} was over, so the next person in its chain holds it. {}",
                about.gate,
                held(by)
            )
        }
        Notice::GateTimedOut { about } => format!(
            "The time to decide {} is over, and so is its chain. The experiment stays where it is, and the gate can \
             still be decided.",
            about.gate
        ),
        Notice::SignalFailing { signal, source, error } => format!(
            "The signal {signal} of {source} could not be read: {error}. It is tried again, and nothing is decided \
             without it."
        ),
        Notice::GateAsked { detail, .. }
        | Notice::ExperimentAsked { detail, .. }
        | Notice::NobodyExposed { detail, .. }
        | Notice::Incident { detail, .. }
        | Notice::ClockDoubted { detail }
        | Notice::FlagNotOff { detail, .. }
        | Notice::FlagNotSet { detail, .. } => sentence(detail),
        Notice::ExperimentMoved { experiment, status } => format!("The experiment {experiment} {}.", stands(*status)),
    }
}

/// With a capital letter and an end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map_or_else(String::new, |first| first.to_uppercase().to_string());
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

fn held(by: Option<&Held>) -> String {
    match by {
        Some(held) => format!("{} holds it.", held.by),
        None => "Any member can decide it.".to_owned(),
    }
}

/// What a gate of this type asks for.
fn wanted(gate_type: GateType) -> &'static str {
    match gate_type {
        GateType::PortfolioReview => "a review of the plan",
        GateType::LaunchApproval => "an approval to launch",
        GateType::AnalysisReview => "a review of the analysis",
        GateType::ScaleApproval => "an approval to scale",
        GateType::ShipApproval => "an approval to ship",
        GateType::ChangeApproval => "an approval of a change of the outcome file",
        GateType::Escalation => "help",
    }
}

fn stands(status: ExperimentStatus) -> String {
    format!("is now {}", plain(status.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Message;
    use crate::ids::MessageId;

    fn queued(notice: &Notice) -> QueuedMessage {
        QueuedMessage {
            id: MessageId(uuid::Uuid::from_u128(1)),
            kind: "notify".to_owned(),
            key: "gate/1/opened".to_owned(),
            subject: None,
            message: Ok(Message::Notice(notice.clone())),
            created_at: Timestamp::UNIX_EPOCH,
            attempts: 0,
            last_error: None,
            next_attempt_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_notice_about_a_gate_links_to_its_page_and_names_its_holder() {
        let about = GateNotice { gate: "launch-softer".to_owned(), holder: None, channel: None };
        let dana = "dana@example.com".to_owned();
        let held = Held { by: dana.clone(), email: Some(dana) };
        for notice in [
            Notice::GateOpened { about: about.clone(), gate_type: GateType::LaunchApproval },
            Notice::GateReminded { about: about.clone() },
            Notice::GateEscalated { about: about.clone() },
            Notice::GateTimedOut { about: about.clone() },
        ] {
            let letter = letter(&notice, &queued(&notice), Some(&held), None, "https://outcome.example.com");
            assert_eq!(letter.link.as_deref(), Some("https://outcome.example.com/gates/launch-softer"));
            assert_eq!(letter.recipient.as_deref(), Some("dana@example.com"));
            assert_eq!(letter.about.gate.as_deref(), Some("launch-softer"));
            assert!(letter.subject.contains("launch-softer") && letter.text.ends_with('.'), "{letter:?}");
        }
    }

    #[test]
    fn a_failing_signal_is_told_with_its_reason() {
        let notice = Notice::SignalFailing {
            signal: "errors".to_owned(),
            source: "app".to_owned(),
            error: "connection refused".to_owned(),
        };
        let letter = letter(&notice, &queued(&notice), None, Some("#ops".to_owned()), "http://127.0.0.1:8787");
        assert_eq!(letter.subject, "Signal `errors` of `app` cannot be read");
        assert!(letter.text.contains("connection refused"), "{letter:?}");
        assert_eq!(letter.about.signal.as_deref(), Some("errors"));
        assert_eq!((letter.kind.as_str(), letter.place.as_deref()), ("signal_failing", Some("#ops")));
    }
}
