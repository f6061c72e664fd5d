//! What a change touched, and whether it was allowed to.
