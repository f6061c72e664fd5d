//! A program of the user's own that is asked with one line of JSON and answers with another. The protocol is our own, and is described
//! in `docs/connectors/exec.md`.
//!
//! The path and the SHA-256 of the program stand in the file that a person signs, and are checked before each run, so that whoever can write into
//! the repository cannot have something else run. No shell is involved, and nothing of this process's environment is handed on.

mod conformance;
mod protocol;
mod run;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use outcome_core::config::vendor::{
    Answers, Asked, At, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, references, secret,
};
use outcome_core::domain::{ArmSums, Period, Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::reading_check as check;
use outcome_core::ports::{
    MetricInfo, Opening, ProtocolTry, ReadError, SignalSource, SourceLimits, SourceReport, SourceSettings,
    VariantRequest,
};
use outcome_core::yaml_map;
use protocol::{About, ByVariant, Level, Listed, Question};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::api::{millis, reading, resolved};
use crate::http::Redactor;

/// A program.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "exec",
    example: "program: /opt/outcome/metrics\n      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    asked: Asked::ByName(Answers { by_variant: true, funnels: true, segments: true }),
    keys: Keymap::new(ExecFile::FIELDS, |generator| generator.subschema_for::<ExecFile>()),
    read,
};

/// The page that says more.
const PAGE: &str = "docs/connectors/exec.md";
/// Longest time for an answer.
const LONGEST: Period = Period::from_secs(600);

yaml_map! {
    /// Settings of an `exec` source.
    ExecFile("the config of an `exec` source") {
        /// The program, by its whole path, outside of the repository.
        required(signed) program: String,
        /// SHA-256 of the program's file, in hexadecimal, as `sha256sum` prints it.
        required(signed) sha256: String,
        /// Words that it is started with.
        optional(signed) arguments: Vec<At<String>>,
        /// A secret that it finds in its variable `OUTCOME_TOKEN`, such as `${METRICS_TOKEN}`.
        optional(signed) token: String,
        /// Longest time for an answer, at most 10m.
        optional(signed) timeout: Period = "60s",
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = ExecFile::decode(node, reporter)?;
    let mut is_good = true;
    let mut refuse = |problem: Problem, reporter: &mut Reporter<'_>| {
        reporter.push(problem);
        is_good = false;
    };
    if let Some(program) = file.program.as_ref().filter(|at| !Path::new(at.value.trim()).is_absolute()) {
        let problem =
            Problem::error("config.unknown_value", program.span, "the program is not named by its whole path");
        let problem = problem.valid("a path that begins with `/`, outside of the repository");
        refuse(problem.help("write it as in `/opt/outcome/metrics`; a reference is not possible here"), reporter);
    }
    if let Some(hash) = file.sha256.as_ref().filter(|at| !is_sha256(at.value.trim())) {
        let problem = Problem::error("config.unknown_value", hash.span, "this is not a SHA-256");
        refuse(problem.valid("64 hexadecimal digits").help("write what `sha256sum PROGRAM` prints"), reporter);
    }
    if let Some(token) = &file.token {
        secret("token", "METRICS_TOKEN", token, reporter);
    }
    if let Some(timeout) = file.timeout.as_ref().filter(|at| at.value > LONGEST) {
        let problem = Problem::error("config.out_of_range", timeout.span, "this is too long for an answer");
        refuse(
            problem.valid("at most 10m").help("let the program prepare its numbers by itself, and answer with them"),
            reporter,
        );
    }
    for argument in file.arguments.iter().flat_map(|at| &at.value) {
        references(argument, reporter);
        // Arguments of a program are seen by everybody on its machine.
        if argument.value.contains("${secret:") || argument.value.contains("${keyring:") {
            let problem = Problem::error(
                "config.secret_shown",
                argument.span,
                "everybody on the machine sees the arguments of a program",
            );
            refuse(
                problem
                    .valid("`token: ${secret:NAME}`")
                    .help("give the secret as `token`: the program gets it over its input"),
                reporter,
            );
        }
    }
    let arguments = file.arguments.map(|at| at.value).unwrap_or_default();
    let settings = ExecSettings {
        program: file.program?.value.trim().to_owned(),
        sha256: file.sha256?.value.trim().to_ascii_lowercase(),
        arguments: arguments.into_iter().map(|at| at.value).collect(),
        token: file.token.map(|at| at.value),
        timeout: file.timeout?.value,
    };
    is_good.then(|| Arc::new(settings) as Arc<dyn SourceSettings>)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[derive(Debug)]
struct ExecSettings {
    program: String,
    sha256: String,
    arguments: Vec<String>,
    token: Option<String>,
    timeout: Period,
}

impl SourceSettings for ExecSettings {
    fn to_json(&self) -> serde_json::Value {
        let Self { program, sha256, arguments, token, timeout } = self;
        json!({ "program": program, "sha256": sha256, "arguments": arguments, "token": token, "timeout": timeout })
    }

    fn references(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).chain(self.token.as_deref()).collect()
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let of = |text: &String| resolved(name, opening, text);
        let arguments = self.arguments.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let token = self.token.as_ref().map(of).transpose()?;
        let is_resolved = |(text, _): &(&String, &SecretString)| text.contains("${");
        let shown = self.arguments.iter().zip(&arguments).filter(is_resolved).map(|(_, value)| value.clone());
        let redactor = Redactor::new(token.iter().cloned().chain(shown));
        let arguments = arguments.iter().map(|text| text.expose_secret().to_owned()).collect();
        Ok(Box::new(ExecSource {
            name: name.to_owned(),
            program: PathBuf::from(&self.program),
            sha256: self.sha256.clone(),
            root: opening.root.to_owned(),
            arguments,
            redactor,
            token,
            limit: Duration::from_secs(u64::try_from(self.timeout.as_secs()).unwrap_or(60).max(1)),
        }))
    }
}

