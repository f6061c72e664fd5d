//! Pictures as SVG: readable in print and without colour (dashes and names at the lines), with title and description for
//! a screen reader. The figures stand in the tables of the page.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const TOP: f64 = 40.0;
const INK: &str = "#1a1a1a";
const GRID: &str = "#d0d0d0";
/// Colour and dashes by series; the last is ours.
const STYLES: [(&str, &str); 4] = [("#b3261e", "7 4"), ("#8a6d00", "2 3"), ("#5f5f5f", "10 3 2 3"), ("#0b57d0", "")];

pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Curves over one axis; y from 0. The last series is ours.
pub struct Lines {
    pub title: &'static str,
    pub description: &'static str,
    pub x_label: &'static str,
    pub x_ticks: Vec<(f64, &'static str)>,
    pub y_top: f64,
    /// A level to compare with, and its name.
    pub level: Option<(f64, &'static str)>,
    pub series: Vec<Series>,
    /// Logarithmic x.
    pub is_log: bool,
}

impl Lines {
    pub fn svg(&self) -> String {
        const HEIGHT: f64 = 340.0;
        let (left, right, bottom) = (52.0, 180.0, 48.0);
        let scale = |x: f64| if self.is_log { x.ln() } else { x };
        let ends = self.x_ticks.first().zip(self.x_ticks.last()).map_or((0.0, 1.0), |(a, b)| (scale(a.0), scale(b.0)));
        let x = |value: f64| left + (scale(value) - ends.0) / (ends.1 - ends.0) * (WIDTH - left - right);
        let y = |value: f64| HEIGHT - bottom - value / self.y_top * (HEIGHT - TOP - bottom);
        let mut out = open(self.title, self.description, HEIGHT);
        for step in 0..=4 {
            let value = self.y_top * f64::from(step) / 4.0;
            line(&mut out, (left, y(value)), (WIDTH - right, y(value)), GRID, "");
            text(&mut out, (left - 8.0, y(value) + 4.0), "end", &format!("{value:.2}"));
        }
        for (value, label) in &self.x_ticks {
            text(&mut out, (x(*value), HEIGHT - bottom + 18.0), "middle", label);
        }
        text(&mut out, (0.5 * (left + WIDTH - right), HEIGHT - 10.0), "middle", self.x_label);
        if let Some((level, label)) = self.level {
            line(&mut out, (left, y(level)), (WIDTH - right, y(level)), INK, "1 3");
            text(&mut out, (WIDTH - right + 8.0, y(level) + 4.0), "start", label);
        }
        let first = STYLES.len() - self.series.len().min(STYLES.len());
        let mut labels = self.level.iter().map(|(level, _)| y(*level)).collect::<Vec<_>>();
        for (series, (colour, dash)) in self.series.iter().zip(STYLES.iter().skip(first)) {
            let points: Vec<String> = series.points.iter().map(|(a, b)| format!("{:.1},{:.1}", x(*a), y(*b))).collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"/>",
                points.join(" ")
            );
            if let Some((_, last)) = series.points.last() {
                let at = free_place(y(*last), HEIGHT - bottom, &mut labels);
                let name = format!("{} {last:.3}", series.name);
                text(&mut out, (WIDTH - right + 8.0, at + 4.0), "start", &name);
            }
        }
        out + "</svg>\n"
    }
}

/// A place for a label near `wanted`, not below `lowest`, that keeps 15 units from those already set.
fn free_place(wanted: f64, lowest: f64, taken: &mut Vec<f64>) -> f64 {
    let shifts = (0..40).flat_map(|k| [f64::from(k), -f64::from(k)]);
    let is_free = |at: f64, taken: &[f64]| at <= lowest && taken.iter().all(|t| (t - at).abs() >= 15.0);
    let at = shifts.map(|shift| wanted + shift).find(|at| is_free(*at, taken)).unwrap_or(wanted);
    taken.push(at);
    at
}

/// One panel of dots, from 0 to `top`.
pub struct Panel {
    pub label: &'static str,
    pub top: f64,
    pub values: Vec<f64>,
    pub level: Option<f64>,
}

/// One line per name, one dot per panel.
pub struct Dots {
    pub title: &'static str,
    pub description: &'static str,
    /// And whether it is ours.
    pub names: Vec<(String, bool)>,
    pub panels: Vec<Panel>,
}

impl Dots {
    pub fn svg(&self) -> String {
        const ROW: f64 = 24.0;
        let left = 270.0;
        let height = TOP + 30.0 + ROW * self.names.len() as f64 + 16.0;
        let panel_width = (WIDTH - left) / self.panels.len() as f64;
        let y = |row: usize| TOP + 30.0 + ROW * (row as f64 + 0.5);
        let mut out = open(self.title, self.description, height);
        for (row, (name, is_ours)) in self.names.iter().enumerate() {
            let (weight, rule) = if *is_ours { ("bold", "#0b57d0") } else { ("normal", GRID) };
            line(&mut out, (left, y(row)), (WIDTH - 10.0, y(row)), rule, "");
            let _ = writeln!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>",
                left - 10.0,
                y(row) + 4.0,
                escape(name)
            );
        }
        for (i, panel) in self.panels.iter().enumerate() {
            let start = left + panel_width * i as f64 + 8.0;
            let x = |value: f64| start + value / panel.top * (panel_width - 56.0);
            text(&mut out, (start, TOP + 18.0), "start", panel.label);
            if let Some(level) = panel.level {
                line(&mut out, (x(level), TOP + 26.0), (x(level), height - 12.0), INK, "1 3");
            }
            for (row, (value, (_, is_ours))) in panel.values.iter().zip(&self.names).enumerate() {
                let colour = if *is_ours { "#0b57d0" } else { "#5f5f5f" };
                let _ =
                    writeln!(out, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>", x(*value), y(row));
                text(&mut out, (x(*value) + 7.0, y(row) - 3.0), "start", &format!("{value:.2}"));
            }
        }
        out + "</svg>\n"
    }
}

fn open(title: &str, description: &str, height: f64) -> String {
    let (title, description) = (escape(title), escape(description));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"t d\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n<title id=\"t\">{title}</title>\n\
         <desc id=\"d\">{description}</desc>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n"
    )
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, dash: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" stroke-dasharray=\"{dash}\"/>"
    );
}

fn text(out: &mut String, at: (f64, f64), anchor: &str, what: &str) {
    let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>", at.0, at.1, escape(what));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
