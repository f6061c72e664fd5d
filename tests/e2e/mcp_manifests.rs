//! The standards' own programs and schemas accept the manifests, and a packed bundle starts.
//!
//! Without npm or Python the tests say loudly that they were skipped; with `CI` set that is a failure.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use outcome_tests::lab::Lab;
use outcome_tests::mcp::{LEGACY, MODERN, McpClient, lab_env};
use outcome_tests::peers::{python, run, runs, skip};
use outcome_tests::programs::program;
use serde_json::{Value, json};

/// The packer of `cargo xtask bundle`.
const PACKER: &str = "@anthropic-ai/mcpb@2.1.2";
const SCHEMA_ID: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn json_at(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn packer(arguments: &[&Path], command: &str) -> Result<String> {
    run(Command::new("npx").args(["--yes", PACKER, command]).args(arguments))
}

/// The registry's schema of `server.json`, as released.
fn registry_schema() -> Result<Option<Value>> {
    let Some(home) = python("registry")? else { return Ok(None) };
    let found = "import skillsaw, pathlib; print(pathlib.Path(skillsaw.__file__).parent)";
    let package = run(Command::new(home.join("bin/python")).args(["-c", found]))?;
    let path = Path::new(package.trim()).join("schemas/mcp_registry/v2025_12_11/server.schema.json");
    let schema = json_at(&path)?;
    ensure!(schema["$id"] == SCHEMA_ID, "another schema: {}", schema["$id"]);
    Ok(Some(schema))
}

/// The linter knows the registry's rules for publishing, which go beyond the schema, and the shapes of plugins.
fn linted(folders: &[&Path]) -> Result<()> {
    let Some(home) = python("registry")? else { return Ok(()) };
    run(Command::new(home.join("bin/skillsaw")).arg("lint").args(folders))?;
    Ok(())
}

fn accepted(schema: &Value, server: &Value) -> Result<()> {
    let validator = jsonschema::validator_for(schema).map_err(|error| anyhow::anyhow!("{error}"))?;
    let problems: Vec<String> =
        validator.iter_errors(server).map(|error| format!("{}: {error}", error.instance_path())).collect();
    ensure!(problems.is_empty(), "{problems:#?}");
    Ok(())
}

#[test]
fn the_registry_accepts_server_json() -> Result<()> {
    let Some(schema) = registry_schema()? else { return Ok(()) };
    let server = json_at(&root().join("ide-configs/registry/server.json"))?;
    ensure!(server["$schema"] == SCHEMA_ID);
    accepted(&schema, &server)?;
    let kinds: Vec<&str> =
        server["packages"].as_array().unwrap().iter().filter_map(|p| p["registryType"].as_str()).collect();
    assert_eq!(kinds, ["cargo", "mcpb"]);
    // The schema is one that finds something.
    for (pointer, wrong) in
        [("/name", "no slash"), ("/description", &*"x".repeat(101)), ("/packages/0/version", "latest")]
    {
        let mut bad = server.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong.into();
        assert!(accepted(&schema, &bad).is_err(), "{pointer}");
    }
    Ok(())
}

#[test]
fn a_linter_accepts_the_plugins() -> Result<()> {
    let plugins = root().join("ide-configs/plugins");
    linted(&[&plugins.join("claude-code"), &plugins.join("cursor")])
}

#[test]
fn the_packer_accepts_the_manifest_of_the_bundle() -> Result<()> {
    if !runs("npx") {
        skip("the MCP bundle: there is no npx");
        return Ok(());
    }
    let said = packer(&[&root().join("ide-configs/mcpb/manifest.json")], "validate")?;
    assert!(said.contains("validation passes"), "{said}");
    Ok(())
}

/// What a client makes of the manifest's command: the unpacked folder and the user's answers filled in.
fn filled_in(value: &Value, folder: &Path, workspace: &str) -> Result<String> {
    let text = value.as_str().with_context(|| format!("no text: {value}"))?;
    Ok(text.replace("${__dirname}", &folder.display().to_string()).replace("${user_config.workspace}", workspace))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_bundle_starts() -> Result<()> {
    if !runs("npx") {
        skip("the MCP bundle: there is no npx");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let server = program("outcome-runtime-mcp")?;
    run(Command::new(program("xtask")?).arg("bundle").arg(&server).arg(dir.path()))?;
    let published = json_at(&dir.path().join("server.json"))?;
    let bundle = published["packages"].as_array().unwrap().iter().find(|p| p["registryType"] == "mcpb").unwrap();
    let name = bundle["identifier"].as_str().unwrap().rsplit('/').next().unwrap();
    let packed = dir.path().join(name);
    assert_eq!(bundle["fileSha256"], hex::encode(<sha2::Sha256 as sha2::Digest>::digest(std::fs::read(&packed)?)));
    if let Some(schema) = registry_schema()? {
        accepted(&schema, &published)?;
        linted(&[dir.path()])?;
    }

    let unpacked = dir.path().join("unpacked");
    packer(&[&packed, &unpacked], "unpack")?;
    let manifest = json_at(&unpacked.join("manifest.json"))?;
    let config = &manifest["server"]["mcp_config"];
    let lab = Lab::sqlite().await?;
    let workspace = lab.root().display().to_string();
    let command = PathBuf::from(filled_in(&config["command"], &unpacked, &workspace)?);
    let own = config["env"].as_object().unwrap();
    let mut env = lab_env(&lab)?;
    for name in ["OR_WORKSPACE", "OUTCOME_RUNTIME_DATABASE_URL"] {
        env.push((name, filled_in(&own[name], &unpacked, &workspace)?));
    }
    assert_eq!(own.len(), 2, "{own:?}");
    // Such clients start servers anywhere, and leave what was not answered as it is.
    for version in [LEGACY, MODERN] {
        let mut client = McpClient::start(&command, Path::new("/"), &env, version, json!({})).await?;
        let listed = client.request("tools/list", json!({})).await?.map_err(|error| anyhow::anyhow!("{error}"))?;
        assert_eq!(names(&listed["tools"]), names(&manifest["tools"]));
        assert!(!names(&manifest["tools"]).is_empty());
        client.ok("get_active_outcomes", json!({})).await?;
        client.close().await?;
    }
    Ok(())
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect()
}
