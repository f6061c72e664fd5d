//! Signing with a key that the member touches: the system's `ssh-keygen` asks for the touch and the PIN, at this terminal.
//!
//! **Invariant**: nothing of ours sees the PIN, and a program that an agent put before the real one does not, either: `ssh-keygen` is
//! looked for in trusted places, and what a variable names is loaded from there only.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use outcome_core::identity::{TouchKey, fingerprint, signature_of};
use outcome_core::ports::TouchToSign;
use outcome_core::programs::{is_trusted_file, search_path, trusted};
use outcome_core::usecases::{KeyState, Runtime};
use outcome_core::{Code, Error, Result};

/// What it needs of our environment: where its keys are, and an agent that has them. What such an agent answers is checked like anybody's
/// signature. `SSH_ASKPASS` and `SSH_SK_HELPER` would name a program that gets the PIN.
const PASSED: [&str; 8] = ["HOME", "USER", "LOGNAME", "TERM", "LANG", "LC_ALL", "SSH_AUTH_SOCK", "USERPROFILE"];
/// A library that speaks with the hardware. It gets the PIN, too.
const PROVIDER: &str = "SSH_SK_PROVIDER";
/// Longest public key file that is read, in bytes.
const MAX_FILE: u64 = 4_096;

/// A key of the member, as `ssh-keygen` finds it.
#[derive(Debug)]
pub struct SshKey {
    /// The private part, which is a handle that is worth nothing without the hardware; or the public one, where an agent has the key.
    file: PathBuf,
    public_key: String,
}

impl SshKey {
    /// The key of this file, or of the `.pub` file beside it.
    pub fn at(file: &Path) -> Result<Self> {
        let is_public = file.extension().is_some_and(|extension| extension == "pub");
        let public = if is_public { file.to_owned() } else { with_pub(file) };
        let private = if is_public { file.with_extension("") } else { file.to_owned() };
        let unreadable = |e| {
            Error::new(Code::InvalidInput, format!("{} cannot be read", public.display()))
                .because(e)
                .hint("give the file of the public key: it ends with `.pub`")
        };
        let text = read_start(&public).map_err(unreadable)?;
        let key = TouchKey::parse(&text).map_err(|error| {
            Error::new(Code::InvalidInput, format!("{}: {error}", public.display())).hint(
                "make a key in your security key: `ssh-keygen -t ed25519-sk -O verify-required`, and give its `.pub` file",
            )
        })?;
        let file = if private.is_file() { private } else { public };
        Ok(Self { file, public_key: key.as_str().to_owned() })
    }

    /// The first one in `~/.ssh` that is enrolled and counts.
    pub async fn enrolled(runtime: &Runtime) -> Result<Option<Self>> {
        let keys = runtime.keys().list().await?;
        let counts = |key: &SshKey| {
            let name = fingerprint(&key.public_key);
            keys.iter().any(|line| line.fingerprint == name && line.state == KeyState::Counts)
        };
        let folder = std::env::home_dir().unwrap_or_default().join(".ssh");
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        let public = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "pub"));
        Ok(public.filter_map(|file| Self::at(file).ok()).find(counts))
    }

    fn run(&self, program: &Path, namespace: &str, bytes: &[u8]) -> std::io::Result<std::process::Output> {
        let mut command = Command::new(program);
        command.env_clear().envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        if let Some(path) = search_path(program) {
            command.env("PATH", path);
        }
        if let Some(provider) =
            std::env::var_os(PROVIDER).filter(|name| name == "internal" || is_trusted_file(Path::new(name)))
        {
            command.env(PROVIDER, provider);
        }
        command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(&self.file);
        // What it asks of the person goes to the terminal.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(bytes)?;
        }
        child.wait_with_output()
    }
}

impl TouchToSign for SshKey {
    fn public_key(&self) -> &str {
        &self.public_key
    }

    fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let program = trusted("ssh-keygen").map_err(|passed_over| no_program(passed_over.as_deref()))?;
        let cannot = |e| Error::new(Code::Io, format!("{} cannot be run", program.display())).because(e);
        let done = self.run(&program, namespace, bytes).map_err(cannot)?;
        if !done.status.success() {
            let message = format!("ssh-keygen signed nothing with {}", self.file.display());
            return Err(Error::new(Code::Unauthenticated, message).hint(
                "its own words are above; is the security key plugged in, and was it touched while it blinked? On macOS `SSH_SK_PROVIDER` \
                 must name a library of the system or of your package manager",
            ));
        }
        signature_of(&String::from_utf8_lossy(&done.stdout)).map_err(|error| {
            Error::new(Code::SignatureInvalid, format!("what ssh-keygen wrote cannot be read: {error}"))
        })
    }
}

fn no_program(passed_over: Option<&Path>) -> Error {
    let passed_over = passed_over.map(|program| format!(" ({} is not in a trusted place)", program.display()));
    Error::new(Code::Io, format!("there is no ssh-keygen{}", passed_over.unwrap_or_default()))
        .hint("install OpenSSH with the system's package manager")
}

fn with_pub(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn read_start(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(std::fs::File::open(file)?, MAX_FILE), &mut text)?;
    Ok(text)
}