/// A program that is asked.
struct ExecSource {
    name: String,
    program: PathBuf,
    sha256: String,
    /// The repository, in which the program must not be.
    root: PathBuf,
    arguments: Vec<String>,
    token: Option<SecretString>,
    redactor: Redactor,
    limit: Duration,
}

impl ExecSource {
    fn shape(&self, of: &str, problem: impl Into<String>) -> ReadError {
        ReadError::Shape {
            source_name: self.name.clone(),
            signal: of.to_owned(),
            problem: problem.into(),
            hint: format!("{PAGE} has the fields of an answer"),
        }
    }

    /// The window that was really read: that of the answer, which must end where ours does or before.
    fn window(&self, of: &str, asked: Window, said: Option<Window>) -> Result<Window, ReadError> {
        match said {
            None => Ok(asked),
            Some(said) if said.from < said.to && said.to <= asked.to => Ok(said),
            Some(_) => Err(self.shape(of, "`window` ends after the one that was asked for, or before it begins")),
        }
    }

    /// The same of a step of the rollout: whoever was exposed before it began is of another step, and would be counted twice.
    fn window_of_step(&self, of: &str, asked: Window, said: Option<Window>) -> Result<Window, ReadError> {
        let window = self.window(of, asked, said)?;
        if window.from >= asked.from {
            return Ok(window);
        }
        Err(self.shape(of, "`window` begins before the one that was asked for, so units of an earlier step are in it"))
    }

    fn warnings(&self, said: &[String]) -> Vec<String> {
        said.iter().take(5).map(|text| self.redactor.clean(text)).collect()
    }
}

#[async_trait]
impl SignalSource for ExecSource {
    async fn test(&self) -> Result<SourceReport, ReadError> {
        let began = Instant::now();
        let about: About = self.ask("the test", &Question::test()).await?;
        Ok(SourceReport {
            source: self.name.clone(),
            server: about.server.map_or_else(|| "a program".to_owned(), |server| self.redactor.clean(&server)),
            // What a program may do cannot be tried from here.
            is_read_only: false,
            latency_ms: millis(began),
            risks: Vec::new(),
            notes: vec![
                format!("{} is the program that was signed", self.program.display()),
                "what it may do is its own matter: run it as it would be run by hand, with a right to read only"
                    .to_owned(),
            ],
        })
    }

    async fn level(&self, signal: &SignalSpec, window: Window) -> Result<Reading<ArmSums>, ReadError> {
        let of = &signal.name;
        let question = Question::level(signal, window);
        let answer: Level = self.ask(of, &question).await?;
        let data = answer.sums.sums().map_err(|problem| self.shape(of, problem))?;
        check::sums(&data).map_err(|problem| self.shape(of, problem))?;
        let window = self.window(of, window, answer.window)?;
        Ok(reading(data, window, &json!([self.sha256, question]), &data, self.warnings(&answer.warnings)))
    }

    async fn by_variant(
        &self,
        signal: &SignalSpec,
        request: &VariantRequest,
    ) -> Result<Reading<Vec<VariantReading>>, ReadError> {
        let of = &signal.name;
        let question = Question::by_variant(signal, request);
        let answer: ByVariant = self.ask(of, &question).await?;
        let data = answer.readings().map_err(|problem| self.shape(of, self.redactor.clean(&problem)))?;
        check::by_variant(&data).map_err(|problem| self.shape(of, problem))?;
        let window = self.window_of_step(of, request.window, answer.window)?;
        Ok(reading(data.clone(), window, &json!([self.sha256, question]), &data, self.warnings(&answer.warnings)))
    }

    async fn list(&self) -> Result<Vec<MetricInfo>, ReadError> {
        let listed: Listed = self.ask("the list", &Question::list()).await?;
        let info = |metric: protocol::ListedMetric| MetricInfo {
            name: self.redactor.clean(&metric.name),
            fields: metric.fields.iter().take(20).map(|field| self.redactor.clean(field)).collect(),
        };
        Ok(listed.metrics.into_iter().take(1000).map(info).collect())
    }

    async fn protocol(&self, signal: &SignalSpec, window: Window) -> Vec<ProtocolTry> {
        vec![self.later_question(signal, window).await, self.unknown_question().await]
    }

    fn place(&self) -> Option<String> {
        Some(self.program.display().to_string())
    }

    fn limits(&self) -> SourceLimits {
        SourceLimits { at_once: 2, budget: None }
    }
}
