//! The keys that count, and what the log says about them.

use super::tampered::{payload, tampered};
use super::written::Writers;
use crate::audit::replay::WorkspaceCreated;
use crate::audit::{EventKind, KeyFold};
use crate::error::Result;
use crate::identity::Keyring;
use crate::principal::Principal;
use crate::store::Tx;
use crate::usecases::Runtime;

/// The keys that count, as the log says it. The root's fingerprint comes from the workspace's own file where there is one, and must agree
/// with the log's first line.
pub(in crate::usecases) async fn keyring(runtime: &Runtime, tx: &mut Tx) -> Result<Keyring> {
    let first = tx.event_page(0, 1).await?;
    let genesis: WorkspaceCreated = match first.first() {
        Some(entry) if entry.seq == 1 && entry.is(EventKind::WorkspaceCreated) => payload(entry)?,
        _ => return Err(tampered("the first line of the log is missing")),
    };
    if let Some(file) = runtime.settings.read_workspace_file()?
        && file.root_fingerprint != genesis.root_fingerprint
    {
        return Err(tampered("the log's root key differs from the key with which this workspace was created"));
    }
    let writers = Writers::of(tx).await?;
    let mut lines = Vec::new();
    for key in tx.key_list().await? {
        let mut of_key = tx.event_steps_of_subject(key.id.0, MAX_KEY_LINES).await?;
        of_key.reverse();
        writers.must_have_written(&of_key)?;
        lines.extend(of_key);
    }
    lines.sort_by_key(|line| line.seq);
    let mut keys = KeyFold::new(runtime.workspace.id, &genesis.root_fingerprint);
    for line in &lines {
        // What does not hold counts for nothing; `audit verify` names it.
        if let Err(reason) = keys.apply(line) {
            tracing::warn!("line {} of the log does not count: {reason}", line.seq);
        }
    }
    Ok(keys.ring().clone())
}

/// The same for what is only shown: where the log does not say which keys count, none does.
pub(in crate::usecases) async fn keyring_or_none(runtime: &Runtime, tx: &mut Tx) -> Keyring {
    keyring(runtime, tx).await.unwrap_or_else(|_| Keyring::build(runtime.workspace.id, "", []))
}

/// Most log lines about one key that are read.
const MAX_KEY_LINES: i64 = 1_000;

/// The e-mail of a human principal, where a certificate of before says it.
pub(super) fn email_of_before(keyring: &Keyring, by: &Principal) -> Option<String> {
    match by {
        Principal::Human { member, .. } => keyring.email_of_before(*member),
        Principal::Local { .. } | Principal::Agent { .. } | Principal::System { .. } => None,
    }
}
