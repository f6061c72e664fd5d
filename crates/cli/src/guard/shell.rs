//! The patches that a shell command applies with `apply_patch`, each in the folder to which the command changes before.
//!
//! A shell command may write in any other way; judging that would only pretend.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::patch;
use super::words::{Token, Word, tokens};

/// How deep a command may stand in another one (`bash -c`).
const MAX_DEPTH: u8 = 6;
/// Begins a patch.
const BEGIN: &str = "*** Begin Patch";
/// The program, and another name of it.
const PROGRAMS: [&str; 2] = ["apply_patch", "applypatch"];
/// Programs and words that stand before the one that is meant.
const BEFORE: [&str; 17] = [
    "{", "}", "!", "if", "then", "elif", "else", "while", "until", "do", "time", "command", "builtin", "exec", "nohup",
    "sudo", "env",
];

/// What a command writes by its patches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Patches {
    /// Relative to the folder of the call, where they are not absolute.
    pub(super) files: Vec<PathBuf>,
    /// A patch is applied in a folder that only the shell knows.
    pub(super) is_elsewhere: bool,
}

/// The patches of a command line.
pub(super) fn patches(command: &str) -> Patches {
    let mut found = Patches::default();
    if !is_applied(command) {
        return found;
    }
    Walk::new(Some(PathBuf::new()), 0).script(command, &mut found);
    // Where a quote in a patch was taken for one of the shell, what stands in it is looked at all the same.
    let missed: Vec<PathBuf> =
        patch::paths(command).into_iter().filter(|path| !found.files.iter().any(|file| file.ends_with(path))).collect();
    if !missed.is_empty() && !found.is_elsewhere {
        found.is_elsewhere = tokens(command).iter().any(|token| matches!(token, Token::Word(word) if changes(word)));
        found.files.extend(missed);
    }
    found
}

/// The patches of a program and its arguments.
pub(super) fn patches_of_arguments(arguments: &[&str]) -> Patches {
    let mut found = Patches::default();
    if arguments.iter().any(|argument| argument.contains(BEGIN)) {
        let mut walk = Walk::new(Some(PathBuf::new()), 0);
        walk.command = arguments.iter().map(|text| Word { text: (*text).to_owned(), ..Word::default() }).collect();
        walk.end_of_pipeline(&mut found);
        walk.finish(&mut found);
    }
    found
}

/// Whether a text holds a patch and names the program that applies it.
fn is_applied(text: &str) -> bool {
    text.contains(BEGIN) && PROGRAMS.iter().any(|program| text.contains(program))
}

fn changes(word: &Word) -> bool {
    matches!(word.text.as_str(), "cd" | "pushd" | "popd")
}

/// A folder; `None` where only the shell knows it.
type Folder = Option<PathBuf>;

/// Follows a script from command to command.
struct Walk {
    depth: u8,
    folder: Folder,
    previous: Folder,
    pushed: Vec<Folder>,
    /// What holds again behind each bracket that is open.
    outer: Vec<(Folder, Folder, Vec<Folder>)>,
    variables: HashMap<String, String>,
    command: Vec<Word>,
    /// Of this pipeline: the patches, and the folders in which the program runs.
    texts: Vec<String>,
    programs: Vec<Folder>,
    /// Of the whole script, where one stands without the other (`cat > file`, then `apply_patch < file`).
    loose_texts: Vec<String>,
    loose_programs: Vec<Folder>,
}

impl Walk {
    fn new(folder: Folder, depth: u8) -> Self {
        Self {
            depth,
            previous: folder.clone(),
            folder,
            pushed: Vec::new(),
            outer: Vec::new(),
            variables: HashMap::new(),
            command: Vec::new(),
            texts: Vec::new(),
            programs: Vec::new(),
            loose_texts: Vec::new(),
            loose_programs: Vec::new(),
        }
    }

    fn script(mut self, script: &str, found: &mut Patches) {
        for token in tokens(script) {
            match token {
                Token::Word(word) => self.command.push(word),
                Token::Pipe => self.end_of_command(found),
                Token::End => self.end_of_pipeline(found),
                Token::Open => {
                    self.end_of_command(found);
                    self.outer.push((self.folder.clone(), self.previous.clone(), self.pushed.clone()));
                }
                Token::Close => {
                    self.end_of_pipeline(found);
                    if let Some((folder, previous, pushed)) = self.outer.pop() {
                        (self.folder, self.previous, self.pushed) = (folder, previous, pushed);
                    }
                }
            }
        }
        self.end_of_pipeline(found);
        self.finish(found);
    }

