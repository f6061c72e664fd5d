//! The 26 mistakes of STATS.md 2.12, and which scenario shows what they cost.

/// Number, what it is, and the scenarios that show it.
const MISTAKES: [(u8, &str, &[&str]); 26] = [
    (1, "rows or events counted as units", &["T6"]),
    (2, "thresholds without a direction; relative and absolute mixed", &[]),
    (3, "p that rises again, or comes from the last poll only", &["T12"]),
    (4, "peeking at a fixed-horizon interval", &["T1", "T2"]),
    (5, "tau tuned again at every look", &["T1", "T2"]),
    (6, "tau taken for its square, deviation for variance", &[]),
    (7, "pooled variance for intervals and margins", &[]),
    (8, "exponentials in linear space", &[]),
    (9, "zero variance as p = 1 or as a certain winner", &["T5"]),
    (10, "no start gate under an unequal split", &["T4", "T5"]),
    (11, "sums pooled across a ramp", &["T3"]),
    (12, "the sample count as clock while the split changes", &["T3"]),
    (13, "chi-square for sample ratio at every poll", &["T7"]),
    (14, "abs(z) in a one-sided test", &["T1"]),
    (15, "\"no significant harm\" read as safe", &["T12"]),
    (16, "success threshold set to the minimum detectable effect", &["T12"]),
    (17, "a point estimate that kills", &["T12"]),
    (18, "a lift interval that contradicts the absolute test", &["T10"]),
    (19, "lift over a zero or negative baseline", &[]),
    (20, "a covariate measured after exposure, or a slope from one arm", &[]),
    (21, "e-BH on running maxima or frozen e-values", &["T8"]),
    (22, "e-values of overlapping data multiplied", &["T12"]),
    (23, "a ratio metric as the mean of row ratios", &[]),
    (24, "restated data appended as new", &[]),
    (25, "shipping before a full week", &[]),
    (26, "before against after called an experiment", &["T9"]),
];

/// Numbers of the mistakes that a scenario shows.
pub fn mistakes_shown_by(scenario: &str) -> Vec<String> {
    let shows = MISTAKES.iter().filter(|(_, _, scenarios)| scenarios.contains(&scenario));
    shows.map(|(number, what, _)| format!("{number} ({what})")).collect()
}

/// The table of all 26.
pub fn markdown() -> String {
    let mut out = String::from(
        "## Which mistake is shown where\n\nThe 26 mistakes of STATS.md 2.12. Most of those that are not simulated are wrong by \
         arithmetic, whatever the data; 7, 20 and 25 bias a result and could be simulated, but no figure is published for \
         them.\n\n| | mistake | scenario |\n|---|---|---|\n",
    );
    for (number, what, scenarios) in MISTAKES {
        let shown = if scenarios.is_empty() { "not simulated".to_owned() } else { scenarios.join(", ") };
        out.push_str(&format!("| {number} | {what} | {shown} |\n"));
    }
    out
}
