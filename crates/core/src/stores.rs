//! The stores of this account: every workspace has a folder below the user's data folder, named by the workspace's id. The repository
//! only points there, so that cleaning or cloning it loses nothing.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::WorkspaceId;

/// Name of the database's file in a store.
pub const DATABASE_FILE: &str = "outcome.db";
/// Name of the file with the identity of a workspace: in its store, and in the repository as the pointer to it.
pub const IDENTITY_FILE: &str = "workspace.json";

/// The identity of a workspace: which row of the database it is, and which root key it trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceFile {
    /// Its id.
    pub workspace: WorkspaceId,
    /// Fingerprint of the root key.
    pub root_fingerprint: String,
}

/// The folder with the stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stores(PathBuf);

impl Stores {
    /// In this folder, which need not be there yet.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The store of a workspace.
    #[must_use]
    pub fn folder_of(&self, workspace: WorkspaceId) -> PathBuf {
        self.0.join(workspace.to_string())
    }

    /// The database of a workspace.
    #[must_use]
    pub fn database_of(&self, workspace: WorkspaceId) -> PathBuf {
        self.folder_of(workspace).join(DATABASE_FILE)
    }

    /// The workspaces that trust this root key and whose database is here.
    #[must_use]
    pub fn with_root(&self, fingerprint: &str) -> Vec<WorkspaceFile> {
        let Ok(folders) = std::fs::read_dir(&self.0) else { return Vec::new() };
        let mut found: Vec<WorkspaceFile> = folders
            .filter_map(|folder| {
                serde_json::from_slice(&std::fs::read(folder.ok()?.path().join(IDENTITY_FILE)).ok()?).ok()
            })
            .filter(|known: &WorkspaceFile| known.root_fingerprint == fingerprint)
            .filter(|known| self.database_of(known.workspace).is_file())
            .collect();
        found.sort_by_key(|known| known.workspace.to_string());
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::ids::Ids;

    #[test]
    fn a_store_is_found_by_its_root_key_where_its_database_is() {
        let dir = tempfile::tempdir().unwrap();
        let stores = Stores::in_folder(dir.path().join("stores"));
        assert_eq!(stores.with_root("abc"), []);
        let ids = Ids::new(Arc::new(SystemClock));
        let [known, gone, other] = ["abc", "abc", "def"]
            .map(|root| WorkspaceFile { workspace: ids.next(), root_fingerprint: root.to_owned() });
        for file in [&known, &gone, &other] {
            let folder = stores.folder_of(file.workspace);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(IDENTITY_FILE), serde_json::to_string(file).unwrap()).unwrap();
        }
        for file in [&known, &other] {
            std::fs::write(stores.database_of(file.workspace), "").unwrap();
        }
        std::fs::create_dir_all(dir.path().join("stores/empty")).unwrap();
        std::fs::write(dir.path().join("stores/a file"), "").unwrap();
        assert_eq!(stores.with_root("abc"), [known]);
    }
}
