//! `flags`: the flag service that is applied.

use outcome_core::usecases::{FlagAct, FlagLine, FlagLineState, FlagsReport, Right, flag_role};
use outcome_core::{Code, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Flags) -> Result<Exit> {
    match args {
        args::Flags::List => {
            let lines = cx.open().await?.flags().list().await?;
            cx.out.result(&lines, |page| show_list(page, &lines))?;
            let is_any = |state: FlagLineState| lines.iter().any(|line| line.state == state);
            Ok(match () {
                () if is_any(FlagLineState::Elsewhere) => Exit::of(Code::FlagDrift),
                () if is_any(FlagLineState::Stuck) || is_any(FlagLineState::NotRead) => Exit::of(Code::FlagFailed),
                () => Exit::OK,
            })
        }
        args::Flags::Test => {
            let report = cx.open().await?.flags().test().await?;
            cx.out.result(&report, |page| show_test(page, &report))?;
            Ok(if report.lacks_a_right() { Exit::of(Code::FlagFailed) } else { Exit::OK })
        }
        args::Flags::Role { provider } => {
            let role = match provider {
                Some(provider) => flag_role(cx.overrides.vendors, provider)?,
                None => cx.open().await?.flags().role().await?,
            };
            cx.out.result(&role, |page| role.lines().for_each(|line| page.line(line)))?;
            Ok(Exit::OK)
        }
    }
}

fn show_list(page: &mut Page, lines: &[FlagLine]) {
    if lines.is_empty() {
        page.line("no experiment was live yet, so no flag is the runtime's");
        return;
    }
    for line in lines {
        let state = match line.state {
            FlagLineState::InPlace => page.green("ok"),
            FlagLineState::Moving => page.yellow("moving"),
            FlagLineState::Stuck => page.red("stuck"),
            FlagLineState::Elsewhere => page.red("elsewhere"),
            FlagLineState::NotRead => page.red("not read"),
        };
        let position = match line.expected_pct {
            0 => "off".to_owned(),
            pct => format!("on at {pct} %"),
        };
        page.prose(
            2,
            &format!("{state}  `{}` of `{}` ({}): {position}", safe(&line.key), line.experiment, line.status),
        );
        if let Some(problem) = &line.problem {
            page.prose(4, &format!("    {}", safe(problem)));
        }
    }
}

fn show_test(page: &mut Page, report: &FlagsReport) {
    page.line(&format!("{} `{}` answers", page.green("ok:"), safe(&report.service)));
    if let Some(place) = &report.place {
        page.field("leads to", &safe(place));
    }
    for right in &report.rights {
        show_right(page, right);
    }
    page.hint(&format!("`outcome-runtime flags role {}` prints the least rights that it must give", report.provider));
}

fn show_right(page: &mut Page, right: &Right) {
    let is_needed = right.act.is_needed();
    let state = match right.is_allowed {
        Some(is_allowed) if is_allowed == is_needed => page.green(if is_allowed { "yes" } else { "no" }),
        Some(true) => page.yellow("yes"),
        Some(false) => page.red("no"),
        None => page.yellow("not known"),
    };
    let detail = right.detail.as_ref().map_or_else(String::new, |detail| format!(": {}", safe(detail)));
    page.prose(4, &format!("  {state}  {}{detail}", act(right.act)));
}

fn act(act: FlagAct) -> &'static str {
    match act {
        FlagAct::Read => "read a flag",
        FlagAct::Create => "make a flag",
        FlagAct::Rollout => "change the share of a flag that is on",
        FlagAct::Off => "turn a flag off",
        FlagAct::SkipReviews => "change a flag past the service's own reviews (not needed)",
    }
}
