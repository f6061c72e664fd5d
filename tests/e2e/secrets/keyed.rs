//! A laboratory whose runtime has an encryption key, in a file of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use outcome_core::config::Vendors;
use outcome_core::sealing::KeyPlaces;
use outcome_core::settings::Settings;
use outcome_core::usecases::{Runtime, new_encryption_key};
use outcome_tests::lab::Lab;
use secrecy::ExposeSecret as _;

use crate::journey::each_lab;

/// The file of the key, in the laboratory's folder.
pub(super) const KEY_FILE: &str = ".outcome/encryption-key";

/// Writes a new key.
pub(super) fn new_key(path: &Path) -> Result<String> {
    let key = new_encryption_key();
    std::fs::write(path, format!("{}\n", key.text.expose_secret()))?;
    Ok(key.id)
}

/// The same workspace, opened by a program with these keys.
pub(super) async fn with_keys(lab: &Lab, current: Option<PathBuf>, new: Option<PathBuf>) -> Result<Runtime> {
    opened(lab, lab.runtime.settings().vendors, current, new).await
}

pub(super) async fn opened(
    lab: &Lab,
    vendors: &'static Vendors,
    current: Option<PathBuf>,
    new: Option<PathBuf>,
) -> Result<Runtime> {
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let env = |name: &str| match name {
        "OUTCOME_RUNTIME_ENCRYPTION_KEY_FILE" => shown(&current),
        "OUTCOME_RUNTIME_NEW_ENCRYPTION_KEY_FILE" => shown(&new),
        _ => None,
    };
    let encryption_keys = KeyPlaces::of_env(&env);
    let settings = Settings { encryption_keys, vendors, ..lab.runtime.settings().clone() };
    Ok(Runtime::open_with_clock(settings, Arc::new(lab.clock.clone())).await?)
}

/// The laboratory with a key.
pub(super) async fn keyed(mut lab: Lab) -> Result<Lab> {
    let path = lab.root().join(KEY_FILE);
    new_key(&path)?;
    lab.runtime = with_keys(&lab, Some(path), None).await?;
    Ok(lab)
}

pub(super) async fn each_keyed(test: impl AsyncFn(Lab) -> Result<()>) -> Result<()> {
    each_lab(async |lab| test(keyed(lab).await?).await).await
}

/// Changes the outcome file.
pub(super) fn declare(lab: &Lab, from: &str, to: &str) -> Result<()> {
    let path = lab.root().join("outcome.yaml");
    let text = std::fs::read_to_string(&path)?;
    ensure!(text.contains(from), "the file has no {from}");
    Ok(std::fs::write(&path, text.replace(from, to))?)
}

/// What a subscriber wrote.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(super) fn text(&self) -> Result<String> {
        let bytes = self.0.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.clone();
        Ok(String::from_utf8(bytes)?)
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().map_err(|_| std::io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
