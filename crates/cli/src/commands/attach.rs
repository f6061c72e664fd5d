//! `attach`: an experiment that runs at a flag service already.

use outcome_core::Result;
use outcome_core::present::{count, instant};
use outcome_core::usecases::{AttachAsked, AttachRequest};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: args::Attach) -> Result<Exit> {
    let args::Attach { provider, experiment, guards, metrics, outcome, since, days } = args;
    let request = AttachRequest { provider, experiment, outcome, guards, metrics, since, days };
    let asked = cx.open().await?.experiments().attach(request, &Cx::by()).await?;
    cx.out.result(&asked, |page| show(page, &asked))?;
    Ok(Exit::OK)
}

fn show(page: &mut Page, asked: &AttachAsked) {
    let at = &asked.attached;
    let name = if at.name_says.is_empty() { &asked.flag_key } else { &at.name_says };
    page.line(&format!("“{}” runs at {} with the flag `{}`:", safe(name), at.provider, safe(&asked.flag_key)));
    let units = |n: Option<u64>| n.map(|n| format!(", {} units so far", count(n))).unwrap_or_default();
    let (control, treatment) = (100 - at.treatment_pct, at.treatment_pct);
    page.item(&format!("{control} % get `{}`{}", safe(&at.control), units(at.n_control)));
    page.item(&format!("{treatment} % get `{}`{}", safe(&at.treatment), units(at.n_treatment)));
    page.item(&format!("counted since {}, guarded for {} days", instant(at.started_at), asked.days));
    page.item(&format!(
        "guarded by {}",
        asked.guards.iter().map(|name| format!("`{}`", safe(name))).collect::<Vec<_>>().join(", ")
    ));
    page.line(&format!("Gate `{}` waits for you; until it is signed, nothing is watched.", asked.gate));
    page.hint(&format!("`outcome-runtime gate decide {}`, or {}", asked.gate, asked.review_url));
}
