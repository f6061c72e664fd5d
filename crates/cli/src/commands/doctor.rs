//! `doctor`: is everything where it should be?

use outcome_core::error::error_chain;
use outcome_core::usecases::{Finding, FindingLevel, Workspaces};
use outcome_core::{Code, Result};

use super::doctor_client;
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Doctor) -> Result<Exit> {
    let found = match args.client {
        Some(client) => doctor_client::look(cx, client, args.scope).await?,
        None => look(cx).await,
    };
    cx.out.result(&found, |page| show(page, &found))?;
    let is_well = found.iter().all(|finding| finding.level != FindingLevel::Problem);
    Ok(if is_well { Exit::OK } else { Exit::of(Code::Io) })
}

async fn look(cx: &Cx) -> Vec<Finding> {
    match cx.settings() {
        Ok(settings) => Workspaces::doctor(settings).await,
        Err(error) => vec![
            finding("version", FindingLevel::Ok, env!("CARGO_PKG_VERSION").to_owned(), None),
            finding("working directory", FindingLevel::Ok, cx.cwd.display().to_string(), None),
            finding("workspace", FindingLevel::Problem, error_chain(&error), error.hint_text()),
        ],
    }
}

fn finding(check: &str, level: FindingLevel, message: String, hint: Option<&str>) -> Finding {
    Finding { check: check.to_owned(), level, message, hint: hint.map(ToOwned::to_owned) }
}

fn show(page: &mut Page, found: &[Finding]) {
    let widest = found.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
    for finding in found {
        let mark = match finding.level {
            FindingLevel::Ok => page.green("ok     "),
            FindingLevel::Warning => page.yellow("warning"),
            FindingLevel::Problem => page.red("problem"),
        };
        let at = 9 + widest + 2;
        page.prose(at, &format!("{mark}  {:<widest$}  {}", safe(&finding.check), safe(&finding.message)));
        if let Some(hint) = &finding.hint {
            page.hanging_hint(at + 8, &format!("{:at$}= help: {}", "", safe(hint)));
        }
    }
}
