//! The report on one file, and the table of what the file may name: a vendor reads its keys into the report, and the report
//! knows the vendors, so the two share a file.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use super::diagnostic::{Diagnostic, Label, MAX_DIAGNOSTICS, Problem, Severity};
use super::field::Field;
use super::node::Node;
use super::redact::redact_line;
use super::secrets::Env;
use super::span::Span;
use crate::ports::{ChannelSettings, FlagSettings, OsKeyring, SourceSettings};

/// Longer lines are not shown.
const MAX_LINE_BYTES: usize = 4096;

/// Finds the map to which a key belongs, and how it is spelt there.
pub type HomeOf = fn(&str, &Vendors) -> Option<(&'static str, &'static str)>;

/// Collects the findings of one file, and knows what the file may name.
pub struct Reporter<'a> {
    file: &'a str,
    source: &'a str,
    line_starts: Vec<usize>,
    found: Vec<Diagnostic>,
    n_dropped: usize,
    hidden: Vec<Span>,
    vendors: &'a Vendors,
    home_of: HomeOf,
    env: Option<&'a dyn Env>,
    counts_already: bool,
}

impl<'a> Reporter<'a> {
    /// With `env`, references to variables and files that are not there are reported.
    pub fn new(
        source: &'a str,
        file: &'a str,
        (vendors, home_of): (&'a Vendors, HomeOf),
        env: Option<&'a dyn Env>,
    ) -> Self {
        let newlines = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Self {
            file,
            source,
            line_starts,
            found: Vec::new(),
            n_dropped: 0,
            hidden: Vec::new(),
            vendors,
            home_of,
            env,
            counts_already: false,
        }
    }

    /// The same for a file that counts already: what only a proposal must not say is a warning.
    #[must_use]
    pub fn of_what_counts(self) -> Self {
        Self { counts_already: true, ..self }
    }

    /// What the file may name.
    #[must_use]
    pub fn vendors(&self) -> &'a Vendors {
        self.vendors
    }

    /// Where a key belongs that stands in the wrong map, and how it is spelt there.
    #[must_use]
    pub fn home_of(&self, key: &str) -> Option<(&'static str, &'static str)> {
        (self.home_of)(key, self.vendors)
    }

    /// Where references are looked up, when they are.
    #[must_use]
    pub fn env(&self) -> Option<&'a dyn Env> {
        self.env
    }

    /// True when nothing more is shown, so that looking for suggestions is no longer worth its time.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_DIAGNOSTICS
    }

    pub fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.n_dropped += 1;
            return;
        }
        let labels: Vec<Label> = problem.labels.into_iter().map(|(span, text)| self.label(span, text)).collect();
        let (line, column, excerpt) =
            labels.first().map_or((1, 1, String::new()), |label| (label.line, label.column, label.excerpt.clone()));
        self.found.push(Diagnostic {
            severity: match problem.is_for_proposals && self.counts_already {
                true => Severity::Warning,
                false => problem.severity,
            },
            code: problem.code,
            message: problem.message,
            file: self.file.to_owned(),
            line,
            column,
            excerpt,
            labels,
            valid: problem.valid,
            help: problem.help,
        });
    }

    /// Keeps a place, which holds a secret, out of every excerpt and message.
    pub fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// True for a place that holds a secret.
    #[must_use]
    pub fn is_hidden(&self, span: Span) -> bool {
        self.hidden.iter().any(|hidden| hidden.start < span.end && span.start < hidden.end)
    }

    /// The text at a place.
    #[must_use]
    pub fn text(&self, span: Span) -> &'a str {
        self.source.get(span.start..span.end).unwrap_or("")
    }

    /// Everything found, in the order of the file.
    #[must_use]
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.line, d.column, d.severity));
        if self.n_dropped > 0
            && let Some(last) = self.found.last_mut()
        {
            let more = format!("{} more problems are not shown: fix these first and run it again", self.n_dropped);
            last.help = Some(last.help.take().map_or_else(|| more.clone(), |help| format!("{help}\n{more}")));
        }
        self.found
    }

    fn label(&self, span: Span, text: String) -> Label {
        let start = span.start.min(self.source.len());
        let index = self.line_starts.partition_point(|begin| *begin <= start).saturating_sub(1);
        let begin = self.line_starts.get(index).copied().unwrap_or(0);
        let rest = self.source.get(begin..).unwrap_or("");
        let line = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let shown = if line.len() > MAX_LINE_BYTES {
            format!("(a line of {} bytes)", line.len())
        } else {
            redact_line(&self.without_hidden(line, begin), self.line_before(index))
        };
        let before = self.source.get(begin..start).unwrap_or(line);
        let meant = self.source.get(start..span.end.min(begin + line.len()).max(start)).unwrap_or("");
        Label {
            line: index + 1,
            column: before.chars().count() + 1,
            length: meant.trim_end().chars().count().max(1),
            excerpt: shown,
            text,
        }
    }

    /// The line that begins at `begin`, with the hidden places in it as `*`.
    fn without_hidden(&self, line: &str, begin: usize) -> String {
        let hidden: Vec<&Span> =
            self.hidden.iter().filter(|span| span.start < begin + line.len() && begin < span.end).collect();
        let is_hidden = |at: usize| hidden.iter().any(|span| (span.start..span.end).contains(&(begin + at)));
        line.char_indices().map(|(at, c)| if !c.is_whitespace() && is_hidden(at) { '*' } else { c }).collect()
    }

    /// The last line with content in front of the line with this index.
    fn line_before(&self, index: usize) -> &'a str {
        let begin = self.line_starts.get(index).copied().unwrap_or(0);
        let before = self.source.get(..begin).unwrap_or("").trim_end();
        before.rsplit('\n').next().filter(|line| line.len() <= MAX_LINE_BYTES).unwrap_or("")
    }
}

