//! The flag service.

use super::super::decode::Decode;
use super::super::file::{CustomHttpFile, FlagKeys, FlagdFile, FlagsFile};
use super::super::yaml::{Node, Value};
use super::super::{FLAG_PROVIDERS, FlagServiceSpec};
use super::references::{no_inline_password, references, secret};
use super::settings::http_address;
use super::{At, Context, Problem, Reporter, list, near_or, shown, text};

/// Providers that the original had, or that a reader may look for.
const ELSEWHERE: &[&str] =
    &["launchdarkly", "unleash", "posthog", "statsig", "growthbook", "flagsmith", "split", "configcat", "optimizely"];

/// The flag service, when it is usable.
pub(super) fn flags(
    file: Option<&At<FlagsFile>>,
    context: &Context<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<FlagServiceSpec> {
    let keys = &file?.value.0;
    let has_sdk_key = keys.config.as_ref().is_some_and(|config| sdk_key(&config.value.0, context, reporter));
    let provider = keys.provider.as_ref()?;
    match provider.value.as_str() {
        "flagd_file" => flagd(config_of(keys, "path: flags.json", reporter)?, context, reporter),
        "custom_http" if has_sdk_key => None,
        "custom_http" => custom_http(config_of(keys, "url: ${FLAGS_URL}", reporter)?, context, reporter),
        other => {
            unknown_provider(provider, other, reporter);
            None
        }
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
    let available = FLAG_PROVIDERS.join(", ");
    let (code, message, help) = if ELSEWHERE.contains(&other.to_ascii_lowercase().as_str()) {
        (
            "config.flag_provider_unavailable",
            format!("`{}` is not part of this version; available: {available}", shown(other)),
            "put a small adapter in front of it that speaks the HTTP contract of `custom_http`".to_owned(),
        )
    } else {
        (
            "config.unknown_value",
            format!("`{}` is not a flag service", shown(other)),
            near_or(other, FLAG_PROVIDERS, "write one of them"),
        )
    };
    reporter.push(Problem::error(code, provider.span, message).valid(list(FLAG_PROVIDERS)).help(help));
}

/// Reports an SDK key: it can read flags and not change them.
fn sdk_key(config: &Node, context: &Context<'_>, reporter: &mut Reporter<'_>) -> bool {
    let Value::Map(entries) = &config.value else { return false };
    let mut found = false;
    for (key, node) in entries {
        let Value::Text(value) = &node.value else { continue };
        let is_sdk_key = value.trim().starts_with("sdk-")
            || key.text == "sdk_key"
            || context.env.is_some_and(|env| resolves_to_sdk_key(value, env));
        if is_sdk_key {
            found = true;
            let message = "this is an SDK key, which can read flags and not change them";
            let problem = Problem::error("config.sdk_key", node.span, message).here("an SDK key");
            reporter.push(
                problem
                    .valid("an access token that may change flags, as a reference: `token: ${FLAGS_TOKEN}`")
                    .help("create an API access token with the right to write, and use that"),
            );
        }
    }
    found
}

fn resolves_to_sdk_key(value: &str, env: &dyn super::Env) -> bool {
    use secrecy::ExposeSecret;
    value.contains("${")
        && super::super::secrets::resolve(value, env).is_ok_and(|secret| secret.expose_secret().starts_with("sdk-"))
}

fn flagd(node: &Node, context: &Context<'_>, reporter: &mut Reporter<'_>) -> Option<FlagServiceSpec> {
    let file = FlagdFile::decode(node, reporter)?;
    let path = file.path?;
    references(&path, context, reporter);
    Some(FlagServiceSpec::FlagdFile { path: path.value })
}

fn custom_http(node: &Node, context: &Context<'_>, reporter: &mut Reporter<'_>) -> Option<FlagServiceSpec> {
    let file = CustomHttpFile::decode(node, reporter)?;
    if let Some(token) = &file.token {
        secret("token", "FLAGS_TOKEN", token, context, reporter);
    }
    if let Some(url) = &file.url {
        references(url, context, reporter);
        no_inline_password(url, "FLAGS_URL", reporter);
        http_address(url, "https://flags.example.com", reporter);
    }
    Some(FlagServiceSpec::CustomHttp { url: file.url?.value, token: text(file.token.as_ref()) })
}
