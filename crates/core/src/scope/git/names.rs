//! Whether the files of a commit name something.

use super::{CommitId, GitRepo};

/// Files that name a table and record nothing in it: what makes the table, and what is only read by people.
const NOT_CODE: [&str; 6] = [
    ":(exclude,icase)*.sql",
    ":(exclude,icase)*.md",
    ":(exclude,icase,glob)**/migrations/**",
    ":(exclude,icase,glob)**/migrate/**",
    ":(exclude,icase,glob)**/schema.*",
    ":(exclude,icase,glob)**/outcome.yaml",
];

impl GitRepo {
    /// Whether a file of code in `commit` contains one of the texts, in any case of its letters. `None` where git gives no answer in time.
    pub(in crate::scope) async fn code_names(&self, commit: &CommitId, texts: &[String]) -> Option<bool> {
        let mut args = vec!["grep", "--quiet", "--no-recurse-submodules", "-i", "-F"];
        args.extend(texts.iter().flat_map(|text| ["-e", text.as_str()]));
        args.extend([commit.as_str(), "--", ":(top)"]);
        args.extend(NOT_CODE);
        match self.git.run_all(&args, None).await.ok()?.status {
            Some(0) => Some(true),
            Some(1) => Some(false),
            _ => None,
        }
    }
}
