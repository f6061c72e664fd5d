//! The flag service.

use super::report::{At, Problem, Reporter, list, near_or, shown};
use crate::config::FlagServiceSpec;
use crate::config::file::{FlagKeys, FlagsFile, RootFile};
use crate::config::node::{Node, Value};
use crate::config::secrets::Env;

/// Providers that the original had, or that a reader may look for.
const ELSEWHERE: &[&str] = &["split", "configcat", "optimizely"];

/// The flag service, when it is usable.
pub(super) fn flags(file: Option<&At<FlagsFile>>, reporter: &mut Reporter<'_>) -> Option<FlagServiceSpec> {
    let keys = &file?.value.0;
    let has_sdk_key = keys.config.as_ref().is_some_and(|config| sdk_key(&config.value.0, reporter));
    let provider = keys.provider.as_ref()?;
    let Some(vendor) = reporter.vendors().flag(&provider.value) else {
        unknown_provider(provider, &provider.value, reporter);
        return None;
    };
    // The key is reported; what else is wrong follows from it.
    if has_sdk_key {
        return None;
    }
    let settings = (vendor.read)(config_of(keys, vendor.example, reporter)?, reporter)?;
    Some(FlagServiceSpec { kind: vendor.kind, settings })
}

/// Reports `sticky: true` of a source where the flag service takes units out of the control as the share grows: they would be claimed on
/// as if nothing had changed.
pub(super) fn sticky(file: &RootFile, service: Option<&FlagServiceSpec>, reporter: &mut Reporter<'_>) {
    let Some(service) = service.filter(|service| service.settings.keeps_arms() == Some(false)) else { return };
    for source in file.signal_connectors.iter().flat_map(|sources| &sources.value) {
        let exposures = source.value.0.exposures.as_ref();
        let Some(sticky) =
            exposures.and_then(|exposures| exposures.value.sticky.as_ref()).filter(|sticky| sticky.value)
        else {
            continue;
        };
        let message = format!(
            "`{}` does not keep a unit in its arm: units go from the control to the treatment as the share grows",
            service.kind
        );
        let problem = Problem::error_in_proposal("config.not_sticky", sticky.span, message);
        reporter.push(problem.valid("`sticky: false`, which is the default").help("remove `sticky`"));
    }
}

fn config_of<'k>(keys: &'k FlagKeys, example: &str, reporter: &mut Reporter<'_>) -> Option<&'k Node> {
    if let Some(config) = &keys.config {
        return Some(&config.value.0);
    }
    let problem = Problem::error("config.missing_key", keys.at, "`feature_flags` needs the key `config`");
    reporter.push(
        problem
            .valid("`config`: its settings, which depend on `provider`")
            .help(format!("write the settings below the provider:\nconfig:\n  {example}")),
    );
    None
}

fn unknown_provider(provider: &At<String>, other: &str, reporter: &mut Reporter<'_>) {
    let known: Vec<&str> = reporter.vendors().flags.iter().map(|vendor| vendor.kind).collect();
    let available = known.join(", ");
    let (code, message, help) = if ELSEWHERE.contains(&other.to_ascii_lowercase().as_str()) {
        (
            "config.flag_provider_unavailable",
            format!("`{}` is not part of this version; available: {available}", shown(other)),
            "connect it with a small adapter that has the HTTP interface of `custom_http`".to_owned(),
        )
    } else {
        (
            "config.unknown_value",
            format!("`{}` is not a flag service", shown(other)),
            near_or(other, &known, "write one of them"),
        )
    };
    reporter.push(Problem::error(code, provider.span, message).valid(list(&known)).help(help));
}

/// Reports an SDK key: it can read flags and not change them.
fn sdk_key(config: &Node, reporter: &mut Reporter<'_>) -> bool {
    let Value::Map(entries) = &config.value else { return false };
    let mut found = false;
    for (key, node) in entries {
        let Value::Text(value) = &node.value else { continue };
        let is_sdk_key = value.trim().starts_with("sdk-")
            || key.text == "sdk_key"
            || reporter.env().is_some_and(|env| resolves_to_sdk_key(value, env));
        if is_sdk_key {
            found = true;
            let message = "this is an SDK key, which can read flags but not change them";
            let problem = Problem::error("config.sdk_key", node.span, message).here("an SDK key");
            reporter.push(
                problem
                    .valid("an access token that may change flags, as a reference: `token: ${FLAGS_TOKEN}`")
                    .help("create an API access token with write permission, and use that"),
            );
        }
    }
    found
}

fn resolves_to_sdk_key(value: &str, env: &dyn Env) -> bool {
    use secrecy::ExposeSecret;
    value.contains("${")
        && crate::config::secrets::resolve(value, env).is_ok_and(|secret| secret.expose_secret().starts_with("sdk-"))
}
