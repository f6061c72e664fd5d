//! `key`: members' keys.

use std::sync::Arc;

use outcome_core::Result;
use outcome_core::usecases::{
    Added, KeyActRequest, KeyAddRequest, KeyLine, KeyState, Recovered, Rotated, Touching, Unlock,
};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, safe};
use crate::ssh_keygen::SshKey;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Key) -> Result<Exit> {
    let runtime = cx.open().await?;
    match args {
        args::Key::List => {
            let keys = runtime.keys().list().await?;
            cx.out.result(&keys, |page| list(page, &keys))?;
        }
        args::Key::Add { ssh, unlock } => {
            cx.terminal.must_be_own("enrol your key")?;
            let new = Touching::new(Arc::new(SshKey::at(&cx.cwd.join(ssh))?))?;
            let unlock = cx.unlock(&runtime, &unlock, "enrol your key").await?;
            cx.out.show(|page| {
                page.line("Touch the new key when it blinks. With another one that counts, touch that one next.");
            })?;
            let done = runtime.keys().add(KeyAddRequest { new, member: None, unlock }).await?;
            cx.out.result(&done, |page| added(page, &done))?;
        }
        args::Key::Rotate { unlock, new } => {
            let old = cx.terminal.unlock(&unlock, "exchange your key")?;
            let new = cx.terminal.new_passphrase(&args::Unlock { passphrase_fd: new.new_passphrase_fd }, &[])?;
            let done = runtime.keys().rotate(None, &old, new).await?;
            cx.out.result(&done, |page| rotated(page, &done))?;
        }
        args::Key::Recover { code_fd, new } => {
            let code = cx.terminal.recovery_code(code_fd)?;
            let new = cx.terminal.new_passphrase(&args::Unlock { passphrase_fd: new.new_passphrase_fd }, &[])?;
            let done = runtime.keys().recover(&code, new).await?;
            cx.out.result(&done, |page| recovered(page, &done))?;
        }
        args::Key::Revoke { key, because, unlock } => {
            let unlock = cx.unlock(&runtime, &unlock, "revoke the key").await?;
            act(cx, &runtime, key, None, because, unlock).await?;
        }
        args::Key::Compromised { key, since, because, unlock } => {
            let unlock = cx.unlock(&runtime, &unlock, "mark the key").await?;
            act(cx, &runtime, key, Some(since), because, unlock).await?;
        }
    }
    Ok(Exit::OK)
}

async fn act(
    cx: &Cx,
    runtime: &outcome_core::usecases::Runtime,
    key: String,
    compromised_since: Option<i64>,
    reason: String,
    unlock: Unlock,
) -> Result<()> {
    let request = KeyActRequest { key, compromised_since, reason, member: None, unlock };
    let done = runtime.keys().act(request).await?;
    cx.out.result(&done, |page| match done.compromised_since {
        None => {
            page.line(&format!("{}: the key counts no longer (line {} of the log)", page.green("Revoked"), done.line));
        }
        Some(since) => {
            page.line(&format!("{}: since line {since} (line {} of the log)", page.green("Marked"), done.line));
            page.hint(
                "`outcome-runtime audit verify` names what was signed with it since; rotate or revoke it as well",
            );
        }
    })?;
    Ok(())
}

fn list(page: &mut Page, keys: &[KeyLine]) {
    for line in keys {
        let state = match line.state {
            KeyState::Counts => page.green("counts"),
            KeyState::Revoked => page.yellow("revoked"),
            KeyState::Unknown => page.red("vouched for by nobody"),
        };
        let short = line.fingerprint.get(..16).unwrap_or(&line.fingerprint);
        let root = if line.is_root { ", root" } else { "" };
        page.line(&format!("{short}  {} key of {}{root}: {state}", line.kind, safe(&line.member)));
        if let Some(since) = line.compromised_since {
            page.item(&format!("somebody else had it since line {since} of the log"));
        }
    }
}

fn added(page: &mut Page, done: &Added) {
    page.line(&format!("{}: what you sign with a touch of this key counts from now on", page.green("Enrolled")));
    page.field("key", &format!("{}  (fingerprint: write it down)", done.fingerprint));
    if done.is_first {
        page.hint("from now on whoever ships needs a key that is touched; your recovery code is the way on without it");
    }
}

fn rotated(page: &mut Page, done: &Rotated) {
    page.line(&format!("{}: your new passphrase counts from now on", page.green("Exchanged")));
    page.field("key", &format!("{}  (fingerprint: write it down)", done.fingerprint));
    page.hint("what was signed with the key of before still counts");
}

fn recovered(page: &mut Page, done: &Recovered) {
    page.line(&format!("{}: your new passphrase counts from now on", page.green("Recovered")));
    page.field("key", &format!("{}  (fingerprint: write it down)", done.fingerprint));
    recovery_code(page, done.recovery_code.reveal());
}

/// A recovery code, where it is shown for the only time.
pub fn recovery_code(page: &mut Page, code: &str) {
    page.field("recovery", &format!("{code}  (write it down, too)"));
    page.line("            It replaces a lost passphrase, and is stored and shown nowhere else.");
}
