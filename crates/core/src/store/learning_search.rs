//! Full-text search of learnings: FTS5 on SQLite, `tsvector` on PostgreSQL.

use std::collections::BTreeSet;

use sqlx::types::Json;
use sqlx::{Sqlite, Transaction};

use super::db::Conn;
use super::learnings::{LearningRow, StoredLearning};
use super::{Sql, Tx, db_error};
use crate::error::Result;
use crate::ids::OutcomeId;

// SQLite ranks the newest that fit a question. The second is only asked where the first does not fill the page; what fits the
// first comes before what fits only the second. CROSS JOIN keeps the order: from the few that were found to their rows.
pub(super) const SEARCH: Sql = Sql {
    sqlite: "
        WITH closest AS MATERIALIZED (
            SELECT 0 AS tier, rowid AS place, bm25(learning_text, 1.0, 0.0) AS score FROM learning_text
            WHERE learning_text MATCH $2 ORDER BY rowid DESC LIMIT $7),
        hit AS (
            SELECT * FROM closest
            UNION ALL
            SELECT * FROM (SELECT 1, rowid, bm25(learning_text, 1.0, 0.0) FROM learning_text
                WHERE learning_text MATCH $3 ORDER BY rowid DESC
                LIMIT (SELECT CASE WHEN COUNT(*) < $5 + $6 THEN $7 ELSE 0 END FROM closest))),
        best AS (
            SELECT place, MIN(tier) AS tier, score FROM hit GROUP BY place ORDER BY tier, score, place DESC LIMIT $5 OFFSET $6)
        SELECT l.id, l.outcome_id, l.experiment_id, l.finding, l.finding_type, l.hypothesis_says, l.note_says, l.evidence,
            l.confidence, l.grade, l.applies_to, l.created_at, o.slug AS outcome_slug, e.slug AS experiment_slug
        FROM best
        CROSS JOIN learning_text t ON t.rowid = best.place
        CROSS JOIN learning l ON l.workspace_id = $1 AND l.id = t.learning_id
        CROSS JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        CROSS JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.outcome_id = $4 OR $4 IS NULL
        ORDER BY best.tier, best.score, best.place DESC",
    postgres: "
        SELECT l.id, l.outcome_id, l.experiment_id, l.finding, l.finding_type, l.hypothesis_says, l.note_says, l.evidence,
            l.confidence, l.grade, l.applies_to, l.created_at, o.slug AS outcome_slug, e.slug AS experiment_slug
        FROM learning l
        JOIN outcome o ON o.workspace_id = l.workspace_id AND o.id = l.outcome_id
        JOIN experiment e ON e.workspace_id = l.workspace_id AND e.id = l.experiment_id
        WHERE l.workspace_id = $1 AND l.search_vector @@ to_tsquery('english', $2) AND (l.outcome_id = $3 OR $3 IS NULL)
        ORDER BY ts_rank(l.search_vector, to_tsquery('english', $2)) DESC, l.created_at DESC,
            l.id DESC LIMIT $4 OFFSET $5",
};

/// How many learnings each of these questions finds, counted no further than a limit. Only SQLite asks.
pub(super) const COUNT_HITS: &str = "
    SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM learning_text WHERE learning_text MATCH question.value LIMIT $2))
    FROM json_each($1) AS question ORDER BY question.key";

/// A word that more learnings have than this tells them apart poorly; and so many of the newest that fit are ranked.
const MAX_RANKED: i64 = 300;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct LearningQuery {
    /// Words; any of them counts, more of them rank higher. Empty lists the newest.
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

    /// For those that say most about the words: with one that few learnings have; or with all of them.
    fn closest(&self, counted: &[(String, i64)]) -> String {
        let all = || counted.iter().map(|(term, _)| term);
        let rare: Vec<&String> =
            counted.iter().filter(|(_, n_hits)| (1..=MAX_RANKED).contains(n_hits)).map(|(term, _)| term).collect();
        if rare.is_empty() {
            return self.of(&joined(all(), " AND "));
        }
        self.of(&format!("({}) AND ({})", joined(rare, " OR "), joined(all(), " OR ")))
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
        let rows: Vec<LearningRow> = match &mut self.conn {
            Conn::Sqlite(tx) => {
                let counted = count_hits(tx, &questions, &terms).await?;
                sqlx::query_as(SEARCH.sqlite)
                    .bind(self.workspace)
                    .bind(questions.closest(&counted))
                    .bind(questions.any(&terms))
                    .bind(query.outcome)
                    .bind(query.limit)
                    .bind(query.offset)
                    .bind(MAX_RANKED)
                    .fetch_all(&mut **tx)
                    .await
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

/// How many learnings have each word, counted to just beyond the limit.
async fn count_hits(
    tx: &mut Transaction<'static, Sqlite>,
    questions: &Questions,
    terms: &BTreeSet<String>,
) -> Result<Vec<(String, i64)>> {
    let asked: Vec<String> = terms.iter().map(|term| questions.any([term])).collect();
    let counts: Vec<(i64,)> = sqlx::query_as(COUNT_HITS)
        .bind(Json(asked))
        .bind(MAX_RANKED + 1)
        .fetch_all(&mut **tx)
        .await
        .map_err(db_error)?;
    Ok(terms.iter().cloned().zip(counts.into_iter().map(|(n_hits,)| n_hits)).collect())
}
