//! Records the demonstration as a picture that plays itself: `docs/demo.svg`, as the built program printed it.
//!
//! A renderer that plays nothing shows the end.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::programs::built;
use crate::root;

/// Rows of the terminal.
const ROWS: usize = 28;
/// Size of a row and of a column, in pixels.
const ROW: f64 = 18.0;
const COLUMN: f64 = 7.83;
const COLUMNS: f64 = 84.0;
/// Above and beside the text.
const MARGIN: f64 = 14.0;
/// The longest time in which nothing happens.
const PAUSE: Duration = Duration::from_millis(1200);
/// The time after which the next line of several that come at once is shown, so that one can read along.
const STEP: Duration = Duration::from_millis(110);

/// A line, and when it is shown.
struct Line {
    at: Duration,
    text: String,
}

/// Plays the demonstration with the built program and writes the picture.
pub fn run() -> Result<()> {
    let lines = played(&built()?.join("outcome-runtime"))?;
    std::fs::write(root().join("docs/demo.svg"), picture(&lines)?)?;
    Ok(())
}

fn played(program: &std::path::Path) -> Result<Vec<Line>> {
    let home = std::env::temp_dir().join(format!("outcome-recording-{}", std::process::id()));
    std::fs::create_dir_all(&home)?;
    let mut command = Command::new(program);
    command.arg("demo").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", &home).env("CLICOLOR_FORCE", "1").current_dir(&home).stdout(Stdio::piped());
    let mut child = command.spawn().context("the demonstration cannot be started")?;
    let stdout = child.stdout.take().context("no output")?;
    let mut lines = vec![Line { at: Duration::ZERO, text: "$ outcome-runtime demo".to_owned() }];
    let (mut shown, mut last) = (Duration::from_millis(600), Instant::now());
    for text in BufReader::new(stdout).lines() {
        shown += last.elapsed().clamp(STEP, PAUSE);
        last = Instant::now();
        lines.push(Line { at: shown, text: text? });
    }
    ensure!(child.wait()?.success(), "the demonstration failed");
    std::fs::remove_dir_all(&home)?;
    Ok(lines)
}

fn picture(lines: &[Line]) -> Result<String> {
    let end = lines.last().context("nothing was printed")?.at + Duration::from_secs(4);
    let (width, height) = (COLUMNS * COLUMN + 2.0 * MARGIN, ROWS as f64 * ROW + 2.0 * MARGIN);
    let top = |shown: usize| -(shown.saturating_sub(ROWS) as f64) * ROW;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"The demonstration of Outcome Runtime in a terminal\">\n<style>text{{font:13px ui-monospace,Menlo,Consolas,monospace;\
         fill:#d7dce2;white-space:pre}}.b{{font-weight:700}}.d{{fill:#8b95a1}}.r{{fill:#ff8078}}.g{{fill:#5fd38d}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#10151c\"/>\n\
         <clipPath id=\"c\"><rect x=\"0\" y=\"{MARGIN}\" width=\"{width:.0}\" height=\"{:.0}\"/></clipPath>\n\
         <g clip-path=\"url(#c)\"><g transform=\"translate(0 {:.1})\">\n",
        ROWS as f64 * ROW,
        top(lines.len())
    );
    let share = |at: Duration| at.as_secs_f64() / end.as_secs_f64();
    let moves =
        lines.iter().enumerate().map(|(i, line)| (format!("0 {:.1}", top(i + 1)), format!("{:.4}", share(line.at))));
    let (values, times): (Vec<_>, Vec<_>) = moves.unzip();
    writeln!(
        out,
        "<animateTransform attributeName=\"transform\" type=\"translate\" calcMode=\"discrete\" dur=\"{:.1}s\" \
         repeatCount=\"indefinite\" values=\"{}\" keyTimes=\"{}\"/>",
        end.as_secs_f64(),
        values.join(";"),
        times.join(";")
    )?;
    for (i, line) in lines.iter().enumerate() {
        let y = MARGIN + ROW * (i as f64 + 0.75);
        write!(out, "<text x=\"{MARGIN}\" y=\"{y:.1}\">")?;
        if line.at > Duration::ZERO {
            write!(
                out,
                "<animate attributeName=\"visibility\" calcMode=\"discrete\" dur=\"{:.1}s\" repeatCount=\"indefinite\" \
                 values=\"hidden;visible\" keyTimes=\"0;{:.4}\"/>",
                end.as_secs_f64(),
                share(line.at)
            )?;
        }
        writeln!(out, "{}</text>", spans(&line.text))?;
    }
    out.push_str("</g></g>\n</svg>\n");
    Ok(out)
}

/// A line with its colours.
fn spans(text: &str) -> String {
    let mut out = String::new();
    let mut classes: Vec<&str> = Vec::new();
    for (i, part) in text.split('\u{1b}').enumerate() {
        let rest = match part.strip_prefix('[').and_then(|part| part.split_once('m')).filter(|_| i > 0) {
            Some((codes, rest)) => {
                for code in codes.split(';') {
                    match code {
                        "1" => classes.push("b"),
                        "2" => classes.push("d"),
                        "31" => classes.push("r"),
                        "32" => classes.push("g"),
                        _ => classes.clear(),
                    }
                }
                rest
            }
            None => part,
        };
        if rest.is_empty() {
            continue;
        }
        let escaped = rest.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if classes.is_empty() {
            out.push_str(&escaped);
        } else {
            out.push_str(&format!("<tspan class=\"{}\">{escaped}</tspan>", classes.join(" ")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_classes_and_markup_stays_text() {
        let line = "  \u{1b}[31mrefused:\u{1b}[0m a < b & \u{1b}[32m\u{1b}[1mgood\u{1b}[0m";
        assert_eq!(
            spans(line),
            "  <tspan class=\"r\">refused:</tspan> a &lt; b &amp; <tspan class=\"g b\">good</tspan>"
        );
    }

    #[test]
    fn the_picture_shows_what_the_demonstration_says() {
        let picture = std::fs::read_to_string(root().join("docs/demo.svg")).unwrap();
        for said in [
            "outcome-runtime demo",
            "It works: ",
            "It breaks a limit",
            "1,000 visitors",
            "audit log verified",
            "outcome-runtime init",
        ] {
            assert!(picture.contains(said), "{said} is missing: run `cargo xtask record`");
        }
    }
}
