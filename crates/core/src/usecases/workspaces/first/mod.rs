//! The first outcome file: what is found of the database and the repository before anything is set up, what is proposed from it, and the
//! text that somebody chose. Nothing is written here.

mod choice;
mod database;
mod repository;
mod source;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::Workspaces;
use crate::config;
use crate::domain::Slug;
use crate::error::Result;
use crate::first_file::{Aim, Exposures, Kind, Layout, Metric, Proposal, write};
use crate::ports::SignalSource;
use crate::present::{Scale, count};
use crate::settings::{Env, Settings};
use crate::usecases::runtime::clock_of;

pub use choice::{FirstChoice, FirstFile};
use database::Level;
pub use source::FirstSource;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct FirstRequest<'r> {
    /// The database, where somebody named it.
    pub source: Option<&'r str>,
    /// Where a relative path begins.
    pub cwd: &'r Path,
    /// False where the template is wanted.
    pub asks_database: bool,
}

/// What was found before anything is set up.
#[derive(Debug, Serialize)]
pub struct FirstLook {
    /// The database.
    pub source: FirstSource,
    /// Why no metrics are proposed, as a sentence.
    pub trouble: Option<String>,
    /// What the tables are, as sentences.
    pub tables: Vec<String>,
    /// Tables that are left out because their names cannot be written safely.
    pub left_out: Vec<String>,
    /// The metrics that are proposed, the best first.
    pub metrics: Vec<FirstMetric>,
    /// Paths that exist and that agents should leave alone.
    pub forbidden_paths: Vec<String>,
    /// The file with the flags.
    pub flags: String,
    /// A flag service whose SDK the application has.
    pub flag_service: Option<&'static str>,
    /// The statement that makes a table of exposures, where there is none.
    pub create_exposures: Option<String>,
    #[serde(skip)]
    proposal: Option<Proposal>,
    #[serde(skip)]
    layout: Layout,
    #[serde(skip)]
    levels: BTreeMap<String, Level>,
}

/// A metric that is proposed.
#[derive(Debug, Clone, Serialize)]
pub struct FirstMetric {
    /// Its name.
    pub name: String,
    /// What it is, for people: where it is today, or that nobody could measure it.
    pub words: String,
    /// Where it is today.
    pub level: Option<f64>,
    /// Of how many units.
    pub units: Option<u64>,
    /// The target that is proposed.
    pub target: f64,
    /// Whether it is a share.
    pub is_share: bool,
}

impl FirstMetric {
    /// How its values are written.
    #[must_use]
    pub fn scale(&self) -> Scale {
        if self.is_share { Scale::share() } else { Scale::new(None, self.target) }
    }
}

impl Workspaces<'_> {
    /// Looks at the repository, and at the database if it may. What cannot be found out is said; only an address that is none is an
    /// error.
    ///
    /// # Errors
    /// [`crate::Code::InvalidInput`].
    #[tracing::instrument(level = "debug", name = "workspaces.look", skip_all)]
    pub async fn look(settings: &Settings, request: FirstRequest<'_>, env: Env<'_>) -> Result<FirstLook> {
        let root = &settings.root.value;
        let source = match request.source {
            Some(text) => FirstSource::given(text, (request.cwd, root), env)?,
            None => FirstSource::found(root, env),
        };
        let mut look = FirstLook::without_tables(source, repository::layout(root));
        if !request.asks_database {
            return Ok(look);
        }
        if !look.source.can_be_asked {
            look.trouble = Some("no database could be asked".to_owned());
            return Ok(look);
        }
        let opened = database::open(&look.source, root, settings.vendors);
        let found = match &opened {
            Ok(source) => database::look(&**source).await,
            Err(trouble) => Err(trouble.clone()),
        };
        match (found, opened) {
            (Ok(Some(proposal)), Ok(source)) => {
                look.take(proposal, &*source, settings, clock_of(settings)?.now()).await;
            }
            (Ok(_), _) => look.trouble = Some("no table looks like people and what they do".to_owned()),
            (Err(trouble), _) => look.trouble = Some(trouble),
        }
        Ok(look)
    }
}

