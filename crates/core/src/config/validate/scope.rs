//! The path patterns. Their matching lives in `crate::scope`; here only what can be said from the text.

use ignore::gitignore::GitignoreBuilder;

use super::report::{At, Problem, Reporter, shown};
use crate::characters::deceptive;
use crate::config::file::ScopeFile;
use crate::domain::ScopeSpec;

/// The most patterns of a list.
const MAX_PATTERNS: usize = 1000;

pub(super) fn scope(file: Option<&At<ScopeFile>>, reporter: &mut Reporter<'_>) -> ScopeSpec {
    let Some(file) = file else { return ScopeSpec::default() };
    let allowed = patterns(file.value.allowed_paths.as_ref());
    let forbidden = patterns(file.value.forbidden_paths.as_ref());
    if allowed.len().max(forbidden.len()) > MAX_PATTERNS {
        let problem = Problem::error("config.too_many_paths", file.span, "this scope has too many patterns");
        reporter.push(
            problem.valid("at most 1000 in each list").help("name directories instead of files: `services/payments/`"),
        );
        return ScopeSpec::default();
    }
    for pattern in allowed.iter().chain(forbidden) {
        check(pattern, reporter);
    }
    for pattern in allowed {
        check_overlap(pattern, forbidden, reporter);
    }
    let texts = |list: &[At<String>]| list.iter().map(|at| at.value.clone()).collect();
    ScopeSpec { allowed_paths: texts(allowed), forbidden_paths: texts(forbidden) }
}

fn patterns(list: Option<&At<Vec<At<String>>>>) -> &[At<String>] {
    list.map_or(&[], |list| list.value.as_slice())
}

fn check(at: &At<String>, reporter: &mut Reporter<'_>) {
    let pattern = at.value.as_str();
    let mut pairs = pattern.chars().zip(pattern.chars().skip(1));
    let is_windows = pairs.any(|(c, next)| c == '\\' && next.is_alphanumeric())
        || pattern.get(1..3).is_some_and(|drive| drive == ":/" || drive == ":\\");
    let hidden;
    let (problem, help) = if pattern.starts_with('!') {
        (
            "starts with `!`, which is not supported",
            "move it without the `!` to the other list: forbidden overrides allowed",
        )
    } else if is_windows {
        ("looks like a Windows path", "write `/` between directories, from the root of the repository")
    } else if pattern.starts_with('/') || pattern.starts_with('~') {
        ("is an absolute path", "write it from the root of the repository, without the `/` in front")
    } else if pattern.split('/').any(|part| part == "..") {
        ("leaves the repository with `..`", "write it from the root of the repository")
    } else if pattern.split('/').any(|part| part == ".") {
        ("contains `.` as a directory", "write it from the root of the repository, without `./`")
    } else if pattern.starts_with('#') {
        ("begins with `#`", "write `\\#` for a name that begins with it")
    } else if let Some(found) = deceptive(pattern) {
        hidden = format!("contains {found}");
        (hidden.as_str(), "write it anew with the keyboard; what cannot be seen cannot be checked")
    } else if pattern.trim() != pattern {
        ("begins or ends with a space", "remove the space")
    } else if pattern.contains("//") {
        ("contains `//`, which never matches", "write one `/` between directories")
    } else if GitignoreBuilder::new("").allow_unclosed_class(false).add_line(None, pattern).is_err() {
        ("is not a valid pattern", "close `{` with `}` and `[` with `]`")
    } else {
        return;
    };
    reporter.push(
        Problem::error("config.invalid_path", at.span, format!("the pattern `{}` {problem}", shown(pattern)))
            .valid("as in .gitignore, from the root of the repository: `services/payments/`, `*.sql`, `infra/**`")
            .help(help),
    );
}

/// Warns when a path is allowed that a forbidden one covers.
fn check_overlap(allowed: &At<String>, forbidden: &[At<String>], reporter: &mut Reporter<'_>) {
    let path = allowed.value.trim_end_matches('/');
    let covering = forbidden.iter().find(|other| {
        let other = other.value.trim_end_matches("/**").trim_end_matches('/');
        path == other || path.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
    });
    if let Some(other) = covering {
        let message = format!("`{}` is both allowed and forbidden; forbidden overrides allowed", shown(&allowed.value));
        reporter.push(
            Problem::warning("config.path_forbidden", allowed.span, message)
                .here("allowed")
                .also(other.span, "forbidden")
                .valid("each path in only one list")
                .help("remove one of the two"),
        );
    }
}
