//! PostHog: against canned answers, a mock of its specification, and the queries themselves on the engine below it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use outcome_core::Code;
use outcome_core::domain::{ArmSums, Cohort, CountedUnits, MetricMethod, Reading, SignalSpec, Variant, VariantReading};
use outcome_core::ports::{ReadError, VariantRequest};
use outcome_tests::peers::{python, sources};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::contract::{request, window};
use super::kit::prism::Prism;
use super::kit::{self, Subject, named, week};

/// An arm all of whose people may be claimed on, `n_both` of whom saw the other too; `both` of each arm together.
fn arm(variant: Variant, n: i64, successes: i64, (n_both, both): (i64, i64)) -> VariantReading {
    let sums = ArmSums::Proportion { n, successes };
    let cohort = Cohort { claimed: sums, n_both, n_capped: 0, uncapped: None, n_unmapped: 0, n_other: 0 };
    let units = CountedUnits { n_units: Some(n), n_both: Some(both), same_as: None };
    VariantReading { units: Some(units), cohort: Some(cohort), ..VariantReading::new(variant, sums) }
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
        () if query.contains("GROUP BY arm") => {
            answer(json!([["control", 1, 310, 30, 2, 310], ["test", 1, 290, 41, 1, 290]]))
        }
        () if query.contains("n_rows") => answer(json!([[5000, 600, 5000]])),
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
        arms: Some(vec![arm(Variant::Control, 310, 30, (2, 3)), arm(Variant::Treatment, 290, 41, (1, 3))]),
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
    let both = vec![arm(Variant::Control, 10, 1, (0, 0)), arm(Variant::Treatment, 12, 2, (0, 0))];
    for (config, rows) in [
        (PLAIN, json!([["false", 1, 10, 1, 0, 10], ["true", 1, 12, 2, 0, 12]])),
        (PLAIN, json!([["test", 1, 12, 2, 0, 12], ["control", 1, 10, 1, 0, 10], ["blue", 1, 0, 0, 0, 9]])),
        // Whoever is in no arm of a flag with named arms is told `false`.
        (NAMED, json!([["a", 1, 10, 1, 0, 10], ["b", 1, 12, 2, 0, 12], ["false", 1, 5000, 3, 0, 5000]])),
    ] {
        let read = arms_of(rows.clone(), config).await.unwrap();
        assert_eq!((read.data, read.warnings.as_slice()), (both.clone(), [].as_slice()), "{rows}");
    }
    let one = arms_of(json!([["true", 1, 3, 0, 0, 3]]), PLAIN).await.unwrap();
    assert_eq!(one.data, [arm(Variant::Treatment, 3, 0, (0, 0))]);
    assert_eq!(arms_of(json!([]), PLAIN).await.unwrap().data, [], "nobody was exposed yet");
    for (config, rows, expected) in [
        (PLAIN, json!([["control", 1, 10, 1, 0, 10], ["false", 1, 90, 1, 0, 90]]), "two answers that mean the control"),
        (PLAIN, json!([["control", 1, 10, 1, 0, 10], ["blue", 1, 9, 1, 0, 9]]), "the flag said `blue`"),
        (NAMED, json!([["a", 1, 10, 1, 0, 10], ["on", 1, 9, 1, 0, 9]]), "the flag said `on`"),
        (PLAIN, json!([["control", 1, 10, 11, 0, 10]]), "more than `n` (10)"),
        (PLAIN, json!([["control", 1, null, 1, 0, 10]]), "`n` is no number"),
    ] {
        let error = arms_of(rows, config).await.unwrap_err();
        assert_eq!(error.code(), Code::SignalShape, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn too_many_without_an_answer_of_the_flag_are_a_doubt_whatever_is_written() {
    for (config, names) in [(PLAIN, ["false", "true"]), (NAMED, ["a", "b"])] {
        let rows = |n_null: i64| {
            json!([[names[0], 1, 600, 1, 0, 600], [null, 1, n_null, 0, 0, n_null], [names[1], 1, 600, 2, 0, 600]])
        };
        let many = arms_of(rows(7), config).await.unwrap();
        assert_eq!(many.warnings, ["the flag said nothing to 7 people, who are in no arm; they are left out"]);
        assert_eq!(many.data[0].cohort.map(|cohort| cohort.n_other), Some(7));
        assert_eq!(arms_of(rows(6), config).await.unwrap().warnings, Vec::<String>::new(), "6 are .5 %");
    }
}

#[tokio::test]
async fn only_people_whose_time_is_over_are_claimed_on() {
    let rows = json!([["false", 0, 90, 1, 2, 90], ["false", 1, 10, 4, 1, 10], ["true", 0, 80, 2, 0, 80]]);
    let read = arms_of(rows, PLAIN).await.unwrap();
    let of = |arm: &VariantReading| (arm.sums, arm.cohort.unwrap().claimed, arm.units.unwrap().n_both);
    let share = |n, successes| ArmSums::Proportion { n, successes };
    let found: Vec<_> = read.data.iter().map(of).collect();
    assert_eq!(found, [(share(100, 5), share(10, 4), Some(3)), (share(80, 2), share(0, 0), Some(3))]);

    let subject = subject();
    let server = subject.stand_in().await;
    let source = subject.open(&server.uri());
    let changed = VariantRequest { on_until: Some("2026-11-19T00:00:00Z".parse().unwrap()), ..subject.request() };
    for request in [subject.request(), changed] {
        source.by_variant(&subject.signal, &request).await.unwrap();
    }
    let at = |text: &str| json!(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let sent: Vec<_> = server.received_requests().await.unwrap().iter().map(sent).collect();
    let until: Vec<_> = sent.iter().map(|sent| sent["query"]["values"]["claim_until"].clone()).collect();
    // 14 days and 6 hours before the end; 14 days before the flag was changed, which is earlier.
    assert_eq!(until, [at("2026-11-06T18:00:00Z"), at("2026-11-05T00:00:00Z")]);
}

#[tokio::test]
async fn an_older_answer_is_a_doubt_and_not_asked_for() {
    let subject = subject();
    let server = subject
        .stand_in_that(|value| {
            let mut value = value.clone();
            value["is_cached"] = json!(true);
            value
        })
        .await;
    let source = subject.open(&server.uri());
    let read = source.by_variant(&subject.signal, &subject.request()).await.unwrap();
    assert_eq!(read.warnings, ["PostHog gave an older answer that it kept, although a new one was asked for"]);
    assert_eq!(source.level(&subject.signal, subject.window).await.unwrap().warnings, read.warnings);
    assert_eq!(sent(&server.received_requests().await.unwrap()[0])["refresh"], "force_blocking");
}

#[tokio::test]
async fn as_many_as_a_limit_is_cut_off_and_every_part_has_a_limit() {
    for n in [100, 50_000] {
        // The rows of other phases count: the limit is of all of them.
        let rows = json!([["false", 1, n - 60, 1, 0, n - 40], ["true", 1, 40, 2, 0, 40]]);
        let error = arms_of(rows, PLAIN).await.unwrap_err();
        assert!(error.to_string().contains(&format!("it counts {n} people")), "{error}");
        assert!(error.hint().unwrap().contains("`sql`"), "{error:?}");
        let subject = Subject { signal: funnel(), ..subject() };
        let server = subject.stand_in_that(move |_| answer(json!([[n, 1, n]]))).await;
        assert!(subject.error_at(&server.uri()).await.to_string().contains(&format!("it counts {n} people")));
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
        assert_eq!(text.matches("LIMIT").count(), text.matches("SELECT").count(), "{text}");
        assert!(text.ends_with("LIMIT 100") && text.matches("LIMIT 100").count() == 1, "{text}");
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

    let again =
        |id: u64, event: &str| json!({ "id": id, "feature_flag_key": "short-form", "resolved_exposure_event": event });
    let query = asked_with(json!([again(7, "seen"), again(9, "seen")]), json!({})).await.unwrap();
    assert_eq!(query["values"]["exposure"], "seen");
    let error = asked_with(json!([again(7, "seen"), again(9, "shown")]), json!({})).await.unwrap_err();
    assert_eq!(error.code(), Code::ConnectorConfig);
    assert!(error.to_string().contains("experiment 7 says `seen`, experiment 9 says `shown`"), "{error}");
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
        // Whose time is not over.
        flag("c5", "19 10:00:00.000", "false"),
        event("cart viewed", "m", "19 10:00:00.000"),
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
        // Without an answer before the one that counts.
        json!(["$feature_flag_called", "t3", "2026-11-15 09:00:00.000", { "$feature_flag": "short-form" }]),
        event("order paid", "t3", "15 09:30:00.000"),
        flag("t3", "15 10:00:00.000", "true"),
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
    // Of a flag with named arms `false` is none of them.
    let config = "url: ${URL}, project_id: \"12345\", token: \"${TOKEN}\", exposure_event: $feature_flag_called, \
        conversion_window: 3d, control: \"true\", population: cart viewed";
    let of_named = Subject { config, ..super::posthog::subject() };
    let source = of_named.open(&server.uri());
    // The canned answer has other names; what was sent is looked at.
    source.by_variant(&subject.signal, &phase).await.unwrap_err();
    source.level(&subject.signal, subject.window).await?;
    // Who was shown the treatment since an instant: `c3` the other arm, and `late`.
    let since = window("2026-11-15T12:00:00Z", "2026-11-22T00:00:00Z");
    let treated = subject.open(&server.uri()).treated(&subject.signal, "short-form", since).await?.unwrap();
    assert_eq!((treated.n, treated.newest), (5000, Some("1970-01-01T00:10:00Z".parse()?)));
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
            // `late` and `early` are of other phases.
            json!([
                ["false", 0, 1, 0, 0, 1],
                ["false", 1, 4, 1, 1, 4],
                ["true", 0, 0, 0, 0, 1],
                ["true", 1, 3, 2, 0, 4],
                [null, 1, 1, 0, 0, 1]
            ]),
            // Everybody with an event in the week; `old` was before it, and `late` at its end.
            json!([[12, 6]]),
            json!([
                ["false", 0, 1, 0, 0, 1],
                ["false", 1, 4, 0, 1, 4],
                ["true", 0, 0, 0, 0, 1],
                ["true", 1, 3, 1, 0, 4],
                [null, 1, 1, 0, 0, 1]
            ]),
            // Whoever viewed a cart 3 days before the end.
            json!([[2, 1, 2]]),
            json!([
                ["false", 0, 1, 0, 0, 1],
                ["false", 1, 3, 1, 0, 3],
                ["true", 0, 0, 0, 0, 1],
                ["true", 1, 4, 2, 0, 5],
                [null, 1, 1, 0, 0, 1]
            ]),
            json!([[3, 2]]),
            json!([[2, 1_795_219_200]]),
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
