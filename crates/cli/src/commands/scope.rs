//! `scope check`: the scope check of the build report, anywhere: by hand, pre-push, in CI.

use std::path::PathBuf;

use outcome_core::config;
use outcome_core::scope::{GitRepo, ScopeReport, ScopeRules, check};
use outcome_core::settings::Settings;
use outcome_core::usecases::{Runtime, ScopeCheckRequest};
use outcome_core::{Code, Error, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: args::Scope) -> Result<Exit> {
    let args::Scope::Check(args) = args;
    let settings = cx.settings()?;
    let (report, origin) = match Runtime::open(settings.clone()).await {
        Ok(runtime) => {
            let args::ScopeCheck { outcome, experiment, base, head } = args;
            (runtime.builds().scope_check(&ScopeCheckRequest { outcome, experiment, base, head }).await?, None)
        }
        Err(error) if error.code() == Code::WorkspaceNotFound && args.experiment.is_none() => {
            (without_workspace(&settings, &args).await?, Some("the scope of outcome.yaml at the base commit"))
        }
        Err(error) => return Err(error),
    };
    cx.out.result(&report, |page| show(page, &report, origin))?;
    Ok(if report.is_clean { Exit::OK } else { Exit::of(Code::ScopeViolation) })
}

/// Without a workspace the rules come from the file at the base: a change cannot loosen its own scope.
async fn without_workspace(settings: &Settings, args: &args::ScopeCheck) -> Result<ScopeReport> {
    let repo = GitRepo::open(settings.work_tree.as_ref().unwrap_or(&settings.root.value)).await?;
    let base = repo.resolve(&args.base).await?;
    let name = settings.file.value.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let root = settings.root.value.canonicalize().unwrap_or_else(|_| settings.root.value.clone());
    let top = GitRepo::open(&root).await?.root().to_path_buf();
    let top = top.canonicalize().unwrap_or(top);
    let path = root.strip_prefix(&top).map_or_else(|_| PathBuf::from(&name), |folder| folder.join(&name));
    let found = repo.file_at(&base, &path).await?.ok_or_else(|| {
        Error::new(Code::ConfigNotFound, format!("there is no {} at {}", path.display(), args.base))
            .hint("set up the workspace here, or pass a --base that contains the outcome file")
    })?;
    let parsed = config::parse_what_counts(&found, &name, settings.vendors);
    let config = parsed.config.ok_or_else(|| {
        Error::new(Code::ConfigInvalid, format!("the {name} of {} is not valid", args.base))
            .hint("check that commit out and run `outcome-runtime validate`")
    })?;
    let spec = match &args.outcome {
        Some(slug) => config.outcomes.iter().find(|spec| spec.slug.as_str() == slug),
        None => config.outcomes.first().filter(|_| config.outcomes.len() == 1),
    };
    let spec = spec.ok_or_else(|| {
        let known: Vec<_> = config.outcomes.iter().map(|spec| spec.slug.as_str()).collect();
        Error::new(Code::InvalidInput, "the file declares several outcomes, and --outcome is missing")
            .hint(format!("pass --outcome with one of {}", known.join(", ")))
    })?;
    let rules = ScopeRules::parse(&spec.scope.allowed_paths, &spec.scope.forbidden_paths)?;
    Ok(check(&repo, &rules, &args.base, &args.head, None, &[]).await?)
}

fn show(page: &mut Page, report: &ScopeReport, origin: Option<&str>) {
    let word = if report.is_clean { page.green("within its scope") } else { page.red("OUTSIDE its scope") };
    let (base, head) = (short(report.base.as_str()), short(report.head.as_str()));
    page.line(&format!("{base}..{head}: {} changed path(s), {word}", report.counts.n_changes));
    for violation in &report.violations {
        let mark = page.red("x");
        let rule = violation.rule.as_ref().map(|rule| format!("  (rule `{}`)", safe(rule))).unwrap_or_default();
        page.line(&format!("  {mark} {}{rule}", safe(&violation.message)));
    }
    for note in &report.notes {
        page.item(&note.message);
    }
    if !report.not_inspected.is_empty() {
        page.item(&format!("{} path(s) were not compared line by line", report.not_inspected.len()));
    }
    if let Some(origin) = origin {
        page.hint(&format!("there is no workspace here: checked against {origin}"));
    }
}

fn short(commit: &str) -> String {
    commit.chars().take(10).collect()
}
