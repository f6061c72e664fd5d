//! Why the file of a SQLite database cannot be used, looked for on the disk after the engine has refused: its own words are the
//! same for a folder that is missing, one that may not be read, and one in which it cannot make a file.

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;

/// What the database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To read what another program writes.
    Read,
    /// To write.
    Write,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileTrouble {
    /// A folder on the way to it is not there.
    FolderMissing(PathBuf),
    /// It is not there.
    Missing(PathBuf),
    /// It is a folder, or something else that is no file.
    NotAFile(PathBuf),
    /// This account may not read it, or not go into the folder.
    Unreadable(PathBuf),
    /// This account may not write to it.
    Unwritable(PathBuf),
    /// It lies on a disk that is mounted read-only.
    ReadOnlyDisk(PathBuf),
    /// The database is in WAL mode, and the file that a reader needs beside it can neither be found nor made.
    NoIndex {
        /// The database.
        file: PathBuf,
        /// What is beside it and not yet in it.
        has_log: bool,
        /// The disk is mounted read-only, so that no right helps.
        is_read_only_disk: bool,
    },
    /// There is no room on its disk.
    Full(PathBuf),
}

impl FileTrouble {
    /// What is wrong with `file`, as far as the disk shows it.
    #[must_use]
    pub fn of(file: &Path, need: Need) -> Option<Self> {
        match std::fs::metadata(file) {
            Ok(found) if !found.is_file() => return Some(Self::NotAFile(file.to_owned())),
            Ok(_) => {}
            Err(error) => return Self::on_the_way(file, error.kind()),
        }
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let (log, index) = (beside(file, "-wal"), beside(file, "-shm"));
        let there = [file, log.as_path(), index.as_path()].into_iter().filter(|path| path.exists());
        let there: Vec<&Path> = there.collect();
        if let Some(path) = there.iter().find(|path| access(**path, Access::READ_OK).is_err()) {
            return Some(Self::Unreadable((*path).to_owned()));
        }
        let in_folder = access(folder, Access::WRITE_OK | Access::EXEC_OK).err();
        match need {
            Need::Read => {
                if let Some(error) = in_folder.filter(|_| is_wal(file) && !index.exists()) {
                    return Some(Self::NoIndex {
                        file: file.to_owned(),
                        has_log: log.metadata().is_ok_and(|log| log.len() > 0),
                        is_read_only_disk: error == Errno::ROFS,
                    });
                }
            }
            Need::Write => {
                let refused = there.iter().filter_map(|path| Some((*path, access(*path, Access::WRITE_OK).err()?)));
                if let Some((path, error)) = refused.chain(in_folder.map(|error| (folder, error))).next() {
                    let path = path.to_owned();
                    return Some(if error == Errno::ROFS { Self::ReadOnlyDisk(path) } else { Self::Unwritable(path) });
                }
            }
        }
        let is_full = statvfs(folder).is_ok_and(|disk| disk.f_blocks > 0 && disk.f_bavail == 0);
        is_full.then(|| Self::Full(folder.to_owned()))
    }

    fn on_the_way(file: &Path, kind: ErrorKind) -> Option<Self> {
        let folder = file.parent()?;
        match kind {
            ErrorKind::PermissionDenied => {
                let closed = folder.ancestors().find(|folder| folder.metadata().is_ok()).unwrap_or(folder);
                Some(Self::Unreadable(closed.to_owned()))
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory if folder.as_os_str().is_empty() || folder.is_dir() => {
                Some(Self::Missing(file.to_owned()))
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                let missing = folder.ancestors().take_while(|folder| !folder.is_dir()).last().unwrap_or(folder);
                Some(Self::FolderMissing(missing.to_owned()))
            }
            _ => None,
        }
    }

    /// What helps.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::FolderMissing(_) | Self::Missing(_) => {
                "check the path in its address; a relative one begins at the workspace's root".to_owned()
            }
            Self::NotAFile(_) => "name the database's file in its address".to_owned(),
            Self::Unreadable(path) => {
                format!("give the account that runs this the right to read {}", path.display())
            }
            Self::Unwritable(path) => {
                format!("give the account that runs this the right to write to {}", path.display())
            }
            Self::ReadOnlyDisk(_) => {
                "mount the disk so that it can be written, or move the database to another one".to_owned()
            }
            Self::NoIndex { file, has_log: true, is_read_only_disk: _ } => format!(
                "what is in {} is not in the database yet, so it is not read without it: let a program that may write there \
                 open and close the database once, or copy {} and its -wal file together to a folder that can be written, \
                 and name the copy",
                beside(file, "-wal").display(),
                file.display()
            ),
            Self::NoIndex { file, has_log: false, is_read_only_disk: true } => format!(
                "let a program that may write there run `PRAGMA journal_mode=DELETE` on {}, or name a copy in a folder that \
                 can be written",
                file.display()
            ),
            Self::NoIndex { file, has_log: false, is_read_only_disk: false } => format!(
                "give the account that runs this the right to make files in the database's folder, or let its owner keep it \
                 open or run `PRAGMA journal_mode=DELETE` on {}",
                file.display()
            ),
            Self::Full(path) => format!("free some space on the disk of {}", path.display()),
        }
    }
}

impl fmt::Display for FileTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FolderMissing(path) => write!(f, "the folder {} is not there", path.display()),
            Self::Missing(path) => write!(f, "the file {} is not there", path.display()),
            Self::NotAFile(path) => write!(f, "{} is not a file", path.display()),
            Self::Unreadable(path) => write!(f, "this account may not read {}", path.display()),
            Self::Unwritable(path) => write!(f, "this account may not write to {}", path.display()),
            Self::ReadOnlyDisk(path) => write!(f, "{} is on a disk that is mounted read-only", path.display()),
            Self::NoIndex { file, has_log, is_read_only_disk } => {
                let why = if *is_read_only_disk {
                    "its disk is mounted read-only"
                } else {
                    "its folder is read-only for this account"
                };
                let log = if *has_log { "has a write-ahead log (-wal)" } else { "is in WAL mode" };
                write!(f, "{} {log} without its -shm file, and {why}, so that file cannot be made", file.display())
            }
            Self::Full(path) => write!(f, "the disk of {} is full", path.display()),
        }
    }
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Whether a database is in WAL mode: bytes 18 and 19 of its header. <https://www.sqlite.org/fileformat2.html>
fn is_wal(file: &Path) -> bool {
    let mut header = [0_u8; 20];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.get(18..20) == Some(&[2, 2])
}
