//! What is hashed and signed: canonical JSON (RFC 8785) and SHA-256.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The canonical JSON of a value: keys sorted, numbers in their shortest form, no white space.
///
/// # Errors
/// When the value cannot be written as JSON, for example a map whose keys are no strings.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    serde_json_canonicalizer::to_string(value)
}

/// The same of a value of JSON. Values without fractions and unusual characters, which is nearly all that a log holds, are written ten times
/// as fast as by the general way.
///
/// # Errors
/// As [`canonical_json`].
pub fn canonical_value(value: &Value) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    if write_plain(value, &mut out) { Ok(out) } else { canonical_json(value) }
}

/// Writes what has one spelling only, or says that this value has more: fractions and large numbers, characters that are escaped, and keys
/// whose order is not that of their bytes.
fn write_plain(value: &Value, out: &mut String) -> bool {
    // Beyond it a whole number is no `f64`, which is what canonical JSON writes.
    const MAX_WHOLE: u64 = (1 << 53) - 1;
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if whole.unsigned_abs() <= MAX_WHOLE => out.push_str(&number.to_string()),
            Some(_) | None => return false,
        },
        Value::String(text) => return write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                if !write_plain(item, out) {
                    return false;
                }
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            let mut last: Option<&str> = None;
            for (key, value) in fields {
                let follows = last.is_none_or(|last| last < key.as_str());
                if !follows || !key.is_ascii() {
                    return false;
                }
                if last.is_some() {
                    out.push(',');
                }
                if !write_text(key, out) {
                    return false;
                }
                out.push(':');
                if !write_plain(value, out) {
                    return false;
                }
                last = Some(key);
            }
            out.push('}');
        }
    }
    true
}

fn write_text(text: &str, out: &mut String) -> bool {
    let is_escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().any(is_escaped) {
        return false;
    }
    out.push('"');
    out.push_str(text);
    out.push('"');
    true
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(bytes.as_ref()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-100_i64..100).prop_map(Value::from),
            (-1e300..1e300).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[a-z_é\\\\\"\u{7f}]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec(("[a-zA-Z_é\u{10000}\u{ffff}]{0,4}", inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_fast_way_writes_what_the_general_way_writes(value in any_value()) {
            prop_assert_eq!(canonical_value(&value).unwrap(), canonical_json(&value).unwrap());
        }
    }

    #[test]
    fn usual_values_take_the_fast_way_and_others_do_not() {
        let is_fast = |value: Value| write_plain(&value, &mut String::new());
        assert!(is_fast(json!({ "a": [1, -2, "text é", null, true], "b": { "c": 9_007_199_254_740_991_i64 } })));
        for other in [json!(0.5), json!(9_007_199_254_740_992_i64), json!(u64::MAX), json!("a\nb"), json!({ "é": 1 })]
        {
            assert!(!is_fast(other.clone()), "{other}");
        }
    }
}
