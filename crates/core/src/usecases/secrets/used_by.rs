//! Who refers to a secret, in what is applied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::SecretHome;
use crate::config::{Config, stored_names};
use crate::error::Result;
use crate::usecases::Runtime;
use crate::usecases::kernel::applied::applied;

/// Names of secrets with those who refer to them.
pub(super) struct UsedBy(BTreeMap<(SecretHome, String), BTreeSet<String>>);

impl UsedBy {
    /// Of what is applied; nothing where nothing is.
    pub(super) async fn of(runtime: &Runtime) -> Result<Self> {
        let applied = applied(runtime, &mut runtime.read().await?).await?;
        let mut found = Self(BTreeMap::new());
        if let Some(applied) = applied {
            found.add_all(&applied.config);
        }
        Ok(found)
    }

    fn add_all(&mut self, config: &Config) {
        for connector in &config.connectors {
            self.add(&format!("connector `{}`", connector.name), &connector.settings.to_json());
        }
        if let Some(flags) = &config.flags {
            self.add("`feature_flags`", &flags.settings.to_json());
        }
        for channel in &config.notifications.channels {
            self.add(&format!("channel `{}`", channel.kind), &channel.settings.to_json());
        }
    }

    fn add(&mut self, who: &str, settings: &Json) {
        let text = settings.to_string();
        let (sealed, in_keyring) = stored_names(&text);
        let of = |home| move |name: &str| (home, name.to_owned());
        let all =
            sealed.into_iter().map(of(SecretHome::Store)).chain(in_keyring.into_iter().map(of(SecretHome::Keyring)));
        for name in all {
            self.0.entry(name).or_default().insert(who.to_owned());
        }
    }

    /// Who refers to this secret, by name.
    pub(super) fn named(&self, home: SecretHome, name: &str) -> Vec<String> {
        self.0.get(&(home, name.to_owned())).into_iter().flatten().cloned().collect()
    }

    /// The names that somebody refers to.
    pub(super) fn names(&self, home: SecretHome) -> impl Iterator<Item = &str> {
        self.0.keys().filter(move |(known, _)| *known == home).map(|(_, name)| name.as_str())
    }
}
