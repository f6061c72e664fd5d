//! What somebody who typed a command that does not exist most likely wants: the words of other tools, and the right command here.

use clap::error::ErrorKind;

/// Verdicts that people type as commands.
const VERDICTS: [&str; 9] =
    ["approve", "reject", "rework", "ship", "scale", "extend", "iterate", "kill", "approve-with-conditions"];

/// The right command, as a sentence; `None` where the words say nothing. `args`: what was typed, without the program's name.
pub fn meant(kind: ErrorKind, args: &[String]) -> Option<String> {
    if !matches!(kind, ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument) {
        return None;
    }
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    match words.as_slice() {
        ["gate" | "gates", verdict, rest @ ..] if VERDICTS.contains(verdict) => Some(decide(verdict, rest)),
        [verdict, rest @ ..] if VERDICTS.contains(verdict) => Some(decide(verdict, rest)),
        ["experiment" | "exp", verdict @ ("approve" | "reject" | "ship" | "scale" | "extend" | "iterate" | "launch"), ..] => {
            Some(format!("an experiment goes on at its gate: `outcome-runtime gate list` shows it, `outcome-runtime gate decide GATE` \
                          takes {}", if *verdict == "launch" { "`approve`" } else { "your verdict" }))
        }
        ["apply", ..] if ["--dry-run", "--check", "--diff", "--plan"].into_iter().any(has) => {
            Some("`outcome-runtime plan` shows what `apply` would change, and changes nothing".to_owned())
        }
        ["diff", ..] => Some("`outcome-runtime plan` shows what `apply` would change".to_owned()),
        ["gates", ..] => Some("`outcome-runtime gate list` shows the gates that wait".to_owned()),
        ["list" | "ls" | "overview" | "dashboard", ..] => Some("`outcome-runtime status` shows everything at a glance".to_owned()),
        ["show", name, ..] => Some(format!(
            "`outcome-runtime experiment show {0}` shows an experiment, `outcome-runtime gate show {0}` a gate",
            slug(name).unwrap_or("NAME")
        )),
        ["brief", name, ..] => {
            Some(format!("`outcome-runtime experiment brief {}`", slug(name).unwrap_or("NAME")))
        }
        ["serve" | "start" | "daemon" | "server", ..] => {
            Some("the daemon is a program of its own: `outcome-runtimed`".to_owned())
        }
        ["mcp", ..] => Some(
            "the MCP server is a program of its own, which your client starts: `outcome-runtime init --client CLIENT` sets that up"
                .to_owned(),
        ),
        _ => None,
    }
}

fn decide(verdict: &str, rest: &[&str]) -> String {
    let gate = rest.first().and_then(|name| slug(name)).unwrap_or("GATE");
    format!("`outcome-runtime gate decide {gate} --verdict {}`", verdict.replace('-', "_"))
}

/// The word, if it can be the name of something here.
fn slug(word: &str) -> Option<&str> {
    let is_slug = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (is_slug && word.len() <= 100).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ErrorKind, typed: &str) -> Option<String> {
        meant(kind, &typed.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_of_other_tools_lead_to_the_right_command() {
        for (typed, right) in [
            ("gate approve launch-short-form", "`outcome-runtime gate decide launch-short-form --verdict approve`"),
            ("approve launch-short-form --note x", "gate decide launch-short-form --verdict approve`"),
            ("gate ship $(x)", "`outcome-runtime gate decide GATE --verdict ship`"),
            ("experiment ship short-form", "`outcome-runtime gate list`"),
            ("gates", "`outcome-runtime gate list`"),
            ("serve --port 80", "`outcome-runtimed`"),
        ] {
            let said = of(ErrorKind::InvalidSubcommand, typed).unwrap();
            assert!(said.contains(right), "{typed}: {said}");
        }
        let said = of(ErrorKind::UnknownArgument, "apply --dry-run").unwrap();
        assert!(said.contains("`outcome-runtime plan`"), "{said}");
        assert_eq!(of(ErrorKind::UnknownArgument, "apply --frobnicate"), None);
        assert_eq!(of(ErrorKind::MissingRequiredArgument, "gate approve"), None);
    }
}
