//! What every handler can reach.

use std::sync::Arc;
use std::time::Duration;

use outcome_core::usecases::Runtime;
use tokio_util::sync::CancellationToken;

use crate::auth::limiter::Limiter;
use crate::auth::site::Site;
use crate::counters::Metrics;
use crate::jobs::PollRecord;

/// The served workspace and what belongs to it. Cheap to clone.
///
/// Serving several workspaces means one `App` for each, chosen by a path prefix in the router; nothing else knows.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// The fields of [`App`].
pub struct Inner {
    /// The workspace.
    pub runtime: Runtime,
    /// Under which names the daemon is reached.
    pub site: Site,
    /// Wrong passphrases.
    pub limiter: Limiter,
    /// Counters.
    pub metrics: Metrics,
    /// The latest poll.
    pub polls: PollRecord,
    /// Time between two polls.
    pub tick: Duration,
    /// The handler of agents that speak MCP.
    pub mcp: outcome_mcp::Server,
    /// Cancelled when the daemon stops.
    pub stopping: CancellationToken,
}

impl App {
    /// An app for a workspace.
    #[must_use]
    pub fn new(runtime: Runtime, site: Site, tick: Duration) -> Self {
        let stopping = CancellationToken::new();
        let mcp = outcome_mcp::Server::of(runtime.clone(), stopping.clone());
        Self(Arc::new(Inner {
            runtime,
            site,
            limiter: Limiter::default(),
            metrics: Metrics::default(),
            polls: PollRecord::default(),
            tick,
            mcp,
            stopping,
        }))
    }
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
