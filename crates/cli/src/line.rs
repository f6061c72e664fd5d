//! One line typed at the terminal, seen or hidden, with the keys that shells have: Ctrl-U clears it, Ctrl-W takes a word away.
//!
//! The library that asks for one of several and for yes or no writes a `u` for Ctrl-U, which nobody sees in a passphrase.

use std::io::{Result, Write as _, stderr};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read as read_event};
use crossterm::terminal;

/// The longest line, in characters.
const MAX_CHARS: usize = 4096;

/// How a line is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The question, as it stands before the line.
    pub question: &'a str,
    /// What counts when nothing is typed.
    pub default: Option<&'a str>,
    /// True where nobody may see what is typed.
    pub is_hidden: bool,
}

/// Reads a line; `None` when the person gave up (Ctrl-C, Ctrl-D, Escape).
///
/// # Errors
/// When there is no terminal.
pub fn read(asked: Asked<'_>) -> Result<Option<String>> {
    let _raw = Raw::begin()?;
    let mut line = Line::default();
    show(asked, &line)?;
    loop {
        let Event::Key(key) = read_event()? else { continue };
        let step = line.press(key);
        // Of a hidden line nothing changes on the screen, not even how often something was pressed.
        if !asked.is_hidden {
            show(asked, &line)?;
        }
        match step {
            Step::Goes => {}
            Step::Ends => {
                leave()?;
                let typed: String = line.chars.iter().collect();
                return Ok(Some(if typed.is_empty() { asked.default.unwrap_or_default().to_owned() } else { typed }));
            }
            Step::GivesUp => {
                leave()?;
                return Ok(None);
            }
        }
    }
}

/// The terminal without its own line, until this is dropped.
struct Raw;

impl Raw {
    fn begin() -> Result<Self> {
        terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

fn leave() -> Result<()> {
    write!(stderr(), "\r\n")
}

/// The question and as much of the line as fits beside it.
fn show(asked: Asked<'_>, line: &Line) -> Result<()> {
    let default = asked.default.map(|default| format!(" ({default})")).unwrap_or_default();
    let before = format!("? {}{default} ", asked.question);
    let mut out = format!("\r\x1b[K{before}");
    if !asked.is_hidden {
        let columns = terminal::size().map_or(80, |(columns, _)| usize::from(columns));
        let (seen, behind) = line.seen(columns.saturating_sub(before.chars().count() + 1).max(8));
        out.push_str(&seen);
        if behind > 0 {
            out.push_str(&format!("\x1b[{behind}D"));
        }
    }
    let mut stderr = stderr();
    stderr.write_all(out.as_bytes())?;
    stderr.flush()
}

/// What follows from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Goes,
    Ends,
    GivesUp,
}

/// What was typed, and where the cursor is.
#[derive(Debug, Default)]
struct Line {
    chars: Vec<char>,
    at: usize,
}

impl Line {
    fn press(&mut self, key: KeyEvent) -> Step {
        if key.kind == KeyEventKind::Release {
            return Step::Goes;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Step::Ends,
            KeyCode::Esc => return Step::GivesUp,
            KeyCode::Char(c) if is_control => match c.to_ascii_lowercase() {
                'j' | 'm' => return Step::Ends,
                'c' | 'd' | 'g' => return Step::GivesUp,
                'u' => {
                    self.chars.clear();
                    self.at = 0;
                }
                'k' => self.chars.truncate(self.at),
                'w' => self.cut_from(self.begin_of_word()),
                'h' => self.cut_from(self.at.saturating_sub(1)),
                'a' => self.at = 0,
                'e' => self.at = self.chars.len(),
                _ => {}
            },
            KeyCode::Char(c) if !c.is_control() && self.chars.len() < MAX_CHARS => {
                self.chars.insert(self.at, c);
                self.at += 1;
            }
            KeyCode::Backspace => self.cut_from(self.at.saturating_sub(1)),
            KeyCode::Delete if self.at < self.chars.len() => {
                self.chars.remove(self.at);
            }
            KeyCode::Left => self.at = self.at.saturating_sub(1),
            KeyCode::Right => self.at = (self.at + 1).min(self.chars.len()),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.chars.len(),
            _ => {}
        }
        Step::Goes
    }

    /// Takes away what lies between `from` and the cursor.
    fn cut_from(&mut self, from: usize) {
        self.chars.drain(from..self.at);
        self.at = from;
    }

    fn begin_of_word(&self) -> usize {
        let before = self.chars.get(..self.at).unwrap_or_default();
        let end = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |at| at + 1);
        let word = before.get(..end).unwrap_or_default();
        word.iter().rposition(|c| c.is_whitespace()).map_or(0, |at| at + 1)
    }

    /// The part of the line around the cursor that fits, and how many characters of it lie behind the cursor.
    fn seen(&self, fits: usize) -> (String, usize) {
        let from = self.at.saturating_sub(fits);
        let to = (from + fits).min(self.chars.len());
        (self.chars.get(from..to).unwrap_or_default().iter().collect(), to - self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[(KeyCode, KeyModifiers)]) -> (String, usize) {
        let mut line = Line::default();
        for (code, modifiers) in keys {
            assert_eq!(line.press(KeyEvent::new(*code, *modifiers)), Step::Goes);
        }
        (line.chars.iter().collect(), line.at)
    }

    fn keys(text: &str) -> Vec<(KeyCode, KeyModifiers)> {
        text.chars().map(|c| (KeyCode::Char(c), KeyModifiers::NONE)).collect()
    }

    const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

    #[test]
    fn ctrl_u_clears_the_line_and_writes_nothing() {
        let mut all = keys("wrong wörds");
        all.push((KeyCode::Left, KeyModifiers::NONE));
        all.push((KeyCode::Char('u'), CONTROL));
        all.extend(keys("right"));
        assert_eq!(typed(&all), ("right".to_owned(), 5));
    }

    #[test]
    fn a_word_and_a_character_are_taken_away() {
        let mut all = keys("one two  ");
        all.push((KeyCode::Char('w'), CONTROL));
        assert_eq!(typed(&all), ("one ".to_owned(), 4));
        all.extend([(KeyCode::Backspace, KeyModifiers::NONE), (KeyCode::Home, KeyModifiers::NONE)]);
        all.extend([(KeyCode::Backspace, KeyModifiers::NONE), (KeyCode::Delete, KeyModifiers::NONE)]);
        assert_eq!(typed(&all), ("ne".to_owned(), 0));
    }

    #[test]
    fn what_does_not_fit_is_left_out_around_the_cursor() {
        let mut line = Line::default();
        for (code, modifiers) in keys("0123456789") {
            line.press(KeyEvent::new(code, modifiers));
        }
        assert_eq!(line.seen(4), ("6789".to_owned(), 0));
        line.at = 2;
        assert_eq!(line.seen(4), ("0123".to_owned(), 2));
    }

    #[test]
    fn keys_that_give_up_end_without_a_line() {
        for (code, modifiers) in
            [(KeyCode::Esc, KeyModifiers::NONE), (KeyCode::Char('c'), CONTROL), (KeyCode::Char('d'), CONTROL)]
        {
            assert_eq!(Line::default().press(KeyEvent::new(code, modifiers)), Step::GivesUp);
        }
    }
}
