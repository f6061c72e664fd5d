//! The root key that the outcome file of the default branch names, as the remote serves it.

use crate::config::parse_what_counts;
use crate::domain::{BranchSource, DefaultBranch};
use crate::usecases::Runtime;
use crate::usecases::kernel::workspace_file::repo;

/// A workspace whose root is another one than the committed file names was made anew, or is somebody else's. What cannot be read is
/// nothing: most files name no root.
pub(super) async fn compare_root(runtime: &Runtime, root: Option<&str>, problems: &mut Vec<String>) {
    let (Some(root), Some((branch, named))) = (root, committed_root(runtime).await) else { return };
    if root != named {
        let where_from = match branch.said_by {
            BranchSource::Remote => format!("branch `{}` of {}", branch.name, branch.remote.unwrap_or_default()),
            BranchSource::LastFetched | BranchSource::LocalBranch => {
                format!("branch `{}`, as this clone knows it", branch.name)
            }
        };
        problems.push(format!(
            "the outcome file of {where_from} names root key {named}, and this log's is {root}: the workspace was made anew, or is another"
        ));
    }
}

async fn committed_root(runtime: &Runtime) -> Option<(DefaultBranch, String)> {
    let repo = repo(runtime).await.ok()?;
    let branch = repo.default_branch().await.ok()?;
    let commit = repo.resolve(&branch.commit).await.ok()?;
    let text = repo.file_at(&commit, &runtime.settings.file.value).await.ok()??;
    let root = parse_what_counts(&text, "outcome.yaml", runtime.settings.vendors).config?.root?;
    Some((branch, root))
}
