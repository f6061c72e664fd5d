//! What a line of the log says has happened.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::lifecycle::{ExperimentEventKind, GateEventKind, OutcomeEventKind};

/// What a line of the log says has happened. Its text is stored; see [`EventKind::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The first line of every log.
    WorkspaceCreated,
    /// An account on a machine signs its lines with this key from now on.
    WriterEnrolled,
    /// What the rows hold that were written before this line.
    RowsStored,
    /// What is remembered of experiments was computed again.
    WorkspaceRecomputed,
    /// A key counts from now on.
    MemberEnrolled,
    /// A key counts no longer.
    MemberKeyRevoked,
    /// Somebody else had a key, as a member said.
    MemberKeyCompromised,
    /// What a member is called was removed.
    MemberForgotten,
    /// The log goes on from a backup.
    AuditRestored,
    /// A member vouched for the log as it stood.
    AuditVouched,
    /// A member, or somebody who said so, was refused.
    MemberRefused,
    /// A member signed in.
    SessionOpened,
    /// An agent got a token.
    AgentTokenMade,
    /// A secret was sealed in the store, or put into the keyring of the operating system.
    SecretSet,
    /// A secret was removed.
    SecretRemoved,
    /// The secrets of the store were sealed with another key.
    SecretsResealed,
    /// Readings whose time was over were forgotten.
    ReadingsThinned,
    /// An agent tried what only a human can do.
    AgentRefused,
    /// The head of the log was written down elsewhere.
    AuditAnchored,
    /// A flag was put where it was decided.
    FlagSet,
    /// A learning was stored.
    LearningStored,
    /// Another text of the outcome file counts from now on.
    ConfigurationApplied,
    /// An outcome was declared.
    OutcomeCreated,
    /// A step of an outcome.
    Outcome(OutcomeEventKind),
    /// An experiment was drafted.
    ExperimentCreated,
    /// Readings were stored.
    ExperimentMeasured,
    /// The source corrected its past.
    ExperimentRestated,
    /// A build touched what it must not touch.
    ExperimentScopeViolated,
    /// Somebody tried a step and was refused.
    ExperimentRefused,
    /// Somebody asked for a step that they cannot take.
    ExperimentAsked,
    /// A step of an experiment.
    Experiment(ExperimentEventKind),
    /// A gate was opened.
    GateOpened,
    /// Somebody tried to decide a gate and was refused.
    GateRefused,
    /// Somebody who cannot decide a gate asked for a decision.
    GateAsked,
    /// A step of a gate.
    Gate(GateEventKind),
}

/// A kind of line that this program does not know: a newer one wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this program does not know the kind of line `{0}`: a newer program wrote it")]
pub struct UnknownKind(pub String);

/// Every kind with its text.
static TEXTS: LazyLock<Vec<(EventKind, String)>> = LazyLock::new(|| {
    use EventKind as K;
    let fixed = [
        (K::WorkspaceCreated, "workspace.created"),
        (K::WriterEnrolled, "writer.enrolled"),
        (K::RowsStored, "workspace.rows"),
        (K::WorkspaceRecomputed, "workspace.note_recomputed"),
        (K::MemberEnrolled, "member.enrolled"),
        (K::MemberKeyRevoked, "member.key_revoked"),
        (K::MemberKeyCompromised, "member.key_compromised"),
        (K::MemberForgotten, "member.forgotten"),
        (K::AuditRestored, "audit.restored"),
        (K::AuditVouched, "audit.vouched"),
        (K::MemberRefused, "member.refused"),
        (K::SessionOpened, "session.opened"),
        (K::AgentTokenMade, "agent.token_made"),
        (K::SecretSet, "secret.set"),
        (K::SecretRemoved, "secret.removed"),
        (K::SecretsResealed, "secret.resealed"),
        (K::ReadingsThinned, "readings.thinned"),
        (K::AgentRefused, "agent.refused"),
        (K::AuditAnchored, "audit.anchored"),
        (K::FlagSet, "flag.set"),
        (K::LearningStored, "learning.stored"),
        (K::ConfigurationApplied, "configuration.applied"),
        (K::OutcomeCreated, "outcome.created"),
        (K::ExperimentCreated, "experiment.created"),
        (K::ExperimentMeasured, "experiment.measured"),
        (K::ExperimentRestated, "experiment.note_restated"),
        (K::ExperimentScopeViolated, "experiment.note_scope_violation"),
        (K::ExperimentRefused, "experiment.refused"),
        (K::ExperimentAsked, "experiment.note_asked"),
        (K::GateAsked, "gate.note_asked"),
        (K::GateOpened, "gate.opened"),
        (K::GateRefused, "gate.refused"),
    ];
    let fixed = fixed.into_iter().map(|(kind, text)| (kind, text.to_owned()));
    let outcomes = OutcomeEventKind::ALL.iter().map(|step| (K::Outcome(*step), format!("outcome.{step}")));
    let experiments = ExperimentEventKind::ALL.iter().map(|step| (K::Experiment(*step), format!("experiment.{step}")));
    let gates = GateEventKind::ALL.iter().map(|step| (K::Gate(*step), format!("gate.{step}")));
    fixed.chain(outcomes).chain(experiments).chain(gates).collect()
});

