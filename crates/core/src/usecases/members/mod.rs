//! Members: what they are called is removed here. Their keys are a noun of their own.

mod emails;
mod forget;

use crate::usecases::Runtime;

pub use forget::{ForgetRequest, Forgotten};

/// The use cases about members.
#[derive(Clone, Copy)]
pub struct Members<'r>(pub(super) &'r Runtime);
