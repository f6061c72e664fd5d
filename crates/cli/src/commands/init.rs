//! `init`: a workspace, its first member, and a file to begin with.

use std::path::Path;

use outcome_core::Result;
use outcome_core::scope::user_setting;
use outcome_core::settings::{Settings, process_env};
use outcome_core::usecases::{
    FirstFile, FirstLook, FirstRequest, InitRequest, Initialised, Unlock, Workspaces, check_email,
};
use serde::Serialize;

use super::init_clients::{self, ClientDone};
use super::init_file::{self, FileDone};
use super::init_found;
use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::Page;

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
    if args.dry_run {
        init_found::dry_run(cx, &look(cx, &args, &settings).await?, &args)?;
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
    let result = SetUp::of(&done, &found);
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
    /// What came of the outcome file, where there is one that counts.
    file: Option<&'a FileDone>,
    /// What was found of the database and the repository.
    found: Option<&'a FirstLook>,
    /// What was proposed and written.
    proposed: Option<&'a FirstFile>,
}

impl<'a> SetUp<'a> {
    fn of(workspace: &'a Initialised, found: &'a Found) -> Self {
        let (look, proposed) = found.first.as_ref().map(|(look, file)| (look, file)).unzip();
        Self { workspace, file: found.file.as_ref(), found: look, proposed }
    }
}

