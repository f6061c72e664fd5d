//! Where sources and the flag service lead in this process, and where they led when a member signed: an environment is no fact.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use serde_json::{Value as Json, json};

use super::digest::digest;
use super::resolver::resolver;
use crate::config::{Config, ConnectorSpec, Difference, FlagServiceSpec, stored_names};
use crate::domain::Place;
use crate::error::{Code, Error, Result};
use crate::ports::Opening;
use crate::usecases::Runtime;

/// What the flag service is called among the places.
const FLAGS: &str = "feature_flags";

/// Where the sources and the flag service of a configuration lead here. What cannot be opened here, for want of a secret, is missing.
pub(in crate::usecases) async fn places(runtime: &Runtime, config: &Config) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    for spec in &config.connectors {
        let resolve = resolver(runtime, &spec.settings.to_json()).await?;
        let source = runtime.sources.get(spec, &runtime.settings.root.value, &resolve);
        if let Some(leads_to) = source.ok().and_then(|source| source.place()) {
            found.push(Place { of: spec.name.clone(), settings: of_source(spec)?, leads_to });
        }
    }
    if let Some(spec) = &config.flags {
        let resolve = resolver(runtime, &spec.settings.to_json()).await?;
        let opening = Opening { root: &runtime.settings.root.value, resolve: &resolve };
        if let Some(leads_to) = spec.settings.open(&opening).ok().and_then(|service| service.place()) {
            found.push(Place { of: FLAGS.to_owned(), settings: of_flags(spec)?, leads_to });
        }
    }
    Ok(found)
}

/// Whether settings refer to secrets that are stored: who may set them may lead the source elsewhere.
fn refers_to_stored(settings: &Json) -> bool {
    let text = settings.to_string();
    let (sealed, in_keyring) = stored_names(&text);
    !sealed.is_empty() || !in_keyring.is_empty()
}

/// What of a configuration refers to secrets that are stored, by what it is called among the places.
pub(super) fn led_by_stored(config: &Config) -> BTreeSet<String> {
    let sources = config.connectors.iter().map(|spec| (spec.name.as_str(), spec.settings.to_json()));
    let all = sources.chain(config.flags.iter().map(|spec| (FLAGS, spec.settings.to_json())));
    all.filter(|(_, settings)| refers_to_stored(settings)).map(|(name, _)| name.to_owned()).collect()
}

fn of_source(spec: &ConnectorSpec) -> Result<String> {
    digest(&json!([spec.name, spec.kind, spec.settings.to_json()]))
}

fn of_flags(spec: &FlagServiceSpec) -> Result<String> {
    digest(&json!([FLAGS, spec.kind, spec.settings.to_json()]))
}

/// An applied source must lead here where it led when it was signed.
///
/// # Errors
/// [`Code::SourceElsewhere`].
pub(super) fn source_must_lead_there(runtime: &Runtime, spec: &ConnectorSpec, here: Option<String>) -> Result<()> {
    must_lead_there(runtime, &spec.name, &of_source(spec)?, here)
}

/// The same for the flag service.
///
/// # Errors
/// [`Code::SourceElsewhere`].
pub(super) fn flags_must_lead_there(runtime: &Runtime, spec: &FlagServiceSpec, here: Option<String>) -> Result<()> {
    let settings = of_flags(spec)?;
    must_be_signed(runtime, FLAGS, (&settings, &spec.settings.to_json()), here.as_deref())?;
    must_lead_there(runtime, FLAGS, &settings, here)
}

/// Polls read a source whose secret is stored only where a member signed where it leads: one that was set later leads to where
/// nobody signed.
///
/// # Errors
/// [`Code::SourceElsewhere`].
pub(super) fn source_must_be_signed(runtime: &Runtime, spec: &ConnectorSpec, here: Option<&str>) -> Result<()> {
    must_be_signed(runtime, &spec.name, (&of_source(spec)?, &spec.settings.to_json()), here)
}

fn must_be_signed(
    runtime: &Runtime,
    name: &str,
    (settings, declared): (&str, &Json),
    here: Option<&str>,
) -> Result<()> {
    let checked = runtime.checked.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((_, applied)) = checked.as_ref().filter(|_| refers_to_stored(declared)) else { return Ok(()) };
    match here {
        Some(_) if applied.places.iter().all(|place| place.settings != settings) => Err(unsigned(name)),
        _ => Ok(()),
    }
}

fn must_lead_there(runtime: &Runtime, name: &str, settings: &str, here: Option<String>) -> Result<()> {
    let checked = runtime.checked.lock().unwrap_or_else(PoisonError::into_inner);
    let signed = checked.iter().flat_map(|(_, applied)| &applied.places).find(|place| place.settings == settings);
    match (signed, here) {
        (Some(signed), Some(here)) if signed.leads_to != here => Err(elsewhere(name, &signed.leads_to, &here)),
        _ => Ok(()),
    }
}

fn unsigned(name: &str) -> Error {
    Error::new(Code::SourceElsewhere, format!("no member signed where `{name}` leads")).hint(
        "nothing was read or written there: its secret was not known where it was applied. Run `outcome-runtime apply` here, which asks a \
         member to sign the place",
    )
}

fn elsewhere(name: &str, signed: &str, here: &str) -> Error {
    Error::new(Code::SourceElsewhere, format!("`{name}` leads to {here} here, and a member signed {signed}")).hint(
        "nothing was read or written there: an environment variable differs from the one with which it was applied. Correct it, or run \
         `outcome-runtime apply` here, which asks a member to sign the new place",
    )
}

/// What leads to another place here than in what is applied, as differences that a member signs.
///
/// `led_by_stored`: what a secret leads that is stored. Where it led nowhere when it was applied, that is a difference, too.
pub(super) fn moved(applied: Option<&[Place]>, here: &[Place], led_by_stored: &BTreeSet<String>) -> Vec<Difference> {
    let Some(applied) = applied else { return Vec::new() };
    let is_moved = |new: &&Place| match applied.iter().find(|old| old.settings == new.settings) {
        Some(old) => old.leads_to != new.leads_to,
        None => led_by_stored.contains(&new.of),
    };
    here.iter()
        .filter(is_moved)
        .map(|new| {
            let old = applied.iter().find(|old| old.settings == new.settings);
            Difference {
                field: format!("{} (where it leads)", new.of),
                outcome: None,
                from: old.map_or(Json::Null, |old| json!(old.leads_to)),
                to: json!(new.leads_to),
                is_signed: true,
            }
        })
        .collect()
}

/// What is signed must lead there in the process that decides, as far as it can be known here.
///
/// # Errors
/// [`Code::ContextChanged`].
pub(in crate::usecases) fn must_be_shown(gate: &str, shown: &[Place], here: &[Place]) -> Result<()> {
    match here.iter().find(|place| !shown.contains(place)) {
        None => Ok(()),
        Some(place) => Err(Error::new(
            Code::ContextChanged,
            format!("`{}` leads to {} here, and gate `{gate}` does not show that", place.of, place.leads_to),
        )
        .hint("run `outcome-runtime apply` here: it opens a gate that shows where everything leads")),
    }
}
