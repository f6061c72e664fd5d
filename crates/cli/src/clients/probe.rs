//! `doctor --client`: starts the server exactly as a client would, talks to it, and says what is wrong.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use outcome_core::error::error_chain;
use outcome_core::usecases::{Finding, FindingLevel};
use outcome_core::{Code, Error};
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, Command};

use super::files::{self, FileChange};
use super::interpolate::expanded;
use super::server::on_path;
use super::table::{Launch, Passes, Role};
use super::{Client, PROGRAM, Places, SERVER, Scope};

/// How long the server may take to answer; clients give up after 5 to 60 seconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// The `PATH` of a program that was started from a desktop and not from a shell.
const DESKTOP_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// What every program gets.
const LITTLE: [&str; 10] = ["HOME", "LOGNAME", "USER", "SHELL", "PATH", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ"];
/// Most that is shown of what the server wrote to stderr, in characters.
const MAX_STDERR: usize = 2000;

/// What a configuration starts.
struct Start {
    command: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    cwd: PathBuf,
}

/// Everything that was found, in the order in which a client would stumble over it.
pub async fn probe(client: Client, scope: Option<Scope>, places: &Places<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(entry) = configuration(client, scope, places, &mut found)
        && let Some(start) = understood(client, &entry, places, &mut found)
    {
        run(client, &start, &mut found).await;
    }
    beside(client, scope, places, &mut found);
    found
}

/// The server's entry, from the first configuration that has one.
fn configuration(client: Client, scope: Option<Scope>, places: &Places<'_>, found: &mut Vec<Finding>) -> Option<Value> {
    let scopes = scope.map_or_else(|| vec![Scope::Project, Scope::User], |scope| vec![scope]);
    let mut looked = Vec::new();
    for file in scopes.into_iter().flat_map(|scope| client.files(scope, places)) {
        if file.role != Role::Server {
            continue;
        }
        let path = file.path.display().to_string();
        match files::server_entry(&file) {
            Ok(Some(entry)) => {
                found.push(finding("configuration", FindingLevel::Ok, path, None));
                return Some(entry);
            }
            Ok(None) => looked.push(path),
            Err(error) => {
                found.push(problem("configuration", &error));
                return None;
            }
        }
    }
    let error = Error::new(Code::NotFound, format!("no server `{SERVER}` in {}", looked.join(" or ")))
        .hint(format!("outcome-runtime init --client {}", client.id()));
    found.push(problem("configuration", &error));
    None
}

/// The entry as the client reads it.
fn understood(client: Client, entry: &Value, places: &Places<'_>, found: &mut Vec<Finding>) -> Option<Start> {
    let Launch { in_project, reads, .. } = client.launch();
    let texts = |value: Option<&Value>| -> Vec<String> {
        value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let command = entry.get("command").or_else(|| entry.get("cmd"));
    let mut words = match command {
        Some(Value::String(one)) => vec![one.clone()],
        list => texts(list),
    };
    words.extend(texts(entry.get("args")));
    let mut left = Vec::new();
    let mut read = |text: &str| {
        let (text, is_left) = expanded(reads, text, places);
        if is_left {
            left.push(text.clone());
        }
        text
    };
    let mut words = words.iter().map(|word| read(word)).collect::<Vec<_>>().into_iter();
    let variables = ["env", "envs", "environment"].into_iter().filter_map(|key| entry.get(key)?.as_object()).flatten();
    let mut env: Vec<(String, String)> =
        variables.filter_map(|(key, value)| Some((key.clone(), read(value.as_str()?)))).collect();
    // Codex passes these on from its own environment.
    let named = texts(entry.get("env_vars"));
    env.extend(named.into_iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))));
    for text in left {
        let error = Error::new(Code::ClientFileInvalid, format!("`{text}` is passed on unchanged"))
            .hint(format!("{} does not expand this; write the value itself, or remove it", client.id()));
        found.push(problem("variables", &error));
    }
    let is_off = entry.get("enabled") == Some(&Value::Bool(false)) || entry.get("disabled") == Some(&Value::Bool(true));
    if is_off {
        let error = Error::new(Code::ClientFileInvalid, "the server is disabled there").hint("enable it in the client");
        found.push(problem("switch", &error));
    }
    let Some(command) = words.next() else {
        let error = Error::new(Code::ClientFileInvalid, "the entry has no command")
            .hint(format!("outcome-runtime init --client {}", client.id()));
        found.push(problem("command", &error));
        return None;
    };
    let own = entry.get("cwd").and_then(Value::as_str).map(|text| expanded(reads, text, places).0);
    let cwd = if in_project { places.root.clone() } else { places.home.clone() };
    let cwd = own.map_or(cwd.clone(), |own| cwd.join(own));
    Some(Start { command, args: words.collect(), env, cwd })
}

