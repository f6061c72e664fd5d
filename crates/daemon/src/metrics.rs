//! `/metrics` in Prometheus' text format. Only counts: no name of an outcome, member or signal.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;
use std::sync::PoisonError;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use outcome_core::usecases::Counts;

use crate::App;
use crate::http::problem::Problem;

/// GET /metrics
pub(crate) async fn show(State(app): State<App>) -> Result<Response, Problem> {
    let counts = app.runtime.workspaces().counts().await?;
    let body = render(&app, &counts);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], body).into_response())
}

fn render(app: &App, counts: &Counts) -> String {
    let mut out = String::new();
    let polls = app.polls.counts();
    simple(&mut out, "polls_total", "counter", "Poll rounds.", polls.n_rounds as f64);
    simple(&mut out, "polls_failed_total", "counter", "Poll rounds that failed completely.", polls.n_failed as f64);
    simple(
        &mut out,
        "poll_source_failures_total",
        "counter",
        "Readings and messages that failed within poll rounds.",
        polls.n_source_failures as f64,
    );
    simple(
        &mut out,
        "polls_busy_total",
        "counter",
        "Poll rounds that another program kept from beginning.",
        polls.n_busy as f64,
    );
    simple(
        &mut out,
        "polls_clock_doubted_total",
        "counter",
        "Poll rounds that only looked for danger, since the clock of this machine is not believed.",
        polls.n_clock_doubted as f64,
    );
    let works = |app: &App| app.polls.counts().problems().is_empty();
    let is_working = if app.all().all(works) { 1.0 } else { 0.0 };
    simple(&mut out, "is_working", "gauge", "1 if polling does its work.", is_working);
    let last = polls.last_at.map_or(0.0, |at| at.as_second() as f64);
    simple(
        &mut out,
        "last_poll_timestamp_seconds",
        "gauge",
        "End of the latest successful poll round; 0 if there was none yet.",
        last,
    );
    simple(&mut out, "gates_pending", "gauge", "Gates that are waiting for a human.", counts.n_open_gates as f64);
    simple(
        &mut out,
        "messages_waiting",
        "gauge",
        "Messages and flags that have not arrived and are tried again.",
        counts.n_waiting_messages as f64,
    );
    simple(
        &mut out,
        "messages_dead_letters",
        "gauge",
        "Messages that were given up and are tried again only by hand.",
        counts.n_dead_letters as f64,
    );
    simple(
        &mut out,
        "sources_resting",
        "gauge",
        "Sources that do not answer and are left alone for a while.",
        counts.n_resting_sources as f64,
    );
    head(&mut out, "experiments", "gauge", "Experiments by status.");
    for (status, count) in &counts.experiments {
        let _ = writeln!(out, "outcome_runtime_experiments{{status=\"{status}\"}} {count}");
    }
    if let Some(is_intact) = *app.metrics.audit_intact.lock().unwrap_or_else(PoisonError::into_inner) {
        let value = if is_intact { 1.0 } else { 0.0 };
        simple(&mut out, "audit_intact", "gauge", "1 if the latest verification found the audit log intact.", value);
    }
    head(&mut out, "http_requests_total", "counter", "Answered requests.");
    let requests = app.metrics.requests.lock().unwrap_or_else(PoisonError::into_inner);
    for ((method, route, status), count) in requests.iter() {
        let _ = writeln!(
            out,
            "outcome_runtime_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
        );
    }
    head(&mut out, "build_info", "gauge", "The running version.");
    let _ = writeln!(out, "outcome_runtime_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP outcome_runtime_{name} {help}\n# TYPE outcome_runtime_{name} {kind}");
}

fn simple(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    head(out, name, kind, help);
    let _ = writeln!(out, "outcome_runtime_{name} {value}");
}
