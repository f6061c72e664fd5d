//! Requests that make sense, with some of their fields replaced: gets past the parser at once.

#![no_main]

#[path = "../../tests/it/answer.rs"]
mod stats_answer;
#[path = "../../tests/it/requests.rs"]
mod stats_requests;

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use outcome_stats::eval_line;
use serde_json::{Value, json};

/// What a field may become.
#[derive(Debug, Arbitrary)]
enum Piece {
    Number(f64),
    /// A number of everyday size.
    Small(i16, u8),
    Count(u32),
    List(Vec<f64>),
    Estimates(Vec<(f64, f64)>),
    Flag(bool),
    Word(u8),
    Infinite(bool),
    Nothing,
    Empty,
}

const WORDS: [&str; 12] =
    ["two_sided", "greater", "less", "increase", "decrease", "proportion", "mean", "ratio", "cuped", "", "NaN", "é"];

impl Piece {
    fn to_json(&self) -> Value {
        match self {
            Self::Number(x) => json!(x),
            Self::Small(x, scale) => json!(f64::from(*x) * 10.0_f64.powi(-i32::from(scale % 16))),
            Self::Count(n) => json!(n),
            Self::List(list) => json!(list.iter().take(32).collect::<Vec<_>>()),
            Self::Estimates(list) => {
                let estimate = |(delta, var): &(f64, f64)| json!({ "delta": delta, "var": var });
                list.iter().take(16).map(estimate).collect()
            }
            Self::Flag(flag) => json!(flag),
            Self::Word(i) => json!(WORDS[usize::from(*i) % WORDS.len()]),
            Self::Infinite(is_positive) => json!(if *is_positive { "inf" } else { "-inf" }),
            Self::Nothing => Value::Null,
            Self::Empty => json!({}),
        }
    }
}

/// A request with all places of its input.
type Template = (Value, Vec<String>);

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let template = |request: Value| {
        let mut places = Vec::new();
        stats_requests::places(&request["input"], "/input", &mut places);
        // A plan of many looks takes its time; that is no finding.
        places.retain(|place| !place.ends_with("/K"));
        (request, places)
    };
    stats_requests::requests().into_iter().map(template).collect()
});

fuzz_target!(|damage: (u8, Vec<(u8, Piece)>)| {
    let (function, pieces) = damage;
    let (request, places) = &TEMPLATES[usize::from(function) % TEMPLATES.len()];
    let mut request = request.clone();
    for (place, piece) in pieces.iter().take(8) {
        if let Some(slot) = request.pointer_mut(&places[usize::from(*place) % places.len()]) {
            *slot = piece.to_json();
        }
    }
    let line = request.to_string();
    if let Some(fault) = stats_answer::broken_promise(&line, &eval_line(&line)) {
        panic!("{fault}");
    }
});
