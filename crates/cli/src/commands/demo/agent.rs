//! The played coding agent: a real MCP client that talks to the real server, started as its child.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::Value;

use super::beside::beside;

/// The agent.
pub struct Agent {
    service: RunningService<RoleClient, ClientConfig>,
}

impl Agent {
    /// Starts the MCP server that lies beside this program, in `root`.
    pub async fn start(root: &Path, clock: &Path) -> Result<Self> {
        let mut command = beside("outcome-runtime-mcp", clock)?;
        command.current_dir(root);
        let transport = TokioChildProcess::new(command).context("the MCP server cannot be started")?;
        let info = ClientConfig::new(ClientCapabilities::default(), Implementation::new("played-agent", "1"));
        let service = info.serve(transport).await.context("the MCP server did not answer")?;
        Ok(Self { service })
    }

    /// Calls a tool; a tool's own error is an `Err` with its text.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> Result<Value> {
        let mut params = CallToolRequestParams::new(tool);
        params.arguments = arguments.as_object().cloned();
        let result = self.service.call_tool(params).await.with_context(|| format!("calling {tool}"))?;
        let value = result.structured_content.unwrap_or(Value::Null);
        if result.is_error == Some(true) {
            let message = value.pointer("/error/message").and_then(Value::as_str).unwrap_or("refused");
            bail!("{message}");
        }
        Ok(value)
    }

    /// Ends the server by closing its input.
    pub async fn stop(self) -> Result<()> {
        self.service.cancel().await.context("the MCP server did not stop")?;
        Ok(())
    }
}
