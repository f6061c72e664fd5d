//! A portfolio: the best candidates that do not conflict.

use crate::domain::{Hypothesis, ScoreBreakdown};

/// A checked and scored candidate.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// What was submitted.
    pub hypothesis: Hypothesis,
    /// Its rank, and why it was dropped.
    pub score: ScoreBreakdown,
}

/// Why two experiments cannot run side by side.
#[must_use]
pub fn conflict_between(a: &Hypothesis, b: &Hypothesis) -> Option<String> {
    if a.flag_key == b.flag_key {
        return Some(format!("it uses the same flag `{}` as `{}`", a.flag_key, b.title));
    }
    crate::scope::paths_overlap(&a.touched_paths, &b.touched_paths)
        .map(|(mine, theirs)| format!("its path `{mine}` overlaps `{theirs}` of `{}`", b.title))
}

/// Marks what is dropped: greedy by score, at most `slots`, nothing that conflicts with what is already under way or with
/// a better candidate. The order of the input breaks ties.
#[must_use]
pub fn select_portfolio(mut candidates: Vec<Candidate>, under_way: &[Hypothesis], slots: usize) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total.total_cmp(&a.score.total));
    let mut selected: Vec<Hypothesis> = Vec::new();
    for candidate in &mut candidates {
        let conflict =
            under_way.iter().chain(&selected).find_map(|other| conflict_between(&candidate.hypothesis, other));
        candidate.score.dropped_because = match conflict {
            Some(reason) => Some(reason),
            None if selected.len() >= slots => Some(match slots {
                0 => "no slot is free: portfolio.max_concurrent experiments are already open".to_owned(),
                1 => "only one slot is free, and another candidate scores higher".to_owned(),
                slots => format!("only {slots} slots are free, and other candidates score higher"),
            }),
            None => {
                selected.push(candidate.hypothesis.clone());
                None
            }
        };
    }
    candidates
}
