//! Asking the human at the terminal itself: passphrases, confirmations. **Invariant**: a passphrase is never read from an
//! argument, an environment variable, or piped stdin.

use std::io::{BufRead as _, Read as _};

use inquire::{Confirm, InquireError, Select};
use outcome_core::agent_shell::started_by;
use outcome_core::identity::check_passphrase;
use outcome_core::settings::process_env;
use outcome_core::usecases::Unlock;
use outcome_core::{Code, Error, Result};
use secrecy::{ExposeSecret as _, SecretString};

use crate::args;
use crate::line;
use crate::output::{Out, safe};

/// The longest line that is read as a passphrase, in bytes.
const MAX_LINE: u64 = 4096;

/// How often an answer is asked for that is not right.
const MAX_TRIES: u32 = 3;

/// The human in front of us, if any.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    may_ask: bool,
    /// The variable that says that an agent started this shell.
    agent: Option<&'static str>,
}

impl Terminal {
    /// `no_input`: behave as if nobody were there.
    pub fn new(no_input: bool) -> Self {
        let is_there = || std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok();
        Self { may_ask: !no_input && is_there(), agent: started_by(process_env) }
    }

    /// True when questions can be asked.
    pub fn may_ask(self) -> bool {
        self.may_ask
    }

    /// The passphrase that unlocks the member's key.
    pub fn unlock(self, flags: &args::Unlock, what: &str) -> Result<Unlock> {
        if let Some(fd) = flags.passphrase_fd {
            return read_line_of(fd).map(Unlock::Passphrase);
        }
        self.must_ask(what)?;
        Ok(Unlock::Passphrase(hidden(&format!("Passphrase to {what}:"))?))
    }

    /// Fails early where no passphrase can be had.
    pub fn require_passphrase(self, flags: &args::Unlock, what: &str) -> Result<()> {
        if flags.passphrase_fd.is_some() { Ok(()) } else { self.must_ask(what) }
    }

    /// Fails where no secret may be asked for.
    fn must_ask(self, what: &str) -> Result<()> {
        self.must_be_own(what)?;
        if self.may_ask { Ok(()) } else { Err(needed(what)) }
    }

    /// Fails in a shell that an agent started: whoever started it reads what is typed, and types.
    pub fn must_be_own(self, what: &str) -> Result<()> {
        let Some(variable) = self.agent else { return Ok(()) };
        let message = format!("nothing is asked to {what} in a shell that an agent started (`{variable}` is set)");
        Err(Error::new(Code::PassphraseNeeded, message)
            .hint("open a terminal of your own and run it there: what is typed in this one can be read by the agent"))
    }

    /// A new passphrase, typed twice. `known`: what it must not be made of.
    pub fn new_passphrase(self, flags: &args::Unlock, known: &[&str]) -> Result<SecretString> {
        if let Some(fd) = flags.passphrase_fd {
            return read_line_of(fd);
        }
        self.must_ask("seal your signing key")?;
        note("It signs what you decide. Several words are easy to remember.");
        loop {
            let typed = hidden("Passphrase for your signing key:")?;
            if let Err(error) = check_passphrase(&typed, known) {
                note(&error.to_string());
                continue;
            }
            if hidden("Repeat the passphrase:")?.expose_secret() == typed.expose_secret() {
                return Ok(typed);
            }
            note("the passphrases do not match");
        }
    }

    /// The recovery code.
    pub fn recovery_code(self, fd: Option<u32>) -> Result<SecretString> {
        if let Some(fd) = fd {
            return read_line_of(fd);
        }
        self.must_be_own("recover your key")?;
        if !self.may_ask {
            return Err(Error::new(
                Code::PassphraseNeeded,
                "the recovery code is needed, and there is no terminal to ask for it",
            )
            .hint("run this in a terminal; a script passes the code with `--code-fd 3 3<FILE`, never as an argument"));
        }
        note("`init` printed it: eight groups of four letters and digits.");
        hidden("Recovery code:")
    }

