//! Our part of a text that belongs to the user.

use super::trouble::Trouble;

const BEGIN: &str =
    "<!-- outcome-runtime: begin. Written by `outcome-runtime init --client`; what you change in here is lost. -->";
const BEGIN_MARK: &str = "<!-- outcome-runtime: begin";
const END: &str = "<!-- outcome-runtime: end -->";

/// The text with our section: in its old place, or at the end.
pub(super) fn with_section(text: &str, ours: &str) -> Result<String, Trouble> {
    let section = format!("{BEGIN}\n{ours}{END}");
    let new = match place(text)? {
        None => {
            let gap = match text {
                "" => "",
                text if text.ends_with("\n\n") => "",
                text if text.ends_with('\n') => "\n",
                _ => "\n\n",
            };
            format!("{text}{gap}{section}\n")
        }
        Some((before, after)) => format!("{before}{section}{after}"),
    };
    // A file with Windows line ends keeps them.
    Ok(if text.contains("\r\n") { new.replace("\r\n", "\n").replace('\n', "\r\n") } else { new })
}

/// The text without our section.
pub(super) fn without_section(text: &str) -> Result<String, Trouble> {
    let Some((before, after)) = place(text)? else { return Ok(text.to_owned()) };
    let before = before.trim_end_matches(['\n', '\r']);
    let after = after.trim_start_matches(['\n', '\r']);
    Ok(match (before.is_empty(), after.is_empty()) {
        (true, _) => after.to_owned(),
        (false, true) => format!("{before}\n"),
        (false, false) => format!("{before}\n\n{after}"),
    })
}

/// What stands before and after our section; `None` where it is not there.
fn place(text: &str) -> Result<Option<(&str, &str)>, Trouble> {
    let is_twice = |mark: &str| text.matches(mark).count() > 1;
    match (text.find(BEGIN_MARK), text.find(END)) {
        (None, None) => Ok(None),
        (Some(begin), Some(end)) if begin < end && !is_twice(BEGIN_MARK) && !is_twice(END) => {
            let after = text.get(end + END.len()..).unwrap_or_default();
            Ok(Some((text.get(..begin).unwrap_or_default(), after)))
        }
        (begin, end) => {
            let at = begin.or(end).unwrap_or_default();
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            Err(Trouble::at(line, "the begin and end marks of our section do not match".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_section_is_put_at_the_end_and_later_kept_in_its_place() {
        let first = with_section("# Shop\n", "Be kind.\n").unwrap();
        assert_eq!(first, format!("# Shop\n\n{BEGIN}\nBe kind.\n{END}\n"));
        let edited = format!("{first}\nMore.\n");
        let second = with_section(&edited, "Be kinder.\n").unwrap();
        assert_eq!(second, format!("# Shop\n\n{BEGIN}\nBe kinder.\n{END}\n\nMore.\n"));
        assert_eq!(with_section(&second, "Be kinder.\n").unwrap(), second, "nothing to change");
        assert_eq!(with_section("", "x\n").unwrap(), format!("{BEGIN}\nx\n{END}\n"));
    }

    #[test]
    fn without_the_section_the_text_is_as_it_was() {
        for text in ["# Shop\n", "# Shop\n\nBe loud.\n", ""] {
            assert_eq!(without_section(&with_section(text, "Be kind.\n").unwrap()).unwrap(), text);
        }
        assert_eq!(without_section("# Shop\n").unwrap(), "# Shop\n");
        assert!(without_section(&format!("{END}\n{BEGIN}\n")).is_err());
    }

    #[test]
    fn a_half_mark_is_left_alone() {
        let trouble = with_section(&format!("a\nb\n{END}\n{BEGIN}\n"), "x\n").unwrap_err();
        assert_eq!(trouble.line, Some(4));
        assert!(with_section(&format!("{BEGIN}\n{BEGIN}\n{END}\n"), "x\n").is_err());
    }

    #[test]
    fn windows_line_ends_stay() {
        let text = with_section("# Shop\r\n", "x\n").unwrap();
        assert!(text.lines().count() == 5 && text.matches("\r\n").count() == 5, "{text:?}");
        assert_eq!(with_section(&text, "x\n").unwrap(), text);
    }
}
