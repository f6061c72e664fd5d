//! References to variables in a client's configuration, as that client reads them.

use super::Places;
use super::table::Interpolation;

/// The text as the server gets it, and whether a reference was left in it.
pub(super) fn expanded(reads: Interpolation, text: &str, places: &Places<'_>) -> (String, bool) {
    let out = match reads {
        Interpolation::None => text.to_owned(),
        Interpolation::Braces => replaced(text, "${", |name| braces(name, places)),
        Interpolation::Shell => replaced(text, "${", |name| Some((places.env)(name).unwrap_or_default())),
        Interpolation::Editor => replaced(text, "${", |name| editor(name, places)),
        Interpolation::BareBraces => replaced(text, "{env:", |name| Some((places.env)(name).unwrap_or_default())),
    };
    let is_left = out.contains("${") || out.contains("{env:");
    (out, is_left)
}

/// `NAME` or `NAME:-default`; what is not set stays as it is.
fn braces(name: &str, places: &Places<'_>) -> Option<String> {
    let (name, default) = name.split_once(":-").map_or((name, None), |(name, default)| (name, Some(default)));
    if name == "CLAUDE_PROJECT_DIR" {
        return Some(places.root.display().to_string());
    }
    (places.env)(name).or_else(|| default.map(ToOwned::to_owned))
}

fn editor(name: &str, places: &Places<'_>) -> Option<String> {
    match name {
        "workspaceFolder" => Some(places.root.display().to_string()),
        "userHome" => Some(places.home.display().to_string()),
        name => name.strip_prefix("env:").map(|name| (places.env)(name).unwrap_or_default()),
    }
}

/// Every `open NAME }` for which there is a value replaced by it.
fn replaced(text: &str, open: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, after)) => {
                out.push_str(&value(name).unwrap_or_else(|| format!("{open}{name}}}")));
                rest = after;
            }
            None => {
                out.push_str(open);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn each_client_reads_its_own_references_and_leaves_the_others() {
        let env = |name: &str| (name == "SET").then(|| "value".to_owned());
        let places = Places { root: "/shop".into(), home: "/home/kim".into(), server: "s".into(), env: &env };
        let read = |reads, text: &str| expanded(reads, text, &places);
        let is = |text: &str, is_left| (text.to_owned(), is_left);
        assert_eq!(read(Interpolation::None, "${SET}"), is("${SET}", true));
        assert_eq!(read(Interpolation::Braces, "a${SET}b${NOT}${NOT:-c}"), is("avalueb${NOT}c", true));
        assert_eq!(read(Interpolation::Shell, "a${SET}${NOT}"), is("avalue", false));
        assert_eq!(read(Interpolation::Editor, "${workspaceFolder}/${env:SET}"), is("/shop/value", false));
        assert_eq!(read(Interpolation::Editor, "${input:key}"), is("${input:key}", true));
        assert_eq!(read(Interpolation::BareBraces, "{env:SET}${SET"), is("value${SET", true));
    }
}
