//! Setting up a workspace: the folder, the database, the first member with their key, and the first line of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;

use super::Workspaces;
use super::link::must_be_new;
use crate::audit::EventKind;
use crate::audit::replay::WorkspaceCreated;
use crate::clock::Clock;
use crate::domain::KeyKind;
use crate::error::{Code, Error, Result};
use crate::identity::{Belongs, RecoveryCode, check_passphrase, fingerprint};
use crate::ids::{Ids, KeyId, MemberId, WorkspaceId};
use crate::principal::Principal;
use crate::settings::Settings;
use crate::store::{Db, Instant, Member, Workspace};
use crate::stores::WorkspaceFile;
use crate::usecases::Runtime;
use crate::usecases::kernel::enrol::{Owner, certificate, enrol_recovery, new_secret, seal, store_key};
use crate::usecases::kernel::event::new_event;
use crate::usecases::kernel::file::{io, write_private};
use crate::usecases::kernel::people::Pledge;
use crate::usecases::kernel::pointer::{IGNORE, own_folder, point_to, private_folder, remember};
use crate::usecases::kernel::tracked::must_not_be_tracked;
use crate::usecases::kernel::writer_key::{file_in, writer};
use crate::usecases::runtime::{assemble, clock_of};

/// Who sets it up.
pub struct InitRequest {
    /// The first member's e-mail.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Seals their signing key.
    pub passphrase: SecretString,
    /// Content of a new outcome file; an existing one is never touched.
    pub outcome_file: Option<String>,
    /// Whether this may be another workspace than the one that the folder held before, or that the outcome file names.
    pub may_replace: bool,
}

/// What was set up.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Initialised {
    /// The workspace's name.
    pub workspace: String,
    /// The member's e-mail.
    pub member: String,
    /// Fingerprint of the member's key: note it down.
    pub key_fingerprint: String,
    /// Lets the member choose a new passphrase when they lost theirs: shown once, and stored nowhere.
    #[schemars(with = "String")]
    pub recovery_code: RecoveryCode,
    /// Where the data is.
    pub database: String,
    /// Files that were made.
    pub created: Vec<String>,
}

impl Workspaces<'_> {
    /// Sets up the workspace that `settings` names and opens it.
    ///
    /// # Errors
    /// [`Code::WorkspaceExists`], [`Code::PassphraseWeak`], [`Code::InvalidInput`] for an e-mail, or what the database says.
    pub async fn init(settings: Settings, request: InitRequest) -> Result<(Runtime, Initialised)> {
        let clock = clock_of(&settings)?;
        Self::init_with_clock(settings, request, clock).await
    }

    /// As [`Self::init`], with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Self::init`].
    #[tracing::instrument(level = "debug", name = "workspaces.init", skip_all)]
    pub async fn init_with_clock(
        settings: Settings,
        request: InitRequest,
        clock: Arc<dyn Clock>,
    ) -> Result<(Runtime, Initialised)> {
        let slug = workspace_slug(&settings);
        check_passphrase(&request.passphrase, &[&request.email, &request.name, &slug])?;
        check_email(&request.email)?;
        must_not_be_tracked(&settings).await?;
        must_be_new(&settings, request.may_replace)?;
        let mut made = Made::default();
        let done = set_up(settings, request, clock, &mut made).await;
        if done.is_err() {
            made.undo();
        }
        done
    }
}

/// Files and folders that were not there before.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    /// Remembers a place that is about to be made.
    fn will_make(&mut self, path: PathBuf) {
        if !path.exists() {
            self.0.push(path);
        }
    }

    /// Remembers a place that was made.
    fn has_made(&mut self, path: PathBuf) {
        self.0.push(path);
    }

    /// Removes them again: what failed leaves nothing. The newest goes first, so that folders are empty by then.
    fn undo(&self) {
        for path in self.0.iter().rev() {
            let removed = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
            if let Err(error) = removed.or_else(|e| (e.kind() == std::io::ErrorKind::NotFound).then_some(()).ok_or(e)) {
                tracing::warn!("{} could not be removed: {error}", path.display());
            }
        }
    }
}

