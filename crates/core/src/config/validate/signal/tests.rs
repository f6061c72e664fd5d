//! Signals of a source that is asked by name; the sources of this version are looked at with golden files.

use std::sync::Arc;

use crate::config::vendor::{Answers, Asked, Keymap, SignalVendor};
use crate::config::{Config, Diagnostic, Vendors};
use crate::domain::{Constraint, MetricMethod};
use crate::ports::{Opening, ReadError, SignalSource, SourceSettings};

#[derive(Debug)]
struct Nothing;

impl SourceSettings for Nothing {
    fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn references(&self) -> Vec<&str> {
        Vec::new()
    }
    fn open(&self, _: &str, _: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        Err(ReadError::PushOnly { source_name: "nothing".to_owned() })
    }
}

const fn vendor(kind: &'static str, answers: Answers) -> SignalVendor {
    let keys = Keymap::new(&[], |generator| generator.subschema_for::<bool>());
    SignalVendor { kind, example: "", asked: Asked::ByName(answers), keys, read: |_, _| Some(Arc::new(Nothing)) }
}

/// One that answers everything, and one that has only levels.
static SIGNALS: [SignalVendor; 2] = [
    vendor("events", Answers { by_variant: true, funnels: true, segments: true }),
    vendor("levels", Answers { by_variant: false, funnels: false, segments: false }),
];
static VENDORS: Vendors = Vendors { signals: &SIGNALS, ..Vendors::NONE };

/// An outcome on a source of this type, with these keys of the signal, and of a constraint that it has as well.
fn parse(kind: &str, signal: &str, constraint: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let text = format!(
        "version: 1\noutcomes:\n  - id: paid\n    title: Paid\n    horizon: 6w\n    \
         target: {{ direction: increase, from: 0.3, to: 0.4 }}\n    \
         signal: {{ source: app, metric: paid{signal} }}\n    \
         constraints: [{{ signal: refunds, source: app, {constraint} }}]\n\
         signal_connectors: [{{ name: app, type: {kind}, config: {{}} }}]\n"
    );
    let parsed = crate::config::parse(&text, "outcome.yaml", &VENDORS, None);
    (parsed.config, parsed.diagnostics)
}

const LIMIT: &str = "max: 0.02";
const NOT_WORSE: &str = "not_worse: { direction: decrease, margin: 0.01 }";

/// The findings in one line each: severity, code, message.
fn found(kind: &str, signal: &str, constraint: &str) -> Vec<String> {
    let (config, found) = parse(kind, signal, constraint);
    assert_eq!(config.is_none(), found.iter().any(Diagnostic::is_error));
    found.into_iter().map(|d| format!("{}: {}", d.code, d.message)).collect()
}

#[test]
fn a_name_is_all_that_a_source_asked_by_name_needs() {
    let (config, found) = parse("events", "", NOT_WORSE);
    assert_eq!(found, []);
    let outcome = config.unwrap().outcomes.remove(0);
    assert_eq!((outcome.signal.method, outcome.signal.query.level.clone()), (MetricMethod::Event, None));
    assert!(matches!(&outcome.constraints[..], [Constraint::Signal { signal, .. }] if signal.metric == "refunds"));
    let funnel = ", method: funnel, funnel_steps: [seen, paid], segment: { platform: mobile }";
    assert_eq!(parse("events", funnel, LIMIT).1, []);
}

#[test]
fn a_query_and_the_method_of_a_query_are_refused() {
    assert_eq!(
        found("events", ", method: custom, query: { level: SELECT 1 }", LIMIT),
        [
            "config.method_unsupported: a `events` source does not support the method `custom`: it is asked by name and runs no query",
            "config.query_unused: a `events` source is asked by name and runs no query",
        ]
    );
}

#[test]
fn what_a_source_does_not_answer_is_refused() {
    let funnel = ", method: funnel, funnel_steps: [seen, paid], segment: { platform: mobile }";
    let no_variants = "config.query_by_variant_missing: a `levels` source knows no variants, so no experiment on this \
                       outcome can be judged";
    assert_eq!(
        found("levels", funnel, NOT_WORSE),
        [
            no_variants,
            "config.method_unsupported: a `levels` source does not support the method `funnel`",
            "config.segment_unsupported: a `levels` source does not filter by `segment`",
            "config.query_by_variant_missing: a limit relative to the control needs variants, which a `levels` source does not know",
        ]
    );
    assert_eq!(found("levels", "", LIMIT), [no_variants], "a warning");
}
