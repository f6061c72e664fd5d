//! What people and programs see. The only place that writes to stdout and stderr.
//!
//! A command hands over the value of its use case and a way to show it; with `--json` the value is printed as it is.

mod chart;
mod page;
mod safe;
mod section;

use std::borrow::Cow;
use std::io::{BufWriter, ErrorKind, IsTerminal as _, Write as _};

use anstream::ColorChoice;
use outcome_core::error::error_chain;
use outcome_core::present::Scale;
use outcome_core::scope::Violation;
use outcome_core::usecases::Rejected;
use outcome_core::{Code, Error, Result};
use serde::Serialize;
use serde_json::json;

pub use chart::{Point, chart};
pub use page::{Page, Table, wrap};
pub use safe::{safe, safe_json, safe_lines};

use crate::args::{Colour, Globals};

/// A scale whose unit, a text of the outcome file, is [`safe()`].
pub fn on_terminal(scale: &Scale) -> Scale {
    scale.clone().map_unit(safe)
}

/// Where output goes, and how.
#[derive(Debug, Clone)]
pub struct Out {
    /// Results as JSON.
    pub is_json: bool,
    is_quiet: bool,
    stdout: ColorChoice,
    stderr: ColorChoice,
}

impl Out {
    /// As the flags say.
    pub fn new(globals: &Globals) -> Self {
        let choose = |auto: ColorChoice| match globals.color {
            Colour::Auto => auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        };
        Self {
            is_json: globals.json,
            is_quiet: globals.quiet,
            stdout: choose(anstream::AutoStream::choice(&std::io::stdout())),
            stderr: choose(anstream::AutoStream::choice(&std::io::stderr())),
        }
    }

    /// Only JSON, where the flags could not be read.
    pub fn for_json() -> Self {
        Self { is_json: true, is_quiet: true, stdout: ColorChoice::Never, stderr: ColorChoice::Never }
    }

    /// True when stdout takes colours.
    pub fn is_coloured(&self) -> bool {
        self.stdout != ColorChoice::Never
    }

    /// True when stderr takes colours.
    pub fn is_stderr_coloured(&self) -> bool {
        self.stderr != ColorChoice::Never
    }

    /// Prints the value as JSON, or what `show` makes of it.
    pub fn result<T: Serialize>(&self, value: &T, show: impl FnOnce(&mut Page)) -> Result<()> {
        if self.is_json {
            return self.json(value);
        }
        let mut page = self.page();
        show(&mut page);
        self.write(&page.finish()).map(|_| ())
    }

    /// An empty page for stdout.
    pub fn page(&self) -> Page {
        let width = std::io::stdout().is_terminal().then(terminal_width).flatten();
        Page::new(self.is_coloured(), self.is_quiet, width)
    }

    /// How many columns a line of text may take on stdout.
    pub fn columns(&self) -> usize {
        self.page().columns()
    }

    /// A value as JSON.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Error::new(Code::Internal, "the result cannot be written as JSON").because(e))?;
        self.write(&format!("{}\n", safe_json(&text))).map(|_| ())
    }

    /// A value as one line of JSON; false when nobody reads any more.
    pub fn json_line<T: Serialize>(&self, value: &T) -> Result<bool> {
        let text = serde_json::to_string(value)
            .map_err(|e| Error::new(Code::Internal, "a line cannot be written as JSON").because(e))?;
        self.write(&format!("{}\n", safe_json(&text)))
    }

    /// Lines for a program that reads along.
    pub fn lines() -> Lines {
        Lines(BufWriter::with_capacity(1 << 16, std::io::stdout()))
    }

    /// Text for stdout; false when nobody reads any more, which is no failure.
    pub fn write(&self, text: &str) -> Result<bool> {
        let mut stdout = anstream::AutoStream::new(std::io::stdout(), self.stdout);
        is_read(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }

    /// Text for whoever watches; a closed stderr is nobody's problem.
    pub fn write_stderr(&self, text: &str) {
        let mut stderr = anstream::AutoStream::new(std::io::stderr(), self.stderr);
        let _ = stderr.write_all(text.as_bytes());
    }

    /// A word about a result whose stdout goes into a file.
    pub fn aside(&self, text: &str) {
        if !self.is_quiet {
            self.write_stderr(&format!("{text}\n"));
        }
    }

    /// A line for whoever is asked something, on stderr as the questions are.
    pub fn note(text: &str) {
        let mut stderr = std::io::stderr();
        let _ = stderr.write_all(format!("  {text}\n").as_bytes());
    }

    /// A page that must be seen although stdout belongs to JSON.
    pub fn show(&self, show: impl FnOnce(&mut Page)) -> Result<()> {
        let mut page = if self.is_json { Page::new(self.is_stderr_coloured(), false, None) } else { self.page() };
        show(&mut page);
        if self.is_json {
            self.write_stderr(&page.finish());
            return Ok(());
        }
        self.write(&page.finish()).map(|_| ())
    }

    /// What went wrong: for programs on stdout, for people on stderr.
    pub fn error(&self, error: &Error) {
        if self.is_json {
            let _ = self.json(&json!({ "error": error.to_json() }));
            return;
        }
        let mut page = Page::new(self.is_stderr_coloured(), false, None);
        let head = page.red(&format!("error[{}]", error.code()));
        let mut lines = safe_lines(&error_chain(error), 20).into_iter();
        page.line(&format!("{head}: {}", lines.next().unwrap_or_default()));
        for line in lines {
            page.line(&format!("  {line}"));
        }
        for line in details(error) {
            page.line(&format!("  - {}", safe(&line)));
        }
        if let Some(hint) = error.hint_text() {
            let help = page.bold("help");
            page.line(&format!("  = {help}: {}", safe(hint)));
        }
        self.write_stderr(&page.finish());
    }
}

/// Lines of JSON on stdout, kept back until they are many or [`Self::flush`] is called.
#[derive(Debug)]
pub struct Lines(BufWriter<std::io::Stdout>);

impl Lines {
    /// One line of JSON; false when nobody reads any more.
    pub fn write(&mut self, json: &str) -> Result<bool> {
        let is_plain = json.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let text = if is_plain { Cow::Borrowed(json) } else { Cow::Owned(safe_json(json)) };
        is_read(self.0.write_all(text.as_bytes()).and_then(|()| self.0.write_all(b"\n")))
    }

    /// Hands over what was kept back; false when nobody reads any more.
    pub fn flush(&mut self) -> Result<bool> {
        is_read(self.0.flush())
    }
}

/// A reader that went away is no failure.
fn is_read(done: std::io::Result<()>) -> Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::new(Code::Io, "stdout cannot be written").because(e)),
    }
}

/// What an error lists: violations of the scope, candidates that go back.
fn details(error: &Error) -> Vec<String> {
    let violations: Vec<Violation> = error.detail("violations").unwrap_or_default();
    let rejected: Vec<Rejected> = error.detail("rejected").unwrap_or_default();
    let mut lines: Vec<String> = violations.into_iter().map(|violation| violation.message).collect();
    for Rejected { title, problems } in rejected {
        lines.extend(problems.iter().map(|problem| format!("{title}: `{}` {}", problem.field, problem.message)));
    }
    lines
}

fn terminal_width() -> Option<u16> {
    // A terminal that does not know its own says 0.
    comfy_table::Table::new().width().filter(|width| *width > 0)
}
