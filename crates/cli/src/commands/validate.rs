//! `validate`: every problem of the outcome file, and whether its horizons are long enough.

use std::path::Path;

use outcome_core::config::{self, Config, Diagnostic, ProcessEnv, render_all};
use outcome_core::domain::{Design, OutcomeStatus};
use outcome_core::present::{Scale, whole};
use outcome_core::settings::{Overrides, Settings, process_env};
use outcome_core::usecases::{FeasibilityHint, Runtime};
use outcome_core::{Code, Error, Result};
use serde::Serialize;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, on_terminal, safe};

/// What validation found.
#[derive(Debug, Serialize)]
struct Validated {
    /// The file.
    file: String,
    /// True without an error.
    is_valid: bool,
    /// Errors and warnings.
    diagnostics: Vec<Diagnostic>,
    /// What a test can find within each horizon, where the baseline and the traffic are known.
    feasibility: Vec<Feasibility>,
}

#[derive(Debug, Serialize)]
struct Feasibility {
    outcome: String,
    /// Null where it cannot be known yet.
    is_feasible: Option<bool>,
    message: String,
}

/// What is needed where there is no control group.
const WITHOUT_CONTROL: &str = "there is no control group, so there is no sample size to reach; a change is claimed only with 25 weeks of data before the launch";

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Validate) -> Result<Exit> {
    let path = match args.path.as_ref().or(cx.overrides.file.as_ref()) {
        Some(path) if path.is_dir() => path.join(config::FILE_NAME),
        Some(path) => path.clone(),
        None => config::locate::locate(&cx.cwd).map_err(Error::from)?,
    };
    let root = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(&cx.cwd);
    // The workspace may not be there.
    let runtime = opened(cx, &path).await;
    let env = match &runtime {
        Some(runtime) if !args.skip_env => runtime.secrets().env(&text_of(&path)).await?,
        _ => ProcessEnv::new(root),
    };
    let mut loaded =
        config::locate::load_with(&path, cx.overrides.vendors, if args.skip_env { None } else { Some(&env) })?;
    let feasibility = match &loaded.config {
        Some(config) => match &runtime {
            Some(runtime) => {
                if let Ok(members) = runtime.members().emails().await {
                    let (source, file) = (&loaded.source, path.display().to_string());
                    let unknown = config::unknown_members(source, &file, cx.overrides.vendors, &members);
                    loaded.diagnostics.extend(unknown);
                    loaded.diagnostics.sort_by_key(|found| (found.line, found.column, found.severity));
                }
                feasibility(runtime, config).await
            }
            None => Vec::new(),
        },
        None => Vec::new(),
    };
    let done = Validated {
        file: path.display().to_string(),
        is_valid: loaded.config.is_some(),
        diagnostics: loaded.diagnostics,
        feasibility,
    };
    let colour = cx.out.is_coloured();
    cx.out.result(&done, |page| show(page, &done, loaded.config.as_ref(), colour))?;
    Ok(if done.is_valid { Exit::OK } else { Exit::of(Code::ConfigInvalid) })
}

async fn opened(cx: &Cx, path: &Path) -> Option<Runtime> {
    let overrides = Overrides { file: Some(path.to_path_buf()), ..cx.overrides.clone() };
    let settings = Settings::discover(&cx.cwd, &overrides, &process_env).ok()?;
    Runtime::open(settings).await.ok()
}

/// What the file says, to look for references; a file that cannot be read is reported when it is loaded.
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn show(page: &mut Page, done: &Validated, config: Option<&Config>, colour: bool) {
    let rendered = render_all(&done.diagnostics, false);
    let is_clean = rendered.lines().all(|line| safe(line) == line);
    // The renderer's own colours are kept; a file with escapes in it is shown without any.
    let rendered = if is_clean { render_all(&done.diagnostics, colour) } else { rendered };
    for line in rendered.lines() {
        let line = if is_clean { line.to_owned() } else { safe(line) };
        page.line(&line);
    }
    let Some(config) = config else { return };
    let n = config.outcomes.len();
    let verdict = page.green("valid");
    page.line(&format!("{} is {verdict}: {n} outcome{}", safe(&done.file), if n == 1 { "" } else { "s" }));
    for known in &done.feasibility {
        let line = format!("  {}: {}", known.outcome, known.message);
        let line = if known.is_feasible == Some(false) { page.yellow(&line) } else { line };
        page.line(&line);
    }
    page.hint("next: `outcome-runtime plan` shows what `apply` would change");
}

/// An answer for each outcome.
async fn feasibility(runtime: &Runtime, config: &Config) -> Vec<Feasibility> {
    let Ok(status) = runtime.workspaces().status(false).await else { return Vec::new() };
    let mut found = Vec::new();
    for spec in &config.outcomes {
        let stored = status.outcomes.iter().find(|line| line.outcome == spec.slug.as_str());
        let known = match stored.map(|line| line.status) {
            Some(OutcomeStatus::Active) if spec.design != Design::Randomised => (None, WITHOUT_CONTROL.to_owned()),
            Some(OutcomeStatus::Active) => match runtime.hypotheses().feasibility(spec).await {
                Ok(Some(hint)) => {
                    let line = stored.map(|line| on_terminal(&line.scale));
                    judge(&hint, &line.unwrap_or_default())
                }
                Ok(None) => (None, "the baseline of this signal is not measured yet".to_owned()),
                Err(_) => continue,
            },
            None | Some(OutcomeStatus::Draft) => (
                None,
                "`activate` measures the baseline; after that, `validate` also checks whether the horizon is long enough"
                    .to_owned(),
            ),
            Some(OutcomeStatus::Achieved | OutcomeStatus::Abandoned | OutcomeStatus::Expired) => continue,
        };
        found.push(Feasibility { outcome: spec.slug.to_string(), is_feasible: known.0, message: known.1 });
    }
    found
}

fn judge(hint: &FeasibilityHint, scale: &Scale) -> (Option<bool>, String) {
    let Some(units) = hint.daily_units else {
        return (None, "the source does not count units, so the traffic is not known".to_owned());
    };
    let horizon = hint.horizon_days;
    let units = whole(units);
    let Some(mde) = hint.default_minimum_detectable_effect else {
        return (None, format!("{units} units a day; set `mde` to know how many days a test takes"));
    };
    let mde = scale.size(mde.abs());
    #[expect(clippy::cast_precision_loss, reason = "days stay far below 2^52")]
    match hint.days_needed_at_an_even_split.map(|days| days as f64) {
        Some(days) if days <= horizon => (
            Some(true),
            format!(
                "feasible: an effect of {mde} can be detected within {} of {} days at {units} units a day",
                whole(days),
                whole(horizon)
            ),
        ),
        Some(days) => (
            Some(false),
            format!(
                "too short: detecting an effect of {mde} takes up to {} days at {units} units a day, and the \
                 horizon has {}; choose a larger `mde` or a longer horizon",
                whole(days),
                whole(horizon)
            ),
        ),
        None => (None, format!("{units} units a day; the standard deviation of a unit is not known")),
    }
}
