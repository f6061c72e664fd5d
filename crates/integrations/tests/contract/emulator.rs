//! Emulators of warehouses: programs of `PyPI` with a thin HTTP server of ours before them, one a test process. Their packages are
//! installed as `tests/clients/fetch` does; without Python a test says loudly that it was skipped, which in CI is a failure.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use outcome_tests::peers;

/// A running emulator. It ends when its standard input does, which is with this process.
pub(crate) struct Emulator {
    pub(crate) url: String,
    #[expect(dead_code, reason = "held for its standard input")]
    child: Child,
    #[expect(dead_code, reason = "held so that the folder lives")]
    folder: tempfile::TempDir,
}

/// Starts `tests/clients/CLIENT/server.py FOLDER`, which prints its port; `None`, said loudly, where it cannot run.
pub(crate) fn start(client: &str) -> Option<Emulator> {
    let started = try_start(client);
    started.map_err(|error| peers::skip(&format!("{client}: {error:#}"))).ok()
}

fn try_start(client: &str) -> anyhow::Result<Emulator> {
    let python = packages(client)?.join("bin/python");
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(python);
    command.arg(peers::sources(client).join("server.py")).arg(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line)?;
    let port: u16 = line.trim().parse().map_err(|_| anyhow::anyhow!("it did not start: {line}"))?;
    Ok(Emulator { url: format!("http://127.0.0.1:{port}"), child, folder })
}

/// The virtual environment of a client.
fn packages(client: &str) -> anyhow::Result<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("clients").join(client);
    std::fs::create_dir_all(&home)?;
    let lock = File::create(home.join("lock"))?;
    lock.lock()?;
    peers::run(Command::new(peers::sources("fetch")).args(["python", client]).arg(&home))?;
    Ok(home)
}

/// The statements with each run of inserts into one table as one.
pub(crate) fn batched(statements: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for statement in statements {
        match statement.split_once(" VALUES ") {
            Some((into, values)) if open.as_ref().is_some_and(|(known, n)| known == into && *n < 200) => {
                let last = out.last_mut().unwrap();
                last.push_str(", ");
                last.push_str(values);
                open = open.map(|(into, n)| (into, n + 1));
            }
            found => {
                open = found.map(|(into, _)| (into.to_owned(), 1));
                out.push(statement.clone());
            }
        }
    }
    out
}

/// The part of the outcome file on a page of `docs/connectors` is one that can be copied.
#[test]
fn what_the_pages_of_warehouses_show_is_valid() {
    for page in ["clickhouse", "bigquery", "snowflake"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/connectors/{page}.md"));
        let text = std::fs::read_to_string(path).unwrap();
        let yaml = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let parsed = outcome_core::config::parse(yaml, "outcome.yaml", &outcome_integrations::VENDORS, None);
        let config = parsed.config.unwrap_or_else(|| panic!("{page}: {:#?}", parsed.diagnostics));
        assert_eq!(config.connectors[0].kind, page);
    }
}
