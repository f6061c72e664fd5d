//! The kinds of gate: what each asks, which verdicts it takes, and how sure the decision must be.

use super::{Assurance, Verdict, text_enum};

text_enum! {
    /// Why the gate is there.
    pub enum GateType { PortfolioReview, LaunchApproval, AnalysisReview, ScaleApproval, ShipApproval, ChangeApproval, Escalation }
}

impl GateType {
    /// The verdicts it takes, positive ones first.
    #[must_use]
    pub fn verdicts(self) -> &'static [Verdict] {
        use Verdict::{
            Approve, ApproveWithConditions, Detach, Extend, Iterate, Kill, Reject, Resume, Rework, Scale, Ship,
        };
        match self {
            Self::PortfolioReview => &[Approve, ApproveWithConditions, Reject],
            Self::LaunchApproval => &[Approve, ApproveWithConditions, Rework, Reject],
            Self::AnalysisReview => &[Ship, Scale, Extend, Resume, Iterate, Detach, Kill],
            Self::ScaleApproval | Self::ShipApproval | Self::ChangeApproval | Self::Escalation => &[Approve, Reject],
        }
    }

    /// Whether it asks what to do about figures.
    #[must_use]
    pub fn is_about_result(self) -> bool {
        matches!(self, Self::AnalysisReview | Self::ScaleApproval | Self::ShipApproval)
    }

    /// The least assurance of a positive decision, whatever a file or a row says: what touches users is never decided
    /// without a secret.
    #[must_use]
    pub fn floor(self) -> Assurance {
        match self {
            Self::PortfolioReview | Self::AnalysisReview => Assurance::A2,
            Self::LaunchApproval
            | Self::ScaleApproval
            | Self::ShipApproval
            | Self::ChangeApproval
            | Self::Escalation => Assurance::A3,
        }
    }

    /// The question, in the runtime's own words.
    #[must_use]
    pub fn question(self) -> &'static str {
        match self {
            Self::PortfolioReview => "Should this experiment be built?",
            Self::LaunchApproval => "Is this commit merged and deployed, and should it run under exactly this plan?",
            Self::AnalysisReview => "What should happen with this experiment?",
            Self::ScaleApproval => "Should the rollout go to the next step?",
            Self::ShipApproval => "Should this change ship to everyone?",
            Self::ChangeApproval => "Should this change of the outcome file be applied?",
            Self::Escalation => "An agent asks for a human decision.",
        }
    }
}
