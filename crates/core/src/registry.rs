//! Open sources by the name of their connector, so that consecutive polls share connections.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::config::ConnectorSpec;
use crate::ports::{Opening, ReadError, ResolveSecret, SignalSource};

/// Open sources. A source is opened again when its declaration, a secret or the root has changed.
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
    /// The open source of this connector. `root`: the workspace's root, where relative paths begin.
    ///
    /// # Errors
    /// [`ReadError::Config`] when its settings cannot work or a secret is missing.
    pub fn get(
        &self,
        spec: &ConnectorSpec,
        root: &Path,
        resolve: &dyn ResolveSecret,
    ) -> Result<Arc<dyn SignalSource>, ReadError> {
        let fingerprint = fingerprint(spec, root, resolve)?;
        // Several workspaces may use the same name for different things.
        let key = format!("{}\0{}", root.display(), spec.name);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, source)) = opened.get(&key)
            && *known == fingerprint
        {
            return Ok(Arc::clone(source));
        }
        let source: Arc<dyn SignalSource> = Arc::from(spec.settings.open(&spec.name, &Opening { root, resolve })?);
        opened.insert(key, (fingerprint, Arc::clone(&source)));
        Ok(source)
    }
}

/// Only a hash is kept: the map lives as long as the program.
fn fingerprint(spec: &ConnectorSpec, root: &Path, resolve: &dyn ResolveSecret) -> Result<Fingerprint, ReadError> {
    let mut hash = Sha256::new();
    hash.update(format!("{}\0{}\0{}\0", spec.kind, spec.settings.to_json(), root.display()));
    for text in spec.settings.references() {
        let secret = resolve.resolve(text).map_err(|error| ReadError::secret(&spec.name, &error))?;
        hash.update(secret.expose_secret());
        hash.update([0]);
    }
    Ok(hash.finalize().into())
}