/// Everything that an outcome file may name.
#[derive(Debug, Clone, Copy)]
pub struct Vendors {
    /// Types of `signal_connectors`.
    pub signals: &'static [SignalVendor],
    /// Providers of `feature_flags`.
    pub flags: &'static [FlagVendor],
    /// Channels under `notifications`.
    pub channels: &'static [ChannelVendor],
    /// The keyring of the operating system, where the program was built with one.
    pub keyring: Option<&'static dyn OsKeyring>,
}

impl Vendors {
    /// No vendor at all.
    pub const NONE: Self = Self { signals: &[], flags: &[], channels: &[], keyring: None };

    /// The signal vendor with this `type`.
    #[must_use]
    pub fn signal(&self, kind: &str) -> Option<&'static SignalVendor> {
        self.signals.iter().find(|vendor| vendor.kind == kind)
    }

    /// The flag service with this `provider`.
    #[must_use]
    pub fn flag(&self, kind: &str) -> Option<&'static FlagVendor> {
        self.flags.iter().find(|vendor| vendor.kind == kind)
    }

    /// The channel with this key under `notifications`.
    #[must_use]
    pub fn channel(&self, kind: &str) -> Option<&'static ChannelVendor> {
        self.channels.iter().find(|vendor| vendor.kind == kind)
    }
}

/// How a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// With the user's own SQL, in a signal's `query`.
    WithSql,
    /// By the name in a signal's `metric`, or by the events in `funnel_steps`: the source counts by itself, and no
    /// `query` is written.
    ByName(Answers),
    /// Not at all: it pushes its readings.
    ItPushes,
}

/// What a source that is asked by name can answer. What it cannot is refused in the file: ignored, it would make the
/// number mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answers {
    /// How many units of each variant did it: the source knows who was exposed. Without it, it has levels only.
    pub by_variant: bool,
    /// `method: funnel`, the share of units that reach the last of `funnel_steps`, besides `event`.
    pub funnels: bool,
    /// The population restricted by `segment`.
    pub segments: bool,
}

/// A kind of signal source.
#[derive(Debug)]
pub struct SignalVendor {
    /// Its `type` in the file.
    pub kind: &'static str,
    /// A line below `config:` to begin with.
    pub example: &'static str,
    /// How it is asked.
    pub asked: Asked,
    /// The keys of its `config`.
    pub keys: Keymap,
    /// Reads and checks its `config`; `None` after a mistake, which is then reported.
    pub read: fn(&Node, &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>>,
}

/// A kind of flag service.
#[derive(Debug)]
pub struct FlagVendor {
    /// Its `provider` in the file.
    pub kind: &'static str,
    /// A line below `config:` to begin with.
    pub example: &'static str,
    /// The keys of its `config`.
    pub keys: Keymap,
    /// The least that its credentials must allow, and how to make such ones: lines for a person to follow.
    pub role: &'static str,
    /// Whether experiments that run there can be attached.
    pub has_experiments: bool,
    /// Reads and checks its `config`; `None` after a mistake, which is then reported.
    pub read: fn(&Node, &mut Reporter<'_>) -> Option<Arc<dyn FlagSettings>>,
}

/// A kind of message channel.
#[derive(Debug)]
pub struct ChannelVendor {
    /// Its key under `notifications`, and its name in a gate's `channel`.
    pub kind: &'static str,
    /// The keys below it.
    pub keys: Keymap,
    /// Reads and checks its settings; `None` after a mistake, which is then reported.
    pub read: fn(&Node, &mut Reporter<'_>) -> Option<Arc<dyn ChannelSettings>>,
}

/// The keys of a vendor's settings.
#[derive(Debug, Clone, Copy)]
pub struct Keymap {
    /// Name, documentation and default of each.
    pub fields: &'static [Field],
    /// Their JSON Schema.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Keymap {
    /// The keys of a map that `yaml_map!` declared: `Keymap::new(Keys::FIELDS, |g| g.subschema_for::<Keys>())`.
    #[must_use]
    pub const fn new(fields: &'static [Field], schema: fn(&mut SchemaGenerator) -> Schema) -> Self {
        Self { fields, schema }
    }
}
