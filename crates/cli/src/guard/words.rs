//! A shell command as words: enough of the shell's grammar to follow a change of folder up to a patch.

/// What a command line consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// `;`, `&&`, `||`, `&` or the end of a line.
    End,
    /// `|`: what follows reads what comes before.
    Pipe,
    /// `(`: changes of folder end with it.
    Open,
    /// `)`.
    Close,
}

/// A word without its quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// The shell would put something else in its place, so `text` is not the whole truth.
    pub(super) is_expanded: bool,
    /// It is the text of a here-document.
    pub(super) is_document: bool,
}

/// The tokens of a command.
pub(super) fn tokens(command: &str) -> Vec<Token> {
    let mut reader =
        Reader { rest: command.chars().collect(), at: 0, out: Vec::new(), word: None, documents: Vec::new() };
    reader.read();
    reader.out
}

struct Reader {
    rest: Vec<char>,
    at: usize,
    out: Vec<Token>,
    word: Option<Word>,
    /// Ends of the here-documents that begin after this line, and whether tabs before them do not count.
    documents: Vec<(String, bool)>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let found = self.peek(0)?;
        self.at += 1;
        Some(found)
    }

    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.out.push(Token::Word(word));
        }
    }

    fn end(&mut self, token: Token) {
        self.end_word();
        self.out.push(token);
    }

    fn read(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c) => self.word().text.push(c),
                },
                '\'' => self.single(),
                '"' => self.double(),
                '$' | '`' => self.expansion(c),
                '*' | '?' | '[' => {
                    let word = self.word();
                    word.text.push(c);
                    word.is_expanded = true;
                }
                '#' if self.word.is_none() => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\n' => {
                    self.end_word();
                    self.documents();
                    self.out.push(Token::End);
                }
                ';' => self.end(Token::End),
                '&' if self.peek(0) == Some('>') => self.end_word(),
                '&' => {
                    if self.peek(0) == Some('&') {
                        self.at += 1;
                    }
                    self.end(Token::End);
                }
                '|' if self.peek(0) == Some('|') => {
                    self.at += 1;
                    self.end(Token::End);
                }
                '|' => self.end(Token::Pipe),
                '(' => self.end(Token::Open),
                ')' => self.end(Token::Close),
                '<' if self.peek(0) == Some('<') && self.peek(1) != Some('<') => {
                    self.at += 1;
                    self.end_word();
                    self.document_begins();
                }
                '<' | '>' => {
                    self.end_word();
                    // `2>&1` ends no command.
                    if self.peek(0) == Some('&') {
                        self.at += 1;
                    }
                }
                c if c.is_whitespace() => self.end_word(),
                c => self.word().text.push(c),
            }
        }
        self.end_word();
    }

    fn single(&mut self) {
        self.word();
        while let Some(c) = self.next().filter(|c| *c != '\'') {
            self.word().text.push(c);
        }
    }

    fn double(&mut self) {
        self.word();
        while let Some(c) = self.next().filter(|c| *c != '"') {
            match c {
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => self.word().text.push(c),
                    Some(c) => self.word().text.extend(['\\', c]),
                },
                '$' | '`' => self.expansion(c),
                c => self.word().text.push(c),
            }
        }
    }

    /// `$NAME`, `${...}` and `$(...)` stay in the text as they are written.
    fn expansion(&mut self, first: char) {
        let word = self.word();
        word.text.push(first);
        word.is_expanded = true;
        if first != '$' || self.peek(0) != Some('(') {
            return;
        }
        // Quotes and brackets may be those of a patch in it, so whatever is not closed goes to the end.
        let mut depth = 0_usize;
        while let Some(c) = self.next() {
            self.word().text.push(c);
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn document_begins(&mut self) {
        let is_indented = self.peek(0) == Some('-');
        if is_indented {
            self.at += 1;
        }
        while self.peek(0).is_some_and(|c| c == ' ' || c == '\t') {
            self.at += 1;
        }
        let mut end = String::new();
        while let Some(c) = self.peek(0) {
            if c.is_whitespace() || matches!(c, ';' | '&' | '|' | '<' | '>' | '(' | ')') {
                break;
            }
            if !matches!(c, '\'' | '"' | '\\') {
                end.push(c);
            }
            self.at += 1;
        }
        self.documents.push((end, is_indented));
    }

    /// The here-documents that begin after the end of a line, each as a word of the command before.
    fn documents(&mut self) {
        for (end, is_indented) in std::mem::take(&mut self.documents) {
            let mut text = String::new();
            while self.peek(0).is_some() {
                let mut line = String::new();
                while let Some(c) = self.next().filter(|c| *c != '\n') {
                    line.push(c);
                }
                let seen = line.strip_suffix('\r').unwrap_or(&line);
                let seen = if is_indented { seen.trim_start_matches('\t') } else { seen };
                if seen == end {
                    break;
                }
                text.push_str(seen);
                text.push('\n');
            }
            self.out.push(Token::Word(Word { text, is_expanded: false, is_document: true }));
        }
    }
}
