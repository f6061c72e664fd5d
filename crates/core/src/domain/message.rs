//! What is told to the outside after a decision: where a flag goes, and what people should know.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ExperimentStatus, GateType, Holder, Verdict, text_enum};
use crate::ids::{ExperimentId, GateId, MessageId, WorkspaceId};

text_enum! {
    /// Who a message is for: a flag service, or people.
    pub enum MessageKind { Flag, Notify }
}

text_enum! {
    /// How a message was closed.
    pub enum Closing {
        /// It arrived.
        Delivered,
        /// A later message took its place.
        Overtaken,
        /// People should have been told, and the file declares no channel for it.
        NoChannel,
        /// The file says that nobody is told.
        NotWanted,
        /// A channel refused it for good, or too often: it is not tried again by itself.
        DeadLetter,
    }
}

/// A message that was decided together with a change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Puts a flag where it was decided.
    Flag(FlagPosition),
    /// Tells people.
    Notice(Notice),
}

/// Where the flag of an experiment goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagPosition {
    /// Slug of the experiment.
    pub experiment: String,
    /// The flag.
    pub key: String,
    /// What the flag service shows beside it.
    pub description: String,
    /// Share of the treatment, in percent; 0 is off.
    pub treatment_pct: u8,
}

/// The gate that a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateNotice {
    /// Slug of the gate.
    pub gate: String,
    /// Its holder.
    pub holder: Option<Holder>,
    /// Where the file says that its holder is told.
    pub channel: Option<String>,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// A gate waits for a human.
    GateOpened {
        /// Which.
        #[serde(flatten)]
        about: GateNotice,
        /// What is to be decided.
        #[serde(rename = "type")]
        gate_type: GateType,
    },
    /// Half of a gate's time is over.
    GateReminded {
        /// Which.
        #[serde(flatten)]
        about: GateNotice,
    },
    /// A gate's time is over, and the next in its chain holds it.
    GateEscalated {
        /// Which.
        #[serde(flatten)]
        about: GateNotice,
    },
    /// A gate's time is over, and so is its chain.
    GateTimedOut {
        /// Which.
        #[serde(flatten)]
        about: GateNotice,
    },
    /// Somebody who cannot decide a gate asks for a decision.
    GateAsked {
        /// Which.
        #[serde(flatten)]
        about: GateNotice,
        /// Who asks for what, and why.
        detail: String,
    },
    /// Somebody who cannot act on an experiment asks for it.
    ExperimentAsked {
        /// Its slug.
        experiment: String,
        /// Who asks for what, and why.
        detail: String,
    },
    /// A signal can no longer be read.
    SignalFailing {
        /// Its name.
        signal: String,
        /// Its connector.
        source: String,
        /// Why.
        error: String,
    },
    /// Nobody is exposed to an experiment that is live.
    NobodyExposed {
        /// Its slug.
        experiment: String,
        /// Since when, and how many were expected.
        detail: String,
    },
    /// The value of everybody went beyond the limit of a constraint: an incident, not evidence about the treatment.
    Incident {
        /// Slug of the experiment whose constraint it is.
        experiment: String,
        /// Name of the constraint's signal.
        signal: String,
        /// The value, its limit, and what follows.
        detail: String,
    },
    /// A flag that was turned off is on, or could not be turned off.
    FlagNotOff {
        /// Slug of the experiment.
        experiment: String,
        /// Where it was found or why it is not off, and what is done.
        detail: String,
    },
    /// A flag could not be put where it was decided.
    FlagNotSet {
        /// Slug of the experiment.
        experiment: String,
        /// Since when, why, and what is done.
        detail: String,
    },
    /// The clock of a machine is not believed.
    ClockDoubted {
        /// Why, and what is done.
        detail: String,
    },
    /// An experiment took a step that people should know.
    ExperimentMoved {
        /// Its slug.
        experiment: String,
        /// Where it stands now.
        status: ExperimentStatus,
    },
}

