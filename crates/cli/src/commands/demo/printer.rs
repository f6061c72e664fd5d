//! What the demonstration says while it runs.

use std::io::Write as _;

use anstream::AutoStream;

/// Writes the story, with colours only on a terminal.
pub struct Printer {
    out: AutoStream<std::io::Stdout>,
}

const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const RESET: &str = "\u{1b}[0m";

impl Printer {
    /// On standard output.
    pub fn new() -> Self {
        Self { out: AutoStream::auto(std::io::stdout()) }
    }

    // A reader that went away is no reason to stop half-way: what is written next goes nowhere.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    /// The head of a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.line(&format!("\n{BOLD}{title}{RESET}"));
    }

    /// Something the runtime did.
    pub fn did(&mut self, text: &str) {
        self.line(&format!("  {text}"));
    }

    /// Something that was played.
    pub fn played(&mut self, who: &str, text: &str) {
        self.line(&format!("  {DIM}[played: {who}]{RESET} {text}"));
    }

    /// A refusal that should be one.
    pub fn refused(&mut self, text: &str) {
        self.line(&format!("  {RED}refused:{RESET} {text}"));
    }

    /// A verdict.
    pub fn verdict(&mut self, is_good: bool, text: &str) {
        let colour = if is_good { GREEN } else { RED };
        self.line(&format!("  {colour}{BOLD}{text}{RESET}"));
    }

    /// Preformatted lines.
    pub fn block(&mut self, text: &str) {
        for line in text.lines() {
            self.line(&format!("  {line}"));
        }
    }
}
