//! `messages`: what has not arrived, trying again, and testing a channel.

use jiff::Timestamp;
use outcome_core::present::{count, instant, relative, when};
use outcome_core::usecases::{ChannelTest, MessageLine, MessageState, Messages, Retried, Retry};
use outcome_core::{Code, Result};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Runs it.
pub async fn run(cx: &Cx, args: args::Messages) -> Result<Exit> {
    match args.command {
        None => list(cx).await,
        Some(args::MessagesCommand::Retry { key, .. }) => retry(cx, &key.map_or(Retry::All, Retry::Key)).await,
        Some(args::MessagesCommand::Test { channel }) => test(cx, channel.as_deref()).await,
    }
}

async fn list(cx: &Cx) -> Result<Exit> {
    let messages = cx.open().await?.outbox().messages().await?;
    cx.out.result(&messages, |page| show(page, &messages))?;
    Ok(Exit::OK)
}

async fn retry(cx: &Cx, which: &Retry) -> Result<Exit> {
    let runtime = cx.open().await?;
    let retried = runtime.outbox().retry(which).await?;
    let now = runtime.now();
    cx.out.result(&retried, |page| show_retried(page, &retried, now))?;
    Ok(if retried.still_waiting.is_empty() { Exit::OK } else { Exit::of(Code::Io) })
}

async fn test(cx: &Cx, channel: Option<&str>) -> Result<Exit> {
    let found = cx.open().await?.outbox().test(channel).await?;
    cx.out.result(&found, |page| show_test(page, &found))?;
    Ok(if found.iter().all(|one| one.is_taken) { Exit::OK } else { Exit::of(Code::Io) })
}

fn show(page: &mut Page, messages: &Messages) {
    if messages.waiting.is_empty() && messages.dead_letters.is_empty() {
        page.line("Nothing waits, and nothing was given up.");
        return;
    }
    section(page, "Waiting", messages.n_waiting, &messages.waiting, messages.now);
    section(page, "Given up", messages.n_dead_letters, &messages.dead_letters, messages.now);
    page.blank();
    page.hint(
        "next: `outcome-runtime messages test` checks the channels; `messages retry --all` tries everything again",
    );
}

fn section(page: &mut Page, title: &str, n: i64, lines: &[MessageLine], now: Timestamp) {
    if lines.is_empty() {
        return;
    }
    page.head(&format!("{title} ({})", count(u64::try_from(n).unwrap_or(0))));
    for line in lines {
        show_line(page, line, now);
    }
}

fn show_line(page: &mut Page, line: &MessageLine, now: Timestamp) {
    let subject = page.bold(&safe(&line.subject));
    page.line(&format!("  {subject}"));
    page.line(&format!("    {}  decided {}", safe(&line.key), when(now, line.created_at)));
    let next = line.next_attempt_at.map(|at| format!("; next try {}", next(now, at))).unwrap_or_default();
    page.line(&format!("    {}{next}", tries(line.n_tries)));
    for channel in &line.channels {
        let state = match channel.state {
            MessageState::Delivered => page.green("delivered"),
            MessageState::Waiting => page.yellow("waiting"),
            MessageState::DeadLetter => page.red("given up"),
        };
        let error = channel.last_error.as_deref().map(|error| format!(": {}", safe(error))).unwrap_or_default();
        page.line(&format!("    {} {state} ({}){error}", safe(&channel.channel), tries(channel.n_tries)));
    }
    // A flag's subject has its reason; a notice without a channel's row has none yet.
    if let (true, Some(error)) = (line.channels.is_empty() && line.kind == "notify", &line.last_error) {
        page.line(&format!("    {}", safe(error)));
    }
}

fn tries(n: i64) -> String {
    if n == 1 { "1 try".to_owned() } else { format!("{n} tries") }
}

fn next(now: Timestamp, at: Timestamp) -> String {
    if at <= now { "is due".to_owned() } else { format!("{} ({})", relative(now, at), instant(at)) }
}

fn show_retried(page: &mut Page, retried: &Retried, now: Timestamp) {
    let n_arrived = retried.n_messages.saturating_sub(retried.still_waiting.len());
    page.line(&format!("{n_arrived} of {} arrived", retried.n_messages));
    for line in &retried.still_waiting {
        show_line(page, line, now);
    }
}

fn show_test(page: &mut Page, found: &[ChannelTest]) {
    for one in found {
        let mark = if one.is_taken { page.green("ok:") } else { page.red("failed:") };
        page.line(&format!("{mark} `{}`: {}", safe(&one.channel), safe(&one.answer)));
    }
}
