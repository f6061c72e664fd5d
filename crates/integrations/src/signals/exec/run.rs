//! Running the program: that it is the signed one, one question, one answer, and an end in time.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use outcome_core::ports::ReadError;
use outcome_core::programs::is_trusted_file;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::protocol::{Failed, Failure, Question};
use super::{ExecSource, PAGE};
use crate::http::MAX_ANSWER;
use crate::signals::api::whole;

/// Largest program.
const MAX_PROGRAM: u64 = 256 * 1024 * 1024;
/// Of what it says beside its answer, this much is read for an error.
const MAX_SAID: usize = 16 * 1024;
/// Where programs are found that it starts itself, such as an interpreter.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

impl ExecSource {
    /// Asks one question.
    pub(super) async fn ask<T: DeserializeOwned>(&self, of: &str, question: &Question) -> Result<T, ReadError> {
        self.is_signed().await?;
        let body = self.run(of, question).await?;
        if let Ok(Failed { error }) = whole(&body) {
            return Err(self.failed(of, error));
        }
        whole(&body).map_err(|problem| self.shape(of, problem))
    }

    fn unusable(&self, problem: String, hint: &str) -> ReadError {
        ReadError::Config { source_name: self.name.clone(), problem, hint: hint.to_owned() }
    }

    /// The program is where it may be, and is the one that was signed.
    async fn is_signed(&self) -> Result<(), ReadError> {
        let (program, root) = (self.program.clone(), self.root.clone());
        let found = tokio::task::spawn_blocking(move || looked_at(&program, &root)).await;
        let lost = |detail: String| ReadError::Unreachable { source_name: self.name.clone(), detail };
        let hash = match found.map_err(|error| lost(error.to_string()))? {
            Ok(hash) => hash,
            Err(Refused::Unreadable(detail)) => return Err(lost(detail)),
            Err(Refused::Place(problem)) => {
                let hint = "put it into a folder that only you or root can write, outside of every repository and of /tmp, as \
                            /opt/outcome, and apply the new path";
                return Err(self.unusable(problem, hint));
            }
        };
        if hash == self.sha256 {
            return Ok(());
        }
        Err(self.unusable(
            format!("{} is not the program that was signed: its SHA-256 is {hash}", self.program.display()),
            "if you changed it, write this hash as `sha256` and apply the file; if not, somebody else did",
        ))
    }

    async fn run(&self, of: &str, question: &Question) -> Result<Vec<u8>, ReadError> {
        let mut line = serde_json::to_vec(question).map_err(|error| self.shape(of, error.to_string()))?;
        line.push(b'\n');
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(token) = &self.token {
            command.env("OUTCOME_TOKEN", token.expose_secret());
        }
        #[cfg(unix)]
        command.process_group(0);
        let lost = |detail: String| ReadError::Unreachable { source_name: self.name.clone(), detail };
        let mut child = command.spawn().map_err(|error| lost(format!("{}: {error}", self.program.display())))?;
        let group = Group(child.id());
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let write = async {
                if let Some(mut input) = input {
                    // A program that does not read its input may answer all the same.
                    let _ = input.write_all(&line).await;
                }
            };
            let ((), body, said) = tokio::join!(write, bounded(output, MAX_ANSWER), bounded(errors, MAX_SAID));
            (body, said, child.wait().await)
        };
        let Ok((body, said, ended)) = tokio::time::timeout(self.limit, talk).await else {
            return Err(ReadError::Timeout {
                source_name: self.name.clone(),
                limit: self.limit,
                hint: "let the program prepare its numbers by itself, or raise `timeout`".to_owned(),
            });
        };
        group.leave();
        let status = ended.map_err(|error| lost(error.to_string()))?;
        let (body, is_whole) = body.map_err(|error| lost(error.to_string()))?;
        if !status.success() {
            let said = said.map(|(said, _)| said).unwrap_or_default();
            let said = self.redactor.clean(&String::from_utf8_lossy(&said));
            return Err(ReadError::Query {
                source_name: self.name.clone(),
                signal: of.to_owned(),
                detail: format!("the program ended with {status}: {said}"),
                hint: format!("run it by hand with the question on its input; {PAGE} shows one"),
                line: None,
                column: None,
            });
        }
        if !is_whole {
            return Err(self.shape(of, format!("it is larger than {MAX_ANSWER} bytes")));
        }
        Ok(body)
    }

    /// What the program says went wrong.
    fn failed(&self, of: &str, failure: Failure) -> ReadError {
        let source_name = self.name.clone();
        let detail = self.redactor.clean(&failure.message);
        match failure.kind.as_str() {
            "unauthorized" => ReadError::Unauthorized {
                source_name,
                detail,
                hint: "check the `token`, and what the program needs to read".to_owned(),
            },
            "throttled" => ReadError::Throttled {
                source_name,
                detail,
                retry_after: failure.retry_after_secs.map(std::time::Duration::from_secs),
            },
            "unreachable" => ReadError::Unreachable { source_name, detail },
            _ => ReadError::Query {
                source_name,
                signal: of.to_owned(),
                detail,
                hint: "the program said so; check how the signal is written".to_owned(),
                line: None,
                column: None,
            },
        }
    }
}

/// Why a program is not run.
enum Refused {
    Unreadable(String),
    Place(String),
}

/// The SHA-256 of a program that may be run.
fn looked_at(program: &Path, root: &Path) -> Result<String, Refused> {
    let unreadable = |error: std::io::Error| Refused::Unreadable(format!("{}: {error}", program.display()));
    let real = program.canonicalize().map_err(unreadable)?;
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    // A workspace at the root of the file system is none.
    if root.parent().is_some() && real.starts_with(&root) {
        return Err(Refused::Place(format!("{} is in the repository, where others can change it", program.display())));
    }
    if !is_trusted_file(&real) {
        return Err(Refused::Place(format!(
            "{} is in a temporary folder, in a repository, or in a place that others can write",
            program.display()
        )));
    }
    let mut file = std::fs::File::open(&real).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length > MAX_PROGRAM {
        return Err(Refused::Place(format!("{} is larger than {MAX_PROGRAM} bytes", program.display())));
    }
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut chunk).map_err(unreadable)?;
        if n == 0 {
            break;
        }
        hash.update(chunk.get(..n).unwrap_or_default());
    }
    Ok(hex::encode(hash.finalize()))
}

/// Reads up to so many bytes, and the rest without keeping it; whether that was all.
async fn bounded(from: Option<impl AsyncRead + Unpin>, most: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let Some(mut from) = from else { return Ok((Vec::new(), true)) };
    let mut kept = Vec::new();
    (&mut from).take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut kept).await?;
    let rest = tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok((kept, rest == 0))
}

/// The program and all that it started, which end with this.
struct Group(Option<u32>);

impl Group {
    /// The program ended by itself: its number may soon be that of another.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}
