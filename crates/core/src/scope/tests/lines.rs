//! Lines in a reference of our own.

use pretty_assertions::assert_eq;

use super::*;

#[tokio::test]
async fn lines_are_appended_in_repositories_of_both_formats() {
    for format in ["sha1", "sha256"] {
        let folder = tempfile::tempdir().unwrap();
        let init = ["init", "--quiet", &format!("--object-format={format}")];
        assert!(std::process::Command::new("git").current_dir(folder.path()).args(init).status().unwrap().success());
        let repo = GitRepo::open(folder.path()).await.unwrap();
        let reference = "refs/outcome-runtime/anchors/test";
        assert_eq!(repo.lines_of(reference).await.unwrap(), [], "{format}");
        for line in [r#"{"first":1}"#, "second"] {
            repo.append_line(reference, line).await.unwrap();
        }
        let lines: Vec<String> = repo.lines_of(reference).await.unwrap().into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["second", r#"{"first":1}"#], "{format}");
        // They are no history of the project.
        assert_eq!(repo.head().await.unwrap_err().code(), "repo_empty", "{format}");
    }
}
