//! Tests against real repositories, built with the git of this machine.

mod base;
mod forged;
mod guard;
mod lines;
mod links;
mod paths;
mod repository;

use std::{
    ffi::OsStr,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use super::*;

/// A repository in a directory that goes away with it.
struct TestRepo {
    dir: tempfile::TempDir,
}

impl TestRepo {
    fn empty() -> Self {
        let repo = Self { dir: tempfile::tempdir().unwrap() };
        repo.git(["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    /// With one commit, tagged `base`, of the product's example layout.
    fn new() -> Self {
        let repo = Self::empty();
        repo.write("frontend/checkout/button.ts", "export const label = 'Buy';\ntrack('purchase');\n")
            .write("api/cart/total.rs", "pub fn total() -> u64 {\n    42\n}\n")
            .write("services/payments/charge.rs", "pub fn charge(cents: u64) -> bool {\n    cents > 0\n}\n")
            .write("outcome.yaml", "version: 1\n")
            .commit();
        repo.git(["tag", "base"]);
        repo
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        self.git_with_input(args, b"")
    }

    fn git_with_input<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>, input: &[u8]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(self.path()).args(["-c", "user.name=Kim", "-c", "user.email=kim@example.com"]);
        command.args(["-c", "commit.gpgSign=false", "-c", "core.protectNTFS=false"]).args(args);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
            command.env_remove(name);
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn write(&self, path: &str, content: &str) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        let blob = self.git_with_input(["hash-object", "-w", "--stdin"], target.as_bytes());
        self.entry("120000", &blob, path.as_bytes())
    }

    /// Puts an entry into the index only, whatever this file system thinks of its name.
    fn entry(&self, mode: &str, object: &str, path: &[u8]) -> &Self {
        let mut line = format!("{mode} {object}\t").into_bytes();
        line.extend_from_slice(path);
        line.push(0);
        self.git_with_input(["update-index", "-z", "--index-info"], &line);
        self
    }

    /// Commits the work tree.
    fn commit(&self) -> String {
        self.git(["add", "--all"]);
        self.commit_index()
    }

    /// Commits the index, leaving the work tree out.
    fn commit_index(&self) -> String {
        self.git(["commit", "--quiet", "--allow-empty", "--message", "A commit"]);
        self.git(["rev-parse", "HEAD"])
    }

    async fn open(&self) -> GitRepo {
        GitRepo::open(self.path()).await.unwrap()
    }

    /// Checks `base..HEAD`.
    async fn check(&self, rules: &ScopeRules) -> ScopeReport {
        check(&self.open().await, rules, "base", "HEAD", None, &[]).await.unwrap()
    }
}

fn rules(allowed: &[&str], forbidden: &[&str]) -> ScopeRules {
    ScopeRules::parse(&list(allowed), &list(forbidden)).unwrap()
}

/// The rules of the product's example.
fn example_rules() -> ScopeRules {
    rules(&["frontend/checkout/", "api/cart/"], &["services/payments/", "infra/"])
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

/// Path, reason and rule of each violation.
fn brief(report: &ScopeReport) -> Vec<(&str, ViolationReason, Option<&str>)> {
    report.violations.iter().map(|v| (v.path.as_str(), v.reason, v.rule.as_deref())).collect()
}

fn kinds(report: &ScopeReport) -> Vec<(ChangeKind, &str)> {
    report.changes.iter().map(|change| (change.kind, change.path.as_str())).collect()
}
