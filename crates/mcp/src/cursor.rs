//! Opaque cursors: where a list goes on. They carry no state of this process, so a restarted server understands them.

use outcome_core::digest::sha256_hex;

use crate::answer::Failure;

/// The cursor for the items after the first `offset` of a list that `filter` describes.
pub(crate) fn encode(offset: usize, filter: &str) -> String {
    format!("{offset:x}-{}", mark(filter))
}

/// The offset of a cursor; 0 without one.
///
/// # Errors
/// When it is not one of ours, or belongs to another list.
pub(crate) fn decode(cursor: Option<&str>, filter: &str) -> Result<usize, Failure> {
    let Some(cursor) = cursor else { return Ok(0) };
    cursor
        .split_once('-')
        .filter(|(_, shown)| *shown == mark(filter))
        .and_then(|(offset, _)| usize::from_str_radix(offset, 16).ok())
        .filter(|offset| *offset <= 100_000)
        .ok_or_else(|| {
            Failure::invalid("`cursor` does not belong to this list").hint(
                "pass `next_cursor` of the previous answer and keep the other arguments the same, or omit `cursor` to start from the beginning",
            )
        })
}

fn mark(filter: &str) -> String {
    sha256_hex(filter).chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_offset() {
        assert_eq!(decode(Some(&encode(40, "a")), "a").ok(), Some(40));
        assert_eq!(decode(None, "a").ok(), Some(0));
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        for hostile in [encode(40, "b"), String::new(), "-".to_owned(), "ffffffffffffffffff-00000000".to_owned()] {
            assert!(decode(Some(&hostile), "a").is_err(), "{hostile}");
        }
    }
}
