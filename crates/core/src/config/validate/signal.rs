//! Signals: from which source, by which method, with which queries.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::report::{At, Context, DeclaredMetric, Problem, Reporter, SourceKind, Span, list, near_or, shown, text};
use super::sql::{binds, counts_rows_of_a_join, has_word, selects_everything};
use crate::config::decode::TextMap;
use crate::config::file::{ConstraintFile, QueryFile, SignalFile};
use crate::config::reporter::{Answers, Asked, SignalVendor};
use crate::domain::{Aggregation, Design, MetricMethod, Period, SignalQuery, SignalSpec};

/// What a signal is for; it decides which queries are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Primary(Design),
    Secondary,
    /// A constraint with `min` or `max`.
    Limit,
    /// A constraint relative to the control.
    NotWorse,
}

/// The keys that signals and constraints share.
pub(super) struct Parts<'f> {
    pub(super) at: Span,
    pub(super) name: Option<&'f At<String>>,
    source: Option<&'f At<String>>,
    metric: Option<&'f At<String>>,
    method: Option<&'f At<MetricMethod>>,
    funnel_steps: Option<&'f At<Vec<At<String>>>>,
    segment: Option<&'f At<TextMap>>,
    aggregation: Aggregation,
    unit: Option<&'f At<String>>,
    poll_interval: Option<&'f At<Period>>,
    query: Option<&'f At<QueryFile>>,
    role: Role,
    /// A constraint without a source is reported where it is read.
    is_signal: bool,
}

impl<'f> Parts<'f> {
    pub(super) fn of_signal(file: &'f SignalFile, role: Role) -> Self {
        Self {
            at: file.at,
            name: file.name.as_ref().or(file.metric.as_ref()),
            source: file.source.as_ref(),
            metric: file.metric.as_ref(),
            method: file.method.as_ref(),
            funnel_steps: file.funnel_steps.as_ref(),
            segment: file.segment.as_ref(),
            aggregation: file.aggregation.as_ref().map(|at| at.value).unwrap_or_default(),
            unit: file.unit.as_ref(),
            poll_interval: file.poll_interval.as_ref(),
            query: file.query.as_ref(),
            role,
            is_signal: true,
        }
    }

    pub(super) fn of_constraint(file: &'f ConstraintFile, role: Role) -> Self {
        Self {
            at: file.at,
            name: file.signal.as_ref(),
            source: file.source.as_ref(),
            metric: file.metric.as_ref().or(file.signal.as_ref()),
            method: file.method.as_ref(),
            funnel_steps: file.funnel_steps.as_ref(),
            segment: file.segment.as_ref(),
            aggregation: Aggregation::default(),
            unit: file.unit.as_ref(),
            poll_interval: file.poll_interval.as_ref(),
            query: file.query.as_ref(),
            role,
            is_signal: false,
        }
    }
}

/// The checked signal.
pub(super) fn signal(parts: &Parts<'_>, context: &Context, reporter: &mut Reporter<'_>) -> Option<SignalSpec> {
    if let Some(declared) = declared(parts, context) {
        return of_contract(parts, declared.as_ref()?, reporter);
    }
    if parts.source.is_none() && parts.is_signal {
        refuse_without_source(parts, context, reporter);
    }
    let kind = parts.source.and_then(|source| source_kind(source, context, reporter));
    let method = method(parts, kind, reporter);
    check_steps(parts, method, reporter);
    if let Some(vendor) = kind {
        match vendor.asked {
            Asked::WithSql if method == Some(MetricMethod::Custom) => check_sql(parts, context, reporter),
            Asked::WithSql => {}
            Asked::ByName(answers) => check_by_name(parts, vendor, answers, reporter),
            Asked::ItPushes => refuse_query(parts, vendor, "is pushed", reporter),
        }
    }
    check_segment(parts, kind, reporter);
    check_interval(parts, reporter);
    let query = parts
        .query
        .map(|query| SignalQuery { level: text(query.level.as_ref()), by_variant: text(query.by_variant.as_ref()) });
    Some(SignalSpec {
        name: parts.name?.value.clone(),
        source: parts.source?.value.clone(),
        metric: parts.metric?.value.clone(),
        method: method?,
        funnel_steps: parts
            .funnel_steps
            .map(|at| at.value.iter().map(|step| step.value.clone()).collect())
            .unwrap_or_default(),
        segment: parts.segment.map_or_else(BTreeMap::new, |segment| segment.value.0.clone()),
        aggregation: parts.aggregation,
        unit: text(parts.unit),
        poll_interval: parts.poll_interval?.value,
        query: query.unwrap_or_default(),
        contract: None,
    })
}

