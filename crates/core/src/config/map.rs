//! Maps with known keys: their types, their reading and their schema from one declaration.

use schemars::Schema;
use serde_json::{Value as Json, json};

use super::decode::{At, Decode};
use super::diagnostic::Problem;
use super::field::{Field, key_of};
use super::node::{Node, Value, shown};
use super::reporter::{Reporter, Vendors};
use super::span::Span;
use super::suggest::did_you_mean;
use crate::characters::deceptive;

/// Declares a map of the file. Every field is optional in the type, so that one mistake does not hide the others:
/// `required` makes its absence an error, `= "default"` fills it. In brackets stands whether a change of it may be applied without a
/// signature: see [`super::change::Change`].
#[macro_export]
macro_rules! yaml_map {
    ($($(#[doc = $doc:literal])+ $name:ident($what:literal) {
        $($(#[doc = $fdoc:literal])+ $need:ident($change:ident) $field:ident: $ty:ty $(| $alias:ident)* $(= $default:literal)?),+ $(,)?
    })+) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone)]
        #[allow(dead_code, reason = "not every map is pointed at, and `version` is looked at before the rest is read")]
        pub struct $name {
            /// Where it stands.
            pub at: $crate::config::vendor::Span,
            $($(#[doc = $fdoc])+ pub $field: Option<$crate::config::vendor::At<$ty>>),+
        }

        impl $name {
            pub const FIELDS: &'static [$crate::config::vendor::Field] = &[$($crate::config::vendor::Field {
                name: stringify!($field),
                aliases: &[$(stringify!($alias)),*],
                is_required: $crate::yaml_map!(@need $need),
                default: $crate::yaml_map!(@default $($default)?),
                doc: concat!($($fdoc, "\n"),+),
                example: <$ty as $crate::config::vendor::Decode>::EXAMPLE,
                change: $crate::yaml_map!(@change $change),
                keys: <$ty as $crate::config::vendor::Decode>::KEYS,
                default_json: $crate::yaml_map!(@json $ty $(, $default)?),
            }),+];
        }

        impl $crate::config::vendor::Decode for $name {
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = "";
            const KEYS: &'static [$crate::config::vendor::Field] = Self::FIELDS;
            fn decode(
                node: &$crate::config::vendor::Node,
                reporter: &mut $crate::config::vendor::Reporter<'_>,
            ) -> Option<Self> {
                let map = $crate::config::vendor::Keys::open(node, $what, Self::FIELDS, reporter)?;
                Some(Self { at: map.at, $($field: map.get(stringify!($field), reporter)),+ })
            }
            fn to_json(&self) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $(if let Some(value) = &self.$field {
                    let value = $crate::config::vendor::Decode::to_json(value);
                    map.insert($crate::config::vendor::key_of(stringify!($field)).to_owned(), value);
                })+
                serde_json::Value::Object(map)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).trim_end_matches("File").into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let types = vec![$(generator.subschema_for::<$ty>()),+];
                $crate::config::vendor::object(concat!($($doc, "\n"),+), Self::FIELDS, types)
            }
        }
    )+ };
    (@need required) => { true };
    (@need optional) => { false };
    (@change signed) => { $crate::config::vendor::Change::Signed };
    (@change free) => { $crate::config::vendor::Change::Free };
    (@change shorter) => { $crate::config::vendor::Change::Shorter };
    (@change higher) => { $crate::config::vendor::Change::Higher };
    (@change more) => { $crate::config::vendor::Change::More };
    (@change fewer) => { $crate::config::vendor::Change::Fewer };
    (@change within) => { $crate::config::vendor::Change::Within };
    (@change each) => { $crate::config::vendor::Change::Each };
    (@json $ty:ty) => { || serde_json::Value::Null };
    (@json $ty:ty, $default:literal) => { || $crate::config::vendor::default_json::<$ty>($default) };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}

/// The entries of a map, checked against the keys it knows.
pub struct Keys<'n> {
    pub at: Span,
    fields: &'static [Field],
    entries: Vec<(&'static str, &'n Node)>,
}

impl<'n> Keys<'n> {
    /// Reports unknown, doubled and missing keys.
    pub fn open(node: &'n Node, what: &str, fields: &'static [Field], reporter: &mut Reporter<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let found = format!("{what} must be keys with values, but this is {}", node.kind());
            let problem = Problem::error("config.wrong_type", node.anchor(), found).valid(names(fields));
            let (first, example) = fields.first().map_or(("key", "..."), |field| (field.name(), field.example()));
            reporter.push(problem.help(match node.key {
                Some(_) => format!("write the keys below it, indented: `{first}: ...`"),
                None => format!("begin with `{first}: {example}`"),
            }));
            return None;
        };
        let mut known: Vec<(&'static str, &'n Node)> = Vec::new();
        for (key, value) in entries {
            let Some(field) = fields.iter().find(|field| field.is(&key.text)) else {
                let problem = unknown_key(key.span, &key.text, what, fields, reporter);
                reporter.push(problem);
                continue;
            };
            if let Some((_, other)) = known.iter().find(|(name, _)| *name == field.name()) {
                let message = format!("`{}` and its older spelling are both present", field.name());
                let problem = Problem::error("config.duplicate_key", key.span, message).here("again here");
                reporter.push(
                    problem
                        .also(other.anchor(), "first here")
                        .valid("each key only once in its map")
                        .help("remove one of the two"),
                );
                continue;
            }
            known.push((field.name(), value));
        }
        for field in fields.iter().filter(|field| field.is_required) {
            match known.iter().find(|(name, _)| *name == field.name()) {
                Some((_, value)) if !value.is_null() => {}
                found => {
                    let at = found.map_or_else(|| node.anchor(), |(_, value)| value.anchor());
                    reporter.push(missing_key(at, what, field, found.is_some()));
                }
            }
        }
        Some(Self { at: node.anchor(), fields, entries: known })
    }

    /// The value of a key, or its default.
    pub fn get<T: Decode>(&self, field: &'static str, reporter: &mut Reporter<'_>) -> Option<At<T>> {
        let name = key_of(field);
        if let Some((_, node)) = self.entries.iter().find(|(known, _)| *known == name)
            && !node.is_null()
        {
            return At::decode(node, reporter);
        }
        let default = self.fields.iter().find(|field| field.name() == name)?.default?;
        At::decode(&default_node(default, self.at), reporter)
    }
}

