//! The texts of sources' answers about experiments: what of an answer its numbers were made from, as canonical JSON, compressed. Their
//! hashes are in the log and in proofs for ever, the texts for a stated time.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;

use crate::digest::sha256_hex;
use crate::domain::Reading;
use crate::error::{Code, Error, Result};
use crate::store::{Instant, RawAnswerRow, Tx};

/// Longest text that is kept, in bytes. Answers are sums of arms; a longer one is not kept, and its hash is.
const LONGEST: usize = 256 * 1024;

/// Keeps what a source answered.
pub(in crate::usecases) async fn keep_answer<T>(tx: &mut Tx, reading: &Reading<T>, at: Timestamp) -> Result<()> {
    let Some(text) = reading.raw.as_deref().filter(|text| text.len() <= LONGEST) else { return Ok(()) };
    let row = RawAnswerRow { hash: reading.raw_hash.clone(), packed: packed(text)?, read_at: Instant(at) };
    tx.raw_answer_put(&row).await
}

fn packed(text: &str) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let done = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    done.map_err(|e| Error::new(Code::Internal, "an answer cannot be compressed").because(e))
}

/// The text of an answer.
///
/// # Errors
/// [`Code::AuditBroken`] where it is not what its hash says.
pub(in crate::usecases) fn text_of(row: &RawAnswerRow) -> Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 1;
    let read = DeflateDecoder::new(row.packed.as_slice()).take(limit).read_to_string(&mut text);
    match read {
        Ok(_) if sha256_hex(&text) == row.hash => Ok(text),
        _ => Err(Error::new(Code::AuditBroken, format!("the answer {} was written past the runtime", row.hash))
            .hint("run `outcome-runtime audit verify`: it says whether anything that counts was changed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> RawAnswerRow {
        RawAnswerRow { hash: sha256_hex(text), packed: packed(text).unwrap(), read_at: Instant(Timestamp::UNIX_EPOCH) }
    }

    #[test]
    fn a_text_comes_back_as_it_was() {
        for text in ["", "[]", r#"[{"n":2,"variant":"o'n — 世界"}]"#] {
            assert_eq!(text_of(&row(text)).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_what_its_hash_says_is_not_shown() {
        let [mut other, mut cut, mut bomb] = [row("[1]"), row("[1]"), row("[1]")];
        other.packed = packed("[2]").unwrap();
        cut.packed.pop();
        bomb.packed = packed(&" ".repeat(LONGEST * 4)).unwrap();
        for row in [other, cut, bomb] {
            assert_eq!(text_of(&row).unwrap_err().code(), Code::AuditBroken);
        }
    }
}
