//! PostHog: against canned answers, a mock of its specification, and the queries themselves on the engine below it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use outcome_core::Code;
use outcome_core::domain::{ArmSums, CountedUnits, MetricMethod, Reading, SignalSpec, Variant, VariantReading};
use outcome_core::ports::{ReadError, VariantRequest};
use outcome_tests::peers::{python, sources};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::{request, window};
use super::kit::prism::Prism;
use super::kit::{self, Subject, named, week};

fn arm(variant: Variant, n: i64, successes: i64, n_both: i64) -> VariantReading {
    let units = CountedUnits { n_units: Some(n), n_both: Some(n_both), same_as: None };
    VariantReading { units: Some(units), ..VariantReading::new(variant, ArmSums::Proportion { n, successes }) }
}

fn answer(results: Value) -> Value {
    json!({ "results": results, "columns": ["a"], "hasMore": false, "query_status": null, "error": null, "is_cached": false })
}

fn sent(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn good(request: &Request) -> Value {
    assert_eq!(request.headers["authorization"], "Bearer phx_k3y");
    assert_eq!(request.url.path(), "/api/projects/12345/query/");
    let query = sent(request)["query"]["query"].as_str().unwrap().to_owned();
    match () {
        () if query.starts_with("SELECT 1") => answer(json!([[1]])),
        () if query.contains("GROUP BY arm") => answer(json!([["control", 310, 30, 2], ["test", 290, 41, 2]])),
        () => answer(json!([[5000, 600]])),
    }
}

fn subject() -> Subject {
    Subject {
        kind: "posthog",
        config: "url: ${URL}, project_id: \"12345\", token: \"${TOKEN}\", exposure_event: $feature_flag_called",
        secrets: &[("${TOKEN}", "phx_k3y")],
        signal: named("order paid"),
        window: week(),
        good: Arc::new(good),
        before: &[],
        level: ArmSums::Proportion { n: 5000, successes: 600 },
        arms: Some(vec![arm(Variant::Control, 310, 30, 2), arm(Variant::Treatment, 290, 41, 2)]),
        number: "/results/0/0",
        missing: "`results[0]` is not a tuple of size 2",
        empty: answer(json!([])),
    }
}

#[tokio::test]
async fn it_does_what_every_source_does() {
    kit::all(&subject()).await;
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    kit::failures::stalls(&subject()).await;
}

fn funnel() -> SignalSpec {
    let steps = ["cart viewed", "address given", "order paid"].map(str::to_owned).to_vec();
    SignalSpec { method: MetricMethod::Funnel, funnel_steps: steps, ..named("checkout") }
}

#[tokio::test]
async fn the_specification_allows_its_requests() -> Result<()> {
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    source.test().await?;
    for signal in [subject.signal.clone(), funnel()] {
        source.level(&signal, subject.window).await?;
        source.by_variant(&signal, &subject.request()).await?;
    }
    if let Some(prism) = Prism::start("posthog")? {
        prism.accepts(&server).await?;
        assert!(prism.refuses("/api/projects/1/query/").await?);
    }
    Ok(())
}

async fn arms_of(rows: Value, config: &'static str) -> Result<Reading<Vec<VariantReading>>, ReadError> {
    let subject = Subject { config, ..subject() };
    let server = subject.stand_in_that(move |_| answer(rows.clone())).await;
    subject.open(&server.uri()).by_variant(&subject.signal, &subject.request()).await
}

const PLAIN: &str = "url: ${URL}, project_id: \"12345\", token: \"${TOKEN}\", exposure_event: seen";
const NAMED: &str =
    "url: ${URL}, project_id: \"12345\", token: \"${TOKEN}\", exposure_event: seen, control: a, treatment: b";

#[tokio::test]
async fn no_arm_vanishes() {
    let both = vec![arm(Variant::Control, 10, 1, 0), arm(Variant::Treatment, 12, 2, 0)];
    for (config, rows) in [
        (PLAIN, json!([["false", 10, 1, 0], ["true", 12, 2, 0]])),
        (PLAIN, json!([["test", 12, 2, 0], ["control", 10, 1, 0]])),
        // Whoever is in no arm of a flag with named arms is told `false`, or nothing.
        (NAMED, json!([["a", 10, 1, 0], ["b", 12, 2, 0], ["false", 5000, 3, 0], [null, 9, 0, 0]])),
    ] {
        let read = arms_of(rows.clone(), config).await.unwrap();
        assert_eq!((read.data, read.warnings.as_slice()), (both.clone(), [].as_slice()), "{rows}");
    }
    assert_eq!(arms_of(json!([["true", 3, 0, 0]]), PLAIN).await.unwrap().data, [arm(Variant::Treatment, 3, 0, 0)]);
    assert_eq!(arms_of(json!([]), PLAIN).await.unwrap().data, [], "nobody was exposed yet");
    for (config, rows, expected) in [
        (PLAIN, json!([["control", 10, 1, 0], ["false", 90, 1, 0]]), "two answers that mean the control"),
        (PLAIN, json!([["control", 10, 1, 0], ["blue", 9, 1, 0]]), "the flag said `blue`"),
        (NAMED, json!([["a", 10, 1, 0], ["on", 9, 1, 0]]), "the flag said `on`"),
        (PLAIN, json!([["control", 10, 11, 0]]), "more than `n` (10)"),
        (PLAIN, json!([["control", null, 1, 0]]), "`n` is no number"),
    ] {
        let error = arms_of(rows, config).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let some = arms_of(json!([["false", 10, 1, 0], [null, 2, 0, 0], ["true", 12, 2, 0]]), PLAIN).await.unwrap();
    assert_eq!(some.warnings, ["2 people were asked for the flag and are in no arm; they are left out"]);
}

#[tokio::test]
async fn as_many_as_a_limit_is_cut_off_and_the_text_has_one_limit() {
    for n in [100, 50_000] {
        let error = arms_of(json!([["false", n - 40, 1, 0], ["true", 40, 2, 0]]), PLAIN).await.unwrap_err();
        assert!(error.to_string().contains(&format!("exactly {n} units")), "{error}");
        let subject = subject();
        let server = subject.stand_in_that(move |_| answer(json!([[n, 1]]))).await;
        assert!(subject.error_at(&server.uri()).await.to_string().contains(&format!("exactly {n} units")));
    }
    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    for signal in [subject.signal.clone(), funnel()] {
        source.level(&signal, subject.window).await.unwrap();
        source.by_variant(&signal, &subject.request()).await.unwrap();
    }
    for request in server.received_requests().await.unwrap() {
        let sent = sent(&request);
        let text = sent["query"]["query"].as_str().unwrap();
        assert!(text.matches("LIMIT").count() == 1 && text.ends_with("LIMIT 100"), "{text}");
        assert!(!text.contains("order paid") && !text.contains("short-form"), "names travel as values: {text}");
        assert_eq!(sent["query"]["values"]["step_0"].as_str().map(str::is_empty), Some(false));
    }
}

/// An experiment of the flag that says this about itself in a list, and alone.
async fn asked_with(list: Value, alone: Value) -> Result<Value, ReadError> {
    let config = "url: ${URL}, project_id: \"12345\", token: \"${TOKEN}\"";
    let subject = Subject {
        config,
        good: Arc::new(move |request: &Request| match request.url.path() {
            "/api/projects/12345/experiments/" => json!({ "count": 1, "next": null, "results": list.clone() }),
            "/api/projects/12345/experiments/7/" => alone.clone(),
            _ => good(request),
        }),
        ..subject()
    };
    let server = subject.stand_in().await;
    subject.open(&server.uri()).by_variant(&subject.signal, &subject.request()).await?;
    let last = server.received_requests().await.unwrap().pop().unwrap();
    Ok(sent(&last)["query"].clone())
}

#[tokio::test]
async fn the_event_of_exposures_is_asked_and_never_guessed() {
    let experiment =
        |event: Value| json!({ "id": 7, "feature_flag_key": "short-form", "resolved_exposure_event": event });
    let other = json!({ "id": 8, "feature_flag_key": "short-form-2", "resolved_exposure_event": "x" });
    for event in ["$feature_flag_called", "$experiment_exposure"] {
        let query = asked_with(json!([other, experiment(json!(event))]), json!({})).await.unwrap();
        assert_eq!(query["values"]["exposure"], event);
        assert!(query["query"].as_str().unwrap().contains("properties.$feature_flag_response"), "{query}");
    }
    let query = asked_with(json!([experiment(Value::Null)]), experiment(json!("checkout seen"))).await.unwrap();
    assert_eq!(query["values"]["exposure"], "checkout seen");
    assert!(query["query"].as_str().unwrap().contains("properties.`$feature/short-form`"), "{query}");

    let missing = json!({ "id": 7, "feature_flag_key": "short-form" });
    for (list, expected) in [
        (json!([missing]), "does not say by which event"),
        (json!([other]), "has no experiment of the flag `short-form`"),
        (json!([]), "has no experiment of the flag `short-form`"),
    ] {
        let error = asked_with(list, missing.clone()).await.unwrap_err();
        assert_eq!(error.code(), Code::ConnectorConfig);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().unwrap().contains("exposure_event"), "{error:?}");
    }
}

#[tokio::test]
async fn a_query_that_is_answered_later_is_waited_for() {
    let done = json!({ "id": "a1", "complete": true, "error": false, "results": [[7, 3]], "error_message": null });
    let subject_of = |answers: Vec<(u16, Value)>| async move {
        let n = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let subject = Subject { good: Arc::new(|_: &Request| Value::Null), ..subject() };
        let server = subject
            .stand_in_with(move |_| {
                let at = n.fetch_add(1, std::sync::atomic::Ordering::SeqCst).min(answers.len() - 1);
                ResponseTemplate::new(answers[at].0).set_body_json(answers[at].1.clone())
            })
            .await;
        let level = subject.level_at(&server.uri()).await;
        (level, server.received_requests().await.unwrap())
    };
    let wait = json!({ "query_status": { "id": "a1", "complete": false, "error": false } });
    let (level, asked) =
        subject_of(vec![(202, wait.clone()), (200, wait), (200, json!({ "query_status": done }))]).await;
    assert_eq!(level, Ok(ArmSums::Proportion { n: 7, successes: 3 }));
    let paths: Vec<_> = asked.iter().map(|request| request.url.path().to_owned()).collect();
    let poll = "/api/projects/12345/query/a1/";
    assert_eq!(paths, ["/api/projects/12345/query/", poll, poll]);

    let failed =
        json!({ "query_status": { "id": "a1", "complete": true, "error": true, "error_message": "no such event" } });
    let (level, _) = subject_of(vec![(202, failed)]).await;
    assert!(matches!(level, Err(ReadError::Query { detail, .. }) if detail == "no such event"));
}

#[tokio::test]
async fn it_says_how_much_it_bears() {
    let source = subject().open("http://127.0.0.1:9");
    assert_eq!(source.limits().at_once, 3);
    assert_eq!(source.limits().budget.map(|budget| budget.per), Some(Duration::from_hours(1)));
}

/// Runs the queries that were sent, over these events.
fn on_the_engine(events: &Value, queries: &[Value]) -> Result<Option<Vec<Value>>> {
    let Some(home) = python("posthog")? else { return Ok(None) };
    let mut child = Command::new(home.join("bin/python"))
        .arg(sources("posthog").join("hogql.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    writeln!(input, "{events}")?;
    for query in queries {
        writeln!(input, "{}", json!({ "query": query["query"], "values": query["values"] }))?;
    }
    drop(input);
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let rows = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<Vec<Value>>>();
    child.wait()?;
    rows.map(Some)
}

#[tokio::test]
async fn the_queries_count_what_they_say_on_a_real_engine() -> Result<()> {
    let flag = |person: &str, at: &str, said: &str| {
        let properties = json!({ "$feature_flag": "short-form", "$feature_flag_response": said });
        json!(["$feature_flag_called", person, format!("2026-11-{at}"), properties])
    };
    let event = |name: &str, person: &str, at: &str| json!([name, person, format!("2026-11-{at}"), {}]);
    let mut of_another = flag("z", "15 10:00:00.000", "true");
    of_another[3]["$feature_flag"] = json!("other");
    let events = json!([
        // In the control: paid after, paid before only, seen again in the other arm, paid too late.
        flag("c1", "15 10:00:00.000", "false"),
        event("order paid", "c1", "15 10:00:00.000"),
        flag("c2", "15 10:00:00.000", "false"),
        event("order paid", "c2", "15 09:59:59.999"),
        flag("c3", "15 10:00:00.000", "false"),
        flag("c3", "16 10:00:00.000", "true"),
        flag("c4", "14 10:00:00.000", "false"),
        event("order paid", "c4", "18 10:00:00.000"),
        // In the treatment, with the steps in order, out of order, and without the last.
        flag("t1", "15 10:00:00.000", "true"),
        event("cart viewed", "t1", "15 11:00:00.000"),
        event("address given", "t1", "15 12:00:00.000"),
        event("order paid", "t1", "15 13:00:00.000"),
        flag("t2", "15 10:00:00.000", "true"),
        event("order paid", "t2", "15 11:00:00.000"),
        event("cart viewed", "t2", "15 12:00:00.000"),
        event("address given", "t2", "15 13:00:00.000"),
        // Before the launch, before the phase, after its end, of another flag, without an answer.
        flag("old", "13 23:00:00.000", "true"),
        flag("early", "14 01:00:00.000", "true"),
        flag("early", "15 01:00:00.000", "true"),
        flag("late", "21 00:00:00.000", "true"),
        of_another,
        json!(["$feature_flag_called", "n", "2026-11-15 10:00:00.000", { "$feature_flag": "short-form" }]),
    ]);
    let config = "url: ${URL}, project_id: \"12345\", token: \"${TOKEN}\", exposure_event: $feature_flag_called, conversion_window: 3d";
    let subject = Subject { config, ..subject() };
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let phase = VariantRequest {
        launched_at: "2026-11-14T00:00:00Z".parse()?,
        as_of: "2026-11-22T00:00:00Z".parse()?,
        ..request(window("2026-11-14T06:00:00Z", "2026-11-21T00:00:00Z"))
    };
    for signal in [subject.signal.clone(), funnel()] {
        source.by_variant(&signal, &phase).await?;
        source.level(&signal, subject.window).await?;
    }
    let queries: Vec<_> =
        server.received_requests().await.unwrap().iter().map(|one| sent(one)["query"].clone()).collect();
    let Some(rows) = on_the_engine(&events, &queries)? else { return Ok(()) };
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|rows| {
            // ClickHouse quotes 64-bit integers.
            serde_json::from_str(&unquoted(&rows.to_string())).unwrap()
        })
        .collect();
    assert_eq!(
        rows,
        [
            json!([["false", 4, 1, 1], ["true", 2, 2, 0], [null, 1, 0, 0]]),
            // Everybody with an event in the week; `old` was before it, and `late` at its end.
            json!([[9, 5]]),
            json!([["false", 4, 0, 1], ["true", 2, 1, 0], [null, 1, 0, 0]]),
            // Whoever viewed a cart.
            json!([[2, 1]]),
        ]
    );
    Ok(())
}

/// Numbers in quotes as numbers.
fn unquoted(text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split('"').enumerate() {
        match index % 2 {
            1 if !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit()) => out.push_str(piece),
            1 => out.push_str(&format!("\"{piece}\"")),
            _ => out.push_str(piece),
        }
    }
    out
}