/// A stored message that this program cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message of kind `{kind}` cannot be read: {problem}")]
pub struct UnreadableMessage {
    /// What the row says.
    pub kind: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Message {
    /// Who it is for.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        match self {
            Self::Flag(_) => MessageKind::Flag,
            Self::Notice(_) => MessageKind::Notify,
        }
    }

    /// Its data as it is stored.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn payload(&self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Flag(position) => serde_json::to_value(position),
            Self::Notice(notice) => serde_json::to_value(notice),
        }
    }

    /// A stored message, also of an earlier program, which did not name its notices.
    ///
    /// # Errors
    /// [`UnreadableMessage`] for one of a newer program, or one that was damaged.
    pub fn read(kind: &str, payload: &Value) -> Result<Self, UnreadableMessage> {
        let unreadable = |problem: String| UnreadableMessage { kind: kind.chars().take(60).collect(), problem };
        let damaged = |error: serde_json::Error| unreadable(error.to_string());
        match kind.parse::<MessageKind>().map_err(unreadable)? {
            MessageKind::Flag => FlagPosition::deserialize(payload).map(Self::Flag).map_err(damaged),
            MessageKind::Notify if Named::deserialize(payload).is_ok() => {
                Notice::deserialize(payload).map(Self::Notice).map_err(damaged)
            }
            MessageKind::Notify => {
                EarlierNotice::deserialize(payload).map(|earlier| Self::Notice(earlier.into())).map_err(damaged)
            }
        }
    }
}

impl Notice {
    /// What happened, as a stable word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::GateOpened { .. } => "gate_opened",
            Self::GateReminded { .. } => "gate_reminded",
            Self::GateEscalated { .. } => "gate_escalated",
            Self::GateTimedOut { .. } => "gate_timed_out",
            Self::GateAsked { .. } => "gate_asked",
            Self::ExperimentAsked { .. } => "experiment_asked",
            Self::SignalFailing { .. } => "signal_failing",
            Self::NobodyExposed { .. } => "nobody_exposed",
            Self::Incident { .. } => "incident",
            Self::FlagNotOff { .. } => "flag_not_off",
            Self::ClockDoubted { .. } => "clock_doubted",
            Self::FlagNotSet { .. } => "flag_not_set",
            Self::ExperimentMoved { .. } => "experiment_moved",
        }
    }

    /// The gate that it is about.
    #[must_use]
    pub fn gate(&self) -> Option<&GateNotice> {
        match self {
            Self::GateOpened { about, .. }
            | Self::GateReminded { about }
            | Self::GateEscalated { about }
            | Self::GateTimedOut { about }
            | Self::GateAsked { about, .. } => Some(about),
            Self::ExperimentAsked { .. }
            | Self::SignalFailing { .. }
            | Self::NobodyExposed { .. }
            | Self::Incident { .. }
            | Self::FlagNotOff { .. }
            | Self::ClockDoubted { .. }
            | Self::FlagNotSet { .. }
            | Self::ExperimentMoved { .. } => None,
        }
    }

    /// Slug of the experiment that it is about.
    #[must_use]
    pub fn experiment(&self) -> Option<&str> {
        match self {
            Self::ExperimentAsked { experiment, .. }
            | Self::NobodyExposed { experiment, .. }
            | Self::Incident { experiment, .. }
            | Self::FlagNotOff { experiment, .. }
            | Self::FlagNotSet { experiment, .. }
            | Self::ExperimentMoved { experiment, .. } => Some(experiment),
            Self::GateOpened { .. }
            | Self::GateReminded { .. }
            | Self::GateEscalated { .. }
            | Self::GateTimedOut { .. }
            | Self::GateAsked { .. }
            | Self::SignalFailing { .. }
            | Self::ClockDoubted { .. } => None,
        }
    }
}

/// A notice that is named, by this program or a newer one.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "notice")]
    _word: String,
}

