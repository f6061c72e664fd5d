//! The pages of the demonstration: the daemon that lies beside this program, until it is stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::beside::beside;

/// How long the daemon may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon of the demonstration.
pub struct Pages {
    child: tokio::process::Child,
    /// Where the pages are.
    pub url: String,
}

impl Pages {
    /// Starts the daemon that lies beside this program on a free port of this machine.
    pub async fn start(root: &Path, clock: &Path) -> Result<Self> {
        let file = root.join(".outcome/address");
        let mut child = beside("outcome-runtimed", clock)?
            .env("RUST_LOG", "error")
            .args(["--listen", "127.0.0.1:0", "--workspace"])
            .arg(root)
            .arg("--address-file")
            .arg(&file)
            .spawn()
            .context("the daemon cannot be started")?;
        let began = Instant::now();
        loop {
            if let Ok(address) = std::fs::read_to_string(&file) {
                let url = format!("http://{}", address.trim());
                return Ok(Self { child, url });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the daemon stopped ({status})");
            }
            if began.elapsed() > PATIENCE {
                bail!("the daemon did not begin to listen within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until somebody stops this program, or the daemon ends.
    pub async fn until_stopped(mut self) -> Result<()> {
        tokio::select! {
            done = tokio::signal::ctrl_c() => done?,
            done = self.child.wait() => { done?; }
        }
        let _ = self.child.kill().await;
        Ok(())
    }
}
