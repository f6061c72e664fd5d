//! `outcome.yaml` as it is written: the keys, their types, their defaults and their documentation. The JSON Schema and
//! the reading both follow from these declarations; meaning is checked in [`super::validate`].

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value as Json, json};

use super::choice::{DeclaredDesign, GateAssurance};
use super::decode::{Decode, Raw, TextMap};
use super::diagnostic::Problem;
use super::field::Field;
use super::metric_file::{
    AmongFile, EventsFile, ExposuresFile, FactFile, MetricFile, Named, PartFile, SpanFile, StepFile, UnitMapFile,
    VariantsFile,
};
use super::node::{Node, Value, shown};
use super::reporter::Reporter;
use super::reporter::{ChannelVendor, Vendors};
use super::suggest::same_name;
use crate::domain::{
    Aggregation, Direction, MetricMethod, MinimumDetectableEffect, OnConclusion, Period, ShipTest, Slug,
    ViolationPolicy,
};
use crate::yaml_map;

use super::decode::At;

yaml_map! {
    /// The outcome file: what should move, how it is measured, what must not break, and who decides.
    RootFile("the file") {
        /// Version of this format: `1`.
        required(signed) version: u32,
        /// The outcomes of this repository.
        required(each) outcomes: Vec<At<OutcomeFile>>,
        /// The sources that signals are read from.
        optional(signed) signal_connectors: Vec<At<ConnectorFile>>,
        /// Tables of events, by name, from which `metrics` are made.
        optional(signed) facts: Named<FactFile>,
        /// Metrics that outcomes name in `metric`. The runtime writes their SQL.
        optional(signed) metrics: Vec<At<MetricFile>>,
        /// The service that splits users between control and treatment.
        optional(signed) feature_flags: FlagsFile,
        /// Where messages are sent.
        optional(signed) notifications: NotificationsFile,
        /// Language models that write hypotheses and summaries. They never decide.
        optional(signed) llm: LlmFile,
        /// Limits of the workspace.
        optional(signed) limits: LimitsFile,
        /// How long readings are kept.
        optional(signed) retention: RetentionFile,
        /// Address of the pages on which gates are decided, as links name it, such as `https://outcomes.example.com`; default: where
        /// the daemon listens.
        optional(signed) review_url: String,
        /// Fingerprint of the workspace's root key, as `init` prints it: 64 hexadecimal digits. Committed, it tells this workspace from
        /// one that somebody made anew.
        optional(signed) root: String,
    }

    /// A metric target with constraints and a horizon.
    OutcomeFile("an outcome") {
        /// Short stable name, such as `checkout-mobile`: lower-case letters, digits and single hyphens. It must not change.
        required(signed) id: Slug,
        /// One line for people, such as `Finish more checkouts`.
        required(free) title: String,
        /// More for people.
        optional(free) description: String,
        /// E-mail of the accountable member.
        optional(signed) owner: String,
        /// E-mails of the people who work on it.
        optional(signed) team: Vec<At<String>>,
        /// The signal that decides.
        required(within) signal: SignalFile,
        /// Signals that inform and never decide.
        optional(signed) secondary_signals: Vec<At<SignalFile>>,
        /// Where the signal should go.
        required(signed) target: TargetFile,
        /// Limits that must not be crossed on the way: measured ones, and rules that the approver confirms at launch.
        optional(signed) constraints: Vec<At<ConstraintFile>>,
        /// Time until the deadline, counted from activation.
        required(signed) horizon: Period,
        /// Smallest effect worth detecting: `"5%"` is relative to the baseline, a plain number is in the signal's units.
        optional(signed) mde: Mde | minimum_detectable_effect,
        /// How experiments are judged. `before_after` and `none` give weaker evidence and never ship by themselves.
        optional(signed) design: DeclaredDesign = "randomised",
        /// What is randomised: `user`, `account`, `session`.
        optional(signed) randomisation_unit: String | randomization_unit = "user",
        /// The event that marks a unit as exposed.
        optional(signed) exposure: String,
        /// An experiment is paused after this time without a good reading.
        optional(shorter) staleness: Period = "24h",
        /// What happens to a flag after futility and at the end of the plan while a human decides.
        optional(signed) on_conclusion: OnConclusion = "turn_off",
        /// The test that decides on success: `known_end` looks once a day until the end of the plan and is the fastest, but needs values
        /// that are final when they are read; `open_end` may look at any time. Default: `known_end` for a metric of `metrics`, which waits
        /// for its values, and `open_end` for a query.
        optional(signed) ship_test: ShipTest,
        /// Number of experiments at the same time, and the ranking of candidates.
        optional(signed) portfolio: PortfolioFile,
        /// Who decides at which gate, until when, and with which assurance.
        optional(within) gates: GatesFile,
        /// Which paths of the repository an experiment may change.
        optional(within) scope: ScopeFile,
        /// Which language-model provider to use, or `host-agent`.
        optional(signed) llm_provider: String,
    }

    /// A metric read from a source.
    SignalFile("a signal") {
        /// Name of a secondary signal; default: the metric's name.
        optional(signed) name: String,
        /// Name of a source from `signal_connectors`, such as `shop`. Not needed for a metric of `metrics`.
        optional(signed) source: String,
        /// A metric of `metrics`, or its name at the source, such as `checkout_completed`; also the name of the signal.
        required(signed) metric: String,
        /// How the metric is computed. A `sql` source supports `custom`, which is its default, and `contract` for a metric of `metrics`.
        optional(signed) method: MetricMethod,
        /// Steps of a funnel, in order, for the method `funnel`.
        optional(signed) funnel_steps: Vec<At<String>>,
        /// Restricts the population. A SQL query uses each key as `:segment_<key>`.
        optional(signed) segment: TextMap,
        /// The window of the displayed value. Whether the target is reached is judged on single days, experiments on totals since exposure.
        optional(signed) aggregation: Aggregation = "7d_rolling",
        /// Unit of the value, for people: `%`, `ms`, `EUR`.
        optional(signed) unit: String,
        /// How often it is read; at least 1m.
        optional(shorter) poll_interval: Period = "6h",
        /// The SQL statements of a `sql` source.
        optional(signed) query: QueryFile,
    }

    /// SQL statements. `:from` and `:to` are bound to the window.
    QueryFile("a query") {
        /// One row for all units in `[:from, :to)`: `n, successes`, or `n, sum, sum_squares`, or `value`.
        optional(signed) level: String,
        /// One row for each variant, of units exposed in `[:from, :to)`: `variant` (`control` or `treatment`), and the
        /// columns of `level`.
        optional(signed) by_variant: String,
    }

    /// The current and the target level of the signal.
    TargetFile("a target") {
        /// Which way is better, such as `increase`.
        required(signed) direction: Direction,
        /// The current level, such as `0.32`. Activation compares it with the measured baseline.
        required(signed) from: f64,
        /// The target level, such as `0.45`.
        required(signed) to: f64,
        /// Confidence of every result, between 0.5 and 1.
        optional(signed) confidence: f64 | confidence_required = "0.95",
        /// Largest accepted difference between the measured baseline and `from`, relative: 0.2 is 20 %.
        optional(signed) baseline_tolerance: f64 = "0.2",
        /// How long the rolling value must stay at or beyond `to`.
        optional(signed) dwell: Period = "7d",
    }

    /// A measured limit (`signal` with `min`, `max` or `not_worse`), or a `rule` for people.
    ConstraintFile("a constraint") {
        /// A sentence that the approver confirms at launch. It has no other keys.
        optional(signed) rule: String,
        /// Name of the guarded signal.
        optional(signed) signal: String,
        /// Name of a source from `signal_connectors`.
        optional(signed) source: String,
        /// The metric's name there; default: the signal's name.
        optional(signed) metric: String,
        /// How the metric is computed.
        optional(signed) method: MetricMethod,
        /// Steps of a funnel, for the method `funnel`.
        optional(signed) funnel_steps: Vec<At<String>>,
        /// Restricts the population. A SQL query uses each key as `:segment_<key>`.
        optional(signed) segment: TextMap,
        /// Unit of the value, for people.
        optional(signed) unit: String,
        /// How often it is read; at least 1m.
        optional(signed) poll_interval: Period = "6h",
        /// The SQL statements of a `sql` source.
        optional(signed) query: QueryFile,
        /// Lower limit of the value.
        optional(signed) min: f64,
        /// Upper limit of the value.
        optional(signed) max: f64,
        /// Limit relative to the control group.
        optional(signed) not_worse: NotWorseFile,
        /// Number of polls in a row for which a value without units must be out of bounds.
        optional(signed) consecutive: u32 = "3",
        /// `pause` turns the flag off and asks a human, `kill` also ends the experiment.
        optional(signed) on_violation: ViolationPolicy = "pause",
        /// True if a value that is read over everybody, whatever they saw, also turns the flag off; false if it is only told.
        optional(signed) also_pause_on_level: bool = "false",
    }

    /// How much worse than the control group the treatment may be.
    NotWorseFile("a `not_worse` limit") {
        /// Which way is better, such as `decrease`.
        required(signed) direction: Direction,
        /// Tolerated harm, such as `0.005`: absolute, in the signal's units, 0 or more.
        required(signed) margin: f64,
        /// True if shipping needs proof that the limit is met; false if only a proven breach counts.
        optional(signed) must_prove: bool = "false",
    }

    /// Number of experiments at the same time, and the ranking of candidates.
    PortfolioFile("a portfolio") {
        /// Maximum number of experiments between portfolio approval and conclusion.
        optional(signed) max_concurrent: u32 = "3",
        /// Number of hypotheses that a work order asks for.
        optional(signed) candidates: u32 = "3",
        /// Experiments that share the error budget (1 - confidence); default: `max_concurrent`. They get nine
        /// tenths of it in equal parts, and every later one half of what is left.
        optional(signed) planned_experiments: u32,
        /// Weights of the ranking; the sum need not be 1.
        optional(signed) weights: WeightsFile,
    }

    /// Weights of the ranking, each 0 or more.
    WeightsFile("`weights`") {
        /// Share of the gap that the prediction closes, times its confidence.
        optional(signed) impact: f64 = "0.35",
        /// Low risk is good.
        optional(signed) risk: f64 = "0.25",
        /// Little effort is good.
        optional(signed) speed: f64 = "0.2",
        /// A reversible change costs less to learn from.
        optional(signed) learning: f64 = "0.2",
    }

    /// The gates: who decides, until when, and with which assurance.
    GatesFile("`gates`") {
        /// Should the experiment be built?
        optional(within) portfolio_review: GateFile,
        /// Should exactly this commit run under exactly this plan?
        optional(within) launch_approval: GateFile,
        /// What should happen with the result?
        optional(within) analysis_review: GateFile,
        /// Should the rollout go to the next step?
        optional(within) scale_approval: GateFile,
        /// Should the change ship to everyone?
        optional(within) ship_approval: GateFile,
        /// An agent asks for a human decision.
        optional(within) escalation: GateFile,
    }

    /// Who decides a type of gate, until when, and with which assurance.
    GateFile("a gate") {
        /// E-mail of the member who decides; default: the workspace's first member.
        optional(signed) assigned_to: String,
        /// Time to decide. Silence never approves: when the time is over, the next person in `escalation` is asked.
        optional(signed) sla: Period = "24h",
        /// Where to send the message: `slack:#name`, `email`, `none`, or a channel of `notifications` such as `webhook`.
        optional(signed) channel: String,
        /// E-mails of the people who are asked next, in order.
        optional(signed) escalation: Vec<At<String>> | escalation_chain,
        /// The assurance that an approval needs: A3 is a passphrase, A4 a hardware key.
        optional(higher) assurance: GateAssurance = "A3",
        /// Number of members who must make the same decision.
        optional(higher) quorum: u32 = "1",
    }

    /// Which paths an experiment may change, as in .gitignore. Forbidden overrides allowed; empty allowed means everything else.
    ScopeFile("a scope") {
        /// May be changed.
        optional(fewer) allowed_paths: Vec<At<String>>,
        /// May never be changed.
        optional(more) forbidden_paths: Vec<At<String>>,
    }

    /// Language models.
    LlmFile("`llm`") {
        /// The provider for outcomes without `llm_provider`.
        optional(signed) default_provider: String,
        /// The model that writes hypotheses.
        optional(signed) hypothesis_model: String,
        /// The model that summarises results.
        optional(signed) analysis_model: String,
    }

    /// Where messages are sent.
    KnownChannels("`notifications`") {
        /// A Slack app.
        optional(signed) slack: SlackFile,
    }

    /// A Slack app. Secrets are `${...}` references.
    SlackFile("`slack`") {
        /// Bot token, such as `${SLACK_BOT_TOKEN}`.
        required(signed) bot_token: String,
        /// Signing secret, such as `${SLACK_SIGNING_SECRET}`; needed for buttons in messages.
        optional(signed) signing_secret: String,
        /// Where messages go if the gate has no channel.
        optional(signed) default_channel: String,
    }

    /// Limits of the workspace.
    LimitsFile("`limits`") {
        /// Maximum number of active outcomes at the same time.
        optional(signed) max_active_outcomes: u32,
    }

    /// How long readings are kept. Readings of experiments and of an outcome's own signal, sealed cohorts and the log are kept for ever.
    RetentionFile("`retention`") {
        /// Time after which of the levels of a day of a secondary signal the last one is kept; at least 7d.
        optional(signed) levels: Period = "90d",
        /// Time for which the texts of sources' answers about experiments are kept after they were last said.
        optional(signed) raw_answers: Period = "30d",
    }
}

