//! How figures, instants and names are said to people. Every front end and every sentence of ours takes its words from here, so
//! that a share, a count or an instant reads the same on a page, in a terminal, in a chart and in a learning.
//!
//! **Invariant**: pure. Nothing here reads a clock or a file, and what is written here is never parsed again.

mod answer;
mod axis;
mod facts;
mod metric;
mod section;
mod time;
mod words;

pub use crate::stats::figures::{
    Scale, count, number, p_value, percent, percent_interval, signed, signed_percent, significant, whole,
};

pub use answer::{Answer, AnswerState, Asked, Values};
pub use axis::{day, ticks};
pub use facts::{
    Glance, bound, capped, false_stops, glance, health, measured_constraints, score, sections, thresholds,
};
pub use metric::metric;
pub use section::{Row, Section, Table, Value};
pub use time::{due, instant, relative, span, when};
pub use words::{HASH_PREFIX, plain, plural, short, words};
