//! Finds named parameters (`:from`) in a query without understanding the rest of it.
//!
//! Strings, quoted identifiers, comments, dollar quotes and casts are stepped over as each engine writes them.
//! **Invariant**: the pieces, put together again, are the query up to its closing semicolon, unchanged.
//!
//! It also refuses what a reading never needs: several statements, anything but a query, the engine's own placeholders
//! (they would be bound to nothing), and comments that MySQL executes. This is for clear messages; what protects the
//! source is the read-only transaction.

use super::dialect::Dialect;

/// A part of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Passed on as it is.
    Text(&'a str),
    /// The name of a parameter, without its colon.
    Param(&'a str),
    /// `name` of `[1:name]`: a parameter where there is one of that name, else the end of a slice of an array.
    Bound(&'a str),
}

/// A word of a query, for what looks for names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Not quoted: a keyword or a name.
    Word(&'a str),
    /// A quoted name, without its quotes.
    Name(String),
    /// One of `.,()`.
    Sign(char),
}

/// The words of a query, without strings, comments and numbers.
///
/// # Errors
/// As [`lex`].
pub(super) fn tokens(sql: &str, dialect: Dialect) -> Result<Vec<Token<'_>>, String> {
    let mut lexer = Lexer::new(sql, dialect);
    lexer.run()?;
    Ok(lexer.tokens)
}

/// Cuts a query into pieces.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(super) fn lex(sql: &str, dialect: Dialect) -> Result<Vec<Piece<'_>>, String> {
    let mut lexer = Lexer::new(sql, dialect);
    lexer.run()?;
    Ok(lexer.pieces)
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    text_from: usize,
    dialect: Dialect,
    pieces: Vec<Piece<'a>>,
    tokens: Vec<Token<'a>>,
    first_word: Option<&'a str>,
    after_into: bool,
    /// How many square brackets are open, where they hold an array's elements or subscripts.
    brackets: u32,
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a backslash in a string says what the next character means.
fn has_escapes(dialect: Dialect) -> bool {
    match dialect {
        Dialect::MySql | Dialect::ClickHouse | Dialect::BigQuery | Dialect::Snowflake => true,
        Dialect::Postgres | Dialect::Sqlite => false,
    }
}

/// Whether a comment to the end of the line begins here that does not begin with dashes.
fn begins_comment(rest: &str, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Postgres | Dialect::Sqlite => false,
        Dialect::MySql | Dialect::BigQuery => rest.starts_with('#'),
        Dialect::ClickHouse => rest.starts_with("# ") || rest.starts_with("#!"),
        Dialect::Snowflake => rest.starts_with("//"),
    }
}