/// The metric of `metrics` that is meant. With a query beside it, or at another source, the name is only a label.
fn declared<'c>(parts: &Parts<'_>, context: &'c Context) -> Option<&'c Option<DeclaredMetric>> {
    let found = context.metrics.get(&parts.metric?.value)?;
    let is_elsewhere = parts.source.zip(found.as_ref()).is_some_and(|(source, found)| source.value != found.source);
    (parts.query.is_none() && !is_elsewhere).then_some(found)
}

fn of_contract(parts: &Parts<'_>, declared: &DeclaredMetric, reporter: &mut Reporter<'_>) -> Option<SignalSpec> {
    let metric = parts.metric?;
    check_interval(parts, reporter);
    if let Some(method) = parts.method.filter(|method| method.value != MetricMethod::Contract) {
        let message = format!("`{}` is a metric of `metrics`, whose method is `contract`", shown(&metric.value));
        let problem = Problem::error("config.method_unsupported", method.span, message).valid("`contract`");
        reporter.push(problem.help("leave `method` out"));
    }
    if let Some(steps) = parts.funnel_steps {
        let problem =
            Problem::error("config.steps_without_funnel", steps.span, "a metric of `metrics` has no steps here");
        reporter.push(problem.valid("no `funnel_steps`").help("remove `funnel_steps`"));
    }
    if let Some(segment) = parts.segment {
        let problem =
            Problem::error("config.segment_unsupported", segment.span, "a metric of `metrics` is not filtered here");
        reporter.push(problem.valid("`where` of the metric, its facts or its exposures").help("remove `segment`"));
    }
    if matches!(parts.role, Role::Primary(_)) && declared.contract.population.is_none() {
        let message = format!(
            "source `{}` has no `population`, so the baseline and the target cannot be measured",
            declared.source
        );
        let problem = Problem::error("config.query_level_missing", metric.span, message);
        reporter.push(
            problem
                .valid("a source with `population`")
                .help("say at the source whose first event begins the window: `population: { fact: visits }`"),
        );
    }
    Some(SignalSpec {
        name: parts.name?.value.clone(),
        source: declared.source.clone(),
        metric: metric.value.clone(),
        method: MetricMethod::Contract,
        funnel_steps: Vec::new(),
        segment: BTreeMap::new(),
        aggregation: parts.aggregation,
        unit: text(parts.unit).or_else(|| declared.unit.clone()),
        poll_interval: parts.poll_interval?.value,
        query: SignalQuery::default(),
        contract: Some(Box::new(declared.contract.clone())),
    })
}

/// Each metric as a signal that is named after it.
pub(super) fn of_metrics(context: &Context) -> Vec<SignalSpec> {
    let declared = context.metrics.iter().filter_map(|(name, declared)| Some((name, declared.as_ref()?)));
    declared
        .map(|(name, declared)| SignalSpec {
            name: name.clone(),
            source: declared.source.clone(),
            metric: name.clone(),
            method: MetricMethod::Contract,
            funnel_steps: Vec::new(),
            segment: BTreeMap::new(),
            aggregation: Aggregation::default(),
            unit: declared.unit.clone(),
            poll_interval: Period::from_hours(6),
            query: SignalQuery::default(),
            contract: Some(Box::new(declared.contract.clone())),
        })
        .collect()
}

