//! For what a source is asked.

/// For what a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::usecases) enum Urgency {
    /// For a person who waits for it: also while it is left alone.
    Person,
    /// For an experiment: danger is looked for first.
    Urgent,
    /// For the level of an outcome.
    Ordinary,
}