/// The maps of the file, and what they are called in a sentence.
pub(super) const MAPS: &[(&str, &[Field])] = &[
    ("the file's top level", RootFile::FIELDS),
    ("`target`", TargetFile::FIELDS),
    ("`signal`", SignalFile::FIELDS),
    ("`signal.query`", QueryFile::FIELDS),
    ("`portfolio`", PortfolioFile::FIELDS),
    ("`portfolio.weights`", WeightsFile::FIELDS),
    ("`scope`", ScopeFile::FIELDS),
    ("`gates`", GatesFile::FIELDS),
    ("a gate, as `gates.launch_approval`", GateFile::FIELDS),
    ("an item of `constraints`", ConstraintFile::FIELDS),
    ("an item of `metrics`", MetricFile::FIELDS),
    ("`numerator` and `denominator`", PartFile::FIELDS),
    ("`window` of a metric", SpanFile::FIELDS),
    ("`among` of a metric", AmongFile::FIELDS),
    ("an item of `steps`", StepFile::FIELDS),
    ("a fact in `facts`", FactFile::FIELDS),
    ("`exposures` of a source", ExposuresFile::FIELDS),
    ("`exposures.variants`", VariantsFile::FIELDS),
    ("`units` of a source", UnitMapFile::FIELDS),
    ("`population` of a source", EventsFile::FIELDS),
    ("an item of `outcomes`", OutcomeFile::FIELDS),
    ("`llm`", LlmFile::FIELDS),
    ("`limits`", LimitsFile::FIELDS),
    ("`retention`", RetentionFile::FIELDS),
    ("`notifications`", KnownChannels::FIELDS),
    ("`notifications.slack`", SlackFile::FIELDS),
];

