//! Secrets of the operating system's keyring: a stand-in for it, and none at all.

use std::collections::BTreeMap;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use outcome_core::Code;
use outcome_core::config::Vendors;
use outcome_core::ports::{KeyringError, OsKeyring};
use outcome_core::usecases::{RemoveSecret, SecretHome, SecretState};
use outcome_tests::lab::{Lab, local};
use secrecy::{ExposeSecret as _, SecretString};

use super::keyed::opened;
use super::{applied, is_intact};

/// A keyring in memory, which can be locked.
#[derive(Debug)]
struct Memory {
    kept: Mutex<BTreeMap<String, String>>,
    is_locked: Mutex<bool>,
}

static MEMORY: Memory = Memory { kept: Mutex::new(BTreeMap::new()), is_locked: Mutex::new(false) };
static TABLE: Vendors = Vendors { keyring: Some(&MEMORY), ..outcome_integrations::VENDORS };

impl Memory {
    fn opened(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<String, String>>, KeyringError> {
        match *self.is_locked.lock().unwrap() {
            true => Err(KeyringError::Unavailable("it is locked".to_owned())),
            false => Ok(self.kept.lock().unwrap()),
        }
    }
}

impl OsKeyring for Memory {
    fn get(&self, name: &str) -> Result<Option<SecretString>, KeyringError> {
        Ok(self.opened()?.get(name).map(|found| SecretString::from(found.as_str())))
    }
    fn set(&self, name: &str, value: &SecretString) -> Result<(), KeyringError> {
        self.opened()?.insert(name.to_owned(), value.expose_secret().to_owned());
        Ok(())
    }
    fn remove(&self, name: &str) -> Result<bool, KeyringError> {
        Ok(self.opened()?.remove(name).is_some())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_opened_with_a_secret_of_the_keyring() -> Result<()> {
    let mut lab = Lab::sqlite().await?;
    lab.runtime = opened(&lab, &TABLE, None, None).await?;
    // No key is needed for it.
    let value = SecretString::from("sqlite:game.db");
    let done = lab.runtime.secrets().set_in_keyring("GAME", &value, &local()).await?;
    ensure!(done.is_new && done.key_id.is_none() && done.home == SecretHome::Keyring, "{done:?}");
    applied(&lab, "sqlite:game.db", "${keyring:GAME}").await?;
    ensure!(lab.poll_after(1).await?.failures.is_empty());
    let line = lab.runtime.secrets().list().await?.secrets.remove(0);
    ensure!(line.state == SecretState::Opens && line.used_by == ["connector `game`"], "{line:?}");
    let log = lab.log().await?;
    let lines: Vec<_> = log.iter().filter(|line| line.kind.as_str() == "secret.set").collect();
    let said = serde_json::to_string(&lines)?;
    ensure!(lines.len() == 1 && said.contains("\"GAME\"") && !said.contains("game.db"), "{said}");

    *MEMORY.is_locked.lock().unwrap() = true;
    let problem = lab.runtime.signals().connector_test_applied("game").await?.problem;
    *MEMORY.is_locked.lock().unwrap() = false;
    ensure!(problem.as_ref().is_some_and(|problem| problem.code == "keyring_unavailable"), "{problem:?}");
    let hint = problem.and_then(|problem| problem.hint).unwrap_or_default();
    ensure!(hint.contains("${secret:GAME}") && hint.contains("${GAME}") && hint.contains("${file:path}"), "{hint}");

    let game = RemoveSecret { name: "GAME".to_owned(), home: SecretHome::Keyring, even_if_used: true };
    lab.runtime.secrets().remove(&game, &local()).await?;
    let polled = lab.poll_after(1).await?;
    ensure!(polled.failures.iter().any(|said| said.contains("no secret `GAME` of this program")), "{polled:?}");

    // A program without a keyring says so, and what else there is.
    let without = opened(&lab, &outcome_integrations::VENDORS, None, None).await?;
    let refused = without.secrets().set_in_keyring("GAME", &value, &local()).await.unwrap_err();
    ensure!(refused.code() == Code::KeyringUnavailable, "{refused}");
    is_intact(&lab).await
}
