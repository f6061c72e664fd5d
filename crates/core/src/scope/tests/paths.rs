//! Which changes break a rule.

use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn a_change_inside_the_scope_is_clean() {
    let repo = TestRepo::new();
    repo.write("frontend/checkout/button.ts", "export const label = 'Pay';\n").commit();
    let report = repo.check(&example_rules()).await;
    assert!(report.is_clean);
    assert_eq!(kinds(&report), [(ChangeKind::Modified, "frontend/checkout/button.ts")]);
    assert_eq!(report.counts.n_changes, 1);
    assert_eq!(report.base.as_str(), repo.git(["rev-parse", "base"]));
    assert_eq!(report.head.as_str(), repo.git(["rev-parse", "HEAD"]));
}

#[tokio::test]
async fn a_report_says_which_file_and_which_rule() {
    let repo = TestRepo::new();
    repo.write("services/payments/charge.rs", "").write("README.md", "new").commit();
    let report = repo.check(&example_rules()).await;
    assert!(!report.is_clean);
    let messages: Vec<&str> = report.violations.iter().map(|v| v.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`README.md` was added, but it is not covered by an allowed path",
            "`services/payments/charge.rs` was changed, but `services/payments/` is forbidden",
        ]
    );
}

#[tokio::test]
async fn a_rename_out_of_the_allowed_paths_is_a_violation() {
    let repo = TestRepo::new();
    repo.git(["mv", "api/cart/total.rs", "total.rs"]);
    repo.commit();
    let report = repo.check(&example_rules()).await;
    assert_eq!(kinds(&report), [(ChangeKind::Renamed, "total.rs")]);
    assert_eq!(brief(&report), [("total.rs", ViolationReason::OutsideAllowed, None)]);
}

#[tokio::test]
async fn a_rename_of_a_forbidden_file_into_the_scope_is_a_violation() {
    let repo = TestRepo::new();
    repo.git(["mv", "services/payments/charge.rs", "api/cart/charge.rs"]);
    repo.commit();
    let report = repo.check(&example_rules()).await;
    let forbidden = ("services/payments/charge.rs", ViolationReason::Forbidden, Some("services/payments/"));
    assert_eq!(brief(&report), [forbidden]);
    assert_eq!(report.changes[0].old_path.as_deref(), Some("services/payments/charge.rs"));
    assert_eq!(
        report.violations[0].message,
        "`services/payments/charge.rs` was moved to `api/cart/charge.rs`, but \
        `services/payments/` is forbidden"
    );
}

#[tokio::test]
async fn a_deletion_of_a_forbidden_file_is_a_violation() {
    let repo = TestRepo::new();
    repo.git(["rm", "--quiet", "services/payments/charge.rs"]);
    repo.commit();
    let report = repo.check(&example_rules()).await;
    assert_eq!(kinds(&report), [(ChangeKind::Deleted, "services/payments/charge.rs")]);
    assert!(!report.is_clean);
}

#[tokio::test]
async fn a_change_of_mode_alone_is_a_violation() {
    let repo = TestRepo::new();
    repo.git(["update-index", "--chmod=+x", "services/payments/charge.rs"]);
    repo.commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(kinds(&report), [(ChangeKind::ModeChanged, "services/payments/charge.rs")]);
    assert_eq!(report.changes[0].new_mode.as_deref(), Some("100755"));
    assert!(!report.is_clean);
}

#[tokio::test]
async fn another_case_of_a_forbidden_path_is_forbidden() {
    let repo = TestRepo::new();
    let blob = repo.git_with_input(["hash-object", "-w", "--stdin"], b"x");
    repo.entry("100644", &blob, b"Services/PAYMENTS/charge.rs").commit_index();
    let report = repo.check(&rules(&[], &["services/payments/"])).await;
    let forbidden = ("Services/PAYMENTS/charge.rs", ViolationReason::Forbidden, Some("services/payments/"));
    assert_eq!(brief(&report), [forbidden]);
}

#[tokio::test]
async fn forbidden_wins_in_a_diff_too() {
    let repo = TestRepo::new();
    repo.write("api/cart/secret/key.rs", "x").write("api/cart/ok.rs", "y").commit();
    let report = repo.check(&rules(&["api/cart/"], &["api/cart/secret/"])).await;
    let forbidden = ("api/cart/secret/key.rs", ViolationReason::Forbidden, Some("api/cart/secret/"));
    assert_eq!(brief(&report), [forbidden]);
}

#[tokio::test]
async fn names_with_quotes_newlines_tabs_and_other_scripts_are_read_as_they_are() {
    let repo = TestRepo::new();
    let blob = repo.git_with_input(["hash-object", "-w", "--stdin"], b"x");
    let names =
        ["api/cart/\"quoted\".rs", "api/cart/a\nb\t.rs", "api/cart/größe-日本.rs", "api/cart/-rf", "infra/a\nb"];
    for name in names {
        repo.entry("100644", &blob, name.as_bytes());
    }
    repo.commit_index();
    let report = repo.check(&example_rules()).await;
    let mut found: Vec<&str> = report.changes.iter().map(|change| change.path.as_str()).collect();
    let mut expected = names.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(brief(&report), [("infra/a\nb", ViolationReason::Forbidden, Some("infra/"))]);
    assert!(report.violations[0].message.starts_with("`infra/a\\u{a}b` was added"));
}

