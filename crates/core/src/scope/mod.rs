mod error;
mod path;
mod rules;
mod territory;
pub use error::{ScopeError, ScopeList};
pub use path::relative_to;
pub use rules::{Overlap, PathVerdict, ScopeRules, paths_overlap};
