//! What the results of a constraint are called, and which constraint a result is about.

/// What the results of a constraint with a lower and an upper limit are called, in that order: it is two guardrails, and each
/// needs its own name.
#[must_use]
pub fn names_of_limits(signal: &str) -> [String; 2] {
    SIDES.map(|side| format!("{signal}{side}"))
}

/// The signal of a result that is called like a limit.
#[must_use]
pub fn signal_of_limit(result: &str) -> Option<&str> {
    SIDES.iter().find_map(|side| result.strip_suffix(side))
}

/// Ends of the names of limits.
const SIDES: [&str; 2] = [" (min)", " (max)"];

/// Of `constraints`, the one that a guardrail result of this name is about.
pub(super) fn of_result<'c, C>(constraints: &'c [C], result: &str, signal: fn(&C) -> &str) -> Option<&'c C> {
    let name = signal_of_limit(result).unwrap_or(result);
    let named = |name: &str| constraints.iter().find(|constraint| signal(constraint) == name);
    named(result).or_else(|| named(name))
}
