//! Every decision anchors the log: its end, signed with the key that decided, in a reference of git and in the account's own folder.
//!
//! Both are in this account. What is pushed, or given to somebody else, holds against it, too. **Invariant**: nothing fails because an
//! anchor could not be written.

use super::unlock::{Pen, Signer};
use super::workspace_file::repo;
use crate::audit::SignedAnchor;
use crate::error::{Code, Error, Result};
use crate::ids::WorkspaceId;
use crate::usecases::Runtime;

/// Where git keeps the anchors of a workspace.
pub(in crate::usecases) fn anchor_ref(workspace: WorkspaceId) -> String {
    format!("refs/outcome-runtime/anchors/{workspace}")
}

/// Anchors the present end of the log.
pub(in crate::usecases) async fn anchor_quietly(runtime: &Runtime, signer: &Signer) {
    if let Err(error) = anchor(runtime, signer).await {
        tracing::warn!(code = %error.code(), "The log was not anchored: {error}");
    }
}

async fn anchor(runtime: &Runtime, signer: &Signer) -> Result<()> {
    let (seq, head) = runtime.read().await?.log_head().await?;
    let workspace = runtime.workspace.id;
    let unwritable = |e| Error::new(Code::Internal, "the anchor cannot be written").because(e);
    let line = match &signer.pen {
        Pen::Secret(key) => {
            let signed = SignedAnchor::sign(workspace, seq, head, runtime.now(), key)
                .map_err(|e| Error::new(Code::Internal, e.to_string()))?;
            serde_json::to_string(&signed).map_err(unwritable)?
        }
        // Nobody touches a key twice: the decision itself names the line that it was signed on.
        Pen::Touch(touching) => match touching.used() {
            Some(decision) => serde_json::to_string(&decision).map_err(unwritable)?,
            None => return Ok(()),
        },
    };
    if let Some(seen) = runtime.settings.seen() {
        seen.keep_anchor(workspace, &line);
    }
    match repo(runtime).await {
        Ok(repo) => repo.append_line(&anchor_ref(workspace), &line).await.map_err(Error::from),
        // A workspace without a repository has one place less.
        Err(_) => Ok(()),
    }
}
