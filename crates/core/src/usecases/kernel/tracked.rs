//! A workspace that git tracks is used by no program: a clone brings it along, with a root, members and settings that somebody
//! else chose.

use crate::error::{Code, Error, Result};
use crate::scope::{Tracked, tracked};
use crate::settings::{FOLDER, Settings};

/// Refuses a workspace whose folder git tracks, before anything in it is read.
///
/// # Errors
/// [`Code::WorkspaceTracked`], with the way to end that.
pub(in crate::usecases) async fn must_not_be_tracked(settings: &Settings) -> Result<()> {
    let root = settings.real_root();
    // What a commit contains never changes, so git is asked once for each commit that is checked out.
    let seen = settings.seen();
    let known = seen.as_ref().and_then(|seen| seen.free_commit(&root));
    let looked = tracked(&root, FOLDER, known.as_deref()).await;
    let Some(found) = looked.found else {
        // Not before there is a workspace: an `init` that fails leaves nothing, here neither.
        let is_new = |commit: &String| settings.is_workspace() && known.as_ref() != Some(commit);
        if let Some((seen, commit)) = seen.zip(looked.free).filter(|(_, commit)| is_new(commit)) {
            seen.keep_free_commit(&root, &commit);
        }
        return Ok(());
    };
    let folder = root.join(FOLDER);
    let message = match found {
        Tracked::InIndex => {
            format!("git tracks {}, so a clone would bring another's workspace along", folder.display())
        }
        Tracked::InHead => format!("the commit that is checked out contains {}", folder.display()),
    };
    let end = match found {
        Tracked::InIndex => {
            format!("run `git rm -r --cached {FOLDER}` in {} and commit that (the files stay)", root.display())
        }
        Tracked::InHead => format!("commit that it is not tracked any more (`git commit` in {})", root.display()),
    };
    Err(Error::new(Code::WorkspaceTracked, message).hint(format!(
        "if this workspace was made here: {end}. If it came with the repository, its keys and its log are the sender's: remove \
         the folder {FOLDER} as well, and run `outcome-runtime init`"
    )))
}
