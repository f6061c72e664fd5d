//! The names of the tools: other parts speak of tools without knowing what they do.

pub(crate) const GET_ACTIVE_OUTCOMES: &str = "get_active_outcomes";
pub(crate) const GET_WORK_ORDER: &str = "get_work_order";
pub(crate) const SUBMIT_HYPOTHESES: &str = "submit_hypotheses";
pub(crate) const GET_EXPERIMENT_BRIEF: &str = "get_experiment_brief";
pub(crate) const REPORT_EXPERIMENT_BUILT: &str = "report_experiment_built";
pub(crate) const REQUEST_HUMAN_GATE: &str = "request_human_gate";
pub(crate) const GET_GATE: &str = "get_gate";
pub(crate) const QUERY_LEARNINGS: &str = "query_learnings";

/// All of them, in the order in which they are used.
pub(crate) const ALL: [&str; 8] = [
    GET_ACTIVE_OUTCOMES,
    GET_WORK_ORDER,
    SUBMIT_HYPOTHESES,
    GET_EXPERIMENT_BRIEF,
    REPORT_EXPERIMENT_BUILT,
    REQUEST_HUMAN_GATE,
    GET_GATE,
    QUERY_LEARNINGS,
];
