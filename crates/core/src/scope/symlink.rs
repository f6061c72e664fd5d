//! Where a symbolic link leads, walked through the links of the same tree as the kernel would.
//!
//! **Invariant**: the file system is not asked; the tree of a commit is all that counts.

use std::collections::{BTreeMap, VecDeque};

use crate::scope::path::{link_destination, normalised};

/// As many links as Linux follows before it gives up.
const MAX_HOPS: usize = 40;

/// Path and target of every link of a tree; `None` for a target that could not be read.
pub(super) type Links = BTreeMap<String, Option<String>>;

/// Where the link at `link` leads, from the repository's root, or `None` when that is outside the repository, or past a
/// link that could not be read: whoever takes its object away must not make a plain folder of it.
///
/// A chain that is too long, or a circle, leads nowhere: it is then read by its text alone.
pub(super) fn destination(link: &str, target: &str, links: &Links) -> Option<String> {
    let by_text = link_destination(link, target);
    let mut at: Vec<&str> = link.split('/').collect();
    at.pop();
    let mut rest: VecDeque<&str> = target.split('/').collect();
    let mut n_hops = 0;
    if target.starts_with('/') {
        return None;
    }
    while let Some(part) = rest.pop_front() {
        match part {
            "" | "." => {}
            ".." => {
                at.pop()?;
            }
            name => {
                at.push(name);
                if let Some(target) = links.get(&at.join("/")) {
                    let target = target.as_deref()?;
                    n_hops += 1;
                    if n_hops > MAX_HOPS {
                        return by_text;
                    }
                    if target.starts_with('/') {
                        return None;
                    }
                    at.pop();
                    for part in target.rsplit('/') {
                        rest.push_front(part);
                    }
                }
            }
        }
    }
    // The text has a say too: it is what a program that does not follow links would believe.
    by_text?;
    normalised(&at.join("/"))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn links(pairs: &[(&str, &str)]) -> Links {
        pairs.iter().map(|(path, target)| ((*path).to_owned(), Some((*target).to_owned()))).collect()
    }

    #[test]
    fn a_link_through_another_link_leads_to_the_real_place() {
        let tree = links(&[("vendor", "services/payments"), ("out", "../elsewhere"), ("abs", "/etc")]);
        assert_eq!(destination("a/x", "../vendor/y", &tree).as_deref(), Some("services/payments/y"));
        assert_eq!(destination("a/x", "../vendor/../y", &tree).as_deref(), Some("services/y"));
        assert_eq!(destination("a/x", "../out/y", &tree), None);
        assert_eq!(destination("a/x", "../abs/y", &tree), None);
        assert_eq!(destination("a/x", "y", &tree).as_deref(), Some("a/y"));
    }

    #[test]
    fn a_link_that_could_not_be_read_is_no_folder() {
        let tree = Links::from([("docs/shared".to_owned(), None)]);
        assert_eq!(destination("a/x", "../docs/shared/y", &tree), None);
        assert_eq!(destination("a/x", "../docs/other", &tree).as_deref(), Some("docs/other"));
    }

    #[test]
    fn a_circle_of_links_ends() {
        let tree = links(&[("a", "b"), ("b", "a")]);
        assert_eq!(destination("a", "b", &tree).as_deref(), Some("b"));
    }

    #[test]
    fn a_link_into_the_git_directory_leaves_the_repository() {
        assert_eq!(destination("a/x", "../.git/hooks", &links(&[])), None);
        assert_eq!(destination("a/x", "../y", &links(&[("y", ".Git")])), None);
    }
}
