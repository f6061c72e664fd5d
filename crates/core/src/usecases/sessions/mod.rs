//! Who is at the door of the daemon: members with a session, agents with a token.

mod agents;
mod sign_in;
mod use_once;

use crate::usecases::Runtime;

pub use sign_in::{PageSession, SignIn};

/// The use cases about sessions and tokens.
#[derive(Clone, Copy)]
pub struct Sessions<'r>(pub(super) &'r Runtime);
