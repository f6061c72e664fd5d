//! One door a noun, reached through the handle: `runtime.gates().decide(..)`.

use super::{
    AuditLog, Builds, Experiments, Flags, Gates, Hypotheses, Keys, Learnings, Members, Outbox, Outcomes, Runtime,
    Secrets, Sessions, Signals, Workspaces,
};

impl Runtime {
    /// The use cases about outcomes.
    #[must_use]
    pub fn outcomes(&self) -> Outcomes<'_> {
        Outcomes(self)
    }

    /// The use cases about experiments.
    #[must_use]
    pub fn experiments(&self) -> Experiments<'_> {
        Experiments(self)
    }

    /// The use cases about hypotheses.
    #[must_use]
    pub fn hypotheses(&self) -> Hypotheses<'_> {
        Hypotheses(self)
    }

    /// The use cases about builds.
    #[must_use]
    pub fn builds(&self) -> Builds<'_> {
        Builds(self)
    }

    /// The use cases about gates.
    #[must_use]
    pub fn gates(&self) -> Gates<'_> {
        Gates(self)
    }

    /// The use cases about signals and their sources.
    #[must_use]
    pub fn signals(&self) -> Signals<'_> {
        Signals(self)
    }

    /// The use cases about the flag service.
    #[must_use]
    pub fn flags(&self) -> Flags<'_> {
        Flags(self)
    }

    /// The use cases about members' keys.
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys(self)
    }

    /// The use cases about members.
    #[must_use]
    pub fn members(&self) -> Members<'_> {
        Members(self)
    }

    /// The use cases about learnings.
    #[must_use]
    pub fn learnings(&self) -> Learnings<'_> {
        Learnings(self)
    }

    /// The use cases about the audit log.
    #[must_use]
    pub fn audit_log(&self) -> AuditLog<'_> {
        AuditLog(self)
    }

    /// The use cases about the workspace as a whole.
    #[must_use]
    pub fn workspaces(&self) -> Workspaces<'_> {
        Workspaces(self)
    }

    /// The use cases about stored secrets.
    #[must_use]
    pub fn secrets(&self) -> Secrets<'_> {
        Secrets(self)
    }

    /// The use cases about sessions and tokens.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }

    /// The use cases about messages that wait.
    #[must_use]
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }
}
