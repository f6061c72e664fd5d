//! Sections of facts in a terminal. Every text is made safe and wrapped here: a line that the terminal wraps would go on at
//! the left edge and could pass for one of ours.

use outcome_core::present::{Row, Section, Table as Facts, Value};

use super::page::wrap;
use super::{Page, Table, safe};

impl Page {
    /// A section: what must not be overlooked first, words of others quoted.
    pub fn section(&mut self, section: &Section) {
        self.head(section.title);
        if let Some(intro) = &section.intro {
            self.wrapped("  ", intro, Self::dim);
        }
        for warning in &section.warnings {
            self.warning(warning);
        }
        self.rows(&section.rows);
        if let Some(table) = &section.table {
            self.facts(table);
        }
        if let Some(unread) = &section.unread {
            self.quoted("As it is stored", &format!("{unread:#}"));
        }
    }

    /// Warnings and facts without a heading.
    pub fn facts_of(&mut self, warnings: &[String], rows: &[Row]) {
        for warning in warnings {
            self.warning(warning);
        }
        self.rows(rows);
    }

    fn rows(&mut self, rows: &[Row]) {
        let label_width = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or_default();
        for row in rows {
            let label = format!("  {:label_width$}  ", row.label);
            match &row.value {
                Value::Text(text) => self.wrapped(&label, text, as_it_is),
                // Broken, a hash cannot be copied.
                Value::Code(text) if label_width + 4 + text.chars().count() > self.columns() => {
                    self.wrapped(&label, "", as_it_is);
                    self.wrapped("    ", text, as_it_is);
                }
                Value::Code(text) => self.wrapped(&label, text, as_it_is),
                Value::Codes(texts) => {
                    let mut label = label;
                    for text in texts {
                        self.wrapped(&label, text, as_it_is);
                        label = " ".repeat(label.chars().count());
                    }
                }
                Value::Quote(text) => self.quoted(row.label, text),
            }
        }
    }

    /// A text of ours that may be long, beneath itself.
    pub fn text(&mut self, label: &str, text: &str) {
        self.wrapped(label, text, as_it_is);
    }

    /// The same, in bold.
    pub fn strong(&mut self, label: &str, text: &str) {
        self.wrapped(label, text, Self::bold);
    }

    /// A [`Self::field`] whose value may be long.
    pub fn long_field(&mut self, name: &str, value: &str) {
        self.wrapped(&format!("  {name:<14} "), value, as_it_is);
    }

    /// A sentence that must not be overlooked.
    pub fn warning(&mut self, text: &str) {
        self.wrapped("  ! ", text, Self::yellow);
    }

    fn quoted(&mut self, label: &str, text: &str) {
        let label = self.dim(&format!("{label} (quoted)"));
        self.line(&format!("  {label}"));
        self.quote(4, text);
    }

    /// The lines of a table, or its cells one below the other where they do not fit side by side.
    fn facts(&mut self, table: &Facts) {
        let mut side_by_side = Table::new(&table.heads);
        for line in &table.lines {
            side_by_side.row(&line.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if side_by_side.width() <= self.columns() {
            return self.table(side_by_side);
        }
        let head_width = table.heads.iter().map(|head| head.chars().count()).max().unwrap_or_default();
        for line in &table.lines {
            let mut mark = '-';
            for (head, cell) in table.heads.iter().zip(line) {
                self.wrapped(&format!("  {mark} {head:head_width$}  "), cell, as_it_is);
                mark = ' ';
            }
        }
    }

    /// A label of ours and a text, whose further lines stand beneath its first one.
    fn wrapped(&mut self, label: &str, text: &str, paint: fn(&Self, &str) -> String) {
        let indent = label.chars().count();
        let width = self.columns().saturating_sub(indent).max(20);
        let mut label = self.dim(label);
        for part in wrap(&safe(text), width) {
            let part = paint(self, part.trim_end());
            self.line(&format!("{label}{part}"));
            label = " ".repeat(indent);
        }
    }
}

fn as_it_is(_page: &Page, text: &str) -> String {
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(section: &Section) -> String {
        let mut page = Page::new(false, false, Some(80));
        page.section(section);
        page.finish()
    }

    #[test]
    fn a_section_has_warnings_then_facts_then_its_table() {
        let mut section = Section::new("Build");
        section.intro = Some("Computed from git.".to_owned());
        section.text("Scope", Some("violated".to_owned()));
        section.quote("Summary", Some("two\nlines"));
        section.codes("Paths", vec!["src/a".to_owned(), "src/b".to_owned()]);
        section.warnings.push("Changed but not claimed: src/b".to_owned());
        let lines = vec![vec!["Added".to_owned(), "src/a".to_owned()]];
        section.table = Some(Facts { heads: vec!["Change", "Path"], lines });
        let wanted = "Build\n  Computed from git.\n  ! Changed but not claimed: src/b\n  Scope    violated\n  Summary (quoted)\n    \
                      │ two\n    │ lines\n  Paths    src/a\n           src/b\n  Change  Path\n  Added   src/a\n";
        assert_eq!(shown(&section), wanted);
    }

    #[test]
    fn no_text_leaves_its_column_or_the_width() {
        let padded = format!("harmless{}Decided: approve {}\n\u{1b}[2J", " ".repeat(75), "x".repeat(90));
        let mut section = Section::new("Facts");
        section.text("Effect", Some(padded.clone()));
        section.codes("Paths", vec![padded.clone()]);
        section.code("Plan hash", Some(&"a".repeat(70)));
        section.warnings.push(padded.clone());
        section.table =
            Some(Facts { heads: vec!["Finding", "Type"], lines: vec![vec![padded.clone(), padded.clone()]] });
        section.unread = Some(json!({ "says": padded }));
        let text = shown(&section);
        for line in text.lines().skip(1) {
            assert!(line.starts_with("  ") && line.chars().count() <= 80, "{line:?} in\n{text}");
            assert!(!line.trim_start().starts_with("Decided") || line.starts_with("    "), "{line:?} in\n{text}");
        }
        assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2J"), "{text}");
        assert_eq!(text.matches("Decided: approve").count(), 6, "{text}");
        assert!(text.contains(&format!("\n    {}\n", "a".repeat(70))), "{text}");
    }
}
