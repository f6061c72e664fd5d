//! A chart of readings as SVG: readable in print, by a screen reader (title and description), and without colour. On the
//! daemon's page its table stands beneath it; alone it brings its colours with it. The template escapes every text.

use askama::Template;
use jiff::Timestamp;
use outcome_core::domain::Measurement;
use outcome_core::present::{Scale, count, day, ticks};
use outcome_core::usecases::OutcomeLine;
use outcome_core::{Code, Error};

/// Most readings that are drawn.
pub const MAX_POINTS: i64 = 1000;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 32.0;

/// A reading.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// What.
    pub value: f64,
}

/// A level to compare with.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is, with its figure.
    pub label: String,
    /// Where.
    pub value: f64,
    /// True for where it should go, false for where it began.
    pub is_goal: bool,
}

/// A horizontal line.
struct Level {
    y: String,
    class: &'static str,
}

/// Which part of a text stands where it is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A text of the drawing.
#[derive(Debug, Clone)]
struct Words {
    /// From the left.
    x: f64,
    /// From the top to the line on which it stands.
    y: f64,
    anchor: Anchor,
    /// True beside a level, false for the figures at the axes.
    is_level: bool,
    text: String,
}

/// A chart, placed and ready to be written.
#[derive(Template)]
#[template(path = "chart.svg", escape = "html")]
pub struct Chart {
    is_alone: bool,
    name: String,
    description: String,
    path: String,
    dots: Vec<(String, String)>,
    levels: Vec<Level>,
    texts: Vec<Words>,
}

impl Chart {
    /// The chart of an outcome's signal, with its target and its baseline; `None` without a reading.
    #[must_use]
    pub fn of_outcome(line: &OutcomeLine, points: &[Point]) -> Option<Self> {
        let scale = &line.scale;
        let level = |what: &str, value: f64, is_goal: bool| {
            let label = format!("{what} {}", scale.level(value));
            Line { label, value, is_goal }
        };
        let baseline = line.baseline.map(|value| level("baseline", value, false));
        let lines: Vec<Line> = std::iter::once(level("target", line.target, true)).chain(baseline).collect();
        Self::new(&line.signal.name, points, &lines, scale)
    }

    /// As a file of its own.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// The drawing.
    ///
    /// # Errors
    /// [`Code::Internal`] when it cannot be written.
    pub(crate) fn svg(&self) -> Result<String, Error> {
        self.render().map_err(|error| Error::new(Code::Internal, format!("the chart cannot be drawn: {error}")))
    }

    /// A chart of `points`, oldest first, whose values are written on `scale`; `None` without any point.
    #[must_use]
    pub fn new(name: &str, points: &[Point], lines: &[Line], scale: &Scale) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let values = || points.iter().map(|point| point.value).chain(lines.iter().map(|line| line.value));
        let (low, high) = padded(values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let (from, to) = (seconds(first.at), seconds(last.at));
        let x = |at: Timestamp| {
            let share = if to > from { (seconds(at) - from) / (to - from) } else { 0.5 };
            LEFT + share * (WIDTH - LEFT - RIGHT)
        };
        let y = |value: f64| TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM);
        let placed: Vec<(String, String)> =
            points.iter().map(|point| (coordinate(x(point.at)), coordinate(y(point.value)))).collect();
        let path = placed.iter().enumerate().map(|(i, (x, y))| format!("{}{x} {y}", if i == 0 { "M" } else { "L" }));
        let (rows, step) = ticks(low, high);
        // On a short axis several would say the same.
        let mut columns = columns(first.at, last.at);
        columns.dedup_by_key(|at| day(*at, to - from));
        let row = |value: f64| Words {
            x: LEFT - 8.0,
            y: y(value) + 4.0,
            anchor: Anchor::End,
            is_level: false,
            text: scale.tick(value, step),
        };
        let column = |(n, at): (usize, Timestamp)| Words {
            x: x(at),
            y: HEIGHT - 10.0,
            anchor: match n {
                _ if columns.len() == 1 => Anchor::Middle,
                0 => Anchor::Start,
                n if n + 1 == columns.len() => Anchor::End,
                _ => Anchor::Middle,
            },
            is_level: false,
            text: day(at, to - from),
        };
        let level = |line: &Line| Words {
            x: LEFT + 6.0,
            y: y(line.value) - 5.0,
            anchor: Anchor::Start,
            is_level: true,
            text: line.label.clone(),
        };
        let grid = rows.iter().map(|value| Level { y: coordinate(y(*value)), class: "grid" });
        let compared = lines
            .iter()
            .map(|line| Level { y: coordinate(y(line.value)), class: if line.is_goal { "goal" } else { "start" } });
        let at_axes = rows.iter().copied().map(row).chain(columns.iter().copied().enumerate().map(column));
        Some(Self {
            is_alone: false,
            name: name.to_owned(),
            description: describe(points, lines, scale),
            path: path.collect::<Vec<_>>().join(" "),
            // Few readings get a dot each; many would hide the line.
            dots: if placed.len() <= 60 { placed } else { Vec::new() },
            levels: grid.chain(compared).collect(),
            texts: at_axes.chain(lines.iter().map(level)).collect(),
        })
    }
}

