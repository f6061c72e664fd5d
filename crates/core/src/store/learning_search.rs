//! Full-text search of learnings: FTS5 on SQLite, `tsvector` on PostgreSQL.

use std::collections::{BTreeSet, HashSet};

use sqlx::types::Json;
use sqlx::{Sqlite, Transaction};

use super::columns::sql;
use super::db::{Conn, Tx};
use super::error::db_error;
use super::learnings::{NAMED, NamedRow, StoredLearning};
use super::statement::Sql;
use crate::error::Result;
use crate::ids::OutcomeId;

// CROSS JOIN keeps SQLite's order: from the few that were found to their rows.
pub(super) const SEARCH: Sql = Sql {
    sqlite: sql!("SELECT ", NAMED, "
        FROM json_each($2) AS place
        CROSS JOIN learning_text t ON t.rowid = place.value
        CROSS JOIN learning l ON l.workspace_id = $1 AND l.id = t.learning_id
        CROSS JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        CROSS JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        ORDER BY place.key"),
    postgres: sql!("SELECT ", NAMED, "
        FROM learning l
        JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.workspace_id = $1 AND l.search_vector @@ to_tsquery('english', $2) AND (l.outcome_id = $3 OR $3 IS NULL)
        ORDER BY ts_rank(l.search_vector, to_tsquery('english', $2)) DESC, l.created_at DESC, l.id DESC LIMIT $4 OFFSET $5"),
};

/// What SQLite's index is asked before.
pub(super) mod index {
    /// How many learnings each of these questions finds, counted no further than a limit.
    pub(crate) const COUNT: &str = "
        SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM learning_text WHERE learning_text MATCH question.value LIMIT $2))
        FROM json_each($1) AS question ORDER BY question.key";
    pub(crate) const BEST: &str = "
        SELECT rowid FROM learning_text WHERE learning_text MATCH $1 ORDER BY bm25(learning_text, 1.0, 0.0), rowid DESC LIMIT $2";
    pub(crate) const NEWEST: &str = "
        SELECT rowid FROM learning_text WHERE learning_text MATCH $1 ORDER BY rowid DESC LIMIT $2";
    pub(crate) const ALL: [&str; 3] = [COUNT, BEST, NEWEST];
}

/// A word that more learnings have than this tells them apart poorly: on SQLite it does not count where others do.
const MAX_TELLING: i64 = 300;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct LearningQuery {
    /// Words; any of them counts, and what is closest to them comes first. Empty lists the newest.
    pub words: String,
    /// Only of this outcome.
    pub outcome: Option<OutcomeId>,
    /// At most this many.
    pub limit: i64,
    /// After this many.
    pub offset: i64,
}

impl LearningQuery {
    /// Its words: letters and digits only, so that neither engine can misread them; at most 32.
    fn terms(&self) -> BTreeSet<String> {
        let words = self.words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.take(32).map(str::to_lowercase).collect()
    }
}

/// What SQLite's index is asked. The column `place` holds the workspace and the outcome of a text, as words of it.
struct Questions {
    place: String,
}

impl Questions {
    fn new(tx: &Tx, outcome: Option<OutcomeId>) -> Self {
        let place = match outcome {
            Some(outcome) => format!("o{}", outcome.0.simple()),
            None => format!("w{}", tx.workspace.0.simple()),
        };
        Self { place }
    }

    fn of(&self, words: &str) -> String {
        format!("place : \"{}\" AND search_text : ({words})", self.place)
    }

    /// For learnings with any of these words.
    fn any<'a>(&self, terms: impl IntoIterator<Item = &'a String>) -> String {
        self.of(&joined(terms, " OR "))
    }

    /// For those with all of them.
    fn all<'a>(&self, terms: impl IntoIterator<Item = &'a String>) -> String {
        self.of(&joined(terms, " AND "))
    }
}

fn joined<'a>(terms: impl IntoIterator<Item = &'a String>, by: &str) -> String {
    terms.into_iter().map(|term| format!("\"{term}\"")).collect::<Vec<_>>().join(by)
}