static TEXT_OF: LazyLock<HashMap<EventKind, &'static str>> =
    LazyLock::new(|| TEXTS.iter().map(|(kind, text)| (*kind, text.as_str())).collect());

static KIND_OF: LazyLock<HashMap<&'static str, EventKind>> =
    LazyLock::new(|| TEXTS.iter().map(|(kind, text)| (text.as_str(), *kind)).collect());

impl EventKind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        TEXTS.iter().map(|(kind, _)| *kind)
    }

    /// The text under which it is stored, hashed and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        TEXT_OF.get(&self).copied().unwrap_or_default()
    }

    /// True for what changes a state; readings, notes and refusals do not. That readings were forgotten is one: nothing brings them back.
    #[must_use]
    pub fn is_step(self) -> bool {
        match self {
            Self::RowsStored
            | Self::WorkspaceRecomputed
            | Self::ExperimentMeasured
            | Self::ExperimentRestated
            | Self::ExperimentScopeViolated
            | Self::MemberRefused
            | Self::AgentRefused
            | Self::ExperimentRefused
            | Self::ExperimentAsked
            | Self::GateAsked
            | Self::GateRefused => false,
            Self::WorkspaceCreated
            | Self::WriterEnrolled
            | Self::MemberEnrolled
            | Self::MemberKeyRevoked
            | Self::MemberKeyCompromised
            | Self::MemberForgotten
            | Self::AuditRestored
            | Self::AuditVouched
            | Self::SessionOpened
            | Self::AgentTokenMade
            | Self::SecretSet
            | Self::SecretRemoved
            | Self::SecretsResealed
            | Self::ReadingsThinned
            | Self::AuditAnchored
            | Self::FlagSet
            | Self::LearningStored
            | Self::ConfigurationApplied
            | Self::OutcomeCreated
            | Self::Outcome(_)
            | Self::ExperimentCreated
            | Self::Experiment(_)
            | Self::GateOpened
            | Self::Gate(_) => true,
        }
    }
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        KIND_OF.get(text).copied().ok_or_else(|| UnknownKind(text.chars().take(60).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        for kind in EventKind::all() {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!(TEXTS.len(), KIND_OF.len(), "two kinds share a text");
        assert_eq!(TEXTS.len(), TEXT_OF.len(), "a kind has two texts");
    }

    #[test]
    fn steps_are_told_by_kind_and_not_by_spelling() {
        for (text, is_step) in [
            ("experiment.measured", false),
            ("experiment.note_restated", false),
            ("gate.refused", false),
            ("gate.decided", true),
            ("experiment.killed_by_rule", true),
            ("outcome.applied", true),
        ] {
            assert_eq!(text.parse::<EventKind>().map(EventKind::is_step), Ok(is_step), "{text}");
        }
    }

    #[test]
    fn a_kind_of_a_newer_program_is_an_error_of_its_own() {
        let unknown = "experiment.note_of_tomorrow".parse::<EventKind>();
        assert_eq!(unknown, Err(UnknownKind("experiment.note_of_tomorrow".to_owned())));
    }
}
