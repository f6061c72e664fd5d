//! Gates: opened, shown, decided by a human, and swept when their time has come.

mod change;
mod decide;
pub(super) mod decided;
mod launch;
mod open;
mod rebuild;
mod show;
mod sweep;
mod unsigned;
mod view;

use crate::usecases::Runtime;

pub use decide::DecideRequest;
pub use decided::Decided;
pub use open::GateOpenRequest;
pub use view::GateView;

/// The use cases about gates.
#[derive(Clone, Copy)]
pub struct Gates<'r>(pub(super) &'r Runtime);
