//! Members' keys: added, listed, exchanged for new ones, recovered, revoked, and marked where somebody else had them.

mod act;
mod add;
mod list;
mod recover;
mod rotate;

use crate::usecases::Runtime;

pub use act::{KeyActRequest, KeyActed};
pub use add::{Added, KeyAddRequest};
pub use list::{KeyLine, KeyState};
pub use recover::Recovered;
pub use rotate::Rotated;

/// The use cases about keys.
#[derive(Clone, Copy)]
pub struct Keys<'r>(pub(super) &'r Runtime);
