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
async fn the_official_client_lists_and_calls_and_every_answer_has_its_declared_shape() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut command = tokio::process::Command::new(program());
    command.current_dir(lab.root()).envs(lab_env(&lab)?);
    let client = ().serve(TokioChildProcess::new(command)?).await?;
    let tools = client.list_all_tools().await?;
    assert_eq!(tools.len(), 8);
    for tool in &tools {
        let input = Value::Object((*tool.input_schema).clone());
        let output = Value::Object((**tool.output_schema.as_ref().unwrap()).clone());
        assert!(jsonschema::meta::is_valid(&input) && jsonschema::meta::is_valid(&output), "{}", tool.name);
        let result = client.call_tool(CallToolRequestParams::new(tool.name.clone())).await?;
        let value = result.structured_content.unwrap();
        assert!(jsonschema::is_valid(&output, &value), "{}: {value}", tool.name);
    }
    client.cancel().await?;
    Ok(())
}