/// A notice as programs before this one stored it: told by its fields.
#[derive(Deserialize)]
#[serde(untagged)]
enum EarlierNotice {
    GateOpened {
        #[serde(flatten)]
        about: GateNotice,
        #[serde(rename = "type")]
        gate_type: GateType,
    },
    GateStep {
        #[serde(flatten)]
        about: GateNotice,
        what: EarlierStep,
    },
    Signal {
        signal: String,
        source: String,
        error: String,
    },
    Experiment {
        experiment: String,
        status: ExperimentStatus,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EarlierStep {
    Reminded,
    Escalated,
    TimedOut,
}

impl From<EarlierNotice> for Notice {
    fn from(earlier: EarlierNotice) -> Self {
        match earlier {
            EarlierNotice::GateOpened { about, gate_type } => Self::GateOpened { about, gate_type },
            EarlierNotice::GateStep { about, what: EarlierStep::Reminded } => Self::GateReminded { about },
            EarlierNotice::GateStep { about, what: EarlierStep::Escalated } => Self::GateEscalated { about },
            EarlierNotice::GateStep { about, what: EarlierStep::TimedOut } => Self::GateTimedOut { about },
            EarlierNotice::Signal { signal, source, error } => Self::SignalFailing { signal, source, error },
            EarlierNotice::Experiment { experiment, status } => Self::ExperimentMoved { experiment, status },
        }
    }
}

/// What makes a message the same message: put together here, and never taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageKey {
    /// A position of an experiment's flag, decided at this line of the log.
    Flag(ExperimentId, i64),
    /// A step of an experiment, at this line of the log.
    ExperimentMoved(ExperimentId, i64),
    /// A gate was opened.
    GateOpened(GateId),
    /// A step of a gate, for the holder with this number.
    GateStep(GateId, &'static str, usize),
    /// This was asked for, on the day that began at this instant.
    Asked(Uuid, Verdict, Timestamp),
    /// A signal of this outcome or experiment failed first at this instant.
    SignalFailing(Uuid, String, Timestamp),
    /// Nobody is exposed to this experiment since this instant.
    NobodyExposed(ExperimentId, Timestamp),
    /// The value of everybody went beyond this limit of this experiment at this instant.
    Incident(ExperimentId, String, Timestamp),
    /// The flag of this experiment was found on at this instant.
    FlagNotOff(ExperimentId, Timestamp),
    /// The clock of a machine of this workspace is not believed since this instant.
    ClockDoubted(WorkspaceId, Timestamp),
    /// The position of an experiment's flag once more: this message about it may have come after a later one.
    FlagAgain(ExperimentId, MessageId),
    /// A flag of this experiment cannot be read since this instant.
    FlagNotRead(ExperimentId, Timestamp),
    /// The flag of this experiment, which was shipped, was found elsewhere on the day that began at this instant.
    FlagElsewhere(ExperimentId, Timestamp),
    /// What is stored about this experiment is not what the log says, on the day that began at this instant.
    Tampered(ExperimentId, Timestamp),
    /// This position of an experiment's flag could not be written; told for this time.
    FlagStuck(ExperimentId, MessageId, u32),
}

impl MessageKey {
    /// The experiment, gate or outcome that the message is about.
    #[must_use]
    pub fn subject(&self) -> Uuid {
        match self {
            Self::Flag(experiment, _)
            | Self::FlagAgain(experiment, _)
            | Self::FlagNotRead(experiment, _)
            | Self::FlagElsewhere(experiment, _)
            | Self::Tampered(experiment, _)
            | Self::ExperimentMoved(experiment, _)
            | Self::NobodyExposed(experiment, _)
            | Self::Incident(experiment, ..)
            | Self::FlagNotOff(experiment, _)
            | Self::FlagStuck(experiment, ..) => experiment.0,
            Self::GateOpened(gate) | Self::GateStep(gate, ..) => gate.0,
            Self::Asked(subject, ..) | Self::SignalFailing(subject, ..) => *subject,
            Self::ClockDoubted(workspace, _) => workspace.0,
        }
    }
}

impl std::fmt::Display for MessageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(experiment, seq) => write!(f, "flag/{experiment}/{seq}"),
            Self::FlagAgain(experiment, message) => write!(f, "flag_again/{experiment}/{message}"),
            Self::FlagNotRead(experiment, since) => write!(f, "flag_not_read/{experiment}/{since}"),
            Self::FlagElsewhere(experiment, day) => write!(f, "flag_elsewhere/{experiment}/{day}"),
            Self::Tampered(experiment, day) => write!(f, "tampered/{experiment}/{day}"),
            Self::ExperimentMoved(experiment, seq) => write!(f, "notify/{experiment}/{seq}"),
            Self::GateOpened(gate) => write!(f, "gate/{gate}/opened"),
            Self::GateStep(gate, step, holder) => write!(f, "gate/{gate}/{step}/{holder}"),
            Self::Asked(subject, verdict, day) => write!(f, "asked/{subject}/{verdict}/{day}"),
            Self::SignalFailing(subject, signal, at) => write!(f, "signal/{subject}/{signal}/{at}"),
            Self::NobodyExposed(experiment, since) => write!(f, "silence/{experiment}/{since}"),
            Self::Incident(experiment, limit, at) => write!(f, "incident/{experiment}/{limit}/{at}"),
            Self::FlagNotOff(experiment, at) => write!(f, "flag_not_off/{experiment}/{at}"),
            Self::ClockDoubted(workspace, since) => write!(f, "clock/{workspace}/{since}"),
            Self::FlagStuck(_, position, time) => write!(f, "flag_stuck/{position}/{time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(gate: &str) -> GateNotice {
        GateNotice {
            gate: gate.to_owned(),
            holder: Some(Holder::Email("dana@example.com".to_owned())),
            channel: Some("slack:#checkout".to_owned()),
        }
    }

    #[test]
    fn every_message_is_read_as_it_was_written() {
        let messages = [
            Message::Flag(FlagPosition {
                experiment: "softer".to_owned(),
                key: "soft".to_owned(),
                description: "Softer".to_owned(),
                treatment_pct: 50,
            }),
            Message::Notice(Notice::GateOpened { about: about("launch"), gate_type: GateType::LaunchApproval }),
            Message::Notice(Notice::GateReminded { about: about("launch") }),
            Message::Notice(Notice::GateEscalated { about: about("launch") }),
            Message::Notice(Notice::GateTimedOut { about: about("launch") }),
            Message::Notice(Notice::GateAsked { about: about("launch"), detail: "rework".to_owned() }),
            Message::Notice(Notice::ExperimentAsked { experiment: "softer".to_owned(), detail: "kill".to_owned() }),
            Message::Notice(Notice::SignalFailing {
                signal: "errors".to_owned(),
                source: "app".to_owned(),
                error: "gone".to_owned(),
            }),
            Message::Notice(Notice::NobodyExposed { experiment: "softer".to_owned(), detail: "since noon".to_owned() }),
            Message::Notice(Notice::Incident {
                experiment: "softer".to_owned(),
                signal: "delay".to_owned(),
                detail: "900 ms".to_owned(),
            }),
            Message::Notice(Notice::FlagNotOff { experiment: "softer".to_owned(), detail: "it is on".to_owned() }),
            Message::Notice(Notice::FlagNotSet { experiment: "softer".to_owned(), detail: "no answer".to_owned() }),
            Message::Notice(Notice::ExperimentMoved {
                experiment: "softer".to_owned(),
                status: ExperimentStatus::Paused,
            }),
        ];
        for message in messages {
            let payload = message.payload().unwrap();
            assert_eq!(Message::read(message.kind().as_str(), &payload), Ok(message), "{payload}");
        }
    }

    #[test]
    fn notices_of_earlier_programs_are_told_by_their_fields() {
        let earlier = |payload: Value| Message::read("notify", &payload).unwrap();
        let gate = json!({ "gate": "launch", "type": "launch_approval", "url": "http://127.0.0.1:8787/gates/launch",
            "channel": "slack:#checkout", "holder": "dana@example.com" });
        assert_eq!(
            earlier(gate),
            Message::Notice(Notice::GateOpened { about: about("launch"), gate_type: GateType::LaunchApproval })
        );
        for (what, expected) in [
            ("reminded", Notice::GateReminded { about: about("launch") }),
            ("escalated", Notice::GateEscalated { about: about("launch") }),
            ("timed_out", Notice::GateTimedOut { about: about("launch") }),
        ] {
            let step = json!({ "gate": "launch", "what": what, "url": "", "channel": "slack:#checkout",
                "holder": "dana@example.com" });
            assert_eq!(earlier(step), Message::Notice(expected));
        }
        assert_eq!(
            earlier(json!({ "signal": "errors", "source": "app", "error": "gone" })),
            Message::Notice(Notice::SignalFailing {
                signal: "errors".to_owned(),
                source: "app".to_owned(),
                error: "gone".to_owned()
            })
        );
        assert_eq!(
            earlier(json!({ "experiment": "softer", "status": "paused" })),
            Message::Notice(Notice::ExperimentMoved {
                experiment: "softer".to_owned(),
                status: ExperimentStatus::Paused
            })
        );
    }

    #[test]
    fn a_message_of_a_newer_program_is_no_silence() {
        let newer = Message::read("notify", &json!({ "notice": "moon_landed" }));
        assert!(newer.unwrap_err().to_string().contains("unknown variant `moon_landed`"));
        assert!(Message::read("carrier_pigeon", &json!({})).unwrap_err().to_string().contains("carrier_pigeon"));
        assert!(Message::read("flag", &json!({ "key": "soft" })).is_err());
    }
}
