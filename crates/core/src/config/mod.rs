//! `outcome.yaml`: from text to a checked [`Config`], or to diagnostics that say what is wrong, where, and what to do.
//!
//! Three steps: `yaml` reads the text into a tree with places; `file` gives the tree its types, key by key, so that one
//! run reports everything; `validate` checks what the keys mean together. Values may hold `${...}` references: they are
//! resolved by [`secrets`] when a source is used, and never written back.
//! **Invariant**: no diagnostic contains a secret.

mod address_parts;
mod cache;
mod change;
mod choice;
mod decode;
mod diagnostic;
mod difference;
mod field;
mod file;
mod integrations;
pub mod locate;
mod map;
mod metric_file;
mod node;
mod redact;
mod reference;
mod render;
mod reporter;
mod secret_error;
pub mod secrets;
mod settings;
mod span;
mod suggest;
mod syntax;
mod template;
mod validate;
pub mod vendor;
mod version;
mod yaml;

pub use address_parts::resolve_address;
pub use cache::{Cached, ConfigCache};
pub use diagnostic::{Diagnostic, Label, MAX_DIAGNOSTICS, Severity};
pub use difference::{Difference, differences};
pub use integrations::{ChannelSpec, ConnectorSpec, FlagServiceSpec};
pub use locate::{ConfigError, FILE_NAME, Loaded, load};
pub use reference::stored_names;
pub use render::render_all;
pub use reporter::Vendors;
pub use secret_error::SecretError;
pub use secrets::{Env, ProcessEnv, StoredSecrets};
pub use settings::{Config, Limits, LlmSpec, NotificationSpec, Retention, SlackSpec};
pub use suggest::did_you_mean;
pub use template::{TemplateOptions, template};
pub use version::VERSION;

use decode::Decode;
use diagnostic::Problem;
use reporter::Reporter;
use span::Span;

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 2 * 1024 * 1024;

/// What a text says.
#[derive(Debug)]
pub struct Parsed {
    /// Present when there is no error.
    pub config: Option<Config>,
    /// Errors and warnings, in the order of the file, at most [`MAX_DIAGNOSTICS`].
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks a text.
///
/// `file_name` stands in the diagnostics; `vendors` is what the file may name. With `env`, references to variables and files that are not there are errors
/// too.
#[must_use]
pub fn parse(source: &str, file_name: &str, vendors: &Vendors, env: Option<&dyn Env>) -> Parsed {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    parse_into(source, Reporter::new(source, file_name, (vendors, file::home_of), env))
}

/// Reads a text that counts already, or did: what a newer program asks of a proposal does not stop it.
#[must_use]
pub fn parse_what_counts(source: &str, file_name: &str, vendors: &Vendors) -> Parsed {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    parse_into(source, Reporter::new(source, file_name, (vendors, file::home_of), None).of_what_counts())
}

/// Warnings of people that a valid text asks to decide and who are not among `members`, by their e-mails.
#[must_use]
pub fn unknown_members(source: &str, file_name: &str, vendors: &Vendors, members: &[String]) -> Vec<Diagnostic> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut reporter = Reporter::new(source, file_name, (vendors, file::home_of), None);
    let file = yaml::read(source, &mut reporter).and_then(|root| file::RootFile::decode(&root, &mut reporter));
    let mut reporter = Reporter::new(source, file_name, (vendors, file::home_of), None);
    if let Some(file) = file {
        validate::unknown_members(&file, members, &mut reporter);
    }
    reporter.finish()
}

fn parse_into(source: &str, mut reporter: Reporter<'_>) -> Parsed {
    let config = read(source, &mut reporter);
    let diagnostics = reporter.finish();
    let config = if diagnostics.iter().any(Diagnostic::is_error) { None } else { config };
    Parsed { config, diagnostics }
}

fn read(source: &str, reporter: &mut Reporter<'_>) -> Option<Config> {
    let top = Span { start: 0, end: 1 };
    if source.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes", source.len());
        let problem = Problem::error("config.too_large", top, message).valid(format!("at most {MAX_FILE_BYTES} bytes"));
        reporter.push(
            problem.help("check that this is the right file; move long SQL statements into views of the database"),
        );
        return None;
    }
    let root = yaml::read(source, reporter)?;
    if root.is_null() {
        let problem =
            Problem::error("config.empty", top, "the file has no content").valid("`version: 1` and `outcomes:`");
        reporter.push(problem.help("`outcome-runtime init` writes a file as a starting point"));
        return None;
    }
    if let Some(problem) = version::unsupported_version(&root) {
        reporter.push(problem);
        return None;
    }
    let file = file::RootFile::decode(&root, reporter)?;
    validate::config(&file, reporter)
}

/// The JSON Schema (draft 7, which editors read) of the file, made from the types that read it.
#[must_use]
pub fn schema(vendors: &Vendors) -> serde_json::Value {
    let mut generator = schemars::generate::SchemaSettings::draft07().into_generator();
    let configs = file::vendor_schemas(vendors, &mut generator);
    let mut schema = generator.into_root_schema_for::<file::RootFile>().to_value();
    configs.add_to(&mut schema);
    if let Some(map) = schema.as_object_mut() {
        map.insert("title".to_owned(), "outcome.yaml".into());
    }
    schema
}