/// Where a key belongs that stands in the wrong map, and how it is spelt there.
pub(super) fn home_of(key: &str, vendors: &Vendors) -> Option<(&'static str, &'static str)> {
    let of_vendors =
        vendors.signals.iter().map(|vendor| ("the `config` of a source or flag service", vendor.keys.fields));
    MAPS.iter().copied().chain(of_vendors).find_map(|(home, fields)| {
        fields.iter().find(|field| same_name(field.name(), key)).map(|field| (home, field.name()))
    })
}

/// The keys of a connector, before its `config` is read by type.
#[derive(Debug, Clone)]
pub(super) struct ConnectorFile(pub(super) ConnectorKeys);

yaml_map! {
    /// A source of signals.
    ConnectorKeys("a source") {
        /// Name that signals use in `source`, such as `shop`.
        required(signed) name: String,
        /// The type of source, such as `sql`.
        required(signed) r#type: String,
        /// Its settings, which depend on `type`.
        optional(signed) config: Raw,
        /// How late rows arrive there. Metrics of `metrics` wait for them before they claim something.
        optional(signed) lag: Period = "6h",
        /// Where days begin for `distinct: day` and hours for `distinct: hour`, such as `Europe/Berlin`.
        optional(signed) timezone: String = "UTC",
        /// Who saw which arm, and when. `metrics` need it.
        optional(signed) exposures: ExposuresFile,
        /// Maps from one kind of unit to another by what they lead to, such as `account: { from: user, table: users, key: id, to: account_id }`.
        optional(signed) units: Named<UnitMapFile>,
        /// Whose first event begins the window where there is no experiment: the level is that of these units.
        optional(signed) population: EventsFile,
    }

    /// The service that splits users between control and treatment.
    FlagKeys("`feature_flags`") {
        /// Which service, such as `flagd_file`.
        required(signed) provider: String,
        /// Its settings, which depend on `provider`.
        optional(signed) config: Raw,
    }
}

