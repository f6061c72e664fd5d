//! `init`: a workspace, its first member, and a file to begin with.

use std::path::{Path, PathBuf};

use outcome_core::config::{TemplateOptions, template};
use outcome_core::scope::user_setting;
use outcome_core::settings::{Settings, process_env};
use outcome_core::usecases::{InitRequest, Initialised, Unlock, Workspaces, check_email};
use outcome_core::{Code, Error, Result};
use serde::Serialize;

use super::init_clients::{self, ClientDone};
use super::init_file::{self, FileDone};
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::Page;

/// The variable that the first outcome.yaml refers to when the address of the source is a secret or not known.
const SOURCE_VARIABLE: &str = "APP_DATABASE_URL";

/// Runs it.
pub async fn run(cx: &Cx, args: args::Init) -> Result<Exit> {
    let root = cx.root_of_new();
    let settings = Settings::for_root(&root, &cx.overrides, &process_env)?;
    if args.link {
        let runtime = Workspaces::link(settings).await?;
        let done =
            Linked { workspace: runtime.workspace().slug.clone(), database: runtime.settings().database_shown() };
        cx.out.result(&done, |page| linked(page, &done))?;
        return Ok(Exit::OK);
    }
    if !args.clients.client.is_empty() {
        // Also from a folder of a workspace that does not begin at the repository's root.
        let here = cx.settings().ok().filter(Settings::is_workspace);
        let settings = here.unwrap_or(settings);
        let root = settings.root.value.clone();
        return with_clients(cx, args, &root, settings).await;
    }
    let (done, found) = set_up(cx, args, &root, &settings).await?;
    let result = SetUp { workspace: &done, file: found.file.as_ref() };
    cx.out.result(&result, |page| after(page, &done, &found, &settings))?;
    Ok(Exit::OK)
}

#[derive(Debug, Serialize)]
struct Linked {
    /// Name of the workspace that the folder belongs to now.
    workspace: String,
    /// Where its data is.
    database: String,
}

fn linked(page: &mut Page, done: &Linked) {
    let title = page.bold(&format!("This folder belongs to workspace `{}`", crate::output::safe(&done.workspace)));
    page.line(&title);
    page.field("database", &done.database);
}

#[derive(Debug, Serialize)]
struct SetUp<'a> {
    #[serde(flatten)]
    workspace: &'a Initialised,
    /// What came of the outcome file, where there was one.
    file: Option<&'a FileDone>,
}

/// Sets up what is missing of the workspace, and the clients.
async fn with_clients(cx: &Cx, args: args::Init, root: &Path, settings: Settings) -> Result<Exit> {
    // All of it before the first question: nothing is left half done because of a mistyped flag.
    init_clients::require_consent(cx, &args.clients)?;
    let planned = init_clients::planned(root, &args.clients)?;
    let clients = args.clients.clone();
    let workspace =
        if clients.print || settings.is_workspace() { None } else { Some(set_up(cx, args, root, &settings).await?) };
    let done = init_clients::write(cx, root, &planned, &clients)?;
    let workspace_done = workspace.as_ref().map(|(done, found)| SetUp { workspace: done, file: found.file.as_ref() });
    let result = WithClients { workspace: workspace_done, clients: &done };
    cx.out.result(&result, |page| {
        if !clients.print {
            init_clients::after(page, &done);
        }
        if let Some((done, found)) = &workspace {
            after(page, done, found, &settings);
        }
    })?;
    Ok(init_clients::exit(&done))
}

#[derive(Debug, Serialize)]
struct WithClients<'a> {
    /// Absent where a workspace was there already.
    workspace: Option<SetUp<'a>>,
    clients: &'a [ClientDone],
}

/// What the end of setting up says beside the result itself.
struct Found {
    source: Source,
    had_file: bool,
    file: Option<FileDone>,
    outcome: String,
    has_clients: bool,
}

async fn set_up(cx: &Cx, args: args::Init, root: &Path, settings: &Settings) -> Result<(Initialised, Found)> {
    // Said before anything is asked.
    Workspaces::must_be_new(settings, args.anew).await?;
    let source = match args.source {
        Some(source) => Source::given(&source, &cx.cwd, root)?,
        None => Source::detect(root),
    };
    let had_file = settings.file.value.exists();
    if !cx.out.is_json {
        cx.out.show(|page| {
            before(page, settings, root);
            if !args.no_apply {
                init_file::before(page, settings);
            }
        })?;
    }
    let email = match args.email {
        Some(email) => check_email(&email).map(|()| email)?,
        None => {
            let known = user_setting(root, "user.email").await;
            let check = |text: &str| check_email(text).map(|()| text.to_owned());
            cx.terminal.checked(("Your e-mail:", known.as_deref(), "--email"), check)?
        }
    };
    let name = match args.name {
        Some(name) => name,
        None => {
            let default =
                user_setting(root, "user.name").await.unwrap_or_else(|| email.split('@').next().unwrap_or("").into());
            cx.terminal.text("Your name:", Some(&default), "--name")?
        }
    };
    let folder = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let passphrase = cx.terminal.new_passphrase(&args.unlock, &[&email, &name, &folder])?;
    let options = TemplateOptions { url: source.url.clone(), ..TemplateOptions::default() };
    let outcome_file = (!args.no_outcome_file).then(|| template(&options));
    let outcome = options.outcome.to_string();
    let unlock = Unlock::Passphrase(passphrase.clone());
    let request = InitRequest { email, name, passphrase, outcome_file, may_replace: args.anew };
    let (runtime, done) = Workspaces::init(settings.clone(), request).await?;
    if !had_file && !args.no_outcome_file {
        init_file::name_root(&settings.file.value, &done.key_fingerprint)?;
    }
    let file =
        if had_file && !args.no_apply { Some(init_file::apply_and_activate(&runtime, &unlock).await) } else { None };
    Ok((done, Found { source, had_file, file, outcome, has_clients: !args.clients.client.is_empty() }))
}

