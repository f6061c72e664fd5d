//! Where a path really leads.

use std::path::{Component, Path, PathBuf};

/// As many links as Linux follows before it gives up.
const MAX_HOPS: u8 = 40;
/// The longest path that a system opens.
const MAX_PATH: usize = 4096;

/// `path` with every link followed, also where its end does not exist yet.
pub fn resolved(path: &Path) -> PathBuf {
    if path.as_os_str().len() > MAX_PATH {
        return path.to_path_buf();
    }
    follow(path, MAX_HOPS)
}

fn follow(path: &Path, hops: u8) -> PathBuf {
    if let Ok(real) = std::fs::canonicalize(path) {
        return real;
    }
    let Some(parent) = path.parent() else { return path.to_path_buf() };
    match path.components().next_back() {
        Some(Component::Normal(name)) => match std::fs::read_link(path) {
            Ok(target) if hops > 0 => follow(&follow(parent, hops).join(target), hops.saturating_sub(1)),
            _ => follow(parent, hops).join(name),
        },
        Some(Component::ParentDir) => {
            let mut above = follow(parent, hops);
            above.pop();
            above
        }
        _ => path.to_path_buf(),
    }
}
