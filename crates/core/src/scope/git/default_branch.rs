//! Where the default branch is: the remote says it, or, where it does not answer, what this repository last knew.
//!
//! The remote is asked outside of the repository, so that nothing the repository configures (a remote's program, a
//! rewritten address, a credential helper, a proxy) takes part; only its address is read from there.

use std::path::Path;
use std::time::Duration;

use super::command::text;
use super::{CommitId, GitRepo, line};
use crate::domain::{BranchSource, DefaultBranch};
use crate::scope::error::ScopeError;

/// How long a remote may take: a human waits for it.
pub(super) const REMOTE_TIMEOUT: Duration = Duration::from_secs(8);
/// Names that a default branch usually has, where nothing says which one it is.
const USUAL: [&str; 4] = ["main", "master", "trunk", "develop"];

/// A remote of the repository.
pub(super) struct Remote {
    name: String,
    pub(super) url: String,
}

impl GitRepo {
    /// The default branch, as the remote answers; without a remote, or where it does not answer, as this repository knows
    /// it. Never what happens to be checked out.
    ///
    /// # Errors
    /// `default_branch_unknown`, `repo_empty`.
    pub async fn default_branch(&self) -> Result<DefaultBranch, ScopeError> {
        let Some(remote) = self.remote().await? else { return self.own_branch(None, None).await };
        let shown = without_password(&self.answering(&remote.url).await);
        match self.ask(&remote.url).await {
            Ok((name, commit)) => Ok(DefaultBranch {
                name,
                commit: commit.to_string(),
                remote: Some(shown),
                said_by: BranchSource::Remote,
                problem: None,
            }),
            Err(problem) => self.known_branch(&remote.name, shown, problem).await,
        }
    }

    /// What this repository last knew of the remote's default branch, and else its own.
    async fn known_branch(&self, remote: &str, shown: String, problem: String) -> Result<DefaultBranch, ScopeError> {
        let prefix = format!("refs/remotes/{remote}/");
        let args = ["symbolic-ref", "--quiet", &format!("{prefix}HEAD")];
        let head = self.git.run(args, None).await?;
        let named = text(line(&head.stdout)).strip_prefix(&prefix).map(ToOwned::to_owned);
        for name in named.iter().map(String::as_str).chain(USUAL) {
            if let Some(commit) = self.commit_of(&format!("{prefix}{name}")).await? {
                return Ok(DefaultBranch {
                    name: name.to_owned(),
                    commit: commit.to_string(),
                    remote: Some(shown),
                    said_by: BranchSource::LastFetched,
                    problem: Some(problem),
                });
            }
        }
        self.own_branch(Some(shown), Some(problem)).await
    }

    /// The repository's own default branch: by its usual name, or the only one that there is.
    async fn own_branch(&self, remote: Option<String>, problem: Option<String>) -> Result<DefaultBranch, ScopeError> {
        const BRANCHES: [&str; 4] = ["for-each-ref", "--format=%(refname:lstrip=2)", "--count=2", "refs/heads"];
        let mut names: Vec<String> = USUAL.map(ToOwned::to_owned).to_vec();
        let some = self.git.run(BRANCHES, None).await?;
        let some = text(some.success(&BRANCHES)?);
        if let [only] = some.lines().collect::<Vec<_>>().as_slice() {
            names.push((*only).to_owned());
        }
        for name in names {
            if let Some(commit) = self.commit_of(&format!("refs/heads/{name}")).await? {
                let said_by = BranchSource::LocalBranch;
                return Ok(DefaultBranch { name, commit: commit.to_string(), remote, said_by, problem });
            }
        }
        if self.is_empty().await? {
            return Err(ScopeError::RepoEmpty { path: self.root.clone() });
        }
        Err(ScopeError::DefaultBranchUnknown { path: self.root.clone() })
    }

    /// The newest commit of the remote's default branch that this clone has fetched, whatever the remote says today.
    pub(in crate::scope) async fn last_fetched(&self, name: &str) -> Result<Option<CommitId>, ScopeError> {
        match self.remote().await? {
            Some(remote) => self.commit_of(&format!("refs/remotes/{}/{name}", remote.name)).await,
            None => Ok(None),
        }
    }

