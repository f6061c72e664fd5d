//! `member`: what members are called.

use outcome_core::Result;
use outcome_core::usecases::{ForgetRequest, Forgotten};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::Page;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Member) -> Result<Exit> {
    let args::Member::Forget { member: forget, even_the_last, unlock } = args;
    let runtime = cx.open().await?;
    let unlock = cx.unlock(&runtime, &unlock, "remove the member's name").await?;
    let request = ForgetRequest { forget, even_the_last, member: None, unlock };
    let done = runtime.members().forget(request).await?;
    cx.out.result(&done, |page| forgotten(page, &done))?;
    Ok(Exit::OK)
}

fn forgotten(page: &mut Page, done: &Forgotten) {
    page.line(&format!("{}: the name and the e-mail of member {}", page.green("Removed"), done.member));
    page.field("log", &format!("line {}, which holds the id only", done.line));
    if done.older_lines_hold_it {
        page.item(
            "older lines still hold the e-mail: lines, certificates and decisions of an earlier version cannot be changed without \
             breaking the log",
        );
    }
    if done.n_keys > 0 {
        page.item(&format!(
            "{} keys of this member go on counting: `outcome-runtime key revoke` takes one away",
            done.n_keys
        ));
    }
    page.hint("backups, messages that were delivered and what outcome.yaml says are not touched");
}