fn default_node(default: &str, at: Span) -> Node {
    let value = match default {
        "true" | "false" => Value::Bool(default == "true"),
        _ => default.parse().map_or_else(|_| Value::Text(default.to_owned()), Value::Number),
    };
    Node { span: at, key: None, value }
}

/// What a key without a value says, by its declared default.
#[must_use]
pub fn default_json<T: Decode>(default: &str) -> Json {
    let mut unused = Reporter::new("", "", (&Vendors::NONE, |_, _| None), None);
    T::decode(&default_node(default, Span { start: 0, end: 0 }), &mut unused)
        .map_or(Json::Null, |value| value.to_json())
}

/// The keys that a map knows, in the order of the reference.
pub fn names(fields: &[Field]) -> String {
    fields.iter().map(Field::name).collect::<Vec<_>>().join(", ")
}

fn unknown_key(at: Span, key: &str, what: &str, fields: &'static [Field], reporter: &Reporter<'_>) -> Problem {
    // What cannot be seen, or looks like another letter, has to be named: the key reads as if it were right.
    let but = deceptive(key).map(|found| format!(": it contains {found}")).unwrap_or_default();
    let problem = Problem::error("config.unknown_key", at, format!("{what} has no key `{}`{but}", shown(key)))
        .valid(names(fields));
    if reporter.is_full() {
        return problem;
    }
    if let Some(near) = did_you_mean(key, fields.iter().map(Field::name)) {
        return problem.help(format!("did you mean `{near}`?"));
    }
    match reporter.home_of(key) {
        Some((home, name)) => problem.help(format!("`{name}` belongs in {home}: move it there")),
        None => problem.help("remove it, or put `#` in front of it to keep it as a comment"),
    }
}

/// A key that is needed and not there, or that has no value.
pub(super) fn missing_key(at: Span, what: &str, field: &Field, is_empty: bool) -> Problem {
    let name = field.name();
    let message = if is_empty { format!("`{name}` has no value") } else { format!("{what} needs the key `{name}`") };
    let code = if is_empty { "config.empty" } else { "config.missing_key" };
    let help = match field.example() {
        "" => format!("write `{name}:` and its keys below it, indented"),
        example => format!("write `{name}: {example}`"),
    };
    Problem::error(code, at, message).valid(format!("`{name}`: {}", field.summary())).help(help)
}

/// The JSON Schema of a map.
pub fn object(doc: &str, fields: &[Field], types: Vec<Schema>) -> Schema {
    let mut properties = serde_json::Map::new();
    for (field, schema) in fields.iter().zip(types) {
        let described = describe(schema, field);
        for alias in field.aliases {
            let mut old = described.clone();
            if let Json::Object(old) = &mut old {
                old.insert("deprecated".to_owned(), true.into());
                old.insert("description".to_owned(), format!("Older spelling of `{}`.", field.name()).into());
            }
            properties.insert((*alias).to_owned(), old);
        }
        properties.insert(field.name().to_owned(), described);
    }
    let required: Vec<&str> =
        fields.iter().filter(|f| f.is_required && f.aliases.is_empty()).map(Field::name).collect();
    let mut out = json!({
        "type": "object", "description": one_line(doc), "properties": properties, "additionalProperties": false,
    });
    if let (Json::Object(out), false) = (&mut out, required.is_empty()) {
        out.insert("required".to_owned(), json!(required));
    }
    Schema::try_from(out).unwrap_or_default()
}

fn describe(schema: Schema, field: &Field) -> Json {
    let mut schema = schema.to_value();
    if let Json::Object(map) = &mut schema {
        // Draft 7 ignores what stands beside `$ref`.
        if let Some(reference) = map.remove("$ref") {
            map.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
        }
        map.insert("description".to_owned(), one_line(field.doc).into());
        if let Some(default) = field.default {
            let value = match default {
                "true" | "false" => Json::from(default == "true"),
                _ => default.parse().map_or_else(|_| Json::from(default), number),
            };
            map.insert("default".to_owned(), value);
        }
    }
    schema
}

#[expect(clippy::cast_possible_truncation, reason = "defaults are small")]
fn number(value: f64) -> Json {
    if value.fract() == 0.0 { Json::from(value as i64) } else { Json::from(value) }
}

fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
