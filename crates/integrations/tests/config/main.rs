//! The outcome file through its public door, with every vendor: golden files of what is wrong, and of what is right.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail loudly; clippy.toml only knows functions marked as tests"
)]

mod first_file;

use std::path::PathBuf;
use std::sync::Arc;

use outcome_core::config::vendor::Asked;
use outcome_core::config::{
    Config, ConfigCache, Diagnostic, Env, MAX_DIAGNOSTICS, MAX_FILE_BYTES, Parsed, TemplateOptions, render_all,
    template,
};
use outcome_integrations::VENDORS;

use pretty_assertions::assert_eq;

fn parse(source: &str, file_name: &str, env: Option<&dyn Env>) -> Parsed {
    outcome_core::config::parse(source, file_name, &VENDORS, env)
}

fn schema() -> serde_json::Value {
    outcome_core::config::schema(&VENDORS)
}

fn repo() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read_text(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
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
        assert_eq!(config.connectors[0].kind, "sql");
        assert_eq!(config.connectors[0].settings.references(), [options.url]);
    }
}

#[test]
fn a_quorum_that_counts_already_goes_on_and_is_said() {
    let source = read_text(&repo().join("tests/fixtures/config/invalid/quorum.yaml"));
    let parsed = outcome_core::config::parse_what_counts(&source, "applied", &VENDORS);
    let found: Vec<_> = parsed.diagnostics.iter().map(|found| (found.code, found.is_error())).collect();
    assert_eq!(found, [("config.quorum_unavailable", false)]);
    assert!(parsed.config.is_some());
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

fn rust_files(dir: &std::path::Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The codes that the sources of this module name.
fn codes() -> std::collections::BTreeSet<String> {
    let mut paths = Vec::new();
    rust_files(&repo().join("crates/core/src/config"), &mut paths);
    let texts: String = paths.iter().map(|path| read_text(path)).collect();
    let quoted = texts.split('"').filter(|text| text.starts_with("config.") && text.len() < 50);
    quoted.filter(|text| text[7..].bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).map(str::to_owned).collect()
}

#[test]
fn every_code_is_documented_and_has_a_file_that_shows_it() {
    let docs = read_text(&repo().join("docs/outcome-yaml.md"));
    let shown: String = files("invalid").iter().map(|path| read_text(&path.with_extension("txt"))).collect();
    let codes = codes();
    assert!(codes.len() > 40, "{codes:?}");
    for code in &codes {
        assert!(docs.contains(&format!("| `{code}` |")), "docs/outcome-yaml.md lacks {code}");
        // One needs a large file, the other a workspace.
        let needs_more = ["config.too_large", "config.unknown_member"].contains(&code.as_str());
        assert!(needs_more || shown.contains(&format!("[{code}]")), "no invalid file shows {code}");
    }
    for line in docs.lines().filter_map(|line| line.strip_prefix("| `config.")) {
        let code = format!("config.{}", line.split('`').next().unwrap());
        assert!(codes.contains(&code), "docs/outcome-yaml.md has {code}, which does not exist");
    }
}

#[test]
fn the_documentation_has_every_key_and_valid_examples() {
    let docs = read_text(&repo().join("docs/outcome-yaml.md"));
    collect_keys(&schema(), &mut |key, _| assert!(docs.contains(&format!("`{key}`")), "docs lack `{key}`"));
    let block = docs.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(render_all(&parse(block, "docs", None).diagnostics, false), "");
}

/// Each page of a source that is asked by name begins with a file that works, but for its first line.
#[test]
fn the_page_of_every_source_has_an_example_that_works() {
    for vendor in VENDORS.signals.iter().filter(|vendor| matches!(vendor.asked, Asked::ByName(_))) {
        let page = read_text(&repo().join(format!("docs/connectors/{}.md", vendor.kind.replace('_', "-"))));
        let block = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let parsed = parse(&format!("version: 1\n{block}"), vendor.kind, None);
        assert_eq!(render_all(&parsed.diagnostics, false), "", "{}", vendor.kind);
        let config = parsed.config.unwrap();
        assert!(config.connectors.iter().any(|connector| connector.kind == vendor.kind), "{}", vendor.kind);
    }
}

/// A file with `n` outcomes, each with all that is usual.
fn large(n: usize) -> String {
    let example = read_text(&repo().join("outcome.yaml.example"));
    let (head, rest) = example.split_once("  - id: checkout-abandonment-mobile").unwrap();
    let (body, tail) = rest.split_once("  - id: support-response-time").unwrap();
    let (_, tail) = tail.split_once("signal_connectors:").unwrap();
    let outcomes: String = (0..n).map(|i| format!("  - id: outcome-{i}{body}")).collect();
    format!("{head}{outcomes}\nsignal_connectors:{tail}")
}

#[test]
fn two_hundred_outcomes_are_read() {
    let parsed = parse(&large(200), "outcome.yaml", None);
    assert_eq!(render_all(&parsed.diagnostics, false), "");
    assert_eq!(parsed.config.unwrap().outcomes.len(), 200);
}

#[test]
#[ignore = "a measurement, for a release build: the bar is 100 ms"]
fn time_of_two_hundred_outcomes() {
    let text = large(200);
    let begin = std::time::Instant::now();
    let parsed = parse(&text, "outcome.yaml", None);
    println!("{} bytes: {:?}", text.len(), begin.elapsed());
    assert!(parsed.config.is_some());
}

#[test]
fn a_hundred_problems_are_the_most_that_are_shown() {
    let text = read_text(&repo().join("tests/fixtures/config/invalid/many.yaml"));
    let found = parse(&text, "many.yaml", None).diagnostics;
    assert_eq!(found.len(), MAX_DIAGNOSTICS);
    assert!(found.last().unwrap().help.as_ref().unwrap().contains("50 more problems are not shown"));
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let parsed = parse(&"#".repeat(MAX_FILE_BYTES + 1), "outcome.yaml", None);
    assert_eq!(parsed.diagnostics[0].code, "config.too_large");
    assert!(parsed.diagnostics[0].render(false).len() < 1000);
}

#[test]
fn a_file_full_of_mistakes_is_read_in_bounded_time() {
    let keys: String = (0..20_000).map(|i| format!("  - id: x{i}\n")).collect();
    let people: Vec<String> = (0..20_000).map(|i| format!("p{i}@x.io")).collect();
    for text in [
        format!("version: 1\noutcomes:\n{keys}"),
        format!("version: 1\noutcomes:\n - gates: {{launch_approval: {{escalation: [{}]}}}}", people.join(",")),
        format!("{{{}}}", (0..20_000).map(|i| format!("k{i}: 1")).collect::<Vec<_>>().join(",")),
    ] {
        let parsed = parse(&text, "outcome.yaml", None);
        assert!(parsed.config.is_none() && parsed.diagnostics.len() <= MAX_DIAGNOSTICS);
        assert!(render_all(&parsed.diagnostics, true).len() < 200_000);
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let plain = read_text(&repo().join("outcome.yaml.example"));
    let odd = format!("\u{feff}{}", plain.replace('\n', "\r\n"));
    let [plain, odd] = [plain, odd].map(|text| parse(&text, "outcome.yaml", None).config.unwrap());
    let titles = |config: &Config| config.outcomes.iter().map(|o| o.title.clone()).collect::<Vec<_>>();
    assert_eq!(titles(&plain), titles(&odd));
}

#[tokio::test]
async fn what_is_applied_goes_on_where_only_a_proposal_is_refused() {
    let text = read_text(&repo().join("tests/fixtures/config/invalid/query_of_all_experiments.yaml"));
    assert!(parse(&text, "outcome.yaml", None).config.is_none());
    let applied = ConfigCache::default().of_text(&text, &VENDORS).await.unwrap();
    assert_eq!(applied.outcomes.len(), 1);
}

#[test]
fn a_diagnostic_is_json_for_programs() {
    let found = parse("version: 2", "outcome.yaml", None).diagnostics;
    insta::assert_json_snapshot!(found, @r#"
    [
      {
        "severity": "error",
        "code": "config.version",
        "message": "this program does not read version 2 of the file",
        "file": "outcome.yaml",
        "line": 1,
        "column": 10,
        "excerpt": "version: 2",
        "labels": [
          {
            "line": 1,
            "column": 10,
            "length": 1,
            "excerpt": "version: 2",
            "text": ""
          }
        ],
        "valid": "1",
        "help": "install a newer outcome-runtime, or write the file in version 1 (docs/outcome-yaml.md)"
      }
    ]
    "#);
}

#[test]
fn colour_changes_nothing_but_colour() {
    let found = parse("version: 1\noutcomes: 3\n", "outcome.yaml", None).diagnostics;
    let coloured = found[0].render(true);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(plain, found[0].render(false));
}

proptest::proptest! {
    #[test]
    fn any_text_gives_a_config_or_errors(text in "\\PC{0,200}") {
        let parsed = parse(&text, "outcome.yaml", Some(&NoEnv));
        proptest::prop_assert_eq!(parsed.config.is_none(), parsed.diagnostics.iter().any(Diagnostic::is_error));
        let _ = render_all(&parsed.diagnostics, true);
    }

    /// Characters that mean something to YAML, and keys that mean something to us.
    #[test]
    fn any_yaml_like_text_gives_a_config_or_errors(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "version: 1", "outcomes:", "- ", "  ", "\n", ": ", "{", "}", "[", "]", "\"", "'", "|", ">", "&a ", "*a",
                "<<: ", "!!str ", "# ", "---\n", "signal:", "target:", "direction: ", "increase", "mde: ", "5%", "6w",
                "token: ", "${", "}", "\t", "\u{e9}", "\u{1f6d2}", "\r\n", ".nan", "-1", "? ", "%",
                "signal_connectors:", "config:", "url: ", "postgres://a:b@c", "id: x", "\u{feff}", "\0", "~",
            ]),
            0..60,
        ),
    ) {
        let text: String = parts.concat();
        let parsed = parse(&text, "outcome.yaml", Some(&NoEnv));
        proptest::prop_assert_eq!(parsed.config.is_none(), parsed.diagnostics.iter().any(Diagnostic::is_error));
        let _ = render_all(&parsed.diagnostics, true);
    }

    /// The example with some of it cut out or doubled.
    #[test]
    fn any_damage_to_the_example_gives_a_config_or_errors(from in 0usize..9000, length in 0usize..400, twice: bool) {
        let example: Vec<char> = read_text(&repo().join("outcome.yaml.example")).chars().collect();
        let (from, to) = (from.min(example.len()), (from + length).min(example.len()));
        let keep = if twice { to } else { from };
        let text: String = example[..keep].iter().chain(&example[if twice { from } else { to }..]).collect();
        let parsed = parse(&text, "outcome.yaml", None);
        proptest::prop_assert_eq!(parsed.config.is_none(), parsed.diagnostics.iter().any(Diagnostic::is_error));
    }
}

#[tokio::test]
async fn a_text_is_parsed_once_and_a_changed_file_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outcome.yaml");
    let cache = ConfigCache::default();
    let load = async || cache.load(&path, &VENDORS).await.unwrap();
    let example = read_text(&repo().join("outcome.yaml.example"));

    std::fs::write(&path, "outcomes: [").unwrap();
    assert!(load().await.1.unwrap_err().starts_with(&path.display().to_string()));
    std::fs::write(&path, &example).unwrap();
    let first = load().await.1.unwrap();
    assert!(Arc::ptr_eq(&first, &load().await.1.unwrap()), "the same text was parsed twice");
    std::fs::write(&path, format!("{example}\n# another text\n")).unwrap();
    assert!(!Arc::ptr_eq(&first, &load().await.1.unwrap()), "a changed text was not read");
}
