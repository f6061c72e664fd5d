//! What somebody does to the repository and to its remote.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use outcome_tests::lab::write;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::shop::{BUILDING, BUILT, Shop};

#[derive(Debug, Clone, Copy)]
pub(super) enum GitTrick {
    /// Programs that git runs while it reads: a watcher, a filter, a pager, a signer.
    Programs,
    /// Hooks of every kind.
    Hooks,
    /// The reported commit is replaced by another when it is read.
    Replaced,
    /// The local default branch is where the work is.
    BranchMoved,
    /// The remote's default branch, too.
    RemoteMoved,
    /// The work is committed anew under the same branch, with a forbidden path.
    Amended,
    /// Another remote.
    OtherRemote,
    /// A forbidden change on a default branch that only a repository beside the remote has, which is asked instead of it.
    AskedElsewhere,
    NoRemote,
    /// Notes and other references are gone.
    NoNotes,
    /// The branch is checked out.
    CheckedOut,
    /// A commit without parents for a branch.
    Orphan,
    Shallow,
}

pub(super) fn any(rng: &mut StdRng) -> GitTrick {
    use GitTrick as G;
    let all = [
        G::Programs,
        G::Hooks,
        G::Replaced,
        G::BranchMoved,
        G::RemoteMoved,
        G::Amended,
        G::OtherRemote,
        G::AskedElsewhere,
        G::NoRemote,
        G::NoNotes,
        G::CheckedOut,
        G::Orphan,
        G::Shallow,
    ];
    all.get(rng.random_range(0..all.len())).copied().unwrap_or(G::Programs)
}

/// Git of the attacker, which runs nothing that it planted for others.
pub(super) fn run(root: &Path, args: &[&str]) -> Result<String> {
    let quiet = [
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@example.com",
        "-c",
        "commit.gpgsign=false",
    ];
    let done = Command::new("git")
        .current_dir(root)
        .args(quiet)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()?;
    ensure!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Where a planted program says that it ran.
pub(super) fn mark(shop: &Shop) -> std::path::PathBuf {
    shop.beside.join("a-planted-program-ran")
}

/// A program that leaves a mark.
pub(super) fn planted(shop: &Shop, name: &str) -> Result<String> {
    let path = shop.beside.join("scratch").join(name);
    std::fs::create_dir_all(shop.beside.join("scratch"))?;
    std::fs::write(&path, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\nexit 0\n", mark(shop).display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

impl GitTrick {
    pub(super) fn done(self, shop: &Shop) -> Result<()> {
        let root = &shop.root;
        let set = |name: &str, value: &str| run(root, &["config", name, value]).map(drop);
        match self {
            Self::Programs => {
                let program = planted(shop, "program")?;
                for name in [
                    "core.fsmonitor",
                    "core.pager",
                    "gpg.program",
                    "gpg.ssh.program",
                    "core.sshCommand",
                    "diff.external",
                    "core.editor",
                    "credential.helper",
                    "uploadpack.packObjectsHook",
                ] {
                    set(name, &program)?;
                }
                set("commit.gpgsign", "true")?;
                set("filter.x.clean", &program)?;
                set("filter.x.smudge", &program)?;
                set("diff.x.textconv", &program)?;
                std::fs::create_dir_all(root.join(".git/info"))?;
                std::fs::write(root.join(".git/info/attributes"), "* filter=x diff=x\n")?;
            }
            Self::Hooks => {
                let program = planted(shop, "hook")?;
                for name in [
                    "pre-commit",
                    "post-commit",
                    "reference-transaction",
                    "post-checkout",
                    "pre-push",
                    "post-index-change",
                ] {
                    let hook = root.join(".git/hooks").join(name);
                    std::fs::create_dir_all(root.join(".git/hooks"))?;
                    std::fs::copy(&program, &hook)?;
                    std::fs::copy(&program, shop.beside.join("origin.git/hooks").join(name)).ok();
                }
            }
            Self::Replaced => {
                run(root, &["replace", "-f", &format!("refs/heads/{BUILT}"), "refs/heads/main"])?;
            }
            Self::BranchMoved => {
                run(root, &["update-ref", "refs/heads/main", &format!("refs/heads/{BUILT}")])?;
            }
            Self::RemoteMoved => {
                run(root, &["push", "-q", "--force", "origin", &format!("refs/heads/{BUILT}:refs/heads/main")])?;
            }
            Self::Amended => {
                for branch in [BUILT, BUILDING] {
                    if run(root, &["checkout", "-q", "-f", branch]).is_ok() {
                        write(root, "game/payments/charge.txt", "charge twice\n")?;
                        run(root, &["add", "-A", "game"])?;
                        run(root, &["commit", "-q", "--amend", "--no-edit", "--allow-empty"])?;
                    }
                }
                run(root, &["checkout", "-q", "-f", "main"])?;
            }
            Self::OtherRemote => {
                let other = shop.beside.join("scratch/other.git").display().to_string();
                run(root, &["clone", "-q", "--bare", ".", &other])?;
                run(root, &["remote", "set-url", "origin", &other])?;
            }
            Self::AskedElsewhere => {
                run(root, &["checkout", "-q", "-f", "main"])?;
                write(root, "game/payments/charge.txt", "charge twice\n")?;
                run(root, &["add", "-A", "game"])?;
                run(root, &["commit", "-q", "-m", "a colleague's"])?;
                let other = shop.beside.join("scratch/elsewhere.git").display().to_string();
                run(root, &["clone", "-q", "--bare", ".", &other])?;
                let origin = shop.beside.join("origin.git").display().to_string();
                set(&format!("url.{other}.insteadOf"), &origin)?;
                let global = format!(
                    "[url \"{other}\"]\n\tinsteadOf = {origin}\n[core]\n\tfsmonitor = {}\n",
                    planted(shop, "global")?
                );
                std::fs::write(shop.beside.join("home/.gitconfig"), global)?;
            }
            Self::NoRemote => {
                run(root, &["remote", "remove", "origin"])?;
            }
            Self::NoNotes => {
                for name in run(root, &["for-each-ref", "--format=%(refname)", "refs/notes", "refs/outcome"])?.lines() {
                    run(root, &["update-ref", "-d", name])?;
                }
            }
            Self::CheckedOut => {
                run(root, &["checkout", "-q", "-f", BUILT])?;
            }
            Self::Orphan => {
                let commit = run(root, &["commit-tree", "HEAD^{tree}", "-m", "without parents"])?;
                run(root, &["update-ref", &format!("refs/heads/{BUILT}"), &commit])?;
            }
            Self::Shallow => {
                let head = run(root, &["rev-parse", "HEAD"])?;
                std::fs::write(root.join(".git/shallow"), format!("{head}\n"))?;
            }
        }
        Ok(())
    }
}
