//! Where symbolic links may lead.

use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn a_link_out_of_the_repository_is_a_violation() {
    for target in ["/etc/passwd", "../../../etc", "../../.git/hooks"] {
        let repo = TestRepo::new();
        repo.link("api/cart/link", target).commit_index();
        let report = repo.check(&example_rules()).await;
        assert_eq!(brief(&report), [("api/cart/link", ViolationReason::LinkLeavesRepository, None)], "{target}");
        assert_eq!(report.changes[0].symlink_target.as_deref(), Some(target));
    }
}

#[tokio::test]
async fn a_link_into_a_forbidden_place_is_a_violation() {
    let repo = TestRepo::new();
    repo.link("api/cart/link", "../../services/payments").link("api/cart/up", "../../services").commit_index();
    let report = repo.check(&rules(&[], &["services/payments/"])).await;
    assert_eq!(
        brief(&report),
        [
            ("api/cart/link", ViolationReason::LinkIntoForbidden, Some("services/payments/")),
            ("api/cart/up", ViolationReason::LinkIntoForbidden, Some("services/payments/")),
        ]
    );
}

#[tokio::test]
async fn a_link_to_a_place_that_is_not_allowed_is_a_violation() {
    let repo = TestRepo::new();
    repo.link("api/cart/link", "../../docs").link("api/cart/root", "../..").commit_index();
    let report = repo.check(&rules(&["api/cart/"], &[])).await;
    assert_eq!(
        brief(&report),
        [
            ("api/cart/link", ViolationReason::LinkOutsideAllowed, None),
            ("api/cart/root", ViolationReason::LinkOutsideAllowed, None),
        ]
    );
}

#[tokio::test]
async fn a_link_inside_the_scope_is_clean() {
    let repo = TestRepo::new();
    repo.link("api/cart/link", "./total.rs").link("api/cart/other", "../../frontend/checkout").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(brief(&report), []);
    assert!(report.changes.iter().all(|change| change.is_symlink));
}

#[tokio::test]
async fn a_link_that_goes_through_an_older_link_is_followed_to_the_end() {
    let repo = TestRepo::new();
    repo.link("shared", "services").commit_index();
    repo.git(["tag", "--force", "base"]);
    repo.link("api/cart/link", "../../shared/payments/charge.rs").commit_index();
    let report = repo.check(&rules(&[], &["services/payments/"])).await;
    assert_eq!(brief(&report), [("api/cart/link", ViolationReason::LinkIntoForbidden, Some("services/payments/"))]);
}

#[tokio::test]
async fn a_link_that_is_bent_to_another_target_is_checked_again() {
    let repo = TestRepo::new();
    repo.link("api/cart/link", "total.rs").commit_index();
    repo.git(["tag", "--force", "base"]);
    repo.link("api/cart/link", "../../infra").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(kinds(&report), [(ChangeKind::Modified, "api/cart/link")]);
    assert_eq!(brief(&report), [("api/cart/link", ViolationReason::LinkIntoForbidden, Some("infra/"))]);
}

#[tokio::test]
async fn a_link_that_moves_leads_somewhere_else() {
    let repo = TestRepo::new();
    repo.link("api/cart/a/b/link", "../../total.rs").commit_index();
    repo.git(["tag", "--force", "base"]);
    repo.git(["rm", "--quiet", "--cached", "api/cart/a/b/link"]);
    repo.link("api/cart/link", "../../total.rs").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(brief(&report), [("api/cart/link", ViolationReason::LinkOutsideAllowed, None)]);
}

#[tokio::test]
async fn a_file_that_becomes_a_link_is_checked_as_a_link() {
    let repo = TestRepo::new();
    repo.link("api/cart/total.rs", "/etc/passwd").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(kinds(&report), [(ChangeKind::TypeChanged, "api/cart/total.rs")]);
    assert_eq!(brief(&report), [("api/cart/total.rs", ViolationReason::LinkLeavesRepository, None)]);
}

#[tokio::test]
async fn a_link_that_takes_a_directorys_place_above_a_forbidden_one_is_a_violation() {
    let repo = TestRepo::new();
    repo.link("ops", "api").commit_index();
    let report = repo.check(&rules(&[], &["ops/prod/"])).await;
    assert_eq!(brief(&report), [("ops", ViolationReason::Forbidden, Some("ops/prod/"))]);
}

#[tokio::test]
async fn a_link_whose_target_is_too_long_or_no_text_is_a_violation() {
    let repo = TestRepo::new();
    let bytes = repo.git_with_input(["hash-object", "-w", "--stdin"], b"\xff\xfe");
    repo.link("api/cart/long", &"x/".repeat(3000)).entry("120000", &bytes, b"api/cart/odd").commit_index();
    let report = repo.check(&example_rules()).await;
    assert_eq!(
        brief(&report),
        [
            ("api/cart/long", ViolationReason::LinkUnreadable, None),
            ("api/cart/odd", ViolationReason::LinkUnreadable, None),
        ]
    );
}
