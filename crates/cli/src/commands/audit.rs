//! `audit`: verifying, exporting and anchoring the log.

use outcome_core::audit::SignedAnchor;
use outcome_core::usecases::{AnchorPlace, Runtime, Verification, VouchedLog};
use outcome_core::{Code, Error, Result};
use serde_json::json;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};

/// Lines that are read at once.
const PAGE_LINES: i64 = 500;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Audit) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Audit::Verify { anchor } => {
            let done = runtime.audit_log().verify(&anchor).await?;
            cx.out.result(&done, |page| show(page, &done))?;
            return Ok(match (done.is_intact, done.reach.not_checked.is_empty()) {
                (false, _) => Exit::of(Code::AuditBroken),
                (true, false) => Exit::of(Code::NotChecked),
                (true, true) => Exit::OK,
            });
        }
        args::Audit::Export { after, with_names } => export(cx, &runtime, after, with_names).await?,
        args::Audit::Decisions { name } => {
            for signed in runtime.audit_log().decisions(&name).await? {
                if !cx.out.json_line(&signed)? {
                    return Ok(Exit::OK);
                }
            }
        }
        args::Audit::Answer { raw_hash } => {
            let found = runtime.audit_log().answer(&raw_hash).await?;
            cx.out.result(&found, |page| {
                page.line(&safe(&found.answer));
                page.field("said last", &found.read_at.to_string());
            })?;
        }
        args::Audit::Restore { from, unlock } => {
            let unlock = cx.terminal.unlock(&unlock, "go on from the backup")?;
            let done = runtime.audit_log().restore(&from, None, &unlock).await?;
            cx.out.result(&done, |page| {
                page.line(&format!("{} from the backup, with line {} of the log", page.green("Going on"), done.line));
                page.field("lost", &format!("the lines up to {} that were written after it", done.lost_line));
                page.hint("flags and readings may be ahead of this log: look at `outcome-runtime status`, then poll");
            })?;
        }
        args::Audit::Vouch { unlock } => {
            let unlock = cx.terminal.unlock(&unlock, "vouch for the log as it stands")?;
            let done = runtime.audit_log().vouch(None, &unlock).await?;
            cx.out.result(&done, |page| page.line(&vouched(page, &done)))?;
        }
        args::Audit::Anchor { to, git_note, unlock } => {
            let place = match to {
                Some(path) => AnchorPlace::File(path),
                None if git_note => AnchorPlace::GitNote,
                None => AnchorPlace::File(runtime.audit_log().anchor_file()),
            };
            let unlock = cx.terminal.unlock(&unlock, "sign the head of the log")?;
            let line = runtime.audit_log().anchor(&place, &unlock).await?;
            let signed: SignedAnchor = serde_json::from_str(&line)
                .map_err(|e| Error::new(Code::Internal, "the new anchor cannot be read").because(e))?;
            cx.out.result(&json!(signed), |page| {
                let (seq, head) = (signed.anchor.seq, &signed.anchor.head);
                page.line(&format!("{} line {seq} with hash {head}", page.green("Anchored")));
                let kept = match &place {
                    AnchorPlace::File(path) => path.display().to_string(),
                    AnchorPlace::GitNote => {
                        "a git note (refs/notes/outcome-audit): push it to store it elsewhere".to_owned()
                    }
                };
                page.field("kept in", &kept);
            })?;
        }
    }
    Ok(Exit::OK)
}

/// What a member vouched for.
pub(super) fn vouched(page: &Page, done: &VouchedLog) -> String {
    format!("{} for the log up to line {}, with line {}", page.green("Vouched"), done.upto_line, done.line)
}

/// What nobody vouches for yet, and how somebody does.
pub(super) fn unvouched(line: i64) -> String {
    format!(
        "up to line {line} the log holds what lay in the database when `migrate` ran, and no member has signed since: look at \
         `outcome-runtime status`, then `outcome-runtime audit vouch` signs it"
    )
}

async fn export(cx: &Cx, runtime: &Runtime, mut after: i64, with_names: bool) -> Result<()> {
    loop {
        let lines = runtime.audit_log().page(after, PAGE_LINES).await?;
        let Some(last) = lines.last() else { break };
        after = last.seq;
        for line in &lines {
            if !cx.out.json_line(line)? {
                return Ok(());
            }
        }
    }
    if with_names {
        for opening in runtime.audit_log().openings().await? {
            if !cx.out.json_line(&json!({ "opening": opening }))? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn show(page: &mut Page, done: &Verification) {
    let is_checked = done.reach.not_checked.is_empty();
    let word = match (done.is_intact, is_checked) {
        (false, _) => page.red("BROKEN"),
        (true, false) => page.yellow("intact as far as it was checked"),
        (true, true) => page.green("intact"),
    };
    page.line(&format!("The audit log is {word}: {} lines, {} anchors", done.n_lines, done.n_anchors));
    page.field("head", &done.head);
    for problem in &done.problems {
        page.item(problem);
    }
    if done.n_removed_members > 0 {
        page.field("names", &format!("of {} members were removed", done.n_removed_members));
    }
    for sentence in &done.reach.not_checked {
        page.item(&format!("not checked: {}", safe(sentence)));
    }
    let reach = &done.reach;
    let lines = [("here", reach.here), ("pushed", reach.pushed), ("witnessed", reach.witnessed)];
    let lines: Vec<_> =
        lines.iter().filter_map(|(name, seq)| seq.map(|seq| format!("{name} up to line {seq}"))).collect();
    if !lines.is_empty() {
        page.field("anchored", &lines.join(", "));
    }
    if let Some(line) = done.unvouched_until {
        page.item(&unvouched(line));
    }
    for writer in done.writers.iter().filter(|writer| !writer.is_vouched) {
        page.item(&format!(
            "{} writes the log since line {} ({} lines), and no member has signed on top of that yet: the next decision vouches for it",
            safe(&writer.place),
            writer.since_line,
            writer.n_lines
        ));
    }
    if done.is_intact && reach.n_unprotected > 0 {
        page.hint(&format!(
            "{} decisions are anchored in this account only: `git push origin 'refs/outcome-runtime/*:refs/outcome-runtime/*'`, or keep \
             `outcome-runtime audit anchor --to FILE` elsewhere",
            reach.n_unprotected
        ));
    }
    if !done.is_intact {
        page.hint(&safe(
            "do not trust what the runtime shows: restore a backup, and find out what wrote to the database",
        ));
    }
}
