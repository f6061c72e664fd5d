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

/// True when `n` is the `count(*)` of a SELECT that joins tables itself: what it counts are rows. A join below it, in brackets of its own,
/// is another SELECT's.
pub(super) fn counts_rows_of_a_join(sql: &str) -> bool {
    let bare = bare(sql).to_ascii_lowercase();
    // The SELECTs that are open, innermost last: whether each counts rows, and whether it joins.
    let mut open = vec![(false, false)];
    let mut rest = bare.as_str();
    while let Some(c) = rest.chars().next() {
        let word = rest.split(|c: char| !is_word_char(c)).next().unwrap_or("");
        let Some((counts, joins)) = open.last_mut() else { return false };
        let mut step = word.len().max(c.len_utf8());
        if word == "count" {
            if let Some(after) = after_star(rest) {
                *counts |= is_named_n(after);
                step = rest.len() - after.len();
            }
        } else if word == "join" {
            *joins = true;
        } else if c == '(' {
            open.push((false, false));
        } else if c == ')' || c == ';' {
            if *counts && *joins {
                return true;
            }
            match (c, open.len()) {
                (')', 2..) => drop(open.pop()),
                _ => *open.last_mut().unwrap_or(&mut (false, false)) = (false, false),
            }
        }
        rest = rest.get(step..).unwrap_or("");
    }
    open.contains(&(true, true))
}

/// What stands behind `count(*)` or `count(1)`, where `rest` begins with one.
fn after_star(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix("count")?.trim_start().strip_prefix('(')?.trim_start();
    inner.strip_prefix(['*', '1'])?.trim_start().strip_prefix(')')
}

/// Whether a column is called `n`.
fn is_named_n(after: &str) -> bool {
    let name = after.trim_start();
    let name = name.strip_prefix("as").filter(|name| !name.starts_with(is_word_char)).unwrap_or(name).trim_start();
    let name = name.strip_prefix(['"', '`']).unwrap_or(name);
    name.split(|c: char| !is_word_char(c)).next() == Some("n")
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
    fn a_count_of_the_rows_of_a_join_is_told_from_one_of_units() {
        for sql in [
            "SELECT e.variant, count(*) AS n FROM exposures e JOIN visitors v ON v.id = e.id",
            "select COUNT( * ) n, 1 from a left join b using (id) group by 1",
            "WITH x AS (SELECT count(1) AS \"n\" FROM a JOIN b ON a.id = b.id) SELECT n FROM x",
            "SELECT count(*) AS n, (SELECT 1) AS successes FROM a JOIN (SELECT id FROM c) b ON a.id = b.id",
        ] {
            assert!(counts_rows_of_a_join(sql), "{sql}");
        }
        for sql in [
            "SELECT variant, count(*) AS n FROM (SELECT e.variant, v.id FROM e JOIN v ON v.id = e.id GROUP BY 1, 2) x",
            "SELECT count(*) AS n FROM visitors -- JOIN",
            "SELECT u.n AS n, k FROM (SELECT id, count(*) AS orders FROM a JOIN b ON a.id = b.id GROUP BY 1) u",
            "SELECT count(DISTINCT e.id) AS n FROM e JOIN v ON v.id = e.id",
            "SELECT count(*) AS nothing FROM e JOIN v ON v.id = e.id",
            "",
            ")",
        ] {
            assert!(!counts_rows_of_a_join(sql), "{sql}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("select \"variant\", n", "variant"));
        assert!(!has_word("select variants, 'variant'", "variant"));
    }
}