#[tokio::test]
async fn a_name_that_is_not_utf8_cannot_be_vouched_for() {
    let repo = TestRepo::new();
    let blob = repo.git_with_input(["hash-object", "-w", "--stdin"], b"x");
    repo.entry("100644", &blob, b"api/cart/\xff.rs").entry("100644", &blob, b"infra/\xfe").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(
        brief(&report),
        [
            ("api/cart/\u{fffd}.rs", ViolationReason::NotUtf8, None),
            ("infra/\u{fffd}", ViolationReason::Forbidden, Some("infra/")),
        ]
    );
    assert!(repo.check(&rules(&[], &[])).await.is_clean);
}

#[tokio::test]
async fn a_submodule_is_checked_as_its_path_and_always_noted() {
    let repo = TestRepo::new();
    let commit = repo.git(["rev-parse", "HEAD"]);
    repo.entry("160000", &commit, b"api/cart/vendor").entry("160000", &commit, b"infra").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(brief(&report), [("infra", ViolationReason::Forbidden, Some("infra/"))]);
    let noted: Vec<&str> = report.notes.iter().map(|note| note.path.as_str()).collect();
    assert_eq!(noted, ["api/cart/vendor", "infra"]);
    assert!(report.changes.iter().all(|change| change.is_submodule));
}

#[tokio::test]
async fn a_submodule_above_a_forbidden_place_is_a_violation() {
    let repo = TestRepo::new();
    let commit = repo.git(["rev-parse", "HEAD"]);
    repo.entry("160000", &commit, b"libs").commit_index();
    let report = repo.check(&rules(&[], &["libs/core/"])).await;
    assert_eq!(brief(&report), [("libs", ViolationReason::Forbidden, Some("libs/core/"))]);
}

#[tokio::test]
async fn a_submodule_that_the_repository_says_to_ignore_is_seen() {
    let repo = TestRepo::new();
    let first = repo.git(["rev-parse", "HEAD"]);
    repo.write(".gitmodules", "[submodule \"s\"]\n\tpath = infra\n\turl = ./s\n\tignore = all\n");
    repo.git(["add", ".gitmodules"]);
    let second = repo.entry("160000", &first, b"infra").commit_index();
    repo.git(["tag", "--force", "base"]);
    repo.git(["config", "diff.ignoreSubmodules", "all"]);
    repo.git(["config", "submodule.s.ignore", "all"]);
    repo.entry("160000", &second, b"infra").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(kinds(&report), [(ChangeKind::Modified, "infra")]);
    assert!(!report.is_clean);
}

#[tokio::test]
async fn a_replaced_object_cannot_hide_a_change() {
    let repo = TestRepo::new();
    let clean = repo.commit_index();
    repo.write("services/payments/charge.rs", "stolen").commit();
    repo.git(["replace", "HEAD", &clean]);
    assert!(!repo.check(&example_rules()).await.is_clean);
}

#[tokio::test]
async fn what_a_merge_brings_in_and_what_it_changes_itself_both_count() {
    let repo = TestRepo::new();
    repo.git(["switch", "--quiet", "--create", "side"]);
    repo.write("infra/side.tf", "a").commit();
    repo.git(["switch", "--quiet", "main"]);
    repo.write("api/cart/main.rs", "b").commit();
    repo.git(["merge", "--quiet", "--no-ff", "--no-commit", "side"]);
    repo.write("services/payments/evil.rs", "only in the merge").commit();
    let report = repo.check(&example_rules()).await;
    assert_eq!(
        brief(&report),
        [
            ("infra/side.tf", ViolationReason::Forbidden, Some("infra/")),
            ("services/payments/evil.rs", ViolationReason::Forbidden, Some("services/payments/")),
        ]
    );
}

#[tokio::test]
async fn a_claim_is_compared_with_what_git_says() {
    let repo = TestRepo::new();
    repo.git(["mv", "api/cart/total.rs", "api/cart/sum.rs"]);
    repo.write("api/cart/new.rs", "x").write("frontend/checkout/button.ts", "y").commit();
    let git = repo.open().await;
    let absolute = git.root().join("api/cart/sum.rs").to_str().unwrap().to_owned();
    let claimed = list(&["./frontend/checkout/button.ts", &absolute, "api/cart/never.rs", "/etc/passwd"]);
    let report = check(&git, &example_rules(), "base", "HEAD", Some(&claimed), &[]).await.unwrap();
    assert_eq!(
        report.claim,
        Some(ClaimComparison {
            missing_from_claim: list(&["api/cart/new.rs", "api/cart/total.rs"]),
            claimed_but_unchanged: list(&["api/cart/never.rs", "/etc/passwd"]),
        })
    );
    assert!(report.is_clean, "a wrong claim is shown, but breaks no rule");
    assert_eq!((report.counts.n_missing_from_claim, report.counts.n_claimed_but_unchanged), (2, 2));
    assert_eq!(repo.check(&example_rules()).await.claim, None);
}

#[tokio::test]
async fn a_report_survives_json() {
    let repo = TestRepo::new();
    repo.git(["mv", "api/cart/total.rs", "infra.rs"]);
    repo.commit();
    let report = repo.check(&example_rules()).await;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["changes"][0]["kind"], "renamed");
    assert_eq!(json["violations"][0]["reason"], "outside_allowed");
    assert_eq!(serde_json::from_value::<ScopeReport>(json.clone()).unwrap(), report);
    let schema = serde_json::to_value(schemars::schema_for!(ScopeReport)).unwrap();
    assert!(jsonschema::is_valid(&schema, &json));
}
