//! What is proposed: whom metrics are about, what of them is measured, and who saw which variant.

use super::instants::TimeFormat;

/// A first outcome file in its parts. Every name is as a query would write it.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What a unit is called: `user`.
    pub unit: String,
    /// Everybody: the fact with the first event of each.
    pub population: String,
    /// Tables of events.
    pub facts: Vec<Fact>,
    /// What is measured, the best first; at least one.
    pub metrics: Vec<Metric>,
    /// What must not get worse.
    pub guard: Option<Metric>,
    /// Who saw which variant.
    pub exposures: Exposures,
    /// How the source writes instants.
    pub time_format: TimeFormat,
    /// Tables that nobody should write a name of, as they are.
    pub left_out: Vec<String>,
}

/// A table of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name in the file.
    pub name: String,
    /// The table.
    pub table: String,
    /// The column with the instant.
    pub at: String,
    /// The column with the unit.
    pub unit: String,
    /// Which rows there are.
    pub condition: Option<String>,
    /// Why it was taken, for the comment beside it.
    pub because: String,
}

/// What a unit's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whether there is an event.
    Conversion,
    /// How many events there are.
    Count,
    /// The sum of a column.
    Sum,
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it takes of each unit.
    pub kind: Kind,
    /// The fact.
    pub of: String,
    /// Which of its events count.
    pub condition: Option<String>,
    /// The column that is summed.
    pub value: Option<String>,
    /// Days after a unit's first exposure.
    pub window_days: u32,
    /// For people, after "more users": `sign up`.
    pub verb: String,
    /// For people, of a count or sum: `orders`.
    pub noun: String,
}

/// Who saw which variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposures {
    /// A table that is there.
    Table {
        /// The table.
        table: String,
        /// Its column with the unit.
        unit: String,
        /// With the flag's key.
        experiment: String,
        /// With the arm.
        variant: String,
        /// With the instant.
        at: String,
        /// What the arms are called, where that is not `control` and `treatment`.
        arms: Option<(String, String)>,
    },
    /// None is there. In its place stands a query that is empty and has the right columns.
    Missing {
        /// The query.
        stand_in: String,
        /// The statement that makes the table.
        create: String,
        /// The column with the unit, of both.
        unit: String,
    },
}

impl Proposal {
    /// The same with another window of every metric.
    #[must_use]
    pub fn within_days(mut self, days: u32) -> Self {
        for metric in self.metrics.iter_mut().chain(&mut self.guard) {
            metric.window_days = days;
        }
        self
    }

    /// A metric in words, with where it is: `26 % of users order within 7 days`.
    #[must_use]
    pub fn sentence(&self, metric: &Metric, level: Option<&str>) -> String {
        let days = if metric.window_days == 1 { "a day".to_owned() } else { format!("{} days", metric.window_days) };
        let what = match metric.kind {
            Kind::Conversion => format!("{} {} within {days}", self.units(), metric.verb),
            Kind::Count | Kind::Sum => format!("{} per {} within {days}", metric.noun, self.unit),
        };
        match (level, metric.kind) {
            (Some(level), Kind::Conversion) => format!("{level} of {what}"),
            (Some(level), Kind::Count | Kind::Sum) => format!("{level} {what}"),
            (None, _) => what,
        }
    }

    /// A unit's plural, for people.
    #[must_use]
    pub fn units(&self) -> String {
        crate::present::plural(&self.unit)
    }
}
