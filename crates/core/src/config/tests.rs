use super::*;
use std::path::PathBuf;

use pretty_assertions::assert_eq;

fn repo() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read_text(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default().replace("\r\n", "\n")
}

/// Compares with a committed file, or rewrites it when `UPDATE=1`.
fn golden(path: &std::path::Path, got: &str) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, got).unwrap();
    }
    assert_eq!(got, read_text(path), "{} differs; `UPDATE=1 cargo test` rewrites it", path.display());
}

/// JSON whose keys are sorted, whatever the features of `serde_json` say.
fn sorted(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            sorted.into_iter().map(|(key, value)| (key.clone(), self::sorted(value))).collect()
        }
        serde_json::Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn golden_json(path: &std::path::Path, got: &serde_json::Value) {
    golden(path, &format!("{}\n", serde_json::to_string_pretty(&sorted(got)).unwrap()));
}

fn files(dir: &str) -> Vec<PathBuf> {
    let dir = repo().join("tests/fixtures/config").join(dir);
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    files.sort();
    files
}

#[test]
fn the_example_is_valid() {
    let source = read_text(&repo().join("outcome.yaml.example"));
    let parsed = parse(&source, "outcome.yaml.example", None);
    assert_eq!(render_all(&parsed.diagnostics, false), "");
    assert_eq!(parsed.config.unwrap().outcomes.len(), 2);
}

#[test]
fn the_example_has_every_key() {
    let example = read_text(&repo().join("outcome.yaml.example"));
    let mut missing = Vec::new();
    collect_keys(&schema(), &mut |key, is_old| {
        if !is_old && !example.contains(&format!("{key}:")) {
            missing.push(key.to_owned());
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

fn collect_keys(schema: &serde_json::Value, found: &mut impl FnMut(&str, bool)) {
    match schema {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                if key == "properties" {
                    for (name, property) in value.as_object().into_iter().flatten() {
                        found(name, property.get("deprecated").is_some());
                    }
                }
                collect_keys(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_published_schema_is_the_one_of_the_types() {
    golden_json(&repo().join("docs/outcome.schema.json"), &schema());
}

#[test]
fn the_schema_accepts_the_example_and_every_valid_file() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for path in files("valid").into_iter().chain([repo().join("outcome.yaml.example")]) {
        let value: serde_json::Value = serde_yaml::from_str(&read_text(&path)).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn every_template_is_valid() {
    let sqlite = TemplateOptions {
        outcome: "short-checkout".parse().unwrap(),
        owner: Some("sam@example.com".to_owned()),
        url: "sqlite:app \"1\".db".to_owned(),
    };
    for options in [TemplateOptions::default(), sqlite] {
        let text = template(&options);
        let parsed = parse(&text, "outcome.yaml", None);
        assert_eq!(render_all(&parsed.diagnostics, false), "");
        let config = parsed.config.unwrap();
        assert_eq!(config.outcomes[0].slug, options.outcome);
        assert_eq!(config.outcomes[0].owner, options.owner);
        assert_eq!(config.connectors[0].kind, ConnectorKind::Sql(SqlConfig::new(options.url)));
    }
}

struct NoEnv;
impl Env for NoEnv {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SDK_KEY_VARIABLE").then(|| "sdk-not-shown".to_owned())
    }
    fn file(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Files whose name begins with `env_` are checked against an environment.
#[test]
fn invalid_files_say_what_is_wrong() {
    let mut n = 0;
    for path in files("invalid") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let env: Option<&dyn Env> = if name.starts_with("env_") { Some(&NoEnv) } else { None };
        let parsed = parse(&read_text(&path), &name, env);
        let text = render_all(&parsed.diagnostics, false);
        golden(&path.with_extension("txt"), &text);
        let is_warning = name.starts_with("warn_");
        assert_eq!(parsed.config.is_some(), is_warning, "{name}");
        assert!(!parsed.diagnostics.is_empty(), "{name}");
        for d in &parsed.diagnostics {
            let has_place = d.line > 0 && d.column > 0 && !d.labels.is_empty();
            assert!(has_place && d.valid.is_some() && d.help.is_some(), "{name}: incomplete: {d:?}");
        }
        assert!(!text.contains("hunter2") && !text.contains("not-shown"), "{name}: a secret is shown:\n{text}");
        n += 1;
    }
    assert!(n >= 40, "{n} files");
}

#[test]
fn valid_files_give_what_they_say() {
    for path in files("valid") {
        let parsed = parse(&read_text(&path), "outcome.yaml", None);
        assert_eq!(render_all(&parsed.diagnostics, false), "", "{}", path.display());
        let json = serde_json::to_value(parsed.config.unwrap()).unwrap();
        golden_json(&path.with_extension("json"), &json);
    }
}