fn refuse_without_source(parts: &Parts<'_>, context: &Context, reporter: &mut Reporter<'_>) {
    let Some(metric) = parts.metric else { return };
    let names: Vec<&str> = context.metrics.keys().map(String::as_str).take(1000).collect();
    let message =
        format!("there is no metric `{}` in `metrics`, and the signal names no `source`", shown(&metric.value));
    let problem = Problem::error("config.missing_key", metric.span, message);
    reporter.push(if names.is_empty() {
        problem.valid("a `source` from `signal_connectors`").help("write `source: shop`, with the name of a source")
    } else {
        problem.valid(list(&names)).help(near_or(&metric.value, &names, "name one of these, or write a `source`"))
    });
}

/// The vendor of the source that is named; an unknown one is reported.
pub(super) fn source_kind(source: &At<String>, context: &Context, reporter: &mut Reporter<'_>) -> SourceKind {
    if let Some(kind) = context.sources.get(&source.value) {
        return *kind;
    }
    let names: Vec<&str> = context.sources.keys().map(String::as_str).take(1000).collect();
    let message = format!("there is no source `{}` in `signal_connectors`", shown(&source.value));
    let problem = Problem::error("config.unknown_source", source.span, message);
    if reporter.is_full() {
        reporter.push(problem);
        return None;
    }
    reporter.push(if names.is_empty() {
        problem.valid("the `name` of a source; none is declared yet").help(format!(
            "declare it:\nsignal_connectors:\n  - name: {}\n    type: sql\n    config:\n      url: ${{DATABASE_URL}}",
            shown(&source.value)
        ))
    } else {
        problem.valid(list(&names)).help(near_or(
            &source.value,
            &names,
            "declare it in `signal_connectors`, or name one of these",
        ))
    });
    None
}

fn method(parts: &Parts<'_>, kind: SourceKind, reporter: &mut Reporter<'_>) -> Option<MetricMethod> {
    let Some(vendor) = kind else { return Some(parts.method.map_or(MetricMethod::Custom, |method| method.value)) };
    let (valid, why, help): (&[MetricMethod], _, _) = match vendor.asked {
        Asked::WithSql => (
            &[MetricMethod::Custom],
            ": it runs your own query",
            "write `method: custom` and compute it in `query`: `n` is the number of units that started, `successes` the number that finished",
        ),
        Asked::ByName(Answers { funnels: true, .. }) => (
            &[MetricMethod::Event, MetricMethod::Funnel],
            ": it is asked by name and runs no query",
            "write `method: event` with the name in `metric`, or `method: funnel` with `funnel_steps`",
        ),
        Asked::ByName(Answers { funnels: false, .. }) => {
            (&[MetricMethod::Event], "", "write `method: event` with the name in `metric`")
        }
        Asked::ItPushes => (&[MetricMethod::Event, MetricMethod::Funnel, MetricMethod::Custom], "", ""),
    };
    let Some(method) = parts.method else { return valid.first().copied() };
    if valid.contains(&method.value) {
        return Some(method.value);
    }
    let message = format!("a `{}` source does not support the method `{}`{why}", vendor.kind, method.value);
    let names: Vec<&str> = valid.iter().map(|method| method.as_str()).collect();
    reporter.push(Problem::error("config.method_unsupported", method.span, message).valid(list(&names)).help(help));
    None
}