impl FirstLook {
    fn without_tables(source: FirstSource, layout: Layout) -> Self {
        Self {
            source,
            trouble: None,
            tables: Vec::new(),
            left_out: Vec::new(),
            metrics: Vec::new(),
            forbidden_paths: layout.forbidden.clone(),
            flags: layout.flags.path.clone(),
            flag_service: layout.service,
            create_exposures: None,
            proposal: None,
            layout,
            levels: BTreeMap::new(),
        }
    }

    /// Keeps a proposal with what can be measured of it: over a week after people came, or over a day where none are that old.
    async fn take(&mut self, proposal: Proposal, source: &dyn SignalSource, settings: &Settings, now: Timestamp) {
        let mut proposal = proposal;
        for days in [7, 1] {
            let wanted = proposal.clone().within_days(days);
            let Some(text) = self.text_of(&wanted) else { break };
            let parsed = config::parse(&text, config::FILE_NAME, settings.vendors, None);
            let Some(config) = parsed.config else {
                self.trouble = Some("what was found does not fit into an outcome file".to_owned());
                return;
            };
            let levels = database::levels(source, &config, now).await;
            if !levels.is_empty() {
                (self.levels, proposal) = (levels, wanted);
                break;
            }
        }
        // What everybody does or nobody does has nothing to move.
        let says_nothing = |metric: &Metric| {
            let level = self.levels.get(&metric.name).map(|level| level.value);
            level.is_some_and(|value| value == 0.0 || (metric.kind == Kind::Conversion && value > 0.98))
        };
        proposal.metrics.sort_by_key(says_nothing);
        self.tables = tables(&proposal);
        self.left_out.clone_from(&proposal.left_out);
        self.create_exposures = match &proposal.exposures {
            Exposures::Missing { create, .. } => Some(create.clone()),
            Exposures::Table { .. } => None,
        };
        self.metrics = (0..proposal.metrics.len()).filter_map(|at| self.metric(&proposal, at)).collect();
        self.proposal = Some(proposal);
    }

    /// The file in which metrics are measured; what it aims at does not matter.
    fn text_of(&self, proposal: &Proposal) -> Option<String> {
        write(proposal, &self.layout, &self.aim(proposal, 0)?, &self.source.url).map(|written| written.text)
    }

    /// What an outcome of this metric aims at, as far as it is measured.
    fn aim(&self, proposal: &Proposal, metric: usize) -> Option<Aim> {
        let named = proposal.metrics.get(metric)?;
        let level = |name: &str| self.levels.get(name).map(|level| level.value);
        Some(Aim {
            outcome: Slug::from_title(&named.name.replace('_', "-")),
            metric,
            from: level(&named.name),
            to: None,
            margin: proposal.guard.as_ref().and_then(|guard| level(&guard.name)),
        })
    }

    fn metric(&self, proposal: &Proposal, at: usize) -> Option<FirstMetric> {
        let metric = proposal.metrics.get(at)?;
        let written = write(proposal, &self.layout, &self.aim(proposal, at)?, &self.source.url)?;
        let level = self.levels.get(&metric.name);
        let is_share = metric.kind == Kind::Conversion;
        let mut found = FirstMetric {
            name: metric.name.clone(),
            words: String::new(),
            level: level.map(|level| level.value),
            units: level.map(|level| level.units),
            target: written.to,
            is_share,
        };
        found.words = match level {
            Some(level) => {
                let words = proposal.sentence(metric, Some(&found.scale().level(level.value)));
                format!("{words} ({} {})", count(level.units), proposal.units())
            }
            None => {
                format!("{}; not measured yet", proposal.sentence(metric, None))
            }
        };
        Some(found)
    }
}

/// What the tables are, as sentences.
fn tables(proposal: &Proposal) -> Vec<String> {
    let mut lines: Vec<String> = proposal
        .facts
        .iter()
        .map(|fact| {
            let condition = fact.condition.as_ref().map(|text| format!(" where {text}")).unwrap_or_default();
            format!("{}: {} by {}{condition}", fact.name, fact.table, fact.at)
        })
        .collect();
    lines.push(match &proposal.exposures {
        Exposures::Table { table, .. } => format!("exposures: {table}"),
        Exposures::Missing { .. } => "exposures: no table yet".to_owned(),
    });
    lines
}
