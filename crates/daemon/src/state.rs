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
/// Each workspace has one. The pages and routes are those of the first; of those beside it, only the jobs run.
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
    /// Further workspaces, of which only the jobs run.
    pub beside: Vec<App>,
}

impl App {
    /// An app for a workspace.
    #[must_use]
    pub fn new(runtime: Runtime, site: Site, tick: Duration, beside: Vec<Self>) -> Self {
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
            beside,
        }))
    }

    /// This workspace and those beside it.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.beside)
    }
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}
