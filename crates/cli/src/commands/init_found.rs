//! What `init` found, and what is asked about it: which metric should move, and where to.

use outcome_core::domain::Slug;
use outcome_core::usecases::{FirstChoice, FirstFile, FirstLook, FirstMetric};
use outcome_core::{Code, Error, Result};
use serde::Serialize;

use crate::args;
use crate::cx::Cx;
use crate::output::{Page, safe};

/// The most paths that are shown one by one.
const MAX_PATHS: usize = 6;

/// With `--dry-run`.
#[derive(Debug, Serialize)]
struct DryRun<'a> {
    found: &'a FirstLook,
    file: &'a FirstFile,
}

/// Prints the file and writes nothing.
pub fn dry_run(cx: &Cx, look: &FirstLook, args: &args::Init) -> Result<()> {
    let file = look.file(&given(look, args)?)?;
    if cx.out.is_json {
        return cx.out.json(&DryRun { found: look, file: &file });
    }
    let mut page = String::new();
    for line in file.text.lines() {
        page.push_str(&safe(line));
        page.push('\n');
    }
    cx.out.write(&page).map(|_| ())
}

/// Shows what was found.
pub fn show(page: &mut Page, look: &FirstLook) {
    page.head("Found");
    let source = look.source.found.as_deref().unwrap_or(&look.source.url);
    page.field("database", source);
    if let Some(trouble) = &look.trouble {
        let line = page.yellow(&safe(&format!("  No metric is proposed: {trouble}.")));
        page.line(&line);
    }
    for (i, table) in look.tables.iter().enumerate() {
        page.field(if i == 0 { "tables" } else { "" }, table);
    }
    for (i, metric) in look.metrics.iter().enumerate() {
        page.field(if i == 0 { "metrics" } else { "" }, &metric.words);
    }
    if !look.left_out.is_empty() {
        page.field("left out", &format!("tables with names that are not written: {}", shown(&look.left_out)));
    }
    if !look.forbidden_paths.is_empty() {
        page.field("off limits", &shown(&look.forbidden_paths));
    }
    if let Some(service) = look.flag_service {
        page.field(
            "flags",
            &format!(
                "an SDK of {service} was found; outcome.yaml uses {} until you write another provider",
                look.flags
            ),
        );
    }
}

fn shown(all: &[String]) -> String {
    let some: Vec<&str> = all.iter().take(MAX_PATHS).map(String::as_str).collect();
    let n_more = all.len().saturating_sub(MAX_PATHS);
    let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
    format!("{}{more}", some.join(", "))
}

/// The file that somebody chose, by flags or at the terminal.
pub fn choose(cx: &Cx, look: &FirstLook, args: &args::Init) -> Result<FirstFile> {
    let mut choice = given(look, args)?;
    if cx.terminal.may_ask() && look.metrics.len() > 1 && args.metric.is_none() {
        let options: Vec<String> = look.metrics.iter().map(|metric| safe(&metric.words)).collect();
        let picked = cx.terminal.select("What should move?", options.clone(), "--metric")?;
        let at = options.iter().position(|option| *option == picked).unwrap_or_default();
        choice.metric = look.metrics.get(at).map(|metric| metric.name.clone());
    }
    let metric = look.metric_named(choice.metric.as_deref())?;
    if let Some(metric) =
        metric.filter(|metric| cx.terminal.may_ask() && choice.target.is_none() && is_measured(metric))
    {
        let default = metric.scale().level(metric.target);
        let now = metric.level.map(|level| metric.scale().level(level)).unwrap_or_default();
        let question = format!("Target in 6 weeks, today {now}:");
        let typed = cx.terminal.checked((&question, Some(&default), "--target"), |text| {
            // What was proposed has more digits than what is shown.
            if text == default { Ok(metric.target) } else { metric.target_of(text) }
        })?;
        choice.target = (typed != metric.target).then_some(typed);
    }
    look.file(&choice)
}

fn is_measured(metric: &FirstMetric) -> bool {
    metric.level.is_some()
}

/// What the flags say.
fn given(look: &FirstLook, args: &args::Init) -> Result<FirstChoice> {
    let metric = look.metric_named(args.metric.as_deref())?;
    let target = match (&args.target, metric) {
        (Some(text), Some(metric)) => Some(metric.target_of(text)?),
        (Some(_), None) => {
            return Err(Error::new(Code::InvalidInput, "--target needs a metric, and none is proposed here")
                .hint("leave it out, and edit outcome.yaml afterwards"));
        }
        (None, _) => None,
    };
    let outcome = match &args.outcome {
        Some(text) => Some(text.parse::<Slug>().map_err(|e| {
            Error::new(Code::InvalidInput, format!("--outcome: {e}"))
                .hint("give lower-case letters, digits and hyphens")
        })?),
        None => None,
    };
    Ok(FirstChoice { metric: args.metric.clone(), target, outcome })
}

/// Shows what the passphrase will sign.
pub fn before_signing(page: &mut Page, look: &FirstLook, file: &FirstFile) {
    let Some(metric) = &file.metric else { return };
    page.line("");
    page.line("Your passphrase will sign this outcome.yaml (`--dry-run` prints all of it):");
    let scale = metric.scale();
    let from = metric.level.map(|level| format!("{} -> ", scale.level(level))).unwrap_or_default();
    let to = file.target.map(|to| scale.level(to)).unwrap_or_default();
    page.field("outcome", &format!("{}: {}, {from}{to} in 6 weeks", file.outcome, metric.name));
    page.field("reads", &format!("{} (never written)", look.source.url));
    page.field("flags", &format!("{} (written when an experiment starts)", look.flags));
}