/// Sets up what is missing of the workspace, and the clients.
async fn with_clients(cx: &Cx, args: args::Init, root: &Path, settings: Settings) -> Result<Exit> {
    // All of it before the first question: nothing is left half done because of a mistyped flag.
    init_clients::require_consent(cx, &args.clients)?;
    let planned = init_clients::planned(root, &args.clients)?;
    let clients = args.clients.clone();
    let workspace = if clients.print || clients.remove || settings.is_workspace() {
        None
    } else {
        Some(set_up(cx, args, root, &settings).await?)
    };
    let done = init_clients::write(cx, root, &planned, &clients)?;
    let workspace_done = workspace.as_ref().map(|(done, found)| SetUp::of(done, found));
    let result = WithClients { workspace: workspace_done, clients: &done };
    cx.out.result(&result, |page| {
        if !clients.print {
            init_clients::after(page, &done, clients.remove);
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
    /// What was found and written, where there was no file.
    first: Option<(FirstLook, FirstFile)>,
    had_file: bool,
    file: Option<FileDone>,
    has_clients: bool,
}

async fn look(cx: &Cx, args: &args::Init, settings: &Settings) -> Result<FirstLook> {
    let request = FirstRequest { source: args.source.as_deref(), cwd: &cx.cwd, asks_database: !args.template };
    Workspaces::look(settings, request, &process_env).await
}

async fn set_up(cx: &Cx, args: args::Init, root: &Path, settings: &Settings) -> Result<(Initialised, Found)> {
    // Said before anything is asked.
    Workspaces::must_be_new(settings, args.anew).await?;
    let had_file = settings.file.value.exists();
    if !cx.out.is_json {
        cx.out.show(|page| before(page, settings, root))?;
    }
    let looked = if had_file || args.no_outcome_file { None } else { Some(look(cx, &args, settings).await?) };
    if !cx.out.is_json {
        cx.out.show(|page| match &looked {
            Some(look) if !args.template => init_found::show(page, look),
            None if !args.no_apply => init_file::before(page, settings),
            Some(_) | None => {}
        })?;
    }
    let email = match &args.email {
        Some(email) => check_email(email).map(|()| email.clone())?,
        None => {
            let known = user_setting(root, "user.email").await;
            let check = |text: &str| check_email(text).map(|()| text.to_owned());
            cx.terminal.checked(("Your e-mail:", known.as_deref(), "--email"), check)?
        }
    };
    let name = match &args.name {
        Some(name) => name.clone(),
        None => {
            let default =
                user_setting(root, "user.name").await.unwrap_or_else(|| email.split('@').next().unwrap_or("").into());
            cx.terminal.text("Your name:", Some(&default), "--name")?
        }
    };
    let first = match looked {
        Some(look) => {
            let file = init_found::choose(cx, &look, &args)?;
            Some((look, file))
        }
        None => None,
    };
    if let Some((look, file)) = &first
        && !cx.out.is_json
        && !args.no_apply
    {
        cx.out.show(|page| init_found::before_signing(page, look, file))?;
    }
    let folder = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let passphrase = cx.terminal.new_passphrase(&args.unlock, &[&email, &name, &folder])?;
    let unlock = Unlock::Passphrase(passphrase.clone());
    let outcome_file = first.as_ref().map(|(_, file)| file.text.clone());
    let request = InitRequest { email, name, passphrase, outcome_file, may_replace: args.anew };
    let (runtime, done) = Workspaces::init(settings.clone(), request).await?;
    if first.is_some() {
        init_file::name_root(&settings.file.value, &done.key_fingerprint)?;
    }
    // The template has to be edited first.
    let counts = had_file || first.as_ref().is_some_and(|(_, file)| file.metric.is_some());
    let file =
        if counts && !args.no_apply { Some(init_file::apply_and_activate(&runtime, &unlock).await) } else { None };
    Ok((done, Found { first, had_file, file, has_clients: !args.clients.client.is_empty() }))
}

fn before(page: &mut Page, settings: &Settings, root: &Path) {
    page.line(&format!("Setting up {}", page.bold(&crate::output::safe(&root.display().to_string()))));
    if !root.join(".git").exists() {
        let remark =
            page.yellow("This is not the root of a git repository. Scope checks and builds need one (`git init`).");
        page.prose(0, &remark);
    }
    if let Some(clock) = &settings.clock_file {
        let says = format!(
            "The clock is the file {} ({}): this workspace will only work with it. Unset it for a real one.",
            clock.value.display(),
            clock.from
        );
        page.warning(&says);
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
        page.prose(0, &remark);
    }
}

fn after(page: &mut Page, done: &Initialised, found: &Found, settings: &Settings) {
    let Found { first, had_file, file: applied, has_clients } = found;
    page.line("");
    let title = page.bold(&format!("`{}` is set up", crate::output::safe(&done.workspace)));
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
    if let Some(applied) = applied {
        let words =
            first.as_ref().and_then(|(_, file)| Some((file.outcome.as_str(), file.metric.as_ref()?.words.as_str())));
        init_file::after(page, applied, words);
        if let Some((_, words)) = words.filter(|_| applied.numbers.is_empty() && is_measured(first.as_ref())) {
            let line = page.bold(&crate::output::safe(&format!("Today: {words}, as the look above measured it.")));
            page.line(&line);
        }
    }
    page.head("Next");
    for (i, step) in next_steps(found, &file).iter().enumerate() {
        let mut lines = step.lines();
        page.prose(5, &format!("  {}. {}", i + 1, crate::output::safe(lines.next().unwrap_or_default())));
        for line in lines {
            page.prose(5, &format!("     {}", crate::output::safe(line)));
        }
    }
    if !has_clients {
        page.hint("`outcome-runtime status` shows everything at a glance");
    }
}

fn is_measured(first: Option<&(FirstLook, FirstFile)>) -> bool {
    first.is_some_and(|(_, file)| file.metric.as_ref().is_some_and(|metric| metric.level.is_some()))
}

/// What to do now: only what is left, and only with what is there.
fn next_steps(found: &Found, file: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let first = found.first.as_ref();
    let is_template = first.is_some_and(|(_, file)| file.metric.is_none());
    if is_template {
        steps.push(format!("edit {file}: your tables, the metric that should move, from where to where, by when"));
    }
    if let Some(name) = first.and_then(|(look, _)| look.source.unset.as_ref()) {
        let value_in = first.and_then(|(look, _)| look.source.value_in);
        let which = value_in.map_or("the database to measure".to_owned(), |file| format!("as {file} has it"));
        steps.push(format!("export {name}=...   ({which}; better with a user who can only read)"));
    }
    let is_applied = found.file.as_ref().is_some_and(|done| done.is_applied);
    let is_left = found.file.as_ref().is_none_or(|done| !done.left.is_empty());
    if is_left && !is_applied {
        steps.push("outcome-runtime validate && outcome-runtime apply".to_owned());
    }
    if is_left {
        steps.push(format!("outcome-runtime activate {}", first.map_or("OUTCOME", |(_, file)| file.outcome.as_str())));
    }
    if let Some(create) = first.and_then(|(look, _)| look.create_exposures.as_ref()) {
        steps.push(format!(
            "before the first experiment, make the table in which your application notes who saw which variant, name it in {file} (it says how), and run `outcome-runtime apply`:\n{create}"
        ));
    }
    if !found.has_clients {
        steps.push(
            "give your agent access: `outcome-runtime init --client claude-code` (or codex, cursor, ...)".to_owned(),
        );
    }
    steps.push(format!("commit {file} and the files of your agent's client, before an agent builds on them"));
    steps
}