fn check_steps(parts: &Parts<'_>, method: Option<MetricMethod>, reporter: &mut Reporter<'_>) {
    let Some(method) = method else { return };
    match (method, parts.funnel_steps) {
        (MetricMethod::Funnel, None) => {
            let at = parts.method.map_or(parts.at, |method| method.span);
            reporter.push(
                Problem::error("config.funnel_without_steps", at, "a funnel needs steps")
                    .valid("`funnel_steps`: two or more events, in order")
                    .help("write the steps:\nfunnel_steps:\n  - cart_viewed\n  - order_confirmed"),
            );
        }
        (MetricMethod::Funnel, Some(steps)) if steps.value.len() < 2 => {
            let message = format!("a funnel needs two or more steps, this one has {}", steps.value.len());
            let problem = Problem::error("config.funnel_without_steps", steps.span, message);
            reporter.push(problem.valid("two or more events, in order").help("add the first step of the funnel"));
        }
        (MetricMethod::Event | MetricMethod::Custom | MetricMethod::Contract, Some(steps)) => {
            let message = format!("`funnel_steps` belong to the method `funnel`, not to `{method}`");
            let problem = Problem::error("config.steps_without_funnel", steps.span, message);
            reporter.push(problem.valid("`funnel_steps` only with `method: funnel`").help("remove `funnel_steps`"));
        }
        (MetricMethod::Funnel, Some(_))
        | (MetricMethod::Event | MetricMethod::Custom | MetricMethod::Contract, None) => {}
    }
}

fn check_interval(parts: &Parts<'_>, reporter: &mut Reporter<'_>) {
    if let Some(interval) = parts.poll_interval.filter(|at| at.value < Period::from_secs(60)) {
        let message = format!("reading every {} is too often", interval.value);
        let problem = Problem::error("config.out_of_range", interval.span, message);
        reporter.push(problem.valid("1m or more; 6h is the default").help("write `poll_interval: 1m` or more"));
    }
}

/// A key that a source does not look at is refused: ignored, it would make the number mean something else.
fn check_segment(parts: &Parts<'_>, kind: SourceKind, reporter: &mut Reporter<'_>) {
    let Some(segment) = parts.segment else { return };
    let Some(vendor) = kind else { return };
    let help = match vendor.asked {
        Asked::WithSql => return check_sql_segment(segment, parts, reporter),
        Asked::ByName(Answers { segments: true, .. }) => return,
        Asked::ByName(Answers { segments: false, .. }) => "name a metric that counts only these units",
        Asked::ItPushes => "let the program that pushes the metric count only these units",
    };
    let message = format!("a `{}` source does not filter by `segment`", vendor.kind);
    let problem = Problem::error("config.segment_unsupported", segment.span, message);
    reporter.push(problem.valid("`segment` only with a source that filters, such as `sql`").help(help));
}

/// A SQL source binds `:segment_<key>`; every query must use it.
fn check_sql_segment(segment: &At<TextMap>, parts: &Parts<'_>, reporter: &mut Reporter<'_>) {
    let query = parts.query.map(|query| &query.value);
    let texts = [query.and_then(|query| query.level.as_ref()), query.and_then(|query| query.by_variant.as_ref())];
    for (name, sql) in ["level", "by_variant"].into_iter().zip(texts) {
        let Some(sql) = sql else { continue };
        for key in segment.value.0.keys().take(100) {
            let parameter = segment_parameter(key);
            if binds(&sql.value, &parameter) {
                continue;
            }
            let message = format!("`query.{name}` does not use `:{parameter}`, so `segment` does not restrict it");
            reporter.push(
                Problem::error("config.segment_unsupported", segment.span, message)
                    .also(sql.span, format!("`{name}`"))
                    .valid("a query that uses each key of `segment` as `:segment_<key>`")
                    .help(format!(
                        "write `... AND {} = :{parameter}` in it, or remove `segment`",
                        parameter.trim_start_matches("segment_")
                    )),
            );
        }
    }
}

/// The name under which the connector binds a key.
fn segment_parameter(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format!("segment_{name}")
}

fn refuse_query(parts: &Parts<'_>, vendor: &SignalVendor, why: &str, reporter: &mut Reporter<'_>) {
    if let Some(query) = parts.query {
        let message = format!("a `{}` source {why} and runs no query", vendor.kind);
        let problem = Problem::error("config.query_unused", query.span, message);
        reporter.push(problem.valid("`query` only with a `sql` source").help("remove `query`, or name a `sql` source"));
    }
}