/// The keys of the flag service, before its `config` is read by provider.
#[derive(Debug, Clone)]
pub(super) struct FlagsFile(pub(super) FlagKeys);

impl Decode for ConnectorFile {
    const WHAT: &'static str = ConnectorKeys::WHAT;
    const EXAMPLE: &'static str = "";
    const KEYS: &'static [Field] = ConnectorKeys::FIELDS;
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        ConnectorKeys::decode(node, reporter).map(Self)
    }
    fn to_json(&self) -> Json {
        self.0.to_json()
    }
}

impl Decode for FlagsFile {
    const WHAT: &'static str = FlagKeys::WHAT;
    const EXAMPLE: &'static str = "";
    const KEYS: &'static [Field] = FlagKeys::FIELDS;
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        FlagKeys::decode(node, reporter).map(Self)
    }
    fn to_json(&self) -> Json {
        self.0.to_json()
    }
}

impl JsonSchema for ConnectorFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Connector".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ConnectorKeys::json_schema(generator)
    }
}

impl JsonSchema for FlagsFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FeatureFlags".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        FlagKeys::json_schema(generator)
    }
}

/// The schemas of the vendors' own keys.
pub(super) struct VendorSchemas {
    signals: Vec<(&'static str, Json)>,
    flags: Vec<(&'static str, Json)>,
    channels: Vec<(&'static str, Json)>,
}

/// Makes the schemas of all vendors; what they refer to goes into the generator.
pub(super) fn vendor_schemas(vendors: &Vendors, generator: &mut SchemaGenerator) -> VendorSchemas {
    VendorSchemas {
        signals: vendors.signals.iter().map(|v| (v.kind, (v.keys.schema)(generator).to_value())).collect(),
        flags: vendors.flags.iter().map(|v| (v.kind, (v.keys.schema)(generator).to_value())).collect(),
        channels: vendors.channels.iter().map(|v| (v.kind, (v.keys.schema)(generator).to_value())).collect(),
    }
}

impl VendorSchemas {
    /// Puts them into the schema of the whole file.
    pub(super) fn add_to(&self, root: &mut Json) {
        let Some(definitions) = root.get_mut("definitions").and_then(Json::as_object_mut) else { return };
        if let Some(connector) = definitions.get_mut("Connector") {
            tagged(connector, "type", &self.signals);
        }
        if let Some(flags) = definitions.get_mut("FeatureFlags") {
            tagged(flags, "provider", &self.flags);
        }
        let notifications = definitions.get_mut("Notifications").and_then(|schema| schema.get_mut("properties"));
        if let Some(properties) = notifications.and_then(Json::as_object_mut) {
            properties.extend(self.channels.iter().map(|(kind, schema)| ((*kind).to_owned(), schema.clone())));
        }
    }
}

/// Where messages go: the channels that this format knows, and those of the vendors' table.
#[derive(Debug, Clone)]
pub(super) struct NotificationsFile {
    pub(super) slack: Option<At<SlackFile>>,
    pub(super) channels: Vec<(&'static ChannelVendor, Node)>,
}

impl Decode for NotificationsFile {
    const WHAT: &'static str = KnownChannels::WHAT;
    const EXAMPLE: &'static str = "";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let (mut known, mut channels) = (node.clone(), Vec::new());
        if let Value::Map(entries) = &mut known.value {
            for (key, value) in std::mem::take(entries) {
                match reporter.vendors().channel(&key.text) {
                    Some(vendor) => channels.push((vendor, value)),
                    None => entries.push((key, value)),
                }
            }
        }
        let known = KnownChannels::decode(&known, reporter)?;
        Some(Self { slack: known.slack, channels })
    }
    fn to_json(&self) -> Json {
        let mut map = serde_json::Map::new();
        if let Some(slack) = &self.slack {
            map.insert("slack".to_owned(), slack.to_json());
        }
        map.extend(self.channels.iter().map(|(vendor, node)| (vendor.kind.to_owned(), node.to_json())));
        Json::Object(map)
    }
}

impl JsonSchema for NotificationsFile {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Notifications".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        KnownChannels::json_schema(generator)
    }
}

/// Makes the schema of `config` depend on the key `tag`.
fn tagged(schema: &mut Json, tag: &str, configs: &[(&str, Json)]) {
    let names: Vec<&str> = configs.iter().map(|(name, _)| *name).collect();
    let cases: Vec<_> = configs
        .iter()
        .map(|(name, config)| {
            let is_this = json!({ "properties": { tag: { "const": name } } });
            json!({ "if": is_this, "then": { "properties": { "config": config } } })
        })
        .collect();
    if let Some(map) = schema.as_object_mut() {
        if let Some(property) = map.get_mut("properties").and_then(|p| p.get_mut(tag)).and_then(|p| p.as_object_mut()) {
            property.insert("enum".to_owned(), json!(names));
        }
        let required = if tag == "type" { json!(["name", tag, "config"]) } else { json!([tag, "config"]) };
        map.insert("required".to_owned(), required);
        map.insert("allOf".to_owned(), json!(cases));
    }
}

/// The smallest effect worth finding, as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mde(pub(super) MinimumDetectableEffect);

impl JsonSchema for Mde {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Mde".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "oneOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": "^ *[0-9]+([.][0-9]+)? *%$" },
        ] })
    }
}

