//! The official Rust client, as other Rust programs would use it; the Python and TypeScript clients are in `tests/clients`.

use anyhow::Result;
use outcome_tests::lab::Lab;
use outcome_tests::mcp::lab_env;
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::TokioChildProcess;
use serde_json::Value;

use super::program;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_lists_and_calls_and_every_answer_is_an_object() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut command = tokio::process::Command::new(program());
    command.current_dir(lab.root()).envs(lab_env(&lab)?);
    let client = ().serve(TokioChildProcess::new(command)?).await?;
    let tools = client.list_all_tools().await?;
    assert_eq!(tools.len(), 8);
    for tool in &tools {
        let input = Value::Object((*tool.input_schema).clone());
        assert!(jsonschema::meta::is_valid(&input) && tool.output_schema.is_none(), "{}", tool.name);
        let result = client.call_tool(CallToolRequestParams::new(tool.name.clone())).await?;
        assert!(result.structured_content.is_some_and(|value| value.is_object()), "{}", tool.name);
    }
    client.cancel().await?;
    Ok(())
}
