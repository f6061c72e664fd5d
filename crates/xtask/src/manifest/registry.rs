//! `server.json` of the MCP registry, schema 2025-12-11.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::facts::{DESCRIPTION, PROGRAM, REPOSITORY, TITLE, text};
use super::server::Answers;

pub const PATH: &str = "ide-configs/registry/server.json";
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";

/// The server's name: the repository's owner in reverse DNS, as the registry's sign-in through GitHub demands.
pub fn name() -> Result<String> {
    let path = REPOSITORY.strip_prefix("https://github.com/").context("the repository is not on GitHub")?;
    let (owner, repository) = path.split_once('/').context("the repository's address has no owner")?;
    Ok(format!("io.github.{owner}/{repository}"))
}

/// Where a release keeps its bundle for this platform.
pub fn bundle_url(version: &str, file: &str) -> String {
    format!("{REPOSITORY}/releases/download/v{version}/{file}")
}

/// The file as it is committed. The hash of a bundle is not known before it is packed: see [`with_bundle`].
pub fn server(answers: &Answers) -> Result<Value> {
    let version = answers.version()?;
    let variables = answers.settings().map(environment).collect::<Result<Vec<_>>>()?;
    let package = |kind: &str, identifier: String| {
        json!({
            "registryType": kind,
            "identifier": identifier,
            "transport": { "type": "stdio" },
            "environmentVariables": variables,
        })
    };
    let mut cargo = package("cargo", PROGRAM.to_owned());
    if let Some(map) = cargo.as_object_mut() {
        map.insert("version".to_owned(), version.into());
    }
    let bundle = package("mcpb", bundle_url(version, &super::mcpb::file_name(version, super::mcpb::RELEASED)));
    Ok(json!({
        "$schema": SCHEMA,
        "name": name()?,
        "title": TITLE,
        "description": DESCRIPTION,
        "version": version,
        "repository": { "url": REPOSITORY, "source": "github" },
        "packages": [cargo, bundle],
    }))
}

fn environment(variable: &Value) -> Result<Value> {
    let mut out = json!({
        "name": text(variable, "/name")?,
        "description": text(variable, "/meaning")?,
        "format": text(variable, "/format")?,
        "isRequired": false,
        "isSecret": variable.get("is_secret").context("a variable without is_secret")?,
    });
    if let (Some(map), Some(default)) = (out.as_object_mut(), variable.get("default")) {
        map.insert("default".to_owned(), default.clone());
    }
    Ok(out)
}

/// The file to publish: with the address and the hash of a bundle that was packed.
pub fn with_bundle(mut server: Value, version: &str, file: &str, sha256: &str) -> Result<Value> {
    let packages = server.get_mut("packages").and_then(Value::as_array_mut).context("no packages")?;
    let is_bundle = |package: &&mut Value| package.get("registryType").and_then(Value::as_str) == Some("mcpb");
    let bundle = packages.iter_mut().find(is_bundle).and_then(Value::as_object_mut).context("no mcpb package")?;
    bundle.insert("identifier".to_owned(), bundle_url(version, file).into());
    bundle.insert("fileSha256".to_owned(), sha256.into());
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registry proves the owner of a crate by this line in the page that crates.io shows.
    #[test]
    fn the_crates_page_names_the_server() {
        let page = std::fs::read_to_string(crate::root().join("crates/mcp/README.md")).unwrap();
        assert!(page.lines().any(|line| line == format!("mcp-name: {}", name().unwrap())), "{page}");
    }

    #[test]
    fn the_description_fits_the_registry() {
        assert!((1..=100).contains(&DESCRIPTION.chars().count()), "{}", DESCRIPTION.len());
    }
}