async fn run(client: Client, start: &Start, found: &mut Vec<Finding>) {
    let passed = environment(client, start);
    let path = passed.iter().rfind(|(key, _)| key == "PATH").map_or("", |(_, value)| value.as_str());
    let Some(program) = on_path(&start.command, path, &start.cwd) else {
        let missing = if start.command.contains('/') {
            Error::new(Code::NotFound, format!("{} does not exist or is not executable", start.command))
                .hint(format!("install {PROGRAM}, then: outcome-runtime init --client {}", client.id()))
        } else {
            Error::new(Code::NotFound, format!("`{}` is not on the PATH that the client passes: {path}", start.command))
                .hint(format!("move {PROGRAM} to one of these folders, or write its full path into the configuration"))
        };
        found.push(problem("program", &missing));
        return;
    };
    found.push(finding("program", FindingLevel::Ok, program.display().to_string(), None));

    let mut command = Command::new(&program);
    command.args(&start.args).current_dir(&start.cwd).env_clear().envs(passed).kill_on_drop(true);
    let spawned = TokioChildProcess::builder(command).stderr(Stdio::piped()).spawn();
    let (transport, stderr) = match spawned {
        Ok(spawned) => spawned,
        Err(cause) => {
            let error = Error::new(Code::Io, format!("{} cannot be started", program.display())).because(cause);
            found.push(problem(
                "start",
                &error.hint("check its permissions, and whether it was built for this machine"),
            ));
            return;
        }
    };
    // Read along, or a talkative server would block.
    let said = tokio::spawn(read_along(stderr));
    let talked = tokio::time::timeout(DEADLINE, talk(transport)).await;
    let failed = match talked {
        Ok(Ok(more)) => {
            found.extend(more);
            None
        }
        Ok(Err(cause)) => Some(cause),
        Err(_) => Some(format!("no answer within {} seconds", DEADLINE.as_secs())),
    };
    if let Some(cause) = failed {
        let said = tokio::time::timeout(Duration::from_secs(1), said).await;
        let said = said.ok().and_then(std::result::Result::ok).unwrap_or_default();
        let said =
            if said.trim().is_empty() { String::new() } else { format!("; it wrote to stderr: {}", said.trim()) };
        let error = Error::new(Code::Io, format!("the server did not answer: {cause}{said}")).hint(format!(
            "run it by hand in {}: {} --help",
            start.cwd.display(),
            program.display()
        ));
        found.push(problem("server", &error));
    }
}

