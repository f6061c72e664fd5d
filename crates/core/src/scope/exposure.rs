//! Whether anything in a build can record who got which arm: an experiment whose exposures nobody records has no units.

use super::git::{CommitId, GitRepo};
use super::path::shown;
use crate::domain::{Note, NoteKind, Watch};

/// A note where no code of the commit names the place that exposures are read from: a table, or an event. A question for the humans at the
/// gate: code of another repository may record them.
pub async fn unnamed_exposures(repo: &GitRepo, commit: &CommitId, place: &str) -> Option<Note> {
    let texts = spellings(place);
    let is_named = if texts.is_empty() { None } else { repo.code_names(commit, &texts).await };
    (is_named == Some(false)).then(|| Note {
        kind: NoteKind::ExposureNotNamed,
        path: String::new(),
        message: format!(
            "no code of this commit names `{}`, from which exposures are read: is something else recording them, on both arms?",
            shown(place)
        ),
    })
}

/// How code may write the name of a table or an event: `experiment_exposures` is also `ExperimentExposure`.
fn spellings(place: &str) -> Vec<String> {
    let name = Watch::table(place).needle().unwrap_or_default();
    let one = match name.strip_suffix('s') {
        // A short stem would be found anywhere.
        Some(one) if one.len() >= 4 => one.to_owned(),
        _ => name,
    };
    let joined: String = one.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut all = vec![one];
    if !joined.is_empty() && !all.contains(&joined) {
        all.push(joined);
    }
    all.retain(|text| !text.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn a_table_is_looked_for_as_an_object_of_code_writes_it() {
        for (place, want) in [
            ("public.\"Experiment_Exposures\"", vec!["experiment_exposure", "experimentexposure"]),
            ("exposures", vec!["exposure"]),
            ("seen", vec!["seen"]),
            ("ads", vec!["ads"]),
            ("Experiment Viewed", vec!["experiment viewed", "experimentviewed"]),
            ("", vec![]),
        ] {
            assert_eq!(spellings(place), want, "{place}");
        }
    }
}