impl Decode for Mde {
    const WHAT: &'static str = "a smallest effect";
    const EXAMPLE: &'static str = "\"5%\"";
    fn decode(node: &Node, reporter: &mut Reporter<'_>) -> Option<Self> {
        let effect = match &node.value {
            Value::Number(number) => Some(MinimumDetectableEffect::Absolute(*number)),
            Value::Text(text) => {
                let share = text.trim().strip_suffix('%').and_then(|share| share.trim().parse::<f64>().ok());
                share.map(|percent| MinimumDetectableEffect::Relative(percent / 100.0))
            }
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        };
        let valid = "a number above 0 in the signal's units (`0.02`), or a share of the baseline (`\"5%\"`)";
        match effect {
            Some(MinimumDetectableEffect::Absolute(value) | MinimumDetectableEffect::Relative(value))
                if value.is_finite() && value > 0.0 =>
            {
                effect.map(Self)
            }
            Some(_) => {
                let problem =
                    Problem::error("config.mde_not_positive", node.span, "the smallest effect must be above 0");
                reporter
                    .push(problem.valid(valid).help("write its size without a sign: the target sets the direction"));
                None
            }
            None => {
                let found = match &node.value {
                    Value::Text(text) => format!("`{}` is not an effect", shown(text)),
                    _ => format!("expected a smallest effect, found {}", node.kind()),
                };
                let problem = Problem::error("config.wrong_type", node.span, found);
                reporter.push(problem.valid(valid).help("write `\"5%\"` for five percent of the baseline"));
                None
            }
        }
    }
    fn to_json(&self) -> Json {
        match self.0 {
            MinimumDetectableEffect::Absolute(value) => Json::from(value),
            MinimumDetectableEffect::Relative(share) => Json::from(format!("{}%", share * 100.0)),
        }
    }
}
