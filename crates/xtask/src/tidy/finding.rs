//! What a rule finds, and what it leaves alone.

use std::fmt;

/// What breaks a rule, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The rule.
    pub rule: &'static str,
    /// The file, from the root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: [{}] {}", self.file, self.line, self.rule, self.message)
    }
}

/// A file, or a folder with a slash at its end, that a rule leaves alone, and why.
pub type Exception = (&'static str, &'static str);

/// Whether one of the exceptions is for this file.
pub fn is_excepted(exceptions: &[Exception], file: &str) -> bool {
    exceptions.iter().any(|(place, _)| covers(place, file))
}

fn covers(place: &str, file: &str) -> bool {
    place == file || (place.ends_with('/') && file.starts_with(place))
}

/// Exceptions that excuse none of these findings.
pub fn unused_exceptions(rule: &'static str, exceptions: &[Exception], all: &[Finding]) -> Vec<Finding> {
    let unused = exceptions.iter().filter(|(place, _)| !all.iter().any(|finding| covers(place, &finding.file)));
    let message = "this exception is no longer needed";
    unused.map(|(place, _)| Finding { rule, file: (*place).to_owned(), line: 1, message: message.to_owned() }).collect()
}
