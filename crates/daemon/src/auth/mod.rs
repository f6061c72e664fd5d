//! Who is at the door: a member with a session cookie, an agent with a bearer token, or a stranger.

pub mod caller;
pub mod cookie;
pub mod limiter;
pub mod site;

pub use caller::Caller;
