//! What is the same for every route: who may call it, security headers, limits, and how errors look.

pub mod extract;
pub mod guard;
pub mod outer;
pub mod problem;
