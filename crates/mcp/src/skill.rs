//! The usage guide as a skill (SEP-2640), for clients that load such guides by themselves.

use rmcp::ErrorData;
use rmcp::model::{DIRECTORY_MIME_TYPE, Resource, Skill, SkillFrontmatter, SkillResource, SkillResources};

use crate::document::Document;
use crate::protocol_error::not_found;

const URI: &str = "skill://outcome-runtime/SKILL.md";
/// The folder of its files.
const FOLDER: &str = "skill://outcome-runtime";

/// The guide.
pub(crate) const DOCUMENT: Document = Document {
    uri: URI,
    name: "outcome-runtime",
    title: "How to work with Outcome Runtime",
    description: "Usage guide: propose, build, report, and what to do at a human gate",
    mime: "text/markdown",
    text: include_str!("skill.md"),
    meta: None,
};

/// The skill with what its file says of itself, and the digest of the file.
pub(crate) fn skill() -> Skill {
    let field = |name: &str| {
        let lines = DOCUMENT.text.lines().skip(1).take_while(|line| *line != "---");
        lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    };
    let file = SkillResource::from_bytes(URI, DOCUMENT.text.as_bytes());
    Skill::new(URI, SkillFrontmatter::new(field("name"), field("description")), SkillResources::Files(vec![file]))
}

/// The skill at this address.
///
/// # Errors
/// `-32602` for any other.
pub(crate) fn at(uri: &str) -> Result<Skill, ErrorData> {
    if uri == URI { Ok(skill()) } else { Err(not_found(uri)) }
}

/// What stands in a folder of skills.
///
/// # Errors
/// `-32602` for what is no folder.
pub(crate) fn folder(uri: &str) -> Result<Vec<Resource>, ErrorData> {
    match uri.trim_end_matches('/') {
        FOLDER => Ok(vec![DOCUMENT.resource()]),
        "skill:" => Ok(vec![Resource::new(FOLDER, DOCUMENT.name).with_mime_type(DIRECTORY_MIME_TYPE)]),
        _ => Err(not_found(uri)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_is_a_valid_skill_that_names_only_tools_that_exist() {
        let skill = skill();
        skill.validate().unwrap();
        assert!((40..=1024).contains(&skill.frontmatter.description.len()));
        let marked = DOCUMENT.text.split('`').skip(1).step_by(2);
        let tools: Vec<&str> = marked.filter(|word| word.starts_with("get_") || word.starts_with("request_")).collect();
        assert!(tools.len() > 5 && tools.iter().all(|tool| crate::tools::find(tool).is_some()), "{tools:?}");
    }
}
