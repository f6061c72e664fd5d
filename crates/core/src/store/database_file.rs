//! The file of an embedded database: whether it is still the one that was opened.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::address::Address;

/// A file and which one it was.
#[derive(Debug, Clone)]
pub struct DatabaseFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// Where the file of an opened database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where it was.
    Same,
    /// Another file has its place.
    Replaced,
    /// Nowhere: it was moved or removed.
    Gone,
}

impl DatabaseFile {
    /// The file of the database at `address`; `None` for a server's, or where there is no such file.
    #[must_use]
    pub fn of(address: &Address) -> Option<Self> {
        let path = address.path()?.to_path_buf();
        let found = std::fs::metadata(&path).ok()?;
        Some(Self { path, device: found.dev(), inode: found.ino() })
    }

    /// Where it is now.
    #[must_use]
    pub fn place(&self) -> Place {
        match std::fs::metadata(&self.path) {
            Err(_) => Place::Gone,
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => Place::Same,
            Ok(_) => Place::Replaced,
        }
    }
}
