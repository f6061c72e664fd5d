//! What a human decides.

use super::text_enum;

text_enum! {
    /// What was decided. Which ones a gate takes depends on its type.
    pub enum Verdict {
        Approve, ApproveWithConditions, Reject, Rework, Extend, Scale, Ship, Iterate, Kill, Pause, Resume,
        /// Guard an attached experiment no longer, and leave its flag as it is.
        Detach,
        /// Accept a policy that lowers a gate's assurance.
        AcceptPolicy,
        /// Confirm that an outcome is achieved.
        ConfirmAchieved,
        Activate,
        Abandon,
        /// Read a signal of a running experiment with another query.
        CorrectQuery,
        /// Leave out a reading of an experiment.
        ForgetReading,
        /// Let a key count no longer.
        RevokeKey,
        /// Say that somebody else had a key.
        MarkCompromised,
        /// Remove what a member is called.
        ForgetMember,
        /// Go on from a backup.
        Restore,
        /// Vouch for the log as it stands.
        Vouch,
    }
}

impl Verdict {
    /// True for decisions that make things safer: they may come from [`super::Assurance::A2`].
    #[must_use]
    pub fn is_negative(self) -> bool {
        matches!(self, Self::Reject | Self::Rework | Self::Kill | Self::Pause | Self::Iterate | Self::Abandon)
    }
}
