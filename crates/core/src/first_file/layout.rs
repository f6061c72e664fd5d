//! What the layout of a repository says: which paths agents should leave alone, and where flags are.

use crate::characters::deceptive;

/// The most paths that are forbidden one by one.
const MAX_PATHS: usize = 40;

/// Names of folders that no experiment should change: the shape of the data, where it runs, who gets in, and money.
const FOLDERS: [&str; 26] = [
    "migrations",
    "migrate",
    "infra",
    "infrastructure",
    "terraform",
    "deploy",
    "deployment",
    "k8s",
    "kubernetes",
    "helm",
    "ansible",
    ".github",
    ".circleci",
    ".gitlab",
    "auth",
    "authentication",
    "oauth",
    "security",
    "billing",
    "payment",
    "payments",
    "payroll",
    "invoicing",
    "secrets",
    "certs",
    "permissions",
];

/// Files that are made or that decide what runs.
const FILES: [&str; 20] = [
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "Cargo.lock",
    "Gemfile.lock",
    "poetry.lock",
    "uv.lock",
    "Pipfile.lock",
    "composer.lock",
    "go.sum",
    "mix.lock",
    "flake.lock",
    "Dockerfile",
    "docker-compose.yml",
    "compose.yaml",
    ".gitlab-ci.yml",
    "Procfile",
    "fly.toml",
];

/// Where a file of flagd may be.
const FLAG_FILES: [&str; 6] =
    ["flags.json", "flagd.json", "config/flags.json", "config/flagd.json", "flags/flags.json", "demo.flagd.json"];

/// Flag services that applications bring an SDK of, and words of their packages.
const SERVICES: [(&str, &str); 8] = [
    ("LaunchDarkly", "launchdarkly"),
    ("Unleash", "unleash"),
    ("PostHog", "posthog"),
    ("Statsig", "statsig"),
    ("GrowthBook", "growthbook"),
    ("Flagsmith", "flagsmith"),
    ("ConfigCat", "configcat"),
    ("Split", "splitio"),
];

/// What was found in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Patterns of paths that exist and that agents should leave alone.
    pub forbidden: Vec<String>,
    /// The file with the flags.
    pub flags: FlagFile,
    /// A flag service whose SDK the application has.
    pub service: Option<&'static str>,
}

/// The file of flagd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagFile {
    /// From the root.
    pub path: String,
    /// Whether it is there already.
    pub is_there: bool,
}

impl Default for FlagFile {
    fn default() -> Self {
        Self { path: "flags.json".to_owned(), is_there: false }
    }
}

impl Layout {
    /// What folders and files (from the root, with `/`) and the texts of manifests such as `package.json` say.
    #[must_use]
    pub fn of(folders: &[String], files: &[String], manifests: &[String]) -> Self {
        let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut forbidden: Vec<String> = Vec::new();
        for folder in folders.iter().filter(|path| is_plain(path) && FOLDERS.contains(&last(path).as_str())) {
            let is_covered = forbidden.iter().any(|known| folder.starts_with(known.as_str()));
            if !is_covered {
                forbidden.push(format!("{folder}/"));
            }
        }
        forbidden
            .extend(FILES.iter().filter(|file| files.iter().any(|path| path == *file)).map(|file| (*file).to_owned()));
        forbidden.truncate(MAX_PATHS);
        let found = FLAG_FILES.iter().find(|file| files.iter().any(|path| path == *file));
        let flags = found.map_or_else(FlagFile::default, |path| FlagFile { path: (*path).to_owned(), is_there: true });
        let has = |word: &str| manifests.iter().any(|text| text.to_lowercase().contains(word));
        let service = SERVICES.iter().find(|(_, word)| has(word)).map(|(name, _)| *name);
        Self { forbidden, flags, service }
    }
}

/// A path that means itself as a pattern.
fn is_plain(path: &str) -> bool {
    let may_be = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    path.chars().all(may_be)
        && deceptive(path).is_none()
        && !path.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn only_what_is_there_is_forbidden() {
        let folders =
            owned(&["app", "app/payments", "app/payments/auth", "db", "db/migrate", ".github", "app/[x]/auth", "src"]);
        let files = owned(&["Gemfile.lock", "config/flags.json", "README.md"]);
        let found = Layout::of(&folders, &files, &owned(&["gem 'launchdarkly-server-sdk'"]));
        assert_eq!(found.forbidden, ["app/payments/", "db/migrate/", ".github/", "Gemfile.lock"]);
        assert_eq!(found.flags, FlagFile { path: "config/flags.json".to_owned(), is_there: true });
        assert_eq!(found.service, Some("LaunchDarkly"));
        assert_eq!(Layout::of(&[], &[], &[]), Layout::default());
    }
}