fn before(page: &mut Page, settings: &Settings, root: &Path) {
    page.line(&format!("Setting up {}", page.bold(&crate::output::safe(&root.display().to_string()))));
    if !root.join(".git").exists() {
        let remark =
            page.yellow("This is not the root of a git repository. Scope checks and builds need one (`git init`).");
        page.line(&remark);
    }
    let remarks = if settings.database.from.starts_with("environment") {
        vec![format!(
            "The runtime's own tables go to {} (from the {}); unset it to use a file of your account.",
            settings.database_shown(),
            settings.database.from
        )]
    } else if settings.application_database.is_some() && settings.has_default_database() {
        vec![
            "DATABASE_URL is your application's: nothing is written there. To use a server".to_owned(),
            "for the runtime's own tables, give --database or OUTCOME_RUNTIME_DATABASE_URL.".to_owned(),
        ]
    } else {
        Vec::new()
    };
    for remark in remarks {
        let remark = page.yellow(&crate::output::safe(&remark));
        page.line(&remark);
    }
}

fn after(page: &mut Page, done: &Initialised, found: &Found, settings: &Settings) {
    let Found { source, had_file, file: applied, outcome, has_clients } = found;
    page.line("");
    let title = page.bold(&format!("Workspace `{}` is ready", crate::output::safe(&done.workspace)));
    page.line(&title);
    page.field("member", &done.member);
    page.field("key", &format!("{}  (fingerprint: write it down)", done.key_fingerprint));
    super::key::recovery_code(page, done.recovery_code.reveal());
    page.field("database", &done.database);
    let root = format!("{}/", settings.root.value.display());
    for path in &done.created {
        page.field("created", path.strip_prefix(&root).unwrap_or(path));
    }
    let file = settings.file.value.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if *had_file {
        page.field("kept", &format!("{file} already existed and was not changed"));
    }
    if let Some(found) = &source.found {
        page.field("source", found);
    }
    if let Some(applied) = applied {
        init_file::after(page, applied);
    }
    page.head("Next");
    let mut steps = Vec::new();
    if !had_file {
        steps.push(format!("edit {file}: state which metric should move, from where to where, and by when"));
    }
    if source.url.contains(SOURCE_VARIABLE) && !had_file {
        steps
            .push(format!("export {SOURCE_VARIABLE}=postgres://...   (the database to measure; use a read-only user)"));
    }
    let is_left = applied.as_ref().is_none_or(|applied| !applied.left.is_empty());
    if is_left {
        steps.push("outcome-runtime validate && outcome-runtime apply".to_owned());
        steps.push(format!("outcome-runtime activate {}", if *had_file { "OUTCOME" } else { outcome.as_str() }));
    }
    if !has_clients {
        steps.push(
            "give your agent access: outcome-runtime init --client claude-code (or codex, cursor, ...)".to_owned(),
        );
    }
    for (i, step) in steps.iter().enumerate() {
        page.line(&format!("  {}. {}", i + 1, crate::output::safe(step)));
    }
}

/// The database to measure, as the first file names it.
struct Source {
    url: String,
    found: Option<String>,
}

impl Source {
    fn given(text: &str, cwd: &Path, root: &Path) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = cwd.join(path.trim_start_matches("//"));
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            return Ok(Self { url: format!("sqlite:{shown}"), found: None });
        }
        let is_server =
            ["postgres://", "postgresql://", "mysql://", "mariadb://"].iter().any(|scheme| text.starts_with(scheme));
        if text.starts_with("${") {
            return Ok(Self { url: text.to_owned(), found: None });
        }
        let url = url::Url::parse(text).ok().filter(|_| is_server).ok_or_else(|| {
            Error::new(Code::InvalidInput, "--source is not a database address")
                .hint("give sqlite:PATH, postgres://USER@HOST/DB, mysql://USER@HOST/DB, or ${VARIABLE}")
        })?;
        if url.password().is_some() {
            // A secret is referred to, never written into the file.
            return Ok(Self {
                url: format!("${{{SOURCE_VARIABLE}}}"),
                found: Some(format!(
                    "the address contains a password, so the file refers to {SOURCE_VARIABLE} instead"
                )),
            });
        }
        Ok(Self { url: text.to_owned(), found: None })
    }

    /// A database file in the usual places, or a hint at a server.
    fn detect(root: &Path) -> Self {
        let folders = ["", "db", "data", "prisma", "instance", "storage"];
        let found = folders.iter().flat_map(|folder| database_files(&root.join(folder))).min();
        if let Some(path) = found {
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            return Self {
                found: Some(format!("found {shown}; outcome.yaml uses it as the source")),
                url: format!("sqlite:{shown}"),
            };
        }
        let hints = [".env", ".env.example", "docker-compose.yml", "docker-compose.yaml", "compose.yaml"];
        let is_postgres = hints
            .iter()
            .filter_map(|name| std::fs::read_to_string(root.join(name)).ok())
            .any(|text| text.contains("postgres"));
        Self {
            url: format!("${{{SOURCE_VARIABLE}}}"),
            found: is_postgres.then(|| format!("this project uses PostgreSQL: set {SOURCE_VARIABLE} to its address")),
        }
    }
}

fn database_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .take(1000)
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            path.is_file() && ["db", "sqlite", "sqlite3"].contains(&ending)
        })
        .collect()
}
