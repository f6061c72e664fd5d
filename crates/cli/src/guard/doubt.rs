//! What the guard does not know, so that an edit passes unchecked.

use std::fmt;

/// Why an edit cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doubt {
    /// What arrived is no request of a hook.
    NotARequest,
    /// The request names no tool.
    NoTool,
    /// An editor that names no file in a field that is known.
    NoFile { tool: String },
    /// A tool that names a file, and whose name does not say whether it writes.
    ToolUnknown { tool: String },
    /// A tool that writes to a repository on a server.
    Elsewhere { tool: String },
    /// A patch in a folder that only the shell knows.
    FolderUnknown { tool: String },
    /// A tool that names a folder, and changes what it finds in it.
    WholeFolder { tool: String, folder: String },
    /// The repository has an outcome file, and no workspace that was set up.
    NoStore { root: String },
    /// The workspace cannot be read.
    Unreadable(String),
    /// It took longer than a person waits.
    TooLate,
    /// The request is larger than what is read.
    TooLarge,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARequest => f.write_str("the client's request is not one that is understood"),
            Self::NoTool => f.write_str("the client's request names no tool"),
            Self::NoFile { tool } => write!(f, "`{tool}` names no file in a field that is known"),
            Self::ToolUnknown { tool } => write!(f, "it is not known whether `{tool}` writes the file that it names"),
            Self::Elsewhere { tool } => write!(f, "`{tool}` writes to a repository elsewhere"),
            Self::FolderUnknown { tool } => {
                write!(f, "`{tool}` applies a patch in a folder that only the shell knows; name the folder in full")
            }
            Self::WholeFolder { tool, folder } => {
                write!(f, "`{tool}` names the folder `{folder}` and not the files that it changes there")
            }
            Self::NoStore { root } => write!(
                f,
                "{root} has an outcome file, but is not set up here (a person can run `outcome-runtime init`, or remove the hook)"
            ),
            Self::Unreadable(why) => f.write_str(why),
            Self::TooLate => f.write_str("it took too long"),
            Self::TooLarge => f.write_str("the request is too large"),
        }
    }
}