    /// The commit that a full reference names, if it is there.
    pub(in crate::scope) async fn commit_of(&self, reference: &str) -> Result<Option<CommitId>, ScopeError> {
        let commit = format!("{reference}^{{commit}}");
        let output = self.git.run(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], None).await?;
        Ok(CommitId::read(&output))
    }

    /// `origin`, or the only remote that there is.
    pub(super) async fn remote(&self) -> Result<Option<Remote>, ScopeError> {
        const ASK: [&str; 4] = ["config", "--null", "--get-regexp", r"^remote\..*\.url$"];
        let output = self.git.run(ASK, None).await?;
        if output.status == Some(1) {
            return Ok(None);
        }
        let mut remotes: Vec<Remote> = Vec::new();
        for entry in output.success(&ASK)?.split(|byte| *byte == 0) {
            let entry = text(entry);
            let Some((key, url)) = entry.split_once('\n') else { continue };
            let name = key.strip_prefix("remote.").and_then(|rest| rest.strip_suffix(".url"));
            // The first address of a remote is the one that is fetched from.
            if let Some(name) = name.filter(|name| !remotes.iter().any(|known| known.name == *name)) {
                remotes.push(Remote { name: name.to_owned(), url: absolute(url, self.root()) });
            }
        }
        let origin = remotes.iter().position(|remote| remote.name == "origin");
        match (origin, remotes.len()) {
            (Some(at), _) => Ok(Some(remotes.swap_remove(at))),
            (None, 1) => Ok(remotes.pop()),
            (None, _) => Ok(None),
        }
    }

    /// The address that is asked in place of this one, where the user's own configuration says so (`url.<base>.insteadOf`): whoever
    /// answers is named, or else another repository would be signed under the remote's name.
    async fn answering(&self, url: &str) -> String {
        let asking = self.git.to_remote(REMOTE_TIMEOUT);
        let output = asking.run_all(&["ls-remote", "--get-url", "--", url], None).await;
        let address = output.ok().filter(|output| output.status == Some(0)).map(|output| text(line(&output.stdout)));
        address.filter(|address| !address.is_empty()).unwrap_or_else(|| url.to_owned())
    }

    /// Asks a remote for its default branch, or says why it did not answer.
    async fn ask(&self, url: &str) -> Result<(String, CommitId), String> {
        let mut args = vec!["ls-remote", "--symref", "--", url, "HEAD"];
        let usual = USUAL.map(|name| format!("refs/heads/{name}"));
        args.extend(usual.iter().map(String::as_str));
        let asking = self.git.to_remote(REMOTE_TIMEOUT);
        let output = asking.run_all(&args, None).await.map_err(|error| error.to_string())?;
        let answer = text(output.success(&["ls-remote"]).map_err(|error| reason(&error))?);
        parse(&answer).ok_or_else(|| "it has no default branch".to_owned())
    }
}

/// The default branch in the answer of `ls-remote --symref`: the one to which `HEAD` points, else one of a usual name.
fn parse(answer: &str) -> Option<(String, CommitId)> {
    let pairs = || answer.lines().filter_map(|line| line.split_once('\t'));
    let commit = |wanted: &str| {
        let (id, _) = pairs().find(|(id, name)| *name == wanted && !id.starts_with("ref: "))?;
        CommitId::from_hex(id)
    };
    let symbolic = pairs().find(|(_, name)| *name == "HEAD").and_then(|(id, _)| id.strip_prefix("ref: refs/heads/"));
    if let (Some(name), Some(id)) = (symbolic, commit("HEAD")) {
        return Some((name.to_owned(), id));
    }
    let usual = USUAL.into_iter().find_map(|name| Some((name.to_owned(), commit(&format!("refs/heads/{name}"))?)));
    // An old server does not say where `HEAD` points.
    usual.or_else(|| Some(("HEAD".to_owned(), commit("HEAD")?)))
}

/// An address of a folder is meant from the repository's root.
fn absolute(url: &str, root: &Path) -> String {
    let is_relative = url.starts_with("./") || url.starts_with("../") || url == ".." || url == ".";
    if is_relative { root.join(url).to_string_lossy().into_owned() } else { url.to_owned() }
}

/// What a person may read: who signs in, and with what, is left out.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, path) = rest.split_once('/').map_or((rest, String::new()), |(place, path)| (place, format!("/{path}")));
    let place = place.rsplit_once('@').map_or(place, |(_, host)| host);
    format!("{scheme}://{place}{path}")
}

/// The first line of what git said, without the address: it may hold a password.
fn reason(error: &ScopeError) -> String {
    match error {
        ScopeError::GitFailed { stderr, .. } => {
            let first = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it did not answer");
            if first.contains("://") { "it did not answer".to_owned() } else { first.chars().take(120).collect() }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_answer_of_a_remote_names_its_default_branch() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let name = |answer: &str| parse(answer).map(|(name, id)| (name, id.to_string()));
        let full = format!("ref: refs/heads/next\tHEAD\n{a}\tHEAD\n{b}\trefs/heads/main\n");
        assert_eq!(name(&full), Some(("next".to_owned(), a.clone())));
        let dangling = format!("{b}\trefs/heads/master\n");
        assert_eq!(name(&dangling), Some(("master".to_owned(), b)));
        assert_eq!(name(&format!("{a}\tHEAD\n")), Some(("HEAD".to_owned(), a)));
        assert_eq!(name("ref: refs/heads/main\tHEAD\nnonsense\tHEAD\n"), None);
        assert_eq!(name(""), None);
    }

    #[test]
    fn an_address_is_shown_without_who_signs_in() {
        for (url, shown) in [
            ("https://kim:secret@example.com/a/b.git", "https://example.com/a/b.git"),
            ("https://token@example.com", "https://example.com"),
            ("git@example.com:a/b.git", "git@example.com:a/b.git"),
            ("/srv/a@b.git", "/srv/a@b.git"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        assert_eq!(absolute("../o.git", Path::new("/w/shop")), "/w/shop/../o.git");
    }
}