    fn end_of_pipeline(&mut self, found: &mut Patches) {
        self.end_of_command(found);
        let (texts, programs) = (std::mem::take(&mut self.texts), std::mem::take(&mut self.programs));
        if texts.is_empty() || programs.is_empty() {
            self.loose_texts.extend(texts);
            self.loose_programs.extend(programs);
        } else {
            add(&texts, &programs, found);
        }
    }

    fn finish(&mut self, found: &mut Patches) {
        add(&self.loose_texts, &self.loose_programs, found);
    }

    fn end_of_command(&mut self, found: &mut Patches) {
        let words = std::mem::take(&mut self.command);
        let mut folder = self.folder.clone();
        let mut rest = words.iter().filter(|word| !word.is_document).peekable();
        let mut assigned = Vec::new();
        let mut is_env = false;
        while let Some(word) = rest.peek().copied() {
            if let Some((name, value)) = assignment(&word.text) {
                assigned.push((name.to_owned(), value.to_owned(), word.is_expanded));
            } else if is_env && let Some(given) = folder_of_env(&word.text) {
                rest.next();
                let place = match given {
                    "" => rest.peek().map(|next| self.read(next)),
                    text => Some(self.read(&Word { text: text.to_owned(), ..word.clone() })),
                };
                folder = place.and_then(|place| joined(folder.as_ref(), place));
                if !given.is_empty() {
                    continue;
                }
            } else {
                let is_before = BEFORE.contains(&word.text.as_str());
                let is_option = is_env && word.text.starts_with('-');
                if !is_before && !is_option {
                    break;
                }
            }
            is_env |= rest.next().is_some_and(|word| word.text == "env");
        }
        let Some(program) = rest.next() else {
            for (name, value, is_expanded) in assigned {
                match is_expanded {
                    true => self.variables.remove(&name),
                    false => self.variables.insert(name, value),
                };
            }
            return self.texts_of(&words, folder, found);
        };
        match program.text.as_str() {
            "cd" | "chdir" | "pushd" => {
                let is_push = program.text == "pushd";
                let target = rest.find(|word| word.text == "-" || !word.text.starts_with('-'));
                let new = match target {
                    Some(word) if word.text == "-" => self.previous.clone(),
                    Some(word) if is_push && word.text.starts_with('+') => None,
                    Some(word) => joined(self.folder.as_ref(), self.read(word)),
                    None if is_push => self.pushed.pop().unwrap_or_default(),
                    None => std::env::home_dir(),
                };
                if is_push {
                    self.pushed.push(self.folder.clone());
                }
                self.previous = std::mem::replace(&mut self.folder, new);
            }
            "popd" => {
                self.previous = std::mem::replace(&mut self.folder, self.pushed.pop().unwrap_or_default());
            }
            _ => self.texts_of(&words, folder, found),
        }
    }

    /// Patches and programs among the words of a command that runs in `folder`.
    fn texts_of(&mut self, words: &[Word], folder: Folder, found: &mut Patches) {
        for word in words {
            let text = &word.text;
            if text.contains(BEGIN) {
                let before = text.split(BEGIN).next().unwrap_or_default();
                if self.depth < MAX_DEPTH && PROGRAMS.iter().any(|program| before.contains(program)) {
                    let mut inner = Self::new(folder.clone(), self.depth + 1);
                    inner.variables.clone_from(&self.variables);
                    inner.script(text, found);
                } else {
                    self.texts.push(text.clone());
                }
            } else if Path::new(text).file_name().is_some_and(|name| PROGRAMS.iter().any(|program| name == *program)) {
                self.programs.push(folder.clone());
            }
        }
    }

    /// The folder that a word names, as far as it can be read.
    fn read(&self, word: &Word) -> Folder {
        let text = &word.text;
        let home = std::env::home_dir();
        if text == "~" || text.starts_with("~/") {
            return Some(home?.join(text.trim_start_matches('~').trim_start_matches('/')));
        }
        if !word.is_expanded {
            return Some(PathBuf::from(text));
        }
        let (name, below) = text.strip_prefix('$')?.split_once('/').unwrap_or((text.strip_prefix('$')?, ""));
        let name = name.strip_prefix('{').map_or(Some(name), |name| name.strip_suffix('}'))?;
        let is_plain = |text: &str| !text.contains(['$', '`', '*', '?', '[']);
        let start = match (self.variables.get(name), name) {
            (Some(value), _) => PathBuf::from(value),
            (None, "PWD") => PathBuf::new(),
            (None, "HOME") => home?,
            (None, _) => return None,
        };
        is_plain(below).then(|| start.join(below))
    }
}

fn add(texts: &[String], programs: &[Folder], found: &mut Patches) {
    for folder in programs {
        for path in texts.iter().flat_map(|text| patch::paths(text)) {
            match folder {
                Some(folder) => found.files.push(folder.join(path)),
                None if path.is_absolute() => found.files.push(path),
                None => found.is_elsewhere = true,
            }
        }
    }
}

