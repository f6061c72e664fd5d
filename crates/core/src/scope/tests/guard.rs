//! The instrumentation guard on real diffs.

use pretty_assertions::assert_eq;

use super::*;

async fn guarded(repo: &TestRepo, watched: &[Watch]) -> ScopeReport {
    check(&repo.open().await, &rules(&[], &[]), "base", "HEAD", None, watched).await.unwrap()
}

fn flags(report: &ScopeReport) -> Vec<(&str, &str, Tampering, usize)> {
    let flags = report.instrumentation.iter();
    flags.map(|f| (f.path.as_str(), f.watch.text.as_str(), f.tampering, f.n_lines)).collect()
}

#[tokio::test]
async fn a_changed_line_that_mentions_the_event_is_flagged_and_breaks_no_rule() {
    let repo = TestRepo::new();
    repo.write("frontend/checkout/button.ts", "export const label = 'Buy';\nif (true) track('Purchase');\n").commit();
    let report = guarded(&repo, &[Watch::event("purchase"), Watch::event("refund")]).await;
    assert_eq!(flags(&report), [("frontend/checkout/button.ts", "purchase", Tampering::LinesChanged, 2)]);
    assert_eq!(report.instrumentation[0].line.as_deref(), Some("track('purchase');"));
    assert!(report.is_clean);
}

#[tokio::test]
async fn a_second_copy_of_the_tracking_call_is_flagged() {
    let repo = TestRepo::new();
    let content = "export const label = 'Buy';\ntrack('purchase');\ntrack('purchase');\n";
    repo.write("frontend/checkout/button.ts", content).commit();
    let report = guarded(&repo, &[Watch::event("purchase")]).await;
    assert_eq!(flags(&report), [("frontend/checkout/button.ts", "purchase", Tampering::LinesAdded, 1)]);
}

#[tokio::test]
async fn an_edit_elsewhere_in_the_file_is_not_flagged() {
    let repo = TestRepo::new();
    repo.write("frontend/checkout/button.ts", "export const label = 'Pay';\ntrack('purchase');\n").commit();
    assert_eq!(flags(&guarded(&repo, &[Watch::event("purchase")]).await), []);
}

#[tokio::test]
async fn a_deleted_file_takes_its_events_with_it() {
    let repo = TestRepo::new();
    repo.git(["rm", "--quiet", "frontend/checkout/button.ts"]);
    repo.write("db/view.sql", "CREATE VIEW v AS SELECT * FROM orders;\n").commit();
    let report = guarded(&repo, &[Watch::event("purchase"), Watch::table("public.Orders")]).await;
    assert_eq!(
        flags(&report),
        [
            ("db/view.sql", "public.Orders", Tampering::LinesAdded, 1),
            ("frontend/checkout/button.ts", "purchase", Tampering::LinesRemoved, 1),
        ]
    );
}

#[tokio::test]
async fn every_change_of_the_outcome_file_is_flagged_also_its_move() {
    let repo = TestRepo::new();
    repo.git(["mv", "outcome.yaml", "old.yaml"]);
    repo.commit();
    let report = guarded(&repo, &[Watch::file("./Outcome.yaml")]).await;
    assert_eq!(flags(&report), [("old.yaml", "./Outcome.yaml", Tampering::FileTouched, 0)]);
}

#[tokio::test]
async fn a_file_too_large_to_compare_is_listed_as_not_inspected() {
    let repo = TestRepo::new();
    let commit = repo.git(["rev-parse", "HEAD"]);
    repo.write("large.sql", &"purchase\n".repeat(200_000)).write("small.sql", "purchase");
    repo.git(["add", "--all"]);
    repo.entry("160000", &commit, b"vendor/lib").commit_index();
    let report = guarded(&repo, &[Watch::event("purchase")]).await;
    assert_eq!(report.not_inspected, ["large.sql", "vendor/lib"]);
    assert_eq!(flags(&report), [("small.sql", "purchase", Tampering::LinesAdded, 1)]);
    assert_eq!((report.counts.n_not_inspected, report.counts.n_instrumentation), (2, 1));
}

#[tokio::test]
async fn binary_content_with_newlines_does_not_confuse_the_reader() {
    let repo = TestRepo::new();
    let blob = repo.git_with_input(["hash-object", "-w", "--stdin"], b"\0\n\xff blob 5\npurchase\n\n");
    repo.entry("100644", &blob, b"a.bin").entry("100644", &blob, b"b.bin");
    repo.git(["add", "--all", "api"]);
    repo.commit_index();
    let report = guarded(&repo, &[Watch::event("purchase")]).await;
    assert_eq!(
        flags(&report),
        [("a.bin", "purchase", Tampering::LinesAdded, 1), ("b.bin", "purchase", Tampering::LinesAdded, 1),]
    );
}
