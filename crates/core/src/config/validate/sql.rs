//! What a SQL text names, without understanding it.

/// True when the statement binds `:name`. A cast (`::name`), a comment or a quoted text does not count.
pub(super) fn binds(sql: &str, name: &str) -> bool {
    let bare = bare(sql);
    bare.match_indices(':').any(|(at, _)| {
        let is_cast = at > 0 && bare.as_bytes().get(at - 1) == Some(&b':');
        let rest = bare.get(at + 1..).unwrap_or("");
        let word = rest.split(|c: char| !is_word_char(c)).next().unwrap_or("");
        !is_cast && word.eq_ignore_ascii_case(name)
    })
}

/// True when the statement has this word outside of comments and quoted texts.
pub(super) fn has_word(sql: &str, word: &str) -> bool {
    bare(sql).split(|c: char| !is_word_char(c)).any(|found| found.eq_ignore_ascii_case(word))
}

/// True when the columns cannot be known from the text.
pub(super) fn selects_everything(sql: &str) -> bool {
    let squeezed: String = bare(sql).split_whitespace().collect::<Vec<_>>().join(" ");
    let squeezed = squeezed.to_ascii_lowercase();
    squeezed.contains("select *") || squeezed.contains(".*") || squeezed.starts_with("call ")
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The statement with comments and quoted texts as blanks. Quoted identifiers stay.
fn bare(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if c == '\'' {
            rest.get(1..).and_then(|text| text.find('\'')).map_or(rest.len(), |at| at + 2)
        } else {
            0
        };
        if skipped > 0 {
            out.push(' ');
            rest = rest.get(skipped..).unwrap_or("");
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_outside_of_casts_comments_and_texts() {
        assert!(binds("where at >= :from and at < :to", "from"));
        for sql in ["select x::from", "-- :from\nselect 1", "/* :from */", "select ':from'", "where at > :from_date"] {
            assert!(!binds(sql, "from"), "{sql}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("select \"variant\", n", "variant"));
        assert!(!has_word("select variants, 'variant'", "variant"));
    }
}
