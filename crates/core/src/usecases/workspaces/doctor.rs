//! Is everything where it should be? Each effective setting with its origin, and what is wrong.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Workspaces;
use crate::config::{self, Diagnostic};
use crate::error::{Error, error_chain};
use crate::settings::{Settings, process_env};
use crate::usecases::Runtime;
use crate::usecases::kernel::workspace_file::{config, flag_service, repo};

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FindingLevel {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Warning,
    /// Must be fixed.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How serious it is.
    pub level: FindingLevel,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    fn ok(check: &str, message: impl Into<String>) -> Self {
        Self { check: check.to_owned(), level: FindingLevel::Ok, message: message.into(), hint: None }
    }
    fn warning(check: &str, message: impl Into<String>, hint: &str) -> Self {
        Self {
            check: check.to_owned(),
            level: FindingLevel::Warning,
            message: message.into(),
            hint: Some(hint.to_owned()),
        }
    }
    fn problem(check: &str, error: &Error) -> Self {
        Self {
            check: check.to_owned(),
            level: FindingLevel::Problem,
            message: error_chain(error),
            hint: error.hint_text().map(ToOwned::to_owned),
        }
    }
}

impl Workspaces<'_> {
    /// Looks at settings, file, database, repository, connectors, flag service, keys and the log. Never fails: what does
    /// not work is a finding.
    pub async fn doctor(settings: Settings) -> Vec<Finding> {
        let mut found = vec![
            Finding::ok("root", format!("{} ({})", settings.root.value.display(), settings.root.from)),
            Finding::ok("file", format!("{} ({})", settings.file.value.display(), settings.file.from)),
            Finding::ok("database", format!("{} ({})", settings.database_shown(), settings.database.from)),
        ];
        if let Some(store) = settings.better_store() {
            let folder = settings.folder().display().to_string();
            let store = store.display();
            found.push(Finding::warning(
                "database",
                "it lies in the repository, where `git clean -x` removes it",
                &format!(
                    "stop the programs that use it, then `mkdir -p \"{store}\"`, `chmod 700 \"{store}\"` and `mv -n \
                     \"{folder}\"/outcome.db* \"{store}\"/`; nothing else has to change"
                ),
            ));
        }
        if let Some(unused) = settings.unused_database() {
            found.push(Finding::warning(
                "database",
                format!("{} is not used: the workspace's data is in its store", unused.display()),
                "look where it came from, and remove it",
            ));
        }
        if process_env("APP_URL").is_some() {
            found.push(Finding::warning(
                "environment",
                "APP_URL is set but not used for links",
                "declare `review_url` in the outcome file and apply it",
            ));
        }
        if process_env("REDIS_URL").is_some() {
            found.push(Finding::warning(
                "environment",
                "REDIS_URL is set but ignored",
                "the runtime does not use Redis",
            ));
        }
        match config::load(&settings.file.value, settings.vendors) {
            Err(error) => found.push(Finding::problem("outcome file", &Error::from(error))),
            Ok(loaded) => {
                let n_errors = loaded.diagnostics.iter().filter(|d| d.is_error()).count();
                let n_warnings = loaded.diagnostics.len() - n_errors;
                found.push(if n_errors == 0 && n_warnings == 0 {
                    Finding::ok("outcome file", "valid")
                } else if n_errors == 0 {
                    Finding::warning(
                        "outcome file",
                        format!("valid, with {}", warnings(&loaded.diagnostics)),
                        "run `outcome-runtime validate`",
                    )
                } else {
                    Finding {
                        check: "outcome file".to_owned(),
                        level: FindingLevel::Problem,
                        message: format!("{n_errors} errors"),
                        hint: Some("run `outcome-runtime validate`".to_owned()),
                    }
                });
            }
        }
        let runtime = match Runtime::open(settings).await {
            Ok(runtime) => runtime,
            Err(error) => {
                found.push(Finding::problem("workspace", &error));
                return found;
            }
        };
        found.push(Finding::ok("workspace", runtime.workspace.slug.clone()));
        found.push(match runtime.gates().pages().await {
            Ok(pages) => Finding::ok("pages", pages),
            Err(error) => Finding::problem("pages", &error),
        });
        look_around(&runtime, &mut found).await;
        found
    }
}

/// How many warnings, and which.
fn warnings(found: &[Diagnostic]) -> String {
    let n = match found.len() {
        1 => "1 warning".to_owned(),
        n => format!("{n} warnings"),
    };
    let codes: BTreeSet<&str> = found.iter().map(|diagnostic| diagnostic.code).collect();
    format!("{n}: {}", codes.into_iter().collect::<Vec<_>>().join(", "))
}

/// What is stored, where something is: whether this program opens all of it.
async fn secrets(runtime: &Runtime) -> Option<Finding> {
    let list = match runtime.secrets().list().await {
        Ok(list) if list.secrets.is_empty() => return None,
        Ok(list) => list,
        Err(error) => return Some(Finding::problem("secrets", &error)),
    };
    let refused = list.secrets.iter().find_map(|line| Some((line, line.problem.as_ref()?)));
    Some(match refused {
        Some((line, problem)) => Finding {
            check: "secrets".to_owned(),
            level: FindingLevel::Problem,
            message: problem.clone(),
            hint: line.remedy.clone(),
        },
        None => {
            let keys = list.keys.map_or_else(String::new, |keys| format!(", with the key {keys}"));
            Finding::ok("secrets", format!("{} can be used{keys}", list.secrets.len()))
        }
    })
}

async fn look_around(runtime: &Runtime, found: &mut Vec<Finding>) {
    found.push(match repo(runtime).await {
        Err(error) => Finding::problem("git", &error),
        Ok(repo) => match repo.head().await {
            Ok(head) => Finding::ok("git", format!("head is {head}")),
            Err(error) => Finding::problem("git", &Error::from(error)),
        },
    });
    found.extend(secrets(runtime).await);
    if let Ok(config) = config(runtime).await {
        for connector in &config.connectors {
            let check = format!("connector {}", connector.name);
            found.push(match runtime.signals().connector_reach(&connector.name).await {
                Ok(report) => Finding::ok(&check, format!("{} ({} ms)", report.server, report.latency_ms)),
                Err(error) => Finding::problem(&check, &error),
            });
        }
        found.push(match flag_service(runtime, &config).await {
            Ok(Some(_)) => flags_finding(runtime).await,
            Ok(None) => Finding::warning(
                "flags",
                "no flag service is configured",
                "add `feature_flags` to the outcome file, or set flags by hand when asked",
            ),
            Err(error) => Finding::problem("flags", &error),
        });
    }
    found.push(match runtime.audit_log().verify(&[]).await {
        Ok(check) if check.is_intact => {
            Finding::ok("audit log", format!("{} lines, {} anchors", check.n_lines, check.n_anchors))
        }
        Ok(check) => Finding {
            check: "audit log".to_owned(),
            level: FindingLevel::Problem,
            message: check.problems.join("; "),
            hint: Some("run `outcome-runtime audit verify`".to_owned()),
        },
        Err(error) => Finding::problem("audit log", &error),
    });
}

/// Whether the flag service answers, and what its token does not allow.
async fn flags_finding(runtime: &Runtime) -> Finding {
    match runtime.flags().test().await {
        Ok(report) if report.lacks_a_right() => Finding {
            check: "flags".to_owned(),
            level: FindingLevel::Problem,
            message: format!("the token of {} lacks a right that the runtime needs", report.service),
            hint: Some("`outcome-runtime flags test` says which".to_owned()),
        },
        Ok(report) => Finding::ok("flags", report.service),
        Err(error) => Finding::problem("flags", &error),
    }
}