fn check_by_name(parts: &Parts<'_>, vendor: &SignalVendor, answers: Answers, reporter: &mut Reporter<'_>) {
    refuse_query(parts, vendor, "is asked by name", reporter);
    if answers.by_variant {
        return;
    }
    let at = parts.source.map_or(parts.at, |source| source.span);
    let kind = vendor.kind;
    match parts.role {
        Role::Primary(Design::Randomised) => {
            let message =
                format!("a `{kind}` source knows no variants, so no experiment on this outcome can be judged");
            reporter.push(
                Problem::warning("config.query_by_variant_missing", at, message)
                    .valid("a source that counts by variant, or `design: before_after`")
                    .help("read the metric from a source that knows who was exposed, such as `sql`"),
            );
        }
        Role::NotWorse => {
            let message =
                format!("a limit relative to the control needs variants, which a `{kind}` source does not know");
            reporter.push(
                Problem::error("config.query_by_variant_missing", at, message)
                    .valid("a source that counts by variant, or `min` and `max`")
                    .help("read it from a source that knows who was exposed, such as `sql`"),
            );
        }
        Role::Primary(Design::BeforeAfter | Design::None | Design::Attached) | Role::Secondary | Role::Limit => {}
    }
}

fn check_sql(parts: &Parts<'_>, context: &Context, reporter: &mut Reporter<'_>) {
    const EXAMPLE: &str = "\
query:
  level: |
    SELECT count(*) AS n, sum(is_paid) AS successes
    FROM carts WHERE created_at >= :from AND created_at < :to";
    let query = parts.query.map(|query| &query.value);
    let level = query.and_then(|query| query.level.as_ref());
    let by_variant = query.and_then(|query| query.by_variant.as_ref());
    let at = parts.query.map_or(parts.at, |query| query.span);
    if level.is_none() && by_variant.is_none() {
        let problem = Problem::error("config.custom_without_query", at, "a signal of a `sql` source needs a query");
        reporter
            .push(problem.valid("`query` with `level`, `by_variant`, or both").help(format!("write it:\n{EXAMPLE}")));
        return;
    }
    match parts.role {
        Role::Primary(design) => {
            if level.is_none() {
                let message = "the primary signal needs `query.level`, which measures the baseline and the target";
                let problem = Problem::error("config.query_level_missing", at, message);
                reporter.push(problem.valid("`query` with `level`").help(format!("write it:\n{EXAMPLE}")));
            }
            if by_variant.is_none() && design == Design::Randomised {
                let message = "without `query.by_variant` no experiment on this outcome can be judged";
                reporter.push(
                    Problem::warning("config.query_by_variant_missing", at, message)
                        .valid("`query` with `level` and `by_variant`, or `design: before_after`")
                        .help(
                            "add `by_variant`: one row for each variant, with `variant`, `n` and `successes` (or sums)",
                        ),
                );
            }
        }
        Role::NotWorse if by_variant.is_none() => {
            let message = "a limit relative to the control needs `query.by_variant`";
            let problem = Problem::error("config.query_by_variant_missing", at, message);
            reporter.push(
                problem
                    .valid("`query` with `by_variant`")
                    .help("add `by_variant`: one row for each variant, with `variant`, `n` and `successes` (or sums)"),
            );
        }
        Role::Secondary | Role::Limit | Role::NotWorse => {}
    }
    if let Some(level) = level {
        check_level(level, reporter);
    }
    if let Some(by_variant) = by_variant {
        check_by_variant(by_variant, reporter);
        check_whose(by_variant, parts.role, context.n_at_once, reporter);
    }
    for query in [level, by_variant].into_iter().flatten() {
        check_rows(query, reporter);
    }
}

