//! From a declared connector to an open one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::sql::SqlSource;
use super::webhook::PushSource;
use super::{ReadError, ResolveSecret, SignalSource};
use crate::config::{ConnectorKind, ConnectorSpec};

/// Opens a declared connector. Nothing is connected before the first question.
///
/// `root`: the workspace's root, where relative paths of SQLite files begin.
///
/// # Errors
/// [`ReadError::Config`] when its settings cannot work or a secret is missing.
pub fn open(
    spec: &ConnectorSpec,
    root: &Path,
    resolve: &dyn ResolveSecret,
) -> Result<Box<dyn SignalSource>, ReadError> {
    let secret = secret_of(spec, resolve)?;
    Ok(match &spec.kind {
        ConnectorKind::Sql(config) => Box::new(SqlSource::open(&spec.name, config, &secret, root)?),
        ConnectorKind::Webhook(_) => Box::new(PushSource::new(&spec.name)),
    })
}

fn secret_of(spec: &ConnectorSpec, resolve: &dyn ResolveSecret) -> Result<SecretString, ReadError> {
    let text = match &spec.kind {
        ConnectorKind::Sql(config) => &config.url,
        ConnectorKind::Webhook(config) => &config.secret,
    };
    resolve.resolve(text).map_err(|error| ReadError::Config {
        source_name: spec.name.clone(),
        problem: error.message().to_owned(),
        hint: error.hint_text().unwrap_or("set the variable or write the file that the reference names").to_owned(),
    })
}

/// Open sources by the name of their connector, so that consecutive polls share connections.
///
/// A source is opened again when its declaration, its secret or the root has changed.
#[derive(Default)]
pub struct Sources {
    opened: Mutex<HashMap<String, Opened>>,
}

type Fingerprint = [u8; 32];
type Opened = (Fingerprint, Arc<dyn SignalSource>);

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    /// The open source of this connector.
    ///
    /// # Errors
    /// As [`open`].
    pub fn get(
        &self,
        spec: &ConnectorSpec,
        root: &Path,
        resolve: &dyn ResolveSecret,
    ) -> Result<Arc<dyn SignalSource>, ReadError> {
        let secret = secret_of(spec, resolve)?;
        // Only a hash is kept: this map lives as long as the program.
        let fingerprint: Fingerprint =
            Sha256::digest(format!("{spec:?}\0{}\0{}", root.display(), secret.expose_secret())).into();
        // Several workspaces may use the same name for different things.
        let key = format!("{}\0{}", root.display(), spec.name);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, source)) = opened.get(&key)
            && *known == fingerprint
        {
            return Ok(Arc::clone(source));
        }
        let source: Arc<dyn SignalSource> = Arc::from(open(spec, root, resolve)?);
        opened.insert(key, (fingerprint, Arc::clone(&source)));
        Ok(source)
    }
}
