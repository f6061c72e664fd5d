//! Text by others on our terminal. **Invariant**: nothing that a terminal obeys, hides or re-orders leaves here raw.

/// The text on one line, with control characters, terminal escapes and invisible or re-ordering characters made visible.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_unsafe(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The lines of a text, each [`safe`]; at most `max` of them.
pub fn safe_lines(text: &str, max: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().take(max).map(safe).collect();
    let n_more = text.lines().count().saturating_sub(max);
    if n_more > 0 {
        lines.push(format!("... {n_more} more lines"));
    }
    lines
}

/// JSON text in which what a terminal would obey is escaped; it means the same.
pub fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_unsafe(c) {
            out.push(c);
            continue;
        }
        // Outside of strings JSON has no such character, so that the escape always stands in a string.
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

/// Controls (C0, DEL, C1), marks that re-order text, and characters without a width.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_a_terminal_become_visible() {
        assert_eq!(safe("a\x1b[31mred\x07\u{9b}2J"), "a\\u{1b}[31mred\\u{7}\\u{9b}2J");
        assert_eq!(safe("pay\u{202e}gpj.exe"), "pay\\u{202e}gpj.exe");
        assert_eq!(safe("two\nlines\u{200b}"), "two lines\\u{200b}");
        assert_eq!(safe("Größe 日本 ✓"), "Größe 日本 ✓");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({ "says": "a\x1b[31m\u{9b}b\u{202e}\u{e0041}" });
        let text = safe_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && is_unsafe(c)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