/// A query that does not tell experiments apart gives all of them the same numbers, and one is judged by the merit of another.
fn check_whose(at: &At<String>, role: Role, n_at_once: u32, reporter: &mut Reporter<'_>) {
    if ["experiment", "flag"].into_iter().any(|name| binds(&at.value, name)) {
        return;
    }
    let judges = match role {
        Role::Primary(design) => design == Design::Randomised,
        Role::Limit | Role::NotWorse => true,
        Role::Secondary => false,
    };
    let code = "config.query_of_all_experiments";
    let problem = match (judges, n_at_once) {
        (true, 2..) => {
            let message = format!(
                "`by_variant` uses neither `:flag` nor `:experiment`, and up to {n_at_once} experiments may run at the same time: each would \
                 be judged by the units of all"
            );
            Problem::error_in_proposal(code, at.span, message)
        }
        _ => {
            let message =
                "`by_variant` uses neither `:flag` nor `:experiment`, so it counts the units of every experiment";
            Problem::warning(code, at.span, message)
        }
    };
    reporter.push(
        problem
            .valid("a query that uses `:flag`, the key of the experiment's flag, or `:experiment`, its slug")
            .help("add `AND e.flag = :flag`, with the column of the exposures that says which flag was asked for"),
    );
}

/// Rows of a join are no units: a unit with three exposures or orders has three.
fn check_rows(at: &At<String>, reporter: &mut Reporter<'_>) {
    if counts_rows_of_a_join(&at.value) && !has_word(&at.value, "n_units") {
        let message =
            "`n` is the `count(*)` of a join, which counts rows: a unit with three exposures is counted three times";
        reporter.push(
            Problem::warning("config.query_counts_rows", at.span, message)
                .valid("each unit once, as in `count(DISTINCT e.user_id) AS n`, or the column `n_units` beside `n`")
                .help("group by the unit first and count the groups, or use a metric of `metrics`, which counts units"),
        );
    }
}

fn check_level(at: &At<String>, reporter: &mut Reporter<'_>) {
    let sql = at.value.as_str();
    let unbound: Vec<&str> = ["from", "to"].into_iter().filter(|name| !binds(sql, name)).collect();
    if !unbound.is_empty() {
        let message = format!("the query does not use {}, so it does not follow the window", parameters(&unbound));
        reporter.push(
            Problem::warning("config.query_window", at.span, message)
                .valid("`... WHERE created_at >= :from AND created_at < :to`")
                .help("restrict it to the window, or keep it if the value has no window, such as a current p95"),
        );
    }
    if !selects_everything(sql) && !has_word(sql, "value") && !has_word(sql, "n") {
        reporter.push(
            Problem::warning(
                "config.query_columns",
                at.span,
                "the query names neither a column `n` nor a column `value`",
            )
            .valid("`n, successes` for a share, `n, sum, sum_squares` for a mean, `value` for a bare value")
            .help("name the columns: `SELECT count(*) AS n, sum(is_paid) AS successes ...`"),
        );
    }
}

fn check_by_variant(at: &At<String>, reporter: &mut Reporter<'_>) {
    let sql = at.value.as_str();
    // The connector also binds the time of the launch and of the reading.
    let unbound: Vec<&str> = [("from", "since_launch"), ("to", "as_of")]
        .into_iter()
        .filter(|(name, other)| !binds(sql, name) && !binds(sql, other))
        .map(|(name, _)| name)
        .collect();
    if !unbound.is_empty() {
        let message = format!("`by_variant` does not use {}", parameters(&unbound));
        reporter.push(
            Problem::error("config.query_window", at.span, message)
                .valid("both `:from` and `:to`: they bound the time of exposure")
                .help("add `WHERE exposed_at >= :from AND exposed_at < :to`"),
        );
    }
    if !selects_everything(sql) && !has_word(sql, "variant") {
        reporter.push(
            Problem::error("config.query_columns", at.span, "`by_variant` has no column `variant`")
                .valid("one row for each variant: `variant` (`control` or `treatment`), `n`, `successes` or sums")
                .help("name it: `SELECT assigned_group AS variant, count(*) AS n, ... GROUP BY 1`"),
        );
    }
}

fn parameters(names: &[&str]) -> String {
    names.iter().map(|name| format!("`:{name}`")).collect::<Vec<_>>().join(" and ")
}
