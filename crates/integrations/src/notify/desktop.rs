//! Notifications of the desktop that this program runs in, through the desktop's own program: `notify-send` (Linux and the
//! BSDs), `osascript` (macOS). <https://specifications.freedesktop.org/notification-spec/latest/>
//!
//! The texts are arguments of that program, never of a shell. They are other people's words: markup in them is shown as it is
//! written.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use outcome_core::config::vendor::{ChannelVendor, Keymap, Keys, Node, Reporter, object};
use outcome_core::ports::{ChannelSettings, Letter, Notifier, NotifyError, Opening};
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::http::Redactor;

/// Notifications of the desktop. It has no settings.
pub(crate) const VENDOR: ChannelVendor =
    ChannelVendor { kind: NAME, keys: Keymap::new(&[], |_| object(DOC, &[], Vec::new())), read };

const NAME: &str = "desktop";
const DOC: &str = "Notifications of the desktop that the program runs in. It has no keys: `{}`.";
/// How long the desktop's program may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest texts that are shown, in characters.
const MAX_TITLE: usize = 150;
const MAX_BODY: usize = 1000;
/// What the desktop's program gets of our environment: where the desktop is, and none of our secrets.
const ENVIRONMENT: [&str; 9] = [
    "PATH",
    "HOME",
    "LANG",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "XDG_CURRENT_DESKTOP",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
];
/// A script that takes the two texts as arguments.
const APPLE_SCRIPT: [&str; 6] =
    ["-e", "on run {heading, message}", "-e", "display notification message with title heading", "-e", "end run"];

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn ChannelSettings>> {
    if !node.is_null() {
        Keys::open(node, "`desktop`", &[], reporter)?;
    }
    Some(Arc::new(DesktopSettings))
}

#[derive(Debug)]
struct DesktopSettings;

impl ChannelSettings for DesktopSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({})
    }

    fn open(&self, _: &Opening<'_>) -> Result<Box<dyn Notifier>, NotifyError> {
        Ok(Box::new(Desktop))
    }
}

/// The desktop of this session.
#[derive(Debug, Clone, Copy)]
struct Desktop;

fn refused(problem: String) -> NotifyError {
    NotifyError::Refused { channel: NAME.to_owned(), problem }
}

fn unreachable(problem: String) -> NotifyError {
    NotifyError::Unreachable { channel: NAME.to_owned(), problem, retry_after: None }
}

/// The program of this system and its arguments.
fn command_of(letter: &Letter) -> Result<(&'static str, Vec<String>), NotifyError> {
    let (title, body) = (title_of(letter), body_of(letter));
    if cfg!(target_os = "macos") {
        let script = APPLE_SCRIPT.map(ToOwned::to_owned);
        return Ok(("osascript", script.into_iter().chain([title, body]).collect()));
    }
    if cfg!(windows) {
        return Err(refused("desktop notifications are not available on Windows".to_owned()));
    }
    if !has_session() {
        return Err(unreachable(
            "this program does not run in a desktop session (neither DBUS_SESSION_BUS_ADDRESS nor a bus in \
             XDG_RUNTIME_DIR): start it in one, or use another channel"
                .to_owned(),
        ));
    }
    let fixed = ["--app-name=Outcome Runtime", "--category=im.received", "--"].map(ToOwned::to_owned);
    Ok(("notify-send", fixed.into_iter().chain([title, as_written(&body)]).collect()))
}

/// Without one, `notify-send` would start a message bus of its own, which nobody listens to.
fn has_session() -> bool {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    variable("DBUS_SESSION_BUS_ADDRESS").is_some()
        || variable("XDG_RUNTIME_DIR").is_some_and(|folder| std::path::Path::new(&folder).join("bus").exists())
}

/// Begins with our name, so that it is never taken for an option.
fn title_of(letter: &Letter) -> String {
    format!("Outcome Runtime: {}", plain(&letter.subject, MAX_TITLE))
}

fn body_of(letter: &Letter) -> String {
    let link = letter.link.as_deref().map(|link| format!("\n{}", plain(link, MAX_BODY))).unwrap_or_default();
    plain(&letter.text, MAX_BODY) + &link
}

/// On one line, without control characters, cut.
fn plain(text: &str, max: usize) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// So that a body with markup is shown as it is written: servers read a little HTML in it, and `notify-send` reads `\n`.
fn as_written(body: &str) -> String {
    body.replace('\\', "\\\\").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[async_trait]
impl Notifier for Desktop {
    fn name(&self) -> &str {
        NAME
    }

    async fn send(&self, letter: &Letter, _: Timestamp) -> Result<String, NotifyError> {
        let (program, arguments) = command_of(letter)?;
        let environment = ENVIRONMENT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(environment.collect::<Vec<(&str, OsString)>>())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let ran = match timeout(LIMIT, command.output()).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(refused(format!(
                    "the program `{program}` is not installed (on Debian and Ubuntu it is in `libnotify-bin`)"
                )));
            }
            Ok(Err(error)) => return Err(refused(format!("the program `{program}` cannot be run: {error}"))),
            Err(_) => return Err(unreachable(format!("`{program}` did not end within {} s", LIMIT.as_secs()))),
        };
        if ran.status.success() {
            return Ok("shown".to_owned());
        }
        let said = Redactor::default().clean(&String::from_utf8_lossy(&ran.stderr));
        Err(unreachable(format!("no desktop shows it (`{program}` ended with {}): {said}", ran.status)))
    }
}

#[cfg(test)]
mod tests {
    use outcome_core::ports::LetterAbout;
    use pretty_assertions::assert_eq;

    use super::*;

    fn letter(subject: &str, text: &str) -> Letter {
        Letter {
            key: "gate/1/opened".to_owned(),
            kind: "gate_opened".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            about: LetterAbout::default(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            link: Some("http://127.0.0.1:8787/gates/launch?a=1&b=2".to_owned()),
            recipient: None,
            place: None,
        }
    }

    #[test]
    fn texts_of_others_are_neither_options_nor_markup_nor_commands() {
        let letter = letter("--help\n$(id)", "<b>bold</b> & \\n `rm`\u{1b}[31m\nsecond");
        assert_eq!(title_of(&letter), "Outcome Runtime: --help $(id)");
        assert_eq!(body_of(&letter), "<b>bold</b> & \\n `rm` [31m second\nhttp://127.0.0.1:8787/gates/launch?a=1&b=2");
        assert_eq!(
            as_written(&body_of(&letter)),
            "&lt;b&gt;bold&lt;/b&gt; &amp; \\\\n `rm` [31m second\nhttp://127.0.0.1:8787/gates/launch?a=1&amp;b=2"
        );
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        assert_eq!(plain(&"é".repeat(2000), MAX_BODY).chars().count(), MAX_BODY + 3);
    }
}
