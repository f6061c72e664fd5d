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
        self.line(&head);
    }

    /// `  name   value`.
    pub fn field(&mut self, name: &str, value: &str) {
        let name = self.dim(&format!("{name:<14}"));
        self.line(&format!("  {name} {}", safe(value)));
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
        self.line(&format!("  - {}", safe(text)));
    }

    /// What to do next; left out with `--quiet`.
    pub fn hint(&mut self, text: &str) {
        if !self.is_quiet {
            let line = self.dim(text);
            self.line(&line);
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
}
