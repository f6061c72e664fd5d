//! What `init` does with an outcome file that is there already: it is applied and its outcomes are activated with the passphrase that
//! was just chosen, so that the first number needs no second one.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use outcome_core::config::{differences, load};
use outcome_core::domain::OutcomeStatus;
use outcome_core::present::{Scale, count};
use outcome_core::settings::Settings;
use outcome_core::usecases::{Change, Runtime, Unlock};
use outcome_core::{Code, Error, Result};
use serde::Serialize;

use super::plan;
use crate::cx::Cx;
use crate::output::{Page, on_terminal, safe};

/// What came of the file.
#[derive(Debug, Default, Serialize)]
pub struct FileDone {
    /// True when it counts from now on.
    pub is_applied: bool,
    /// Outcomes that are active.
    pub activated: Vec<String>,
    /// Where each of them is today.
    pub numbers: Vec<Number>,
    /// What could not be done yet, and why.
    pub left: Vec<Left>,
}

/// Where an outcome is.
#[derive(Debug, Serialize)]
pub struct Number {
    /// The outcome.
    pub outcome: String,
    /// The measured value.
    pub value: f64,
    /// Of how many units; absent for a value without units.
    pub units: Option<i64>,
    /// Where it should be.
    pub target: Option<f64>,
    /// Until when.
    pub deadline: String,
    /// How its values are written.
    #[serde(skip)]
    scale: Scale,
    /// Why the horizon is too short.
    pub warning: Option<String>,
}

/// Something that could not be done yet.
#[derive(Debug, Serialize)]
pub struct Left {
    /// `apply`, or `activate OUTCOME`.
    pub step: String,
    /// Its stable code.
    pub code: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Left {
    fn new(step: String, error: &Error) -> Self {
        let hint = error.hint_text().map(ToOwned::to_owned);
        Self { step, code: error.code().as_str().to_owned(), reason: error.message().to_owned(), hint }
    }
}

/// Applies the file and activates what it declares, as far as that is possible now.
pub async fn apply_and_activate(runtime: &Runtime, unlock: &Unlock) -> FileDone {
    let mut done = FileDone::default();
    if let Err(error) = runtime.outcomes().apply(&Cx::by(), Some(unlock)).await {
        done.left.push(Left::new("apply".to_owned(), &error));
        return done;
    }
    done.is_applied = true;
    let drafts = match runtime.workspaces().status(false).await {
        Ok(status) => status.outcomes.into_iter().filter(|line| line.status == OutcomeStatus::Draft),
        Err(error) => {
            done.left.push(Left::new("activate".to_owned(), &error));
            return done;
        }
    };
    for draft in drafts {
        match runtime.outcomes().activate(&draft.outcome, unlock, false).await {
            Ok(active) => {
                done.activated.push(active.outcome.clone());
                done.numbers.push(Number {
                    outcome: active.outcome,
                    value: active.baseline.value,
                    units: active.baseline.n,
                    target: Some(draft.target),
                    deadline: active.deadline.strftime("%Y-%m-%d").to_string(),
                    scale: active.scale,
                    warning: active.warning,
                });
            }
            Err(error) => done.left.push(Left::new(format!("activate {}", draft.outcome), &error)),
        }
    }
    done
}

/// Writes into a file that was just made which workspace it belongs to.
///
/// # Errors
/// When the file cannot be written.
pub fn name_root(file: &Path, fingerprint: &str) -> Result<()> {
    let text =
        format!("\n# Tells this workspace from one that somebody made anew. Commit it.\nroot: \"{fingerprint}\"\n");
    let written = OpenOptions::new().append(true).open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| Error::new(Code::Io, format!("{} cannot be written", file.display())).because(e))
}

/// Shows what the passphrase will sign: the sources, the flag service and the channels of the file, and where secrets go.
pub fn before(page: &mut Page, settings: &Settings) {
    let Ok(loaded) = load(&settings.file.value, settings.vendors) else { return };
    let Some(config) = loaded.config else { return };
    let found = differences(&serde_json::Value::Null, &config.declared, &|_| true);
    let of_all = found.iter().filter(|found| found.outcome.is_none() && found.field != "version");
    let changes: Vec<Change> = of_all.map(Change::of).collect();
    page.line("Your passphrase will sign what outcome.yaml declares. It is read from and written to:");
    plan::changes(page, &changes);
}

/// What came of it. `words`: an outcome, and where it is today in a sentence of its own.
pub fn after(page: &mut Page, done: &FileDone, words: Option<(&str, &str)>) {
    for number in &done.numbers {
        let scale = on_terminal(&number.scale);
        let own = words.filter(|(outcome, _)| *outcome == number.outcome).map(|(_, words)| words.to_owned());
        let today = own.unwrap_or_else(|| {
            let units = number.units.and_then(|n| u64::try_from(n).ok());
            let units = units.map(|n| format!(" ({} units)", count(n))).unwrap_or_default();
            format!("`{}` is at {}{units}", number.outcome, scale.level(number.value))
        });
        let target = number.target.map(|to| format!(" Target: {} until {}.", scale.level(to), number.deadline));
        page.blank();
        let line = page.bold(&safe(&format!("Today: {today}.")));
        page.line(&line);
        page.line(&safe(target.unwrap_or_default().trim()));
        if let Some(warning) = &number.warning {
            page.warning(warning);
        }
    }
    for left in &done.left {
        let text = page.yellow(&format!("Not done yet: {}: {}", safe(&left.step), safe(&left.reason)));
        page.line(&text);
        if let Some(hint) = &left.hint {
            page.hint(&format!("  {}", safe(hint)));
        }
    }
}
