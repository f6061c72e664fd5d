//! What is applied, what the file in the work tree proposes, and the connectors, flag service and git that follow.

use std::sync::Arc;

use super::applied::{Applied, applied};
use super::places::{flags_must_lead_there, source_must_lead_there};
use super::resolver::resolver;
use crate::config::vendor::Asked;
use crate::config::{Config, ConnectorSpec};
use crate::domain::{ConfigurationOrigin, SignalSpec};
use crate::error::{Code, Error, Result, error_chain};
use crate::ports::{FlagService, Opening, ResolveSecret, SignalSource};
use crate::scope::GitRepo;
use crate::usecases::Runtime;

/// What is applied. Whoever needs several things of it asks once and hands the answer on.
///
/// # Errors
/// [`Code::ConfigNotFound`] where nothing was applied yet.
pub(in crate::usecases) async fn config(runtime: &Runtime) -> Result<Arc<Config>> {
    let mut tx = runtime.read().await?;
    match applied(runtime, &mut tx).await? {
        Some(applied) => Ok(applied.config),
        None => Err(Error::new(Code::ConfigNotFound, "no outcome file has been applied yet")
            .hint("run `outcome-runtime apply`: what lies in the work tree is a proposal until then")),
    }
}

/// The outcome file in the work tree: its text, and what it says.
///
/// # Errors
/// [`Code::ConfigInvalid`], or why it cannot be read.
pub(in crate::usecases) async fn proposed(runtime: &Runtime) -> Result<(String, Arc<Config>)> {
    let (text, cached) = runtime.configs.load(&runtime.settings.file.value, runtime.settings.vendors).await?;
    let config = cached.map_err(|first| {
        Error::new(Code::ConfigInvalid, first).hint("run `outcome-runtime validate` for all problems of the file")
    })?;
    Ok((text, config))
}

/// Where the text of the outcome file comes from, as git says it.
pub(in crate::usecases) async fn origin(runtime: &Runtime, text: &str) -> ConfigurationOrigin {
    let Ok(repo) = repo(runtime).await else { return ConfigurationOrigin::default() };
    let Ok(head) = repo.head().await else { return ConfigurationOrigin::default() };
    let path = &runtime.settings.file.value;
    let committed = repo.file_at(&head, path).await.ok().flatten();
    let is_committed = committed.as_deref() == Some(text);
    ConfigurationOrigin { commit: Some(head.to_string()), is_committed }
}

/// Whether a source of this configuration is sent secrets that no applied one sends there.
pub(in crate::usecases) async fn sends_secrets_elsewhere(runtime: &Runtime, config: &Config) -> Result<bool> {
    let applied = applied(runtime, &mut runtime.read().await?).await?;
    Ok(config.connectors.iter().any(|spec| is_sent_elsewhere(spec, applied.as_ref())))
}

/// Whether this source is sent secrets that the applied one of its name does not send there.
pub(in crate::usecases) async fn sends_secret_elsewhere(
    runtime: &Runtime,
    config: &Config,
    name: &str,
) -> Result<bool> {
    let Some(spec) = config.connector(name) else { return Ok(false) };
    let applied = applied(runtime, &mut runtime.read().await?).await?;
    Ok(is_sent_elsewhere(spec, applied.as_ref()))
}

fn is_sent_elsewhere(spec: &ConnectorSpec, applied: Option<&Applied>) -> bool {
    let known = applied.and_then(|applied| applied.config.connector(&spec.name));
    let is_known =
        known.is_some_and(|known| known.kind == spec.kind && known.settings.to_json() == spec.settings.to_json());
    has_references(spec) && !is_known
}

/// Whether the settings of a source hold references to secrets.
fn has_references(spec: &ConnectorSpec) -> bool {
    spec.settings.references().iter().any(|text| text.contains("${"))
}

/// The connector `name`, opened once.
pub(in crate::usecases) async fn source(
    runtime: &Runtime,
    config: &Config,
    name: &str,
) -> Result<Arc<dyn SignalSource>> {
    let spec = config.connector(name).ok_or_else(|| {
        let known: Vec<_> = config.connectors.iter().map(|spec| spec.name.as_str()).collect();
        Error::new(Code::ConnectorUnknown, format!("there is no connector named `{name}`")).hint(format!(
            "{} declares: {}",
            runtime.settings.file.value.display(),
            known.join(", ")
        ))
    })?;
    let resolve = resolver(runtime, &spec.settings.to_json()).await?;
    let opened = runtime.sources.get(spec, &runtime.settings.root.value, &resolve);
    let source = opened.map_err(|error| what_is_stored(spec, &resolve).unwrap_or_else(|| error.into()))?;
    source_must_lead_there(runtime, spec, source.place())?;
    Ok(source)
}

/// Why a stored secret of a source cannot be used, with the code of that.
fn what_is_stored(spec: &ConnectorSpec, resolve: &dyn ResolveSecret) -> Option<Error> {
    let refused = spec.settings.references().into_iter().find_map(|text| resolve.resolve(text).err())?;
    match refused.code() {
        code @ (Code::EncryptionKeyMissing
        | Code::EncryptionKeyInvalid
        | Code::EncryptionKeyWrong
        | Code::SecretChanged
        | Code::KeyringUnavailable) => {
            let message = format!("connector `{}`: {}", spec.name, error_chain(&refused));
            Some(Error::new(code, message).hint(refused.hint_text().unwrap_or_default()))
        }
        _ => None,
    }
}

/// The flag service of the outcome file; `None` when it names none.
pub(in crate::usecases) async fn flag_service(
    runtime: &Runtime,
    config: &Config,
) -> Result<Option<Box<dyn FlagService>>> {
    let Some(spec) = &config.flags else { return Ok(None) };
    let resolve = resolver(runtime, &spec.settings.to_json()).await?;
    let opening = Opening { root: &runtime.settings.root.value, resolve: &resolve };
    let service = spec.settings.open(&opening).map_err(Error::from)?;
    flags_must_lead_there(runtime, spec, service.place())?;
    Ok(Some(service))
}

/// The git repository of the workspace.
pub(in crate::usecases) async fn repo(runtime: &Runtime) -> Result<GitRepo> {
    GitRepo::open(&runtime.settings.root.value).await.map_err(Error::from)
}

/// The same repository, in the checkout in which this program runs: where `HEAD` is what was built.
pub(in crate::usecases) async fn checkout(runtime: &Runtime) -> Result<GitRepo> {
    match &runtime.settings.work_tree {
        Some(folder) => GitRepo::open(folder).await.map_err(Error::from),
        None => repo(runtime).await,
    }
}

/// True when the connector `source` pushes its readings and cannot be asked.
pub(in crate::usecases) fn is_pushed(config: &Config, source: &str) -> bool {
    config.connector(source).is_some_and(|spec| spec.asked == Asked::ItPushes)
}

/// True when the signal has readings by variant: its query, its source, or what is pushed says who was exposed to what.
pub(in crate::usecases) fn reads_by_variant(config: &Config, signal: &SignalSpec) -> bool {
    match config.connector(&signal.source).map(|spec| spec.asked) {
        Some(Asked::WithSql) | None => signal.has_variants(),
        Some(Asked::ByName(answers)) => answers.by_variant,
        Some(Asked::ItPushes) => true,
    }
}