    /// The value of a secret, typed unseen.
    pub fn secret(self, name: &str) -> Result<SecretString> {
        self.must_be_own(&format!("keep the secret `{name}`"))?;
        if !self.may_ask {
            return Err(Error::new(
                Code::InvalidInput,
                format!("the value of `{name}` is needed, and nobody can be asked for it"),
            )
            .hint(format!("give it on stdin, never as an argument: `outcome-runtime secrets set {name} < FILE`")));
        }
        let typed = hidden(&format!("Value of {name}:"))?;
        if typed.expose_secret().is_empty() {
            return Err(cancelled());
        }
        Ok(typed)
    }

    /// A line of text; the default where nobody can be asked.
    pub fn text(self, question: &str, default: Option<&str>, flag: &str) -> Result<String> {
        if !self.may_ask {
            return default.map(ToOwned::to_owned).ok_or_else(|| missing(flag));
        }
        typed(line::Asked { question, default: default.map(safe).as_deref(), is_hidden: false })
    }

    /// A line of text that has to be right: what is wrong with it is said, and it is asked for again. Of an answer that cannot be asked
    /// again, the error.
    pub fn checked<T>(
        self,
        (question, default, flag): (&str, Option<&str>, &str),
        check: impl Fn(&str) -> Result<T>,
    ) -> Result<T> {
        for _ in 1..MAX_TRIES {
            let answer = self.text(question, default, flag)?;
            match check(answer.trim()) {
                Ok(checked) => return Ok(checked),
                Err(error) if !self.may_ask => return Err(error),
                Err(error) => {
                    note(&error.to_string());
                    if let Some(hint) = error.hint_text() {
                        note(hint);
                    }
                }
            }
        }
        check(self.text(question, default, flag)?.trim())
    }

    /// One of several.
    pub fn select(self, question: &str, options: Vec<String>, flag: &str) -> Result<String> {
        if !self.may_ask {
            return Err(missing(flag));
        }
        asked(Select::new(question, options).prompt())
    }

    /// Yes or no; no by default.
    pub fn confirm(self, question: &str, flag: &str) -> Result<bool> {
        if !self.may_ask {
            return Err(missing(flag));
        }
        asked(Confirm::new(&safe(question)).with_default(false).prompt())
    }
}

/// The first line of a file descriptor that the caller opened for us.
fn read_line_of(fd: u32) -> Result<SecretString> {
    let failed = |e| {
        Error::new(Code::PassphraseNeeded, format!("the file descriptor {fd} of --passphrase-fd cannot be read"))
            .because(e)
            .hint("open it in the shell: `outcome-runtime ... --passphrase-fd 3 3<passphrase.txt`")
    };
    let file = std::fs::File::open(format!("/dev/fd/{fd}")).map_err(failed)?;
    let mut line = String::new();
    std::io::BufReader::new(file.take(MAX_LINE)).read_line(&mut line).map_err(failed)?;
    let line = line.trim_end_matches(['\n', '\r']);
    if line.is_empty() {
        return Err(Error::new(Code::PassphraseNeeded, format!("the first line of file descriptor {fd} is empty")));
    }
    Ok(SecretString::from(line))
}

fn needed(what: &str) -> Error {
    Error::new(
        Code::PassphraseNeeded,
        format!("your passphrase is needed to {what}, and there is no terminal to ask for it"),
    )
    .hint(
        "run this in a terminal; a script passes the passphrase with `--passphrase-fd 3 3<FILE`, never as an argument",
    )
}

fn missing(flag: &str) -> Error {
    Error::new(Code::InvalidInput, format!("{flag} is missing, and there is no terminal to ask for it"))
        .hint(format!("give {flag}"))
}

/// A line that nobody sees.
fn hidden(question: &str) -> Result<SecretString> {
    typed(line::Asked { question, default: None, is_hidden: true }).map(SecretString::from)
}

fn typed(asked: line::Asked<'_>) -> Result<String> {
    line::read(asked)
        .map_err(|e| Error::new(Code::Io, "the terminal cannot be used for questions").because(e))?
        .ok_or_else(cancelled)
}

fn cancelled() -> Error {
    Error::new(Code::InvalidInput, "cancelled; nothing was changed")
}

/// A word to whoever is asked.
fn note(text: &str) {
    Out::note(&safe(text));
}

fn asked<T>(answer: std::result::Result<T, InquireError>) -> Result<T> {
    answer.map_err(|error| match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => cancelled(),
        InquireError::NotTTY => needed("go on"),
        other => Error::new(Code::Io, "the terminal cannot be used for questions").because(other),
    })
}
