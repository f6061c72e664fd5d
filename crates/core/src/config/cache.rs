//! Parsed files, kept by their text: parsing costs a thousand times more than reading, and a file changes seldom.

use std::path::Path;
use std::sync::Arc;

use moka::future::Cache;
use sha2::{Digest, Sha256};

use super::locate::{ConfigError, read};
use super::vendor::Vendors;
use super::{Config, Diagnostic, Parsed, parse, parse_what_counts};

/// Texts that are kept: the one that counts, and a few for whoever edits.
const MAX_TEXTS: u64 = 4;

/// What a text is called that is kept elsewhere; no file has this path.
const APPLIED: &str = "applied configuration";

/// What a text said: a configuration, or the first error with its place.
pub type Cached = Result<Arc<Config>, String>;

/// Parsed files. The file is read at each use and parsed when its text is new, so that a change counts at once. Clones share
/// what they keep.
#[derive(Clone)]
pub struct ConfigCache(Cache<Key, Cached>);

/// The address of the vendors' table (a constant of the program) and the hash of path and text.
type Key = (usize, [u8; 32]);

impl Default for ConfigCache {
    fn default() -> Self {
        Self(Cache::new(MAX_TEXTS))
    }
}

impl ConfigCache {
    /// What a text says that is kept elsewhere.
    ///
    /// # Errors
    /// The first thing that is wrong in it.
    pub async fn of_text(&self, source: &str, vendors: &'static Vendors) -> Cached {
        self.parsed(source, APPLIED, vendors).await
    }

    /// The file's text, and what it says now.
    ///
    /// # Errors
    /// [`ConfigError`] when there is no text to parse; what is wrong in the text is in the answer.
    pub async fn load(&self, path: &Path, vendors: &'static Vendors) -> Result<(String, Cached), ConfigError> {
        let source = read(path)?;
        let parsed = self.parsed(&source, &path.display().to_string(), vendors).await;
        Ok((source, parsed))
    }

    async fn parsed(&self, source: &str, shown: &str, vendors: &'static Vendors) -> Cached {
        let mut hash = Sha256::new();
        hash.update(shown);
        hash.update([0]);
        hash.update(source);
        let key = (std::ptr::from_ref(vendors).addr(), hash.finalize().into());
        self.0.get_with(key, async { parsed(source, shown, vendors) }).await
    }
}

fn parsed(source: &str, shown: &str, vendors: &Vendors) -> Cached {
    let parsed: Parsed = match shown {
        APPLIED => parse_what_counts(source, shown, vendors),
        _ => parse(source, shown, vendors, None),
    };
    parsed.config.map(Arc::new).ok_or_else(|| {
        let first = parsed.diagnostics.iter().find(|diagnostic| Diagnostic::is_error(diagnostic));
        first.map(|d| format!("{}:{}:{}: {}", d.file, d.line, d.column, d.message)).unwrap_or_default()
    })
}
