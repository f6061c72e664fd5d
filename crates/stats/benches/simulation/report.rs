//! What a scenario found, beside what STATS.md publishes, as Markdown.

use std::fmt::Write as _;

use crate::mistakes::mistakes_shown_by;
use crate::tally::Tally;

/// Replications behind the published figures (STATS.md, first paragraph).
const PUBLISHED_REPLICATIONS: f64 = 20_000.0;

/// A published figure, or the two ends of a published range, with the decimals it was rounded to.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    low: f64,
    high: f64,
    decimals: usize,
}

/// One figure.
pub fn published(value: f64, decimals: usize) -> Option<Published> {
    between(value, value, decimals)
}

/// "From low to high".
pub fn between(low: f64, high: f64, decimals: usize) -> Option<Published> {
    Some(Published { low, high, decimals })
}

/// A measured figure and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    pub measured: Tally,
    pub published: Option<Published>,
}

impl Figure {
    /// Distance to the published figure, or to the nearer end of a range, in standard errors of that distance; `None`
    /// without a published figure.
    ///
    /// The standard error holds the Monte Carlo error of both simulations and the rounding of the published figure.
    pub fn distance(&self) -> Option<f64> {
        let Published { low, high, decimals } = self.published?;
        let value = self.measured.mean();
        let target = value.clamp(low, high);
        let sd = self.measured.sd();
        // Where nothing ever happened, the published rate says how rarely it may.
        let variance = if sd > 0.0 { sd * sd } else { (target * (1.0 - target)).max(0.0) };
        let rounding = 10.0_f64.powi(-(decimals as i32));
        let squared =
            variance / self.measured.n() as f64 + variance / PUBLISHED_REPLICATIONS + rounding * rounding / 12.0;
        Some((value - target) / squared.sqrt())
    }

    fn cell(&self) -> String {
        let Some(Published { low, high, decimals }) = self.published else {
            return format!("{:.4}", self.measured.mean());
        };
        let measured = format!("{:.*}", (decimals + 1).clamp(3, 4), self.measured.mean());
        let range =
            if high > low { format!("{low:.decimals$} to {high:.decimals$}") } else { format!("{low:.decimals$}") };
        format!("{measured} ({range}; {:+.1})", self.distance().unwrap_or(0.0))
    }
}

/// One line of a table: a method or a case.
pub struct Row {
    pub name: String,
    /// Computed by the engine itself.
    pub is_ours: bool,
    pub figures: Vec<Option<Figure>>,
}

/// A row of what others do.
pub fn rival(name: impl Into<String>, figures: Vec<Option<Figure>>) -> Row {
    Row { name: name.into(), is_ours: false, figures }
}

/// A row of the engine.
pub fn ours(name: impl Into<String>, figures: Vec<Option<Figure>>) -> Row {
    Row { name: name.into(), is_ours: true, figures }
}

pub fn figure(measured: Tally, published: Option<Published>) -> Option<Figure> {
    Some(Figure { measured, published })
}

/// A whole number with commas.
pub fn thousands(n: f64) -> String {
    let digits = format!("{n:.0}");
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or("")).collect();
    groups.join(",")
}

/// A picture that belongs to a section.
pub struct Picture {
    pub file: &'static str,
    pub title: &'static str,
    pub svg: String,
}

/// One scenario.
pub struct Section {
    pub id: &'static str,
    pub title: &'static str,
    /// The data in words, with every parameter.
    pub scenario: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// What to make of it; also why a figure is not the published one.
    pub reading: String,
    pub pictures: Vec<Picture>,
}

impl Section {
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}. {}\n\n{}\n\n", self.id, self.title, self.scenario);
        let _ = writeln!(out, "| | {} |", self.columns.join(" | "));
        let _ = writeln!(out, "|---|{}", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            let name = if row.is_ours { format!("**{}**", row.name) } else { row.name.clone() };
            let cells: Vec<String> =
                row.figures.iter().map(|f| f.as_ref().map_or_else(String::new, Figure::cell)).collect();
            let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
        }
        let _ = write!(out, "\n{}\n", self.reading);
        let mistakes = mistakes_shown_by(self.id);
        if !mistakes.is_empty() {
            let _ = write!(out, "\nShows mistakes {}.\n", mistakes.join(", "));
        }
        for picture in &self.pictures {
            let _ = write!(out, "\n![{}]({})\n", picture.title, picture.file);
        }
        out
    }

    /// All figures that have a published one.
    pub fn compared(&self) -> Vec<(String, Figure)> {
        let mut all = Vec::new();
        for row in &self.rows {
            for (column, figure) in self.columns.iter().zip(&row.figures) {
                if let Some(figure) = figure.filter(|f| f.published.is_some()) {
                    all.push((format!("{}, {}, {column}", self.id, row.name), figure));
                }
            }
        }
        all
    }
}

/// How many figures agree, and which do not.
pub fn summary(sections: &[Section]) -> String {
    let all: Vec<_> = sections.iter().flat_map(Section::compared).collect();
    let distance = |figure: &Figure| figure.distance().unwrap_or(0.0);
    let within = |limit: f64| all.iter().filter(|(_, f)| distance(f).abs() <= limit).count();
    let mut out = format!(
        "{} figures are published; {} of them are met within two standard errors and {} within three.",
        all.len(),
        within(2.0),
        within(3.0)
    );
    let far: Vec<_> = all.iter().filter(|(_, f)| distance(f).abs() > 3.0).collect();
    if far.is_empty() {
        return out + "\n";
    }
    out.push_str(" Further away, explained under their tables:\n\n");
    for (name, figure) in far {
        let _ = writeln!(out, "- {name}: {}", figure.cell());
    }
    out
}