/// What a client does first, and one call that needs the workspace.
async fn talk(transport: TokioChildProcess) -> std::result::Result<Vec<Finding>, String> {
    let info = ClientConfig::new(ClientCapabilities::default(), Implementation::new("outcome-runtime-doctor", "1"));
    let service: RunningService<RoleClient, ClientConfig> = info.serve(transport).await.map_err(|e| error_chain(&e))?;
    let version = service.peer_info().map(|info| info.protocol_version.to_string()).unwrap_or_default();
    let tools = service.list_all_tools().await.map_err(|e| error_chain(&e))?;
    let mut found =
        vec![finding("server", FindingLevel::Ok, format!("answers, protocol {version}, {} tools", tools.len()), None)];
    let answer =
        service.call_tool(CallToolRequestParams::new("get_active_outcomes")).await.map_err(|e| error_chain(&e))?;
    let value = answer.structured_content.unwrap_or_default();
    if answer.is_error == Some(true) {
        let text =
            |key: &str| value.pointer(&format!("/error/{key}")).and_then(Value::as_str).unwrap_or_default().to_owned();
        let hint = Some(text("hint")).filter(|hint| !hint.is_empty());
        found.push(finding("workspace", FindingLevel::Problem, text("message"), hint));
    } else {
        found.push(finding("workspace", FindingLevel::Ok, "the server found it".to_owned(), None));
    }
    let _ = service.cancel().await;
    Ok(found)
}

async fn read_along(stderr: Option<ChildStderr>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut kept = Vec::new();
    let mut chunk = [0_u8; 4096];
    while let Ok(n) = stderr.read(&mut chunk).await {
        if n == 0 {
            break;
        }
        if kept.len() < MAX_STDERR * 4 {
            kept.extend_from_slice(chunk.get(..n).unwrap_or_default());
        }
    }
    String::from_utf8_lossy(&kept).chars().take(MAX_STDERR).collect()
}

/// The environment of the server, the client's own variables last.
fn environment(client: Client, start: &Start) -> Vec<(String, String)> {
    let passes = client.launch().passes;
    let mut env: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(key, _)| match passes {
            Passes::Everything => true,
            Passes::Little | Passes::DesktopPath => LITTLE.contains(&key.as_str()),
        })
        .collect();
    if passes == Passes::DesktopPath && cfg!(unix) {
        env.retain(|(key, _)| key != "PATH");
        env.push(("PATH".to_owned(), DESKTOP_PATH.to_owned()));
    }
    env.extend(start.env.iter().cloned());
    env
}

/// Reports missing rules and guard.
fn beside(client: Client, scope: Option<Scope>, places: &Places<'_>, found: &mut Vec<Finding>) {
    let Ok(planned) = files::plan(&[client], scope, places, files::Act::Write) else { return };
    for file in planned.iter().flat_map(|planned| &planned.files) {
        let check = match file.role {
            Role::Server => continue,
            Role::Rules => "rules",
            Role::Guard => "guard",
        };
        let path = file.path.display();
        let hint = || Some(format!("outcome-runtime init --client {}", client.id()));
        found.push(match (file.change(), &file.new) {
            (FileChange::None, _) => finding(check, FindingLevel::Ok, path.to_string(), None),
            (_, Err(error)) => finding(check, FindingLevel::Warning, error_chain(error), hint()),
            _ => finding(
                check,
                FindingLevel::Warning,
                format!("{path} does not contain our section, or has an old version of it"),
                hint(),
            ),
        });
    }
    let has_guard = planned.iter().flat_map(|planned| &planned.files).any(|file| file.role == Role::Guard);
    let path = std::env::var("PATH").unwrap_or_default();
    if has_guard && on_path("outcome-runtime", &path, Path::new("/")).is_none() {
        found.push(finding(
            "guard",
            FindingLevel::Warning,
            "`outcome-runtime` is not on the PATH, so the hook cannot run".to_owned(),
            Some("add it to the PATH; without it, edits are checked only when the build is reported".to_owned()),
        ));
    }
}

fn finding(check: &str, level: FindingLevel, message: String, hint: Option<String>) -> Finding {
    Finding { check: check.to_owned(), level, message, hint }
}

fn problem(check: &str, error: &Error) -> Finding {
    finding(check, FindingLevel::Problem, error_chain(error), error.hint_text().map(ToOwned::to_owned))
}
