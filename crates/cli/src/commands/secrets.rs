//! `secrets`: what references of the outcome file name, sealed in the store or in the keyring of the operating system.

use std::io::{IsTerminal as _, Read as _, stdin};

use outcome_core::usecases::{
    NewKey, RemoveSecret, RemovedSecret, Resealed, SecretHome, SecretLine, SecretList, SecretState, SetSecret,
    check_secret_name, new_encryption_key,
};
use outcome_core::{Code, Error, Result};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, Table, safe};

/// The longest value that is read, in bytes; what is longer is refused with the rest of the rules.
const MAX_VALUE: u64 = 64 * 1024 + 2;

/// Runs it.
pub async fn run(cx: &Cx, args: args::Secrets) -> Result<Exit> {
    let by = Cx::by();
    match args {
        args::Secrets::NewKey => {
            let key = new_encryption_key();
            // The one place where a key is printed: it was asked for, and it cannot be shown again.
            cx.out.result(&json!({ "key_id": key.id, "key": key.text.expose_secret() }), |page| {
                page.line(key.text.expose_secret());
            })?;
            about_new_key(cx, &key);
        }
        args::Secrets::Set { name, keyring } => {
            check_secret_name(&name)?;
            let runtime = cx.open().await?;
            let value = value(cx, &name)?;
            let done = match keyring {
                true => runtime.secrets().set_in_keyring(&name, &value, &by).await?,
                false => runtime.secrets().set(&name, &value, &by).await?,
            };
            cx.out.result(&done, |page| set(page, &done))?;
        }
        args::Secrets::List => {
            let found = cx.open().await?.secrets().list().await?;
            cx.out.result(&found, |page| list(page, &found))?;
        }
        args::Secrets::Remove { name, keyring, even_if_used } => {
            let home = if keyring { SecretHome::Keyring } else { SecretHome::Store };
            let request = RemoveSecret { name, home, even_if_used };
            let done = cx.open().await?.secrets().remove(&request, &by).await?;
            cx.out.result(&done, |page| removed(page, &done))?;
        }
        args::Secrets::RotateKey => {
            let done = cx.open().await?.secrets().rotate_key(&by).await?;
            cx.out.result(&done, |page| resealed(page, &done))?;
        }
    }
    Ok(Exit::OK)
}

/// What is piped in, without its last line end; at a terminal, what is typed unseen.
fn value(cx: &Cx, name: &str) -> Result<SecretString> {
    if stdin().is_terminal() {
        return cx.terminal.secret(name);
    }
    let mut text = String::new();
    stdin().lock().take(MAX_VALUE).read_to_string(&mut text).map_err(|e| {
        Error::new(Code::InvalidInput, "the value cannot be read from stdin").hint("it must be UTF-8 text").because(e)
    })?;
    let value = SecretString::from(text.strip_suffix('\n').map_or(&*text, |text| text.trim_end_matches('\r')));
    if value.expose_secret().is_empty() {
        return Err(Error::new(Code::InvalidInput, format!("stdin holds no value for the secret `{name}`")).hint(
            format!("`outcome-runtime secrets set {name} < FILE`, or run it in a terminal of your own, which asks for the value"),
        ));
    }
    Ok(value)
}

/// To stderr: stdout goes into the file of the key.
fn about_new_key(cx: &Cx, key: &NewKey) {
    cx.out.aside(&format!("key {}: shown once, stored nowhere", key.id));
    cx.out.aside("Keep it in a file that only the programs' account can read, and name that file in");
    cx.out.aside("OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE. Keep a copy elsewhere: without it, set the secrets again.");
}

fn reference(home: SecretHome, name: &str) -> String {
    match home {
        SecretHome::Store => format!("${{secret:{name}}}"),
        SecretHome::Keyring => format!("${{keyring:{name}}}"),
    }
}

fn set(page: &mut Page, done: &SetSecret) {
    let how = match (done.home, done.is_new) {
        (SecretHome::Store, true) => "Sealed",
        (SecretHome::Keyring, true) => "Kept",
        (_, false) => "Replaced",
    };
    let hint = done.hint.as_ref().map_or_else(String::new, |hint| format!(", which ends in {hint}"));
    page.line(&format!("{}: the secret `{}`{}", page.green(how), safe(&done.name), safe(&hint)));
    if let Some(key) = &done.key_id {
        page.field("key", key);
    }
    let used_by = if done.used_by.is_empty() { "nobody yet".to_owned() } else { done.used_by.join(", ") };
    page.field("used by", &used_by);
    if done.used_by.is_empty() {
        page.hint(&format!(
            "outcome.yaml refers to it as `{}`; `outcome-runtime apply` makes that count",
            reference(done.home, &done.name)
        ));
    }
}

fn list(page: &mut Page, found: &SecretList) {
    if let Some(keys) = &found.keys {
        page.field("key", keys);
    }
    if found.secrets.is_empty() {
        page.line("no secrets are stored, and nothing that is applied refers to one");
        page.hint("`outcome-runtime secrets set NAME` seals one in the store");
        return;
    }
    let mut table = Table::new(&["secret", "ends in", "set", "by", "key", "used by", "state"]);
    for line in &found.secrets {
        let set_at = line.set_at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
        table.row(&[
            &reference(line.home, &line.name),
            line.hint.as_deref().unwrap_or(""),
            &set_at,
            line.set_by.as_deref().unwrap_or(""),
            line.key_id.as_deref().unwrap_or(""),
            &line.used_by.join(", "),
            in_words(line.state),
        ]);
    }
    page.table(table);
    for line in &found.secrets {
        problem(page, line);
    }
}

fn problem(page: &mut Page, line: &SecretLine) {
    if let Some(problem) = &line.problem {
        page.prose(2, &format!("{} {}", page.red("problem:"), safe(problem)));
    }
    if let Some(remedy) = &line.remedy {
        page.hint(&safe(remedy));
    }
}

fn in_words(state: SecretState) -> &'static str {
    match state {
        SecretState::Opens => "opens",
        SecretState::NoKey => "no key",
        SecretState::OtherKey => "another key",
        SecretState::Changed => "changed",
        SecretState::NotSet => "not set",
        SecretState::Unavailable => "keyring unavailable",
    }
}

fn removed(page: &mut Page, done: &RemovedSecret) {
    page.line(&format!("{}: the secret `{}`", page.green("Removed"), safe(&done.name)));
    if !done.used_by.is_empty() {
        page.item(&format!("used by {}: they work no longer", done.used_by.join(", ")));
    }
    page.hint("backups still hold the sealed row; whoever has one and the key can open it");
}

fn resealed(page: &mut Page, done: &Resealed) {
    if done.resealed.is_empty() {
        page.line(&format!(
            "nothing to do: {} of {} are sealed with the key {}",
            done.n_already, done.n_already, done.key_id
        ));
    } else {
        page.line(&format!(
            "{}: {} with the key {}",
            page.green("Sealed again"),
            done.resealed.join(", "),
            done.key_id
        ));
    }
    page.hint(
        "put the new key where OUTCOME_RUNTIME_ENCRYPTION_KEY or _FILE says, for every program, and remove the old one; backups from \
         before still open with it",
    );
}
