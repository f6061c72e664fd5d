//! Change notices in both eras. The log is looked at every two seconds, and only while somebody listens.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outcome_core::Result;
use outcome_core::audit::SubjectKind;
use outcome_core::usecases::Runtime;
use rmcp::RoleServer;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::{Peer, SubscriptionContext};
use tokio_util::sync::CancellationToken;

use crate::courtesy::Courtesy;
use crate::lazy::LazyRuntime;
use crate::resources::Kind;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_secs(2);
/// Lines of the log that are looked at in one round.
const PAGE: i64 = 200;

/// What the clones of a server share.
pub(crate) struct Shared {
    pub(crate) workspace: LazyRuntime,
    pub(crate) courtesy: Courtesy,
    pub(crate) notices: Notices,
    /// Cancelled when the input ends.
    pub(crate) eof: CancellationToken,
}

/// The addresses to which the legacy client subscribed.
#[derive(Default)]
pub(crate) struct Notices(Mutex<Subscribed>);

#[derive(Default)]
struct Subscribed {
    uris: BTreeSet<String>,
    is_watched: bool,
}

/// Most addresses of one client.
const MAX_SUBSCRIBED: usize = 200;

impl Notices {
    /// Adds an address, and begins to look at the log with the first one.
    pub(crate) fn subscribe(shared: &Arc<Shared>, uri: String, peer: Peer<RoleServer>) {
        let mut subscribed = shared.notices.0.lock().unwrap_or_else(PoisonError::into_inner);
        if subscribed.uris.len() < MAX_SUBSCRIBED {
            subscribed.uris.insert(uri);
        }
        if !subscribed.is_watched {
            subscribed.is_watched = true;
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                tokio::select! {
                    () = shared.eof.cancelled() => {}
                    () = watch_legacy(&shared, &peer) => {}
                }
            });
        }
    }

    /// Takes an address away.
    pub(crate) fn unsubscribe(&self, uri: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).uris.remove(uri);
    }

    /// The addresses now; ends the watch when there are none.
    fn current(&self) -> BTreeSet<String> {
        let mut subscribed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if subscribed.uris.is_empty() {
            subscribed.is_watched = false;
        }
        subscribed.uris.clone()
    }
}

async fn watch_legacy(shared: &Shared, peer: &Peer<RoleServer>) {
    let mut watch = Watch::begin(&shared.workspace).await;
    loop {
        tokio::time::sleep(EVERY).await;
        let uris = shared.notices.current();
        if uris.is_empty() {
            return;
        }
        let Some(changes) = watch.look(&shared.workspace, &uris).await else { continue };
        for uri in changes.updated {
            if peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri)).await.is_err() {
                return;
            }
        }
        if changes.is_list_changed && peer.notify_resource_list_changed().await.is_err() {
            return;
        }
    }
}

/// Serves a modern subscription until it is cancelled or the input ends.
pub(crate) async fn listen(shared: &Shared, context: &SubscriptionContext) {
    let work = async {
        let accepted = context.accepted();
        let uris: BTreeSet<String> = accepted.resource_subscriptions.iter().flatten().cloned().collect();
        let wants_list = accepted.resources_list_changed == Some(true);
        if uris.is_empty() && !wants_list {
            return std::future::pending().await;
        }
        let mut watch = Watch::begin(&shared.workspace).await;
        loop {
            tokio::time::sleep(EVERY).await;
            let Some(changes) = watch.look(&shared.workspace, &uris).await else { continue };
            for uri in changes.updated {
                if context.sink().notify_resource_updated(uri).await.is_err() {
                    return;
                }
            }
            if wants_list && changes.is_list_changed && context.sink().notify_resource_list_changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = context.cancelled() => {}
        () = shared.eof.cancelled() => {}
        () = work => {}
    }
}

/// What changed since the last look.
#[derive(Default)]
struct Changes {
    updated: BTreeSet<String>,
    is_list_changed: bool,
}

/// A place in the log; `None` until the workspace could be opened.
struct Watch(Option<i64>);

impl Watch {
    async fn begin(workspace: &LazyRuntime) -> Self {
        Self(position(workspace).await.ok())
    }

    /// The changes since the last look; `None` when there are none, or the log cannot be read now.
    async fn look(&mut self, workspace: &LazyRuntime, uris: &BTreeSet<String>) -> Option<Changes> {
        let Some(after) = self.0 else {
            self.0 = position(workspace).await.ok();
            return None;
        };
        let runtime = &workspace.get().await.ok()?;
        let lines = runtime.audit_log().page(after, PAGE).await.ok()?;
        self.0 = Some(lines.last()?.seq);
        let mut changes = Changes::default();
        for line in &lines {
            let id = line.subject.id.to_string();
            match line.subject.kind {
                SubjectKind::Gate => {
                    changes.is_list_changed = true;
                    gate_changed(runtime, &id, &mut changes).await;
                }
                SubjectKind::Experiment => experiment_changed(runtime, &id, &mut changes).await,
                SubjectKind::Outcome => {
                    changes.is_list_changed = true;
                    let schemes = [Kind::Outcome, Kind::Chart].map(|kind| kind.uri(""));
                    let is_about = |uri: &&String| schemes.iter().any(|scheme| uri.starts_with(scheme));
                    changes.updated.extend(uris.iter().filter(is_about).cloned());
                }
                SubjectKind::Learning => {
                    changes.updated.insert(Kind::Learning.uri(&id));
                }
                SubjectKind::Workspace | SubjectKind::Writer | SubjectKind::Member | SubjectKind::Signal => {}
            }
        }
        changes.updated.retain(|uri| uris.contains(uri));
        Some(changes)
    }
}

async fn position(workspace: &LazyRuntime) -> Result<i64> {
    workspace.get().await?.audit_log().position().await
}

async fn gate_changed(runtime: &Runtime, id: &str, changes: &mut Changes) {
    let Ok(view) = runtime.gates().show(id).await else { return };
    changes.updated.insert(Kind::Gate.uri(&view.gate));
    changes.updated.extend(view.context.outcome.iter().map(|slug| Kind::Outcome.uri(slug.as_str())));
    changes.updated.extend(view.context.experiment.iter().map(|slug| Kind::Experiment.uri(slug.as_str())));
}

async fn experiment_changed(runtime: &Runtime, id: &str, changes: &mut Changes) {
    let Ok(view) = runtime.experiments().show(id).await else { return };
    changes.updated.insert(Kind::Experiment.uri(view.experiment.slug.as_str()));
    changes.updated.insert(Kind::Outcome.uri(&view.outcome));
    // A poll is logged with its experiment, and the chart shows its reading.
    changes.updated.insert(Kind::Chart.uri(&view.outcome));
}
