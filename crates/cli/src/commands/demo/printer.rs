//! What the demonstration says while it runs.

use std::io::Write as _;

use anstream::AutoStream;

use crate::output::{safe, wrap};

/// Writes the story, wrapped to the terminal, with colours only on one; nothing where the result is JSON.
pub struct Printer {
    out: Option<AutoStream<std::io::Stdout>>,
    width: usize,
}

const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const RESET: &str = "\u{1b}[0m";

impl Printer {
    /// On standard output, in lines of at most `width` columns; silent where `is_silent`.
    pub fn new(is_silent: bool, width: usize) -> Self {
        Self { out: (!is_silent).then(|| AutoStream::auto(std::io::stdout())), width }
    }

    /// Whether anything is said.
    pub fn is_silent(&self) -> bool {
        self.out.is_none()
    }

    // A reader that went away is no reason to stop half-way: what is written next goes nowhere.
    fn line(&mut self, text: &str) {
        if let Some(out) = &mut self.out {
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        }
    }

    /// The text in lines of its own, of which only the first begins with the label.
    fn wrapped(&mut self, label: &str, colour: &str, text: &str) {
        let indent = 2;
        let mut label = label.to_owned();
        let width = self.width.saturating_sub(indent + 2).max(30);
        let first = if label.is_empty() { 0 } else { label.chars().count() + 1 };
        let padded = format!("{}{}", "\u{a0}".repeat(first), safe(text));
        for (i, part) in wrap(&padded, width).iter().enumerate() {
            let part = part.trim_end();
            if i > 0 {
                self.line(&format!("    {part}"));
                continue;
            }
            let rest: String = part.chars().skip(first).collect();
            let label = std::mem::take(&mut label);
            let space = if label.is_empty() { "" } else { " " };
            self.line(&format!("  {colour}{label}{RESET}{space}{rest}"));
        }
    }

    /// The head of a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.line(&format!("\n{BOLD}{title}{RESET}"));
    }

    /// Something the runtime did.
    pub fn did(&mut self, text: &str) {
        self.wrapped("", "", text);
    }

    /// Something that was played.
    pub fn played(&mut self, who: &str, text: &str) {
        self.wrapped(&format!("[played: {who}]"), DIM, text);
    }

    /// A refusal that should be one.
    pub fn refused(&mut self, text: &str) {
        self.wrapped("refused:", RED, text);
    }

    /// What an experiment came to.
    pub fn answer(&mut self, label: &str, is_good: bool, text: &str) {
        let colour = format!("{}{BOLD}", if is_good { GREEN } else { RED });
        self.wrapped(label, &colour, text);
    }

    /// A command to run next.
    pub fn command(&mut self, text: &str) {
        self.line(&format!("    {BOLD}{text}{RESET}"));
    }

    /// Preformatted lines.
    pub fn block(&mut self, text: &str) {
        for line in text.lines() {
            self.line(&format!("  {line}"));
        }
    }
}
