//! The gate as a card in the conversation (MCP Apps): one page without any foreign part. It shows and links; it decides nothing.

use rmcp::model::MetaObject;
use serde_json::{Value, json};

use crate::document::Document;

/// The extension under which hosts know such cards.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/ui";
const MIME: &str = "text/html;profile=mcp-app";
const URI: &str = "ui://gate";

/// The card.
pub(crate) const DOCUMENT: Document = Document {
    uri: URI,
    name: "gate-card",
    title: "Gate card",
    description: "Shows a gate next to the answer of request_human_gate or get_gate, with a link to the review page",
    mime: MIME,
    text: include_str!("card.html"),
    meta: Some(page_meta),
};

/// No foreign origin, for anything.
fn page_meta() -> MetaObject {
    let csp = json!({ "connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": [] });
    meta(json!({ "csp": csp, "prefersBorder": true }))
}

fn meta(ui: Value) -> MetaObject {
    MetaObject(std::iter::once(("ui".to_owned(), ui)).collect())
}

/// What a tool's listing says about its card.
pub(crate) fn of_tool() -> Value {
    json!({ "resourceUri": URI })
}

/// The settings of the extension.
pub(crate) fn settings() -> serde_json::Map<String, Value> {
    std::iter::once(("mimeTypes".to_owned(), json!([MIME]))).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn part<'a>(from: &str, to: &str) -> &'a str {
        DOCUMENT.text.split_once(from).unwrap().1.split_once(to).unwrap().0
    }

    #[test]
    fn the_page_admits_its_own_script_and_style_and_nothing_else() {
        let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
        let csp = part("Content-Security-Policy\" content=\"", "\"");
        let (script, style) = (hash(part("<script>", "</script>")), hash(part("<style>", "</style>")));
        assert_eq!(
            csp,
            format!(
                "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; base-uri 'none'; \
                 form-action 'none'"
            )
        );
    }

    #[test]
    fn the_page_has_no_foreign_part_and_writes_no_markup() {
        for word in [
            "//cdn",
            "src=",
            "href=",
            "@import",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "fetch(",
            "XMLHttp",
            "style=",
            "onclick",
        ] {
            assert!(!DOCUMENT.text.contains(word), "{word}");
        }
    }
}
