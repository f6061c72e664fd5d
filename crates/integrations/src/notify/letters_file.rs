//! Letters as lines of a JSON file: an example, and for programs on the same machine that tell people in their own way.
//! <https://jsonlines.org/>
//!
//! There is no vendor. A line is a `Letter` as the core writes it. Lines are only added, under a lock, and a letter whose key
//! is there already is not added again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use outcome_core::config::vendor::{ChannelVendor, Decode as _, Keymap, Node, Reporter, references};
use outcome_core::ports::{ChannelSettings, Letter, Notifier, NotifyError, Opening};
use outcome_core::yaml_map;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;

/// A file of letters.
pub(crate) const VENDOR: ChannelVendor = ChannelVendor {
    kind: NAME,
    keys: Keymap::new(LettersFile::FIELDS, |generator| generator.subschema_for::<LettersFile>()),
    read,
};

yaml_map! {
    /// Settings of `letters_file`, which adds a line for each message.
    LettersFile("`letters_file`") {
        /// The file, such as `letters.jsonl`, relative to the repository's root.
        required path: String,
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn ChannelSettings>> {
    let path = LettersFile::decode(node, reporter)?.path?;
    references(&path, reporter).then(|| Arc::new(LettersSettings { path: path.value }) as Arc<dyn ChannelSettings>)
}

#[derive(Debug)]
struct LettersSettings {
    path: String,
}

impl ChannelSettings for LettersSettings {
    fn to_json(&self) -> serde_json::Value {
        json!({ "path": self.path })
    }

    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn Notifier>, NotifyError> {
        let path = opening.resolve.resolve(&self.path).map_err(|error| config(error.message().to_owned()))?;
        let path = Path::new(path.expose_secret());
        if path.file_name().is_none()
            || !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(config("`path` does not lead to a file below the repository's root".to_owned()));
        }
        Ok(Box::new(Letters { root: opening.root.to_owned(), file: opening.root.join(path) }))
    }
}

const NAME: &str = "letters_file";
/// Largest file, in bytes.
const MAX_FILE: u64 = 10 * 1024 * 1024;

fn config(problem: String) -> NotifyError {
    NotifyError::Config { channel: NAME.to_owned(), problem }
}

fn refused(problem: &str) -> NotifyError {
    NotifyError::Refused { channel: NAME.to_owned(), problem: problem.to_owned() }
}

fn unreachable(error: impl std::fmt::Display) -> NotifyError {
    NotifyError::Unreachable { channel: NAME.to_owned(), problem: error.to_string() }
}

#[derive(Debug, Clone)]
struct Letters {
    root: PathBuf,
    file: PathBuf,
}

/// What is looked at in a line.
#[derive(Deserialize)]
struct Line {
    key: String,
}

impl Letters {
    /// Opens the file, which is really below the root and no link.
    fn open(&self) -> Result<File, NotifyError> {
        let parent = self.file.parent().unwrap_or(&self.root).canonicalize().map_err(unreachable)?;
        if !parent.starts_with(self.root.canonicalize().map_err(unreachable)?) {
            return Err(config("`path` leads through a link out of the repository".to_owned()));
        }
        match self.file.symlink_metadata() {
            Ok(meta) if !meta.is_file() => return Err(config("`path` is not an ordinary file".to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unreachable(error)),
            Ok(_) | Err(_) => {}
        }
        OpenOptions::new().create(true).read(true).append(true).open(&self.file).map_err(unreachable)
    }

    fn add(&self, letter: &Letter) -> Result<(), NotifyError> {
        let mut file = self.open()?;
        // Given back when the file is closed. Another writer is done soon; the outbox tries again.
        file.try_lock().map_err(unreachable)?;
        if file.metadata().map_err(unreachable)?.len() > MAX_FILE {
            return Err(refused("the file is larger than 10 MiB: move it away"));
        }
        let mut is_ended = true;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(unreachable)? > 0 {
            is_ended = line.ends_with(b"\n");
            if is_ended && serde_json::from_slice::<Line>(&line).is_ok_and(|line| line.key == letter.key) {
                return Ok(());
            }
            line.clear();
        }
        let text = serde_json::to_string(letter).map_err(|error| refused(&error.to_string()))?;
        // A line that was cut off by a crash stays alone.
        let begin = if is_ended { "" } else { "\n" };
        file.write_all(format!("{begin}{text}\n").as_bytes()).map_err(unreachable)?;
        file.sync_data().map_err(unreachable)
    }
}

#[async_trait]
impl Notifier for Letters {
    fn name(&self) -> &str {
        NAME
    }

    async fn send(&self, letter: &Letter) -> Result<(), NotifyError> {
        let (this, letter) = (self.clone(), letter.clone());
        tokio::task::spawn_blocking(move || this.add(&letter)).await.map_err(unreachable)?
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use secrecy::SecretString;

    use super::*;

    fn at(path: &str, root: &Path) -> Result<Box<dyn Notifier>, NotifyError> {
        let resolve = |text: &str| Ok(SecretString::from(text));
        LettersSettings { path: path.to_owned() }.open(&Opening { root, resolve: &resolve })
    }

    fn letter(key: &str) -> Letter {
        Letter {
            key: key.to_owned(),
            kind: "gate_opened".to_owned(),
            subject: "Gate `launch` waits".to_owned(),
            text: "Two\nlines".to_owned(),
            link: None,
            recipient: Some("dana@example.com".to_owned()),
            place: Some("#checkout".to_owned()),
        }
    }

    fn lines(root: &Path) -> Vec<String> {
        std::fs::read_to_string(root.join("letters.jsonl")).unwrap().lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_letter_is_one_line_however_often_it_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let channel = at("letters.jsonl", dir.path()).unwrap();
        for key in ["a", "b", "a", "b"] {
            channel.send(&letter(key)).await.unwrap();
        }
        let read: Vec<Letter> = lines(dir.path()).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, [letter("a"), letter("b")]);
    }

    #[tokio::test]
    async fn a_line_that_was_cut_off_is_sent_again_on_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("letters.jsonl"), "not ours\n{\"key\":\"a\",\"kind").unwrap();
        at("letters.jsonl", dir.path()).unwrap().send(&letter("a")).await.unwrap();
        let lines = lines(dir.path());
        assert_eq!((lines.len(), &lines[0][..], &lines[1][..]), (3, "not ours", "{\"key\":\"a\",\"kind"));
        assert_eq!(serde_json::from_str::<Letter>(&lines[2]).unwrap(), letter("a"));
    }

    #[tokio::test]
    async fn another_writer_is_waited_for_and_a_full_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let channel = at("letters.jsonl", dir.path()).unwrap();
        channel.send(&letter("a")).await.unwrap();
        let held = File::open(dir.path().join("letters.jsonl")).unwrap();
        held.lock().unwrap();
        assert!(channel.send(&letter("b")).await.unwrap_err().is_transient());
        drop(held);
        channel.send(&letter("b")).await.unwrap();
        let large = OpenOptions::new().write(true).open(dir.path().join("letters.jsonl")).unwrap();
        large.set_len(MAX_FILE + 1).unwrap();
        assert!(!channel.send(&letter("c")).await.unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn nothing_outside_of_the_repository_is_written() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for path in ["", ".", "/etc/letters.jsonl", "../letters.jsonl", "a/../../letters.jsonl"] {
            assert!(matches!(at(path, dir.path()), Err(NotifyError::Config { .. })), "{path}");
        }
        std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("x"), dir.path().join("link")).unwrap();
        for path in ["out/letters.jsonl", "link"] {
            let error = at(path, dir.path()).unwrap().send(&letter("a")).await.unwrap_err();
            assert!(matches!(error, NotifyError::Config { .. }), "{error}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
