//! Why a file of the user's is left as it is.

/// Why a file is left as it is.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) line: Option<usize>,
    pub(super) problem: String,
}

impl Trouble {
    pub(super) fn new(problem: String) -> Self {
        Self { line: None, problem }
    }

    pub(super) fn at(line: usize, problem: String) -> Self {
        Self { line: Some(line), problem }
    }
}