fn joined(folder: Option<&PathBuf>, target: Folder) -> Folder {
    let target = target?;
    if target.is_absolute() { Some(target) } else { Some(folder?.join(target)) }
}

/// `NAME=value`.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
    (is_name && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some((name, value))
}

/// The folder of `env -C FOLDER`; empty where it is the next word.
fn folder_of_env(word: &str) -> Option<&str> {
    match word {
        "-C" | "--chdir" => Some(""),
        _ => word.strip_prefix("--chdir=").or_else(|| word.strip_prefix("-C")),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const PATCH: &str = "*** Begin Patch\n*** Add File: a\n+it's (x\n*** End Patch";

    fn files(command: &str) -> Vec<String> {
        let found = patches(command);
        assert!(!found.is_elsewhere, "{command}: {found:?}");
        found.files.iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn a_patch_lands_where_the_command_went_before() {
        let here = format!("apply_patch <<'E'\n{PATCH}\nE\n");
        for (before, file) in [
            ("", "a"),
            ("cd 'src/a' && ", "src/a/a"),
            ("cd src && cd b; ", "src/b/a"),
            ("cd src; cd - && ", "a"),
            ("pushd src && popd && ", "a"),
            ("(cd src && ls) && ", "a"),
            ("{ cd src; } && ", "src/a"),
            ("if true; then cd src; fi\n", "src/a"),
            ("D=src; cd \"$D/b\" && ", "src/b/a"),
            ("cd src && cd $PWD/c && ", "src/c/a"),
            ("cd src || exit 1\nFOO=1 ", "src/a"),
            ("env -C src FOO=1 ", "src/a"),
            ("env --chdir=src ", "src/a"),
            ("cd src # with a note\n", "src/a"),
            ("cd src >/dev/null 2>&1 && ", "src/a"),
            ("cd -P -- src && /usr/bin/", "src/a"),
        ] {
            assert_eq!(files(&format!("{before}{here}")), [file], "{before}");
        }
    }

    #[test]
    fn a_patch_is_seen_however_it_reaches_the_program() {
        for command in [
            format!("cd src && cat <<E | apply_patch\n{PATCH}\nE\n"),
            format!("cat > /tmp/p <<'E'\n{PATCH}\nE\ncd src && apply_patch < /tmp/p"),
            format!("cd src && apply_patch \"$(cat <<'E'\n{PATCH}\nE\n)\""),
            format!("bash <<'O'\ncd src && apply_patch <<'E'\n{PATCH}\nE\nO\n"),
            format!("eval \"cd src && apply_patch <<'E'\n{PATCH}\nE\""),
            format!("cd src && apply_patch <<-E\n\t{}\n\tE\n", PATCH.replace('\n', "\n\t")),
            format!("cd src && bash -c 'apply_patch' <<E\n{PATCH}\nE\n"),
        ] {
            assert_eq!(files(&command), ["src/a"], "{command}");
        }
        let arguments = ["bash", "-lc", &format!("cd src && apply_patch <<'E'\n{PATCH}\nE\n")];
        assert_eq!(patches_of_arguments(&arguments).files, [PathBuf::from("src/a")]);
        assert_eq!(patches_of_arguments(&["apply_patch", PATCH]).files, [PathBuf::from("a")]);
    }

    #[test]
    fn what_only_the_shell_knows_is_said() {
        for before in ["cd \"$UNKNOWN\"", "cd $(git rev-parse --show-toplevel)", "cd sr*", "cd a; popd", "pushd +1"] {
            let found = patches(&format!("{before} && apply_patch <<'E'\n{PATCH}\nE\n"));
            assert!(found.is_elsewhere && found.files.is_empty(), "{before}: {found:?}");
        }
    }

    #[test]
    fn a_patch_that_is_not_applied_is_none() {
        for command in [format!("cat <<'E'\n{PATCH}\nE"), "apply_patch --help".to_owned(), "ls".to_owned()] {
            assert_eq!(patches(&command), Patches::default(), "{command}");
        }
    }

    #[test]
    fn no_command_is_too_strange() {
        for text in ["'", "\"", "\\", "$(", "${", "<<", "<<-", "((((", "))))", "|&;<>", "cd", "env -C", "pushd", "`"] {
            let _ = patches(&format!("{text} apply_patch {PATCH}"));
            let _ = patches(&format!("apply_patch {PATCH} {text}"));
        }
        let deep = format!("bash -c {}apply_patch {PATCH}", "'bash -c ".repeat(5000));
        assert_eq!(patches(&deep).files, [PathBuf::from("a")]);
    }
}