async fn set_up(
    settings: Settings,
    request: InitRequest,
    clock: Arc<dyn Clock>,
    made: &mut Made,
) -> Result<(Runtime, Initialised)> {
    let ids = Ids::new(Arc::clone(&clock));
    let id = ids.next::<WorkspaceId>();
    let settings = settings.of_new(id);
    let mut created = make_folder(&settings, made)?;
    if let Some(path) = settings.database.value.path() {
        make_database_file(path, made)?;
        created.push(path.display().to_string());
    }
    made.will_make(file_in(&settings));
    let db = Db::open_migrated(&settings.database.value).await?.written_by(writer(&settings, &ids));
    let now = clock.now();
    let slug = workspace_slug(&settings);
    let root = settings.root.value.canonicalize().unwrap_or_else(|_| settings.root.value.clone());
    let workspace = Workspace {
        id,
        slug: slug.clone(),
        organisation: "default".to_owned(),
        root: root.display().to_string(),
        is_virtual_clock: clock.is_virtual(),
        created_at: Instant(now),
    };
    let member = Member { id: ids.next::<MemberId>(), email: None, name: None, created_at: Instant(now) };
    let pledge = Pledge::to(member.id, &request.email, &request.name, &ids);
    let (root_id, root_key) = (ids.next::<KeyId>(), new_secret(&ids));
    let owner = Owner { workspace: workspace.id, member: member.id, pledge: &pledge };
    let certificate = certificate(owner, (root_id, &root_key), KeyKind::Passphrase, None, now)?;
    let root_fingerprint = fingerprint(&certificate.enrolment.public_key);
    let belongs = Belongs { workspace: workspace.id, root: root_fingerprint.clone(), enrolled_at: now, last: None };
    let sealed = seal(&ids, root_id, &root_key, belongs, request.passphrase).await?;

    let by = Principal::member(member.id);
    let mut tx = db.workspace_create(&workspace).await?;
    let genesis = WorkspaceCreated {
        root_fingerprint: root_fingerprint.clone(),
        holds_levels: true,
        is_virtual_clock: workspace.is_virtual_clock,
        slug: slug.clone(),
    };
    tx.event_append(new_event(EventKind::WorkspaceCreated, workspace.id.into(), &by, &genesis)?, now).await?;
    tx.member_insert(&member).await?;
    pledge.store(&mut tx).await?;
    store_key(&mut tx, certificate, Some(sealed), &by, now).await?;
    let recovery_code = enrol_recovery(&mut tx, &ids, owner, (root_id, &root_key), &by, now).await?;
    let file = WorkspaceFile { workspace: workspace.id, root_fingerprint: root_fingerprint.clone() };
    if !point_to(&settings, &file)? {
        return Err(Error::new(Code::WorkspaceExists, "another program set this folder up at the same time")
            .hint("`outcome-runtime status` shows the workspace"));
    }
    made.has_made(settings.workspace_file());
    tx.commit().await?;
    if let Some(seen) = settings.seen() {
        seen.keep_workspace(&settings.real_root(), &file);
    }
    remember(&settings, &file)?;
    created.push(settings.workspace_file().display().to_string());
    if let Some(text) = request.outcome_file
        && !settings.file.value.exists()
    {
        std::fs::write(&settings.file.value, text).map_err(|e| io(&settings.file.value.display().to_string(), e))?;
        created.push(settings.file.value.display().to_string());
    }
    let done = Initialised {
        workspace: slug,
        member: request.email,
        key_fingerprint: root_fingerprint,
        recovery_code,
        database: settings.database_shown(),
        created,
    };
    Ok((assemble(db, workspace, settings, clock), done))
}

/// Whether this may be a member's e-mail.
///
/// # Errors
/// [`Code::InvalidInput`].
pub fn check_email(email: &str) -> Result<()> {
    let ok = email.len() <= 200
        && !email.chars().any(|c| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if ok {
        return Ok(());
    }
    let shown: String = email.chars().take(60).collect();
    Err(Error::new(Code::InvalidInput, format!("`{shown}` is not an e-mail address"))
        .hint("give one such as you@company.com; it names you to people, and the log holds a commitment to it"))
}

fn workspace_slug(settings: &Settings) -> String {
    let root = settings.root.value.canonicalize().unwrap_or_else(|_| settings.root.value.clone());
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    crate::domain::Slug::from_title(if name.is_empty() { "workspace" } else { &name }).to_string()
}

/// Makes the workspace's folder, noting what was not there.
fn make_folder(settings: &Settings, made: &mut Made) -> Result<Vec<String>> {
    let folder = settings.folder();
    made.will_make(folder.clone());
    made.will_make(folder.join(IGNORE));
    own_folder(settings)?;
    Ok(vec![folder.display().to_string()])
}

/// An empty file that only this user can read; the database's other files get the same rights from it.
fn make_database_file(path: &Path, made: &mut Made) -> Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        for folder in parent.ancestors().collect::<Vec<_>>().into_iter().rev() {
            made.will_make(folder.to_path_buf());
        }
        private_folder(parent)?;
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        made.will_make(PathBuf::from(name));
    }
    if path.exists() { Ok(()) } else { write_private(path, "") }
}
