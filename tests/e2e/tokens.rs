//! Counting tokens, offline.

use anyhow::Result;

/// What counts them, for pages.
pub const TOKENIZER: &str = "`o200k_base` (the crate `tiktoken-rs`)";

/// Tokens of a text.
pub fn tokens(text: &str) -> Result<usize> {
    Ok(tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len())
}
