//! Notifications and limits.

use super::channel::{is_slack_channel, unavailable};
use super::references::secret;
use super::references::{no_inline_password, references};
use super::report::{At, Context, Problem, Reporter, at_least_one, shown, text};
use crate::config::file::{LimitsFile, NotificationsFile, RetentionFile, SlackFile};
use crate::config::{ChannelSpec, Limits, NotificationSpec, Retention, SlackSpec};
use crate::domain::Period;

/// What is shown and compared rests on the levels of the last days.
const LEVELS_AT_LEAST: Period = Period::from_days(7);

pub(super) fn limits(file: Option<&At<LimitsFile>>, reporter: &mut Reporter<'_>) -> Limits {
    let max = file.and_then(|file| file.value.max_active_outcomes.as_ref());
    let help = "leave it out if there is no limit";
    Limits { max_active_outcomes: at_least_one(max, "`max_active_outcomes`", help, reporter) }
}

/// How long readings are kept.
pub(super) fn retention(file: Option<&At<RetentionFile>>, reporter: &mut Reporter<'_>) -> Retention {
    let default = Retention::default();
    let Some(file) = file.map(|file| &file.value) else { return default };
    if let Some(short) = file.levels.as_ref().filter(|at| at.value < LEVELS_AT_LEAST) {
        let message = format!("levels are kept for at least {LEVELS_AT_LEAST}");
        reporter.push(
            Problem::error("config.out_of_range", short.span, message)
                .valid("`7d` and longer, such as `90d`")
                .help("what is shown and compared rests on the levels of the last days"),
        );
    }
    Retention {
        levels: file.levels.as_ref().map_or(default.levels, |at| at.value),
        raw_answers: file.raw_answers.as_ref().map_or(default.raw_answers, |at| at.value),
    }
}

/// Where messages go; the context learns which ways there are.
pub(super) fn notifications(
    file: Option<&At<NotificationsFile>>,
    context: &mut Context,
    reporter: &mut Reporter<'_>,
) -> NotificationSpec {
    let Some(file) = file else { return NotificationSpec::default() };
    let file = &file.value;
    if let Some(slack) = &file.slack {
        unavailable("Slack", slack.span, reporter);
    }
    let mut channels = Vec::new();
    for (vendor, node) in &file.channels {
        context.channels.insert(vendor.kind.to_owned());
        let settings = (vendor.read)(node, reporter);
        channels.extend(settings.map(|settings| ChannelSpec { kind: vendor.kind, settings }));
    }
    NotificationSpec { slack: file.slack.as_ref().and_then(|file| slack(file, reporter)), channels }
}

fn slack(file: &SlackFile, reporter: &mut Reporter<'_>) -> Option<SlackSpec> {
    if let Some(token) = &file.bot_token {
        secret("bot_token", "SLACK_BOT_TOKEN", token, reporter);
    }
    if let Some(value) = &file.signing_secret {
        secret("signing_secret", "SLACK_SIGNING_SECRET", value, reporter);
    }
    if let Some(channel) = &file.default_channel
        && !channel.value.contains("${")
        && !is_slack_channel(&channel.value)
    {
        let message = format!("`{}` is not a Slack channel", shown(&channel.value));
        reporter.push(
            Problem::error("config.invalid_channel", channel.span, message)
                .valid("`\"#name\"` in quotes, or a channel id as `C0123456789`")
                .help("quote it: without quotes, YAML reads `#` as the start of a comment"),
        );
    }
    Some(SlackSpec {
        bot_token: text(file.bot_token.as_ref())?,
        signing_secret: text(file.signing_secret.as_ref()),
        default_channel: text(file.default_channel.as_ref()),
    })
}

/// Reports an address that is not `http://` or `https://`; one that begins with a reference is left to its use.
pub fn fingerprint(root: &At<String>, reporter: &mut Reporter<'_>) {
    let is_hash = root.value.len() == 64 && root.value.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if !is_hash {
        reporter.push(
            Problem::error("config.invalid_root", root.span, "this is not the fingerprint of a root key")
                .valid("64 hexadecimal digits, in lower case")
                .help("`outcome-runtime key list` shows it; without the key `root` nothing is compared"),
        );
    }
}

/// The address of a third party: its references are known, no password is in it, and it is one of the web. `variable`: where the address may
/// be kept instead; `example`: how one is written.
pub fn service_address(url: &At<String>, variable: &str, example: &str, reporter: &mut Reporter<'_>) {
    references(url, reporter);
    no_inline_password(url, variable, reporter);
    http_address(url, example, reporter);
}

pub fn http_address(url: &At<String>, example: &str, reporter: &mut Reporter<'_>) {
    let value = url.value.trim();
    let probe = value.replace("${", "").replace('}', "");
    let is_http = value.starts_with("https://") || value.starts_with("http://");
    if value.starts_with("${") || (is_http && url::Url::parse(&probe).is_ok()) {
        return;
    }
    reporter.push(
        Problem::error("config.invalid_url", url.span, "this is not a web address")
            .valid("`https://...`, or `http://...` for a service on this machine")
            .help(format!("write it in full: `{example}`")),
    );
}
