//! Which program of a name is run, such as git.
//!
//! What is signed rests on what these programs answer, so one that an agent can put before the real one is not
//! taken: it is looked for in the folders of the system and of the usual package managers, and on the `PATH` only in folders
//! that are neither temporary, nor in a repository, nor writable by others.

use std::path::{Component, Path, PathBuf};

/// Folders that belong to the system or to a package manager for the whole machine.
const SYSTEM: [&str; 11] = [
    "/usr/bin",
    "/usr/local/bin",
    "/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "C:\\Windows\\System32\\OpenSSH",
    "C:\\Program Files\\Git\\cmd",
    "C:\\Program Files\\Git\\bin",
];

/// Folders of the system's libraries.
const LIBRARIES: [&str; 3] = ["/usr/lib", "/usr/local/lib", "/opt/homebrew/lib"];

/// Folders in which anybody may put a program.
const TEMPORARY: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/private/tmp"];

/// The program of this name to run, by its whole path.
///
/// # Errors
/// One that was passed over, if there is one.
pub fn trusted(name: &str) -> Result<PathBuf, Option<PathBuf>> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let here = std::env::current_dir().ok();
    find(&name, &path, &SYSTEM.map(PathBuf::from), here.as_deref())
        .ok_or_else(|| path.iter().map(|folder| folder.join(&name)).find(|program| program.is_file()))
}

/// Whether a file outside of the system's folders may be loaded or run.
#[must_use]
pub fn is_trusted_file(file: &Path) -> bool {
    let here = std::env::current_dir().ok();
    SYSTEM.iter().chain(&LIBRARIES).any(|folder| file.starts_with(folder)) || is_trusted(file, here.as_deref())
}

/// The folders in which programs are looked for that a program itself starts, such as `ssh`.
#[cfg(unix)]
#[must_use]
pub fn search_path(program: &Path) -> Option<std::ffi::OsString> {
    let own = program.parent().map(Path::to_owned);
    let folders = own.into_iter().chain(SYSTEM.map(PathBuf::from).into_iter().filter(|folder| folder.is_dir()));
    std::env::join_paths(folders).ok()
}

/// On other systems programs are not only found on the `PATH`.
#[cfg(not(unix))]
#[must_use]
pub fn search_path(_program: &Path) -> Option<std::ffi::OsString> {
    None
}

/// The system's folders come first, in the order of the `PATH`; then those that the `PATH` does not name, and then what else
/// is on it and may be trusted.
fn find(name: &str, path: &[PathBuf], system: &[PathBuf], here: Option<&Path>) -> Option<PathBuf> {
    let on_path = path.iter().filter(|folder| system.contains(folder));
    let of_system = on_path.chain(system).map(|folder| folder.join(name)).find(|program| is_program(program));
    of_system.or_else(|| {
        path.iter().map(|folder| folder.join(name)).find(|program| is_program(program) && is_trusted(program, here))
    })
}

/// Whether a program outside of the system's folders may be run: at its place, and where a link leads.
fn is_trusted(program: &Path, here: Option<&Path>) -> bool {
    let Ok(real) = program.canonicalize() else { return false };
    [program, real.as_path()].into_iter().all(|program| {
        let Some(folder) = program.parent() else { return false };
        let is_plain = folder.is_absolute() && !folder.components().any(|part| part == Component::ParentDir);
        is_plain && !is_temporary(folder) && !is_in_project(folder, here) && is_ours(folder) && is_ours(program)
    })
}

fn is_temporary(folder: &Path) -> bool {
    let of_system = std::env::temp_dir();
    let real = of_system.canonicalize().unwrap_or_else(|_| of_system.clone());
    TEMPORARY.iter().map(Path::new).chain([of_system.as_path(), real.as_path()]).any(|place| folder.starts_with(place))
}

/// In a git repository, or below the working directory: what is checked out there is not the user's tool. A home folder
/// that is a repository of its own holds the user's tools all the same.
fn is_in_project(folder: &Path, here: Option<&Path>) -> bool {
    let home = std::env::home_dir();
    let is_home = |folder: &Path| home.as_deref() == Some(folder);
    let in_repository = folder.ancestors().take_while(|f| !is_home(f)).any(|folder| folder.join(".git").exists());
    in_repository || here.is_some_and(|here| !is_home(here) && here.parent().is_some() && folder.starts_with(here))
}

#[cfg(unix)]
fn is_program(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(program).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(program: &Path) -> bool {
    program.is_file()
}

/// Owned by root or by this user, and writable by nobody else.
#[cfg(unix)]
fn is_ours(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = std::env::home_dir().and_then(|home| std::fs::metadata(home).ok()).map(|home| home.uid());
    std::fs::metadata(path)
        .is_ok_and(|found| (found.uid() == 0 || Some(found.uid()) == own) && found.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_ours(_path: &Path) -> bool {
    true
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NAME: &str = "git";

    /// A folder with a program called git, outside of the temporary folders.
    fn folder_with_git(name: &str) -> (tempfile::TempDir, PathBuf) {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("target");
        std::fs::create_dir_all(&target).unwrap();
        let dir = tempfile::Builder::new().prefix(name).tempdir_in(target).unwrap();
        put(dir.path());
        let path = dir.path().to_owned();
        (dir, path)
    }

    fn put(folder: &Path) {
        let program = folder.join(NAME);
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_git_before_the_systems_on_the_path_is_passed_over() {
        let (temporary, system) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(temporary.path());
        let path = [temporary.path().to_owned(), PathBuf::from("."), PathBuf::from("")];
        assert_eq!(find(NAME, &path, &[], None), None, "a temporary or relative folder is never trusted");
        put(system.path());
        let system = [system.path().to_owned()];
        assert_eq!(find(NAME, &path, &system, None), Some(system[0].join(NAME)));
    }

    #[test]
    fn the_order_of_the_path_counts_among_the_systems_folders() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(a.path());
        put(b.path());
        let system = [a.path().to_owned(), b.path().to_owned()];
        let swapped = [b.path().to_owned(), a.path().to_owned()];
        assert_eq!(find(NAME, &swapped, &system, None), Some(b.path().join(NAME)));
        assert_eq!(find(NAME, &[], &system, None), Some(a.path().join(NAME)));
        std::fs::set_permissions(b.path().join(NAME), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find(NAME, &swapped, &system, None), Some(a.path().join(NAME)), "what cannot be run is no program");
    }

    #[test]
    fn what_is_checked_out_or_writable_by_others_is_no_tool() {
        let (_dir, folder) = folder_with_git("tools-");
        assert!(is_in_project(&folder, None), "this project's own folder");
        assert_eq!(find(NAME, std::slice::from_ref(&folder), &[], None), None);
        assert!(is_in_project(Path::new("/srv/x/bin"), Some(Path::new("/srv/x"))));
        assert!(!is_in_project(Path::new("/srv/tools/bin"), Some(Path::new("/srv/x"))));
        assert!(is_ours(&folder.join(NAME)));
        std::fs::set_permissions(folder.join(NAME), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_ours(&folder.join(NAME)));
    }
}
