//! Where a gate's holder is told: `slack:#name`, `email`, `none`, and the channels of the vendors' table.

use super::report::{At, Context, Problem, Reporter, Span, list, near_or, shown};
use crate::domain::GateChannel;

/// Besides Slack and the channels of the vendors' table.
const OTHERS: [&str; 2] = ["email", "none"];

/// `#name` or a channel id.
pub(super) fn is_slack_channel(channel: &str) -> bool {
    let is_name = channel.strip_prefix('#').is_some_and(|name| {
        (1..=80).contains(&name.chars().count())
            && name.chars().all(|c| c.is_alphanumeric() && !c.is_uppercase() || c == '-' || c == '_')
    });
    let is_id = channel.len() >= 9
        && channel.starts_with(['C', 'G', 'D'])
        && channel.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_name || is_id
}

/// Reports a channel that is none, or that cannot be used with this file.
pub(super) fn channel(at: &At<String>, context: &Context, reporter: &mut Reporter<'_>) {
    let value = at.value.as_str();
    let (kind, place) = match GateChannel::of(value) {
        GateChannel::Nowhere => return,
        GateChannel::To { kind, place } => (kind, place),
    };
    let is_known = reporter.vendors().channel(kind).is_some();
    match (kind, place) {
        _ if is_known && context.channels.contains(kind) => {}
        _ if is_known => {
            let message = format!("the file declares no `notifications.{kind}`, so messages cannot be sent there");
            reporter.push(
                Problem::warning("config.channel_not_set_up", at.span, message)
                    .valid(format!("`{value}` together with `notifications.{kind}`, or another channel"))
                    .help(format!("declare `notifications.{kind}`, or write `channel: none`")),
            );
        }
        ("email", None) => unavailable("`email`", at.span, reporter),
        ("slack", Some(place)) if is_slack_channel(place) => {
            unavailable(&format!("`{}`", shown(value)), at.span, reporter);
        }
        _ => invalid(at, reporter),
    }
}

/// Warns of a channel that the file may name and that this version sends nothing to.
pub(super) fn unavailable(what: &str, at: Span, reporter: &mut Reporter<'_>) {
    let known: Vec<&str> = reporter.vendors().channels.iter().map(|vendor| vendor.kind).collect();
    let message = format!("nothing is sent to {what} in this version");
    let help = match known.first() {
        Some(first) => {
            format!("declare `notifications.{first}` and write `channel: {first}`, or write `channel: none`")
        }
        None => "write `channel: none`".to_owned(),
    };
    let valid = list(&[known.as_slice(), &["none"]].concat());
    reporter.push(Problem::warning("config.channel_unavailable", at, message).valid(valid).help(help));
}

fn invalid(at: &At<String>, reporter: &mut Reporter<'_>) {
    let value = at.value.as_str();
    let message = format!("`{}` is not a channel", shown(value));
    let vendors: Vec<&str> = reporter.vendors().channels.iter().map(|vendor| vendor.kind).collect();
    let help = match value.strip_prefix("slack:").unwrap_or(value) {
        name if value.starts_with("slack:") && name.chars().any(char::is_uppercase) => {
            "Slack channels are lower case: `slack:#checkout`".to_owned()
        }
        name if value.starts_with("slack:") && !name.is_empty() => {
            "write the channel with its `#`: `slack:#checkout`".to_owned()
        }
        name if name.starts_with('#') => format!("write `slack:{}`", shown(name)),
        name if name.contains('@') => "write `email`: the message goes to the address in `assigned_to`".to_owned(),
        name => near_or(name, &[&["slack"][..], &OTHERS, &vendors].concat(), "write one of them"),
    };
    let valid = list(&[&["slack:#name"][..], &OTHERS, &vendors].concat());
    reporter.push(Problem::error("config.invalid_channel", at.span, message).valid(valid).help(help));
}