/// The readings that have a value, in their order.
#[must_use]
pub fn points(series: &[Measurement]) -> Vec<Point> {
    series.iter().filter_map(|reading| Some(Point { at: reading.window.to, value: reading.sums.value()? })).collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

fn coordinate(value: f64) -> String {
    format!("{value:.1}")
}

fn padded(low: f64, high: f64) -> (f64, f64) {
    let span = high - low;
    let pad = if span > 0.0 { span * 0.12 } else { (high.abs() * 0.1).max(0.5) };
    (low - pad, high + pad)
}

fn columns(first: Timestamp, last: Timestamp) -> Vec<Timestamp> {
    let span = last.duration_since(first);
    if span.is_zero() {
        return vec![first];
    }
    (0..=3).filter_map(|i| first.checked_add(span / 3 * i).ok()).collect()
}

fn describe(points: &[Point], lines: &[Line], scale: &Scale) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let span = seconds(last.at) - seconds(first.at);
    let levels: Vec<_> = lines.iter().map(|line| line.label.clone()).collect();
    format!(
        "{} from {} to {}, first {}, latest {}; {}.",
        if points.len() == 1 { "1 reading".to_owned() } else { format!("{} readings", count(points.len() as u64)) },
        day(first.at, span),
        day(last.at, span),
        scale.level(first.value),
        scale.level(last.value),
        levels.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: &str, value: f64) -> Point {
        Point { at: at.parse().unwrap(), value }
    }

    #[test]
    fn a_chart_says_in_words_what_it_draws() {
        let points = [point("2026-11-01T00:00:00Z", 0.32), point("2026-11-15T00:00:00Z", 0.35)];
        let lines = [Line { label: "target 45 %".to_owned(), value: 0.45, is_goal: true }];
        let svg = Chart::new("a<b", &points, &lines, &Scale::share()).unwrap().render().unwrap();
        assert!(svg.contains("2 readings from 1 Nov to 15 Nov, first 32 %, latest 35 %; target 45 %."), "{svg}");
        assert!(svg.contains("<title") && svg.contains("a&#60;b"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("style="), "{svg}");
    }

    #[test]
    fn alone_it_is_a_whole_file_with_its_colours() {
        let chart = Chart::new("s", &[point("2026-11-01T00:00:00Z", 1.0)], &[], &Scale::default())
            .unwrap()
            .alone()
            .render()
            .unwrap();
        assert!(
            chart.starts_with("<svg xmlns=") && chart.contains("<style>") && chart.contains("width=\"720\""),
            "{chart}"
        );
    }

    #[test]
    fn an_axis_of_seconds_names_its_minute_once() {
        let points = [point("2026-11-01T06:00:10Z", 0.32), point("2026-11-01T06:00:11Z", 0.35)];
        let svg = Chart::new("s", &points, &[], &Scale::share()).unwrap().render().unwrap();
        assert_eq!(svg.matches(">1 Nov 06:00<").count(), 1, "{svg}");
    }

    #[test]
    fn one_reading_or_equal_ones_are_drawn_and_none_is_not() {
        assert!(Chart::new("s", &[], &[], &Scale::default()).is_none());
        let one =
            Chart::new("s", &[point("2026-11-01T00:00:00Z", 0.0)], &[], &Scale::default()).unwrap().render().unwrap();
        assert!(!one.contains("NaN") && !one.contains("inf"), "{one}");
    }
}
