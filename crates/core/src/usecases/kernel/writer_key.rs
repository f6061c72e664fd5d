//! The key with which this account signs the lines that it writes, kept in a file that only the account can read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::audit::Writer;
use crate::ids::Ids;
use crate::seen::make_folder;
use crate::settings::Settings;

const FILE: &str = "writer.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    secret: Zeroizing<String>,
    account: String,
    host: String,
}

impl Kept {
    fn new(ids: &Ids) -> Self {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(ids.bytes());
        let name = |name: Option<String>| name.unwrap_or_else(|| "unknown".to_owned());
        Self {
            secret: Zeroizing::new(hex::encode(*bytes)),
            account: name(whoami::username().ok()),
            host: name(whoami::hostname().ok()),
        }
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&Zeroizing::new(std::fs::read_to_string(path).ok()?)).ok()
    }

    fn writer(&self) -> Option<Writer> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(self.secret.as_bytes(), &mut *bytes).ok()?;
        Some(Writer::new(SigningKey::from_bytes(&bytes), &self.account, &self.host))
    }

    /// Writes it where there is none yet: of two programs that make one, the second takes the first's.
    fn keep(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        make_folder(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&file, self)?;
        file.persist_noclobber(path)?;
        Ok(())
    }
}

/// The writer that this account is. Its key is made at the first use: in the account's own folder, or in the workspace's where that one
/// cannot be written; where neither can, for this process alone.
pub(in crate::usecases) fn writer(settings: &Settings, ids: &Ids) -> Option<Arc<Writer>> {
    let own = settings.state_folder.iter().map(|folder| folder.join(FILE));
    let kept = own.chain([file_in(settings)]).find_map(|path| kept_in(&path, ids));
    kept.unwrap_or_else(|| Kept::new(ids)).writer().map(Arc::new)
}

/// The file in the workspace's folder, for accounts without a folder of their own.
pub(in crate::usecases) fn file_in(settings: &Settings) -> PathBuf {
    settings.folder().join(FILE)
}

/// What the file holds, after it was made where it was not there; `None` where that fails.
fn kept_in(path: &Path, ids: &Ids) -> Option<Kept> {
    if let Some(kept) = Kept::read(path) {
        return Some(kept);
    }
    let new = Kept::new(ids);
    match new.keep(path) {
        Ok(()) => Some(new),
        // Another program made one meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Kept::read(path),
        Err(error) => {
            tracing::debug!("{} could not be written: {error}", path.display());
            None
        }
    }
}