impl<'a> Lexer<'a> {
    fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self {
            sql,
            at: 0,
            text_from: 0,
            dialect,
            pieces: Vec::new(),
            tokens: Vec::new(),
            first_word: None,
            after_into: false,
            brackets: 0,
        }
    }
    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }
    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }
    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let from = self.at;
        while self.peek().is_some_and(&test) {
            self.bump();
        }
        self.sql.get(from..self.at).unwrap_or_default()
    }
    fn line(&self, at: usize) -> usize {
        self.sql.get(..at).unwrap_or_default().matches('\n').count() + 1
    }

    fn run(&mut self) -> Result<(), String> {
        if self.sql.contains('\0') {
            return Err("the query has a NUL character".to_owned());
        }
        while let Some(c) = self.peek() {
            let from = self.at;
            if self.comment()? {
                continue;
            }
            match (c, self.dialect) {
                (';', _) => return self.finish_at_semicolon(),
                ('\'' | '"', Dialect::BigQuery) if self.is_tripled(c) => self.tripled(c)?,
                ('\'', dialect) => self.quoted(has_escapes(dialect), "string")?,
                ('"', Dialect::MySql | Dialect::BigQuery) => self.quoted(true, "string")?,
                ('"' | '`', Dialect::ClickHouse) | ('`', Dialect::BigQuery) => self.quoted(true, "quoted name")?,
                ('"', _) | ('`', Dialect::MySql | Dialect::Sqlite) => self.quoted(false, "quoted name")?,
                ('[', Dialect::Sqlite) => self.bracketed()?,
                ('$', Dialect::Snowflake) if self.peek_second().is_some_and(begins_word) => {
                    return Err(self.own_placeholder(from));
                }
                ('$', Dialect::Postgres | Dialect::ClickHouse | Dialect::Snowflake) => self.dollar()?,
                ('[' | ']', Dialect::Postgres) => {
                    self.brackets =
                        if c == '[' { self.brackets.saturating_add(1) } else { self.brackets.saturating_sub(1) };
                    self.bump();
                }
                ('$' | '@', Dialect::Sqlite)
                | ('@', Dialect::BigQuery | Dialect::Snowflake)
                | ('?', Dialect::MySql | Dialect::Sqlite | Dialect::BigQuery | Dialect::Snowflake) => {
                    return Err(self.own_placeholder(from));
                }
                ('{', Dialect::ClickHouse) if self.is_placeholder_of_clickhouse() => {
                    return Err(self.own_placeholder(from));
                }
                // The path into a value: `payload:items[0]`.
                (':', Dialect::Snowflake) if self.follows_a_value() && self.peek_second() != Some(':') => {
                    self.bump();
                    self.take_while(in_name);
                }
                (':', _) => self.colon(),
                (c, _) if begins_word(c) => self.word()?,
                // `1e5` and `0x1f` are one token; without this their letters would look like the start of a word.
                (c, _) if c.is_ascii_digit() => {
                    self.take_while(in_name);
                }
                (c, _) => {
                    if ".,()".contains(c) {
                        self.tokens.push(Token::Sign(c));
                    }
                    self.bump();
                }
            }
        }
        self.finish(self.at)
    }

    fn finish_at_semicolon(&mut self) -> Result<(), String> {
        let end = self.at;
        self.bump();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || c == ';' {
                self.bump();
            } else if !self.comment()? {
                return Err(format!(
                    "the query has a second statement on line {}; write one SELECT",
                    self.line(self.at)
                ));
            }
        }
        self.finish(end)
    }

    fn finish(&mut self, end: usize) -> Result<(), String> {
        self.push_text(end);
        match self.first_word {
            None => Err("the query is empty".to_owned()),
            Some(word) if ["select", "with", "values", "table"].iter().any(|ok| word.eq_ignore_ascii_case(ok)) => {
                Ok(())
            }
            Some(word) => Err(format!("the query begins with `{word}`; it must begin with SELECT or WITH")),
        }
    }

    fn push_text(&mut self, end: usize) {
        if let Some(text) = self.sql.get(self.text_from..end)
            && !text.is_empty()
        {
            self.pieces.push(Piece::Text(text));
        }
    }

    /// Steps over a comment; false when there is none here.
    fn comment(&mut self) -> Result<bool, String> {
        let rest = self.rest();
        let from = self.at;
        let is_mysql = self.dialect == Dialect::MySql;
        if rest.starts_with("--") {
            // MySQL wants white space after the dashes; without it they are two minus signs.
            if is_mysql && rest.chars().nth(2).is_some_and(|c| !c.is_whitespace()) {
                return Ok(false);
            }
        } else if rest.starts_with("/*") {
            if is_mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
                return Err(format!("the comment on line {} would be executed by MySQL; remove it", self.line(from)));
            }
            let mut depth = 0_u32;
            while !self.rest().is_empty() {
                if self.rest().starts_with("/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                    depth += 1;
                    self.at += 2;
                } else if self.rest().starts_with("*/") {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(true);
                    }
                } else {
                    self.bump();
                }
            }
            return Err(format!("the comment that begins on line {} does not end", self.line(from)));
        } else if !begins_comment(rest, self.dialect) {
            return Ok(false);
        }
        self.take_while(|c| c != '\n');
        Ok(true)
    }

    /// Steps over `'...'` or the like, in which the quote is doubled and, where `backslash` holds, escaped.
    fn quoted(&mut self, backslash: bool, what: &str) -> Result<(), String> {
        let from = self.at;
        let quote = self.bump();
        while let Some(c) = self.bump() {
            if c == '\\' && backslash {
                self.bump();
            } else if Some(c) == quote {
                if self.peek() != quote {
                    if let (false, Some(quote)) = (what == "string", quote) {
                        let name = self.sql.get(from + 1..self.at - 1).unwrap_or_default();
                        self.tokens.push(Token::Name(name.replace(&format!("{quote}{quote}"), &quote.to_string())));
                    }
                    return Ok(());
                }
                self.bump();
            }
        }
        Err(format!("the {what} that begins on line {} does not end", self.line(from)))
    }

    fn is_tripled(&self, quote: char) -> bool {
        self.rest().starts_with(&quote.to_string().repeat(3))
    }

    /// Steps over a string between three quotes.
    fn tripled(&mut self, quote: char) -> Result<(), String> {
        let from = self.at;
        self.at += 3;
        while !self.rest().is_empty() {
            if self.is_tripled(quote) {
                self.at += 3;
                return Ok(());
            }
            if self.bump() == Some('\\') {
                self.bump();
            }
        }
        Err(format!("the string that begins on line {} does not end", self.line(from)))
    }

    /// `{name:Type}`, and not `{'key': value}`.
    fn is_placeholder_of_clickhouse(&self) -> bool {
        let inner = self.rest().trim_start_matches('{').trim_start();
        inner.starts_with(begins_word) && inner.trim_start_matches(in_name).trim_start().starts_with(':')
    }

    /// Whether a value or name ends right before this place.
    fn follows_a_value(&self) -> bool {
        let before = self.sql.get(..self.at).and_then(|before| before.chars().next_back());
        before.is_some_and(|c| in_name(c) || ")]\"".contains(c))
    }

    fn bracketed(&mut self) -> Result<(), String> {
        let from = self.at;
        self.take_while(|c| c != ']');
        match self.bump() {
            Some(_) => Ok(()),
            None => Err(format!("the quoted name that begins on line {} does not end", self.line(from))),
        }
    }

    /// `$tag$ ... $tag$`, or a `$` that means nothing; `$1` is refused.
    fn dollar(&mut self) -> Result<(), String> {
        let from = self.at;
        if self.peek_second().is_some_and(|c| c.is_ascii_digit()) {
            return Err(self.own_placeholder(from));
        }
        self.bump();
        self.take_while(in_name);
        if self.peek() != Some('$') {
            return Ok(());
        }
        self.bump();
        let tag = self.sql.get(from..self.at).unwrap_or_default();
        match self.rest().find(tag) {
            Some(offset) => {
                self.at += offset + tag.len();
                Ok(())
            }
            None => Err(format!("the string `{tag}` that begins on line {} does not end", self.line(from))),
        }
    }

    fn colon(&mut self) {
        let from = self.at;
        self.bump();
        match self.peek() {
            // A cast; both colons are text.
            Some(':') => {
                self.bump();
            }
            Some(c) if begins_word(c) => {
                self.push_text(from);
                let name = self.take_while(in_name);
                self.pieces.push(if self.brackets > 0 { Piece::Bound(name) } else { Piece::Param(name) });
                self.text_from = self.at;
            }
            _ => {}
        }
    }

    fn word(&mut self) -> Result<(), String> {
        let from = self.at;
        let word = self.take_while(|c| in_name(c) || c == '$');
        self.first_word.get_or_insert(word);
        self.tokens.push(Token::Word(word));
        // `INTO OUTFILE` writes a file on the server, which a read-only transaction does not prevent.
        if self.dialect == Dialect::MySql {
            let is_file = word.eq_ignore_ascii_case("outfile") || word.eq_ignore_ascii_case("dumpfile");
            if self.after_into && is_file {
                return Err(format!("`INTO {word}` on line {} would write a file", self.line(from)));
            }
            self.after_into = word.eq_ignore_ascii_case("into");
        }
        if self.dialect == Dialect::Postgres && word.eq_ignore_ascii_case("e") && self.peek() == Some('\'') {
            return self.quoted(true, "string");
        }
        Ok(())
    }

    fn own_placeholder(&self, at: usize) -> String {
        let shown: String =
            self.sql.get(at..).unwrap_or_default().chars().take_while(|c| !c.is_whitespace()).take(20).collect();
        format!("unknown placeholder `{shown}` on line {}; write parameters with a colon, as in :from", self.line(at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Dialect; 6] = [
        Dialect::Postgres,
        Dialect::MySql,
        Dialect::Sqlite,
        Dialect::ClickHouse,
        Dialect::BigQuery,
        Dialect::Snowflake,
    ];

    fn params(sql: &str, dialect: Dialect) -> Vec<&str> {
        let pieces = lex(sql, dialect).unwrap_or_else(|e| panic!("{sql}: {e}"));
        pieces
            .iter()
            .filter_map(|piece| if let Piece::Param(name) | Piece::Bound(name) = piece { Some(*name) } else { None })
            .collect()
    }

    fn joined(pieces: &[Piece<'_>]) -> String {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => (*text).to_owned(),
                Piece::Param(name) | Piece::Bound(name) => format!(":{name}"),
            })
            .collect()
    }

    #[test]
    fn finds_parameters_and_nothing_else() {
        for dialect in ALL {
            assert_eq!(
                params("select :from, f(:to)+:from -- :x\n/* :y */ where a=':z' and \"b:q\" = 1", dialect),
                ["from", "to", "from"]
            );
            assert_eq!(params("SELECT 'it''s :x', '' , :as_of", dialect), ["as_of"]);
            assert_eq!(params("WITH été AS (SELECT 'é:x') SELECT :from;\n -- the end :x\n ;", dialect), ["from"]);
            assert_eq!(params("(select 1e5 - 0x1f, a : b, :to)", dialect), ["to"]);
        }
        assert_eq!(
            params("select a::date, :from::timestamptz, E'\\':x', 'a\\', :to", Dialect::Postgres),
            ["from", "to"]
        );
        assert_eq!(params("select $$:x$$, $a$ :y $b$ $$ $a$, c$d, x[1:2], j ? 'k', :to", Dialect::Postgres), ["to"]);
        assert_eq!(params("select /* a /* :x */ :y */ :to", Dialect::Postgres), ["to"]);
        assert_eq!(
            params("select '\\':x', \"\\\":y\", `a:b`, @v := 1 # :c\n, 1--:from, :to", Dialect::MySql),
            ["from", "to"]
        );
        assert_eq!(params("select [a:b], `c:d`, '\\', :to", Dialect::Sqlite), ["to"]);
        let sql = "select {'a': 1}, `c\\`:d`, $x$ :y $x$, '\\':z', a ? b : c # :n\n, x::Date, :to";
        assert_eq!(params(sql, Dialect::ClickHouse), ["to"]);
        let tripled = format!("{q}it's :x{q}, \"\"\"a\"b:c\"\"\"", q = "'".repeat(3));
        let sql = format!("select {tripled}, r'\\':d', \":e\", `p.d:t` # :n\n, :to");
        assert_eq!(params(&sql, Dialect::BigQuery), ["to"]);
        let sql = "select payload:from, t.c:to.x[0]:y, \"C\":from, f(x):to, $$ :x $$, '\\':z' // :n\n, a::date, :to, x>=:from";
        assert_eq!(params(sql, Dialect::Snowflake), ["to", "from"]);
    }

    #[test]
    fn refuses_what_is_no_single_query() {
        for (sql, expected) in [
            ("", "empty"),
            (" -- nothing\n", "empty"),
            ("INSERT INTO t VALUES (1)", "begins with `INSERT`"),
            ("select 1; drop table t", "second statement on line 1"),
            ("select 'a", "does not end"),
            ("select /* a", "does not end"),
            ("select \0", "NUL"),
        ] {
            for dialect in ALL {
                let error = lex(sql, dialect).expect_err(sql);
                assert!(error.contains(expected), "{sql}: {error}");
            }
        }
        for (sql, dialect, expected) in [
            ("select $1", Dialect::Postgres, "`$1`"),
            ("select\n ?", Dialect::MySql, "`?` on line 2"),
            ("select ?1, 2", Dialect::Sqlite, "`?1,`"),
            ("select @a", Dialect::Sqlite, "`@a`"),
            ("select $a", Dialect::Sqlite, "`$a`"),
            ("select $a$ x", Dialect::Postgres, "does not end"),
            ("select [a", Dialect::Sqlite, "does not end"),
            ("select /*! 1 */ 2", Dialect::MySql, "executed"),
            ("select {a:String}", Dialect::ClickHouse, "`{a:String}`"),
            ("select @a", Dialect::BigQuery, "`@a`"),
            ("select ?", Dialect::BigQuery, "`?`"),
            ("select \"\"\"a\"", Dialect::BigQuery, "does not end"),
            ("select $1, 2", Dialect::Snowflake, "`$1,`"),
            ("select $a", Dialect::Snowflake, "`$a`"),
            ("select * from @stage", Dialect::Snowflake, "`@stage`"),
            ("select 1 INTO /* x */ OutFile '/x'", Dialect::MySql, "write a file"),
        ] {
            let error = lex(sql, dialect).expect_err(sql);
            assert!(error.contains(expected), "{sql}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn text_outside_of_parameters_never_changes(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("'"), Just("''"), Just("\""), Just("`"), Just("\\"), Just("--"), Just("-- "), Just("\n"),
                    Just("/*"), Just("*/"),
                    Just("$$"), Just("$a$"), Just(":from"), Just("::"), Just(":"), Just(":tô"), Just("["), Just("]"),
                    Just(" "), Just("e"), Just("E'"), Just("#"), Just("x"), Just("é"), Just("1"), Just("("), Just(";"),
                ],
                0..30,
            ),
            any_text in "\\PC{0,40}",
        ) {
            for tail in [parts.concat(), any_text] {
                let sql = format!("select {tail}");
                for dialect in ALL {
                    if let Ok(pieces) = lex(&sql, dialect) {
                        let joined = joined(&pieces);
                        prop_assert!(sql.starts_with(&joined));
                        // What was cut off is the end of the statement: nothing but semicolons and comments.
                        let cut = sql.strip_prefix(&joined).unwrap();
                        prop_assert!(cut.is_empty() || cut.starts_with(';'));
                        let ends_alone = lex(&format!("select 1{cut}"), dialect).is_ok();
                        prop_assert!(ends_alone);
                        // Lexing is stable: what comes out lexes to the same pieces.
                        prop_assert_eq!(lex(&joined, dialect), Ok(pieces));
                    }
                }
            }
        }
    }
}
