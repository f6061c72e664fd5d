//! `stats eval`: one JSON line in, one JSON line out. Needs no workspace.

use std::io::{BufRead, BufReader, Read as _};

use outcome_core::stats::eval_line;
use outcome_core::{Code, Error, Result};
use serde_json::json;

use crate::cx::Exit;
use crate::output::Out;

/// The longest line that is answered, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// Runs it.
pub fn run() -> Result<Exit> {
    let mut input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let mut output = Out::lines();
    let mut line = Vec::new();
    while let Some(answer) = next(&mut input, &mut line)? {
        if let Some(answer) = answer
            && !output.write(&answer)?
        {
            return Ok(Exit::OK);
        }
        // Whoever waits for an answer before asking again gets it; a file is answered in large pieces.
        if !input.buffer().contains(&b'\n') && !output.flush()? {
            return Ok(Exit::OK);
        }
    }
    output.flush()?;
    Ok(Exit::OK)
}

/// The answer to the next line: nothing at the end of the input, `Some(None)` for a blank line.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<Option<String>>> {
    let failed = |e| Error::new(Code::Io, "stdin cannot be read").because(e);
    line.clear();
    let n_read = input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', line).map_err(failed)?;
    if n_read == 0 {
        return Ok(None);
    }
    if line.len() > MAX_LINE && line.last() != Some(&b'\n') {
        skip_line(input).map_err(failed)?;
        return Ok(Some(Some(refusal("the line is longer than 16 MiB"))));
    }
    Ok(Some(match std::str::from_utf8(line) {
        Ok(text) if text.trim().is_empty() => None,
        Ok(text) => Some(eval_line(text)),
        Err(_) => Some(refusal("the line is not UTF-8")),
    }))
}

fn refusal(message: &str) -> String {
    json!({ "id": null, "error": message }).to_string()
}

/// Reads to the end of the line without keeping it.
fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let n_used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(n_used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(bytes: &[u8]) -> Vec<Option<String>> {
        let mut input = BufReader::with_capacity(16, bytes);
        let mut line = Vec::new();
        std::iter::from_fn(|| next(&mut input, &mut line).unwrap()).collect()
    }

    #[test]
    fn a_line_that_cannot_be_read_does_not_end_the_rest() {
        let mut bytes = b"\xff\xfe\n \r\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', MAX_LINE + 1));
        bytes.extend(b"\n{\"id\":7,\"fn\":\"nope\"}");
        let got = answers(&bytes);
        assert_eq!(got.len(), 4);
        assert!(got[0].as_ref().unwrap().contains("not UTF-8"));
        assert_eq!(got[1], None);
        assert!(got[2].as_ref().unwrap().contains("longer than 16 MiB"));
        assert!(got[3].as_ref().unwrap().contains("unknown function"), "{got:?}");
    }

    #[test]
    fn a_line_of_just_16_mib_is_still_answered() {
        let mut bytes = br#"{"id":1,"fn":"nope"}"#.to_vec();
        bytes.resize(MAX_LINE, b' ');
        bytes.extend(b"\n{");
        let got = answers(&bytes);
        assert!(got[0].as_ref().unwrap().contains("unknown function") && got.len() == 2);
    }
}
