//! Experiments: looked at, acted on by hand, tried out before they run.

mod act;
mod attach;
mod correct;
mod dry_run;
mod history;
mod propose;
mod show;
mod unsigned;

use crate::usecases::Runtime;

pub use act::ActRequest;
pub use attach::{AttachAsked, AttachRequest};
pub use correct::{CorrectRequest, Corrected, CorrectionPreview, Wrong};
pub use dry_run::DryRunView;
pub use show::ExperimentView;

/// The use cases about experiments.
#[derive(Clone, Copy)]
pub struct Experiments<'r>(pub(super) &'r Runtime);