impl Tx {
    /// The learnings that fit, best first; the newest without words.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learning_search(&mut self, query: &LearningQuery) -> Result<Vec<StoredLearning>> {
        let terms = query.terms();
        if terms.is_empty() {
            return self.learning_list(query.outcome, query.limit, query.offset).await;
        }
        let questions = Questions::new(self, query.outcome);
        let rows: Vec<NamedRow> = match &mut self.conn {
            Conn::Sqlite(tx) => {
                let places = sqlite_places(tx, &questions, &terms, query).await?;
                sqlx::query_as(SEARCH.sqlite).bind(self.workspace).bind(Json(places)).fetch_all(&mut **tx).await
            }
            Conn::Postgres(tx) => {
                let words: Vec<&str> = terms.iter().map(String::as_str).collect();
                sqlx::query_as(SEARCH.postgres)
                    .bind(self.workspace)
                    .bind(words.join(" | "))
                    .bind(query.outcome)
                    .bind(query.limit)
                    .bind(query.offset)
                    .fetch_all(&mut **tx)
                    .await
            }
        }
        .map_err(db_error)?;
        Ok(rows.into_iter().map(StoredLearning::from).collect())
    }
}

/// Where in SQLite's index the learnings of a page are: first those with a telling word, the best first, or, where no word
/// tells, those with all words; then those with any, the newest first. A word that no learning has does not count.
async fn sqlite_places(
    tx: &mut Transaction<'static, Sqlite>,
    questions: &Questions,
    terms: &BTreeSet<String>,
    query: &LearningQuery,
) -> Result<Vec<i64>> {
    let counted = count(tx, questions, terms).await?;
    let known = || counted.iter().filter(|(_, n_hits)| *n_hits > 0);
    if known().next().is_none() {
        return Ok(Vec::new());
    }
    let words = || known().map(|(word, _)| *word);
    let telling: Vec<&String> = known().filter(|(_, n_hits)| *n_hits <= MAX_TELLING).map(|(word, _)| *word).collect();
    let first = match telling.as_slice() {
        [] => (index::NEWEST, questions.all(words())),
        _ => (index::BEST, questions.any(telling)),
    };
    let n_wanted = query.offset.saturating_add(query.limit);
    let mut places: Vec<i64> = Vec::new();
    for (statement, question) in [first, (index::NEWEST, questions.any(words()))] {
        let n_found = i64::try_from(places.len()).unwrap_or(i64::MAX);
        if n_found >= n_wanted {
            break;
        }
        let found: Vec<(i64,)> = sqlx::query_as(statement)
            .bind(question)
            // As many more as may be among those that were found before.
            .bind(n_wanted.saturating_add(n_found))
            .fetch_all(&mut **tx)
            .await
            .map_err(db_error)?;
        let before: HashSet<i64> = places.iter().copied().collect();
        places.extend(found.into_iter().map(|(place,)| place).filter(|place| !before.contains(place)));
    }
    let number = |n: i64| usize::try_from(n).unwrap_or_default();
    Ok(places.into_iter().skip(number(query.offset)).take(number(query.limit)).collect())
}

/// How many learnings have each word, counted to just beyond [`MAX_TELLING`].
async fn count<'a>(
    tx: &mut Transaction<'static, Sqlite>,
    questions: &Questions,
    terms: &'a BTreeSet<String>,
) -> Result<Vec<(&'a String, i64)>> {
    let asked: Vec<String> = terms.iter().map(|term| questions.any([term])).collect();
    let counts: Vec<(i64,)> = sqlx::query_as(index::COUNT)
        .bind(Json(asked))
        .bind(MAX_TELLING + 1)
        .fetch_all(&mut **tx)
        .await
        .map_err(db_error)?;
    Ok(terms.iter().zip(counts.into_iter().map(|(n_hits,)| n_hits)).collect())
}
