//! A page of text for people, put together line by line and written at once.
//!
//! Callers pass text of others through [`super::safe()`]; what the helpers here take as a value, they make safe themselves.

use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, presets};

use super::{safe, safe_lines};

/// The most lines of a quotation.
const MAX_QUOTED: usize = 200;

/// Text for people.
#[derive(Debug)]
pub struct Page {
    text: String,
    is_coloured: bool,
    is_quiet: bool,
    width: Option<u16>,
}

/// Rows under a head.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with this head.
    pub fn new(head: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(head.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        Self(table)
    }

    /// Adds a row; every cell is made safe.
    pub fn row(&mut self, cells: &[&str]) {
        self.0.add_row(cells.iter().map(|cell| safe(cell)));
    }

    /// Columns that it takes when nothing is broken, with its indent.
    pub(super) fn width(&self) -> usize {
        let columns: usize = self.0.column_max_content_widths().iter().map(|width| usize::from(*width) + 2).sum();
        1 + columns
    }
}

impl Page {
    pub(super) fn new(is_coloured: bool, is_quiet: bool, width: Option<u16>) -> Self {
        Self { text: String::new(), is_coloured, is_quiet, width }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// How many columns a line of text may take.
    pub(super) fn columns(&self) -> usize {
        usize::from(self.width.unwrap_or(80)).clamp(40, 100)
    }

    /// True when a wide table would be broken into pieces.
    pub fn is_narrow(&self) -> bool {
        self.width.is_some_and(|width| width < 120)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Bold text.
    pub fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }
    /// Faint text.
    pub fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }
    /// For what is well.
    pub fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }
    /// For what should be looked at.
    pub fn yellow(&self, text: &str) -> String {
        self.paint("33", text)
    }
    /// For what is wrong.
    pub fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A line as it is.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// A line of prose: on a terminal it is broken at spaces, and goes on `hang` columns in. What is in backticks is for
    /// copying, and stays whole.
    pub fn prose(&mut self, hang: usize, text: &str) {
        let Some(width) = self.width else { return self.line(text) };
        for part in folded(text, usize::from(width).max(40), hang) {
            self.line(&part);
        }
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A heading, with an empty line above.
    pub fn head(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.blank();
        }
        let head = self.bold(&safe(text));
        self.prose(2, &head);
    }

    /// `  name   value`.
    pub fn field(&mut self, name: &str, value: &str) {
        let name = self.dim(&format!("{name:<14}"));
        self.prose(17, &format!("  {name} {}", safe(value)));
    }

    /// What somebody else says: never our words, always quoted. Long lines are wrapped here, because a line that the
    /// terminal wraps would go on without its bar and could pass for ours.
    pub fn quote(&mut self, indent: usize, text: &str) {
        let bar = self.dim("│");
        let width = self.columns().saturating_sub(indent + 3).max(20);
        for line in safe_lines(text, MAX_QUOTED) {
            for part in wrap(&line, width) {
                self.line(&format!("{:indent$}{bar} {part}", ""));
            }
        }
    }

    /// A list entry.
    pub fn item(&mut self, text: &str) {
        self.prose(4, &format!("  - {}", safe(text)));
    }

    /// What to do next; left out with `--quiet`.
    pub fn hint(&mut self, text: &str) {
        let hang = text.chars().take_while(|c| *c == ' ').count();
        self.hanging_hint(hang, text);
    }

    /// The same, going on `hang` columns in.
    pub fn hanging_hint(&mut self, hang: usize, text: &str) {
        if !self.is_quiet {
            let text = self.dim(text);
            self.prose(hang, &text);
        }
    }

    /// A table, two columns in from the left.
    pub fn table(&mut self, table: Table) {
        let mut table = table.0;
        if self.is_coloured {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.saturating_sub(2).max(60));
            // Names stand first and are there to be copied: never broken.
            if let Some(names) = table.column_mut(0) {
                names.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        for row in table.to_string().lines() {
            self.line(&format!(" {row}"));
        }
    }
}

/// The text in parts of at most `width` columns, broken at spaces where there are some.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let columns = |c: char| if u32::from(c) < 0x1100 { 1 } else { 2 };
    let mut parts = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let length: usize = word.trim_end().chars().map(columns).sum();
        if used > 0 && used + length > width {
            parts.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            if used + columns(c) > width && c != ' ' {
                parts.push(String::new());
                used = 0;
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
            used += columns(c);
        }
    }
    parts
}

/// The text in lines of at most `width` columns, broken at spaces outside of backticks; colours take no columns. All lines but
/// the first begin with `hang` spaces. A word that is longer than a line stays where it is.
fn folded(text: &str, width: usize, hang: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    let mut is_empty = true;
    for (word, gap) in words(text) {
        let length = columns(word);
        // A word that needs most of a line begins further to the left.
        let indent = [hang, hang.min(4)].into_iter().find(|indent| indent + length <= width);
        if let Some(indent) = indent.filter(|_| !is_empty && used + length > width) {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            used = indent;
        }
        line.push_str(word);
        line.push_str(gap);
        used += length + gap.len();
        // What stands in front of the first word is an indent.
        is_empty = is_empty && length == 0;
    }
    lines.push(line);
    lines
}

/// The words of a text, each with the spaces after it. What is in backticks is of one word.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut is_code = false;
        let ends = |c: char| {
            is_code ^= c == '`';
            c == ' ' && !is_code
        };
        let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        let (gap, after) = after.split_at(after.len() - after.trim_start_matches(' ').len());
        rest = after;
        (!word.is_empty() || !gap.is_empty()).then_some((word, gap))
    })
}

/// How many columns a word takes on a terminal.
fn columns(word: &str) -> usize {
    let mut is_escape = false;
    let shown = word.chars().filter(|c| {
        let is_shown = !is_escape && *c != '\x1b';
        is_escape = (is_escape || *c == '\x1b') && *c != 'm';
        is_shown
    });
    shown.map(|c| if u32::from(c) < 0x1100 { 1 } else { 2 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrapped_line_of_a_quotation_has_its_bar() {
        let mut page = Page::new(false, false, Some(40));
        let padded = format!("harmless{}Decided: approve {}", " ".repeat(32), "x".repeat(90));
        page.quote(2, &padded);
        let text = page.finish();
        assert!(text.lines().count() > 3, "{text}");
        assert!(text.lines().all(|line| line.starts_with("  │ ") || line == "  │"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }
    #[test]
    fn prose_is_broken_on_a_terminal_and_commands_stay_whole() {
        let text = "  `outcome-runtime experiment propose --outcome x` brings it to its gate, where a member decides";
        let mut page = Page::new(true, false, Some(50));
        page.hint(text);
        page.field("key", &format!("{}  (fingerprint: write it down)", "a".repeat(40)));
        let shown = page.finish().replace("\x1b[2m", "").replace("\x1b[0m", "");
        let expected =
            "  `outcome-runtime experiment propose --outcome x`\n  brings it to its gate, where a member decides\n";
        assert!(shown.starts_with(expected), "{shown}");
        assert!(shown.ends_with("aaa\n                 (fingerprint: write it down)\n"), "{shown}");

        let mut page = Page::new(false, false, None);
        page.hint(text);
        assert_eq!(page.finish(), format!("{text}\n"), "a program reads lines");
    }
}
