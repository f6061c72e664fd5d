//! The keys of a `snowflake` source in `outcome.yaml`.

use std::sync::Arc;

use outcome_core::config::vendor::{
    Asked, Decode as _, Keymap, Node, Problem, Reporter, SignalVendor, at_least_one, references, secret,
    service_address,
};
use outcome_core::domain::Period;
use outcome_core::ports::{Opening, ReadError, Sealing, SignalSource, SourceSettings};
use outcome_core::yaml_map;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::address::checked_address;
use super::super::engine::Limits;
use super::super::settings::TimeOfWarehouse;
use super::super::{Opened, SqlSource};
use super::credentials::Credentials;
use super::engine::{Place, Snowflake};

/// Snowflake.
pub(crate) const VENDOR: SignalVendor = SignalVendor {
    kind: "snowflake",
    example: "url: https://myorg-myaccount.snowflakecomputing.com\n      user: OUTCOME_READER\n      private_key: ${SNOWFLAKE_PRIVATE_KEY}\n      \
              role: OUTCOME_READER\n      warehouse: OUTCOME\n      database: SHOP",
    asked: Asked::WithSql,
    keys: Keymap::new(SnowflakeFile::FIELDS, |generator| generator.subschema_for::<SnowflakeFile>()),
    read,
};

const ADDRESS: &str = "https://myorg-myaccount.snowflakecomputing.com";

yaml_map! {
    /// Settings of a `snowflake` source. One of `private_key`, `access_token` and `oauth_token` is needed; a password is not
    /// accepted.
    SnowflakeFile("the config of a `snowflake` source") {
        /// Address of the account, such as `https://myorg-myaccount.snowflakecomputing.com`.
        required(signed) url: String,
        /// Account identifier, where the address does not begin with it.
        optional(signed) account: String,
        /// User. Needed with `private_key`.
        optional(signed) user: String,
        /// Private key of the user, in PKCS #8 without a passphrase, such as `${file:secrets/snowflake.p8}`.
        optional(signed) private_key_key: String,
        /// Programmatic access token, such as `${SNOWFLAKE_TOKEN}`.
        optional(signed) access_token: String,
        /// OAuth access token, such as `${file:secrets/snowflake-oauth}`; read again when it changes.
        optional(signed) oauth_token: String,
        /// Role that only reads, as Snowflake writes it, which is mostly in upper case.
        required(signed) role: String,
        /// Warehouse that computes.
        required(signed) warehouse: String,
        /// Database of tables that are named without one.
        required(signed) database: String,
        /// Schema of tables that are named without one.
        optional(signed) schema: String = "PUBLIC",
        /// Maximum time for one statement.
        optional(signed) statement_timeout: Period = "60s",
        /// Maximum number of rows in an answer.
        optional(signed) row_cap: u32 = "1000",
        /// When a metric is read day by day and what is final is kept: `auto` once a reading of every unit takes longer than 5 s, `always`,
        /// or `never`.
        optional(signed) sealed_cohorts: Sealing = "auto",
        /// How the database stores instants, and so how `:from` and `:to` are bound.
        optional(signed) time_format: TimeOfWarehouse = "native",
    }
}

#[derive(Debug, Clone)]
struct SnowflakeSettings {
    url: String,
    account: Option<String>,
    user: Option<String>,
    key: Key,
    role: String,
    warehouse: String,
    database: String,
    schema: String,
    statement_timeout: Period,
    row_cap: u32,
    sealed_cohorts: Sealing,
    time_format: TimeOfWarehouse,
}

/// A reference to what shows who asks.
#[derive(Debug, Clone)]
enum Key {
    Pair(String),
    AccessToken(String),
    OAuthToken(String),
}

impl Key {
    fn reference(&self) -> (&'static str, &str) {
        match self {
            Self::Pair(text) => ("private_key", text),
            Self::AccessToken(text) => ("access_token", text),
            Self::OAuthToken(text) => ("oauth_token", text),
        }
    }
}

impl SourceSettings for SnowflakeSettings {
    fn to_json(&self) -> serde_json::Value {
        let (name, reference) = self.key.reference();
        let mut settings = json!({
            "url": self.url, "account": self.account, "user": self.user, "role": self.role, "warehouse": self.warehouse,
            "database": self.database, "schema": self.schema, "statement_timeout": self.statement_timeout,
            "row_cap": self.row_cap, "sealed_cohorts": self.sealed_cohorts, "time_format": self.time_format,
        });
        if let Some(map) = settings.as_object_mut() {
            map.insert(name.to_owned(), reference.into());
        }
        settings
    }

    fn references(&self) -> Vec<&str> {
        [self.url.as_str(), self.key.reference().1].into_iter().chain(self.user.as_deref()).collect()
    }

    fn open(&self, name: &str, opening: &Opening<'_>) -> Result<Box<dyn SignalSource>, ReadError> {
        let resolve = |text: &str| opening.resolve.resolve(text).map_err(|error| ReadError::secret(name, &error));
        let config = |problem: String, hint: &str| ReadError::Config {
            source_name: name.to_owned(),
            problem,
            hint: hint.to_owned(),
        };
        let url = checked_address(name, &resolve(&self.url)?, ADDRESS)?;
        let user = self.user.as_deref().map(resolve).transpose()?;
        let user = user.map(|user| user.expose_secret().to_owned()).unwrap_or_default();
        let host = url.host_str().unwrap_or_default();
        let account = self.account.as_deref().unwrap_or(host.split('.').next().unwrap_or_default());
        let secret = resolve(self.key.reference().1)?;
        let credentials = match self.key {
            Key::Pair(_) => Credentials::key_pair(account, &user, &secret).map_err(|problem| {
                config(
                    format!("its `private_key`: {problem}"),
                    "make one with `openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt -out snowflake.p8`, and give its public half to the user",
                )
            })?,
            Key::AccessToken(_) => Credentials::AccessToken(secret.clone()),
            Key::OAuthToken(_) => Credentials::OAuth(secret.clone()),
        };
        let place = Place {
            url,
            user,
            role: self.role.clone(),
            warehouse: self.warehouse.clone(),
            database: self.database.clone(),
            schema: self.schema.clone(),
        };
        let engine = Snowflake::new(place, credentials)
            .map_err(|problem| config(problem, "check the certificates of this machine"))?;
        Ok(Box::new(SqlSource::of(Opened {
            name,
            engine: Box::new(engine),
            limits: Limits::new(self.statement_timeout, self.row_cap),
            sealing: self.sealed_cohorts,
            time_format: self.time_format.format(),
            secrets: vec![secret],
        })))
    }
}

fn read(node: &Node, reporter: &mut Reporter<'_>) -> Option<Arc<dyn SourceSettings>> {
    let file = SnowflakeFile::decode(node, reporter)?;
    if let Some(url) = &file.url {
        service_address(url, "SNOWFLAKE_URL", ADDRESS, reporter);
    }
    if let Some(user) = &file.user {
        references(user, reporter);
    }
    let keys = [
        ("private_key", "SNOWFLAKE_PRIVATE_KEY", &file.private_key_key),
        ("access_token", "SNOWFLAKE_TOKEN", &file.access_token),
        ("oauth_token", "SNOWFLAKE_OAUTH_TOKEN", &file.oauth_token),
    ];
    for (name, example, key) in keys {
        if let Some(key) = key {
            secret(name, example, key, reporter);
        }
    }
    let n_keys = keys.iter().filter(|(.., key)| key.is_some()).count();
    if n_keys != 1 {
        let problem = format!(
            "a `snowflake` source has one of `private_key`, `access_token` and `oauth_token`, and this has {n_keys}"
        );
        let code = if n_keys == 0 { "config.missing_key" } else { "config.duplicate_key" };
        reporter.push(
            Problem::error(code, file.at, problem)
                .valid("`private_key` with `user`, `access_token`, or `oauth_token`")
                .help("write `private_key: ${file:secrets/snowflake.p8}`; Snowflake lets no program in with a password alone"),
        );
    }
    if file.private_key_key.is_some() && file.user.is_none() {
        let problem = Problem::error("config.missing_key", file.at, "`private_key` needs the key `user`");
        reporter.push(problem.valid("`user`: whose key it is").help("write `user: OUTCOME_READER`"));
    }
    let row_cap = at_least_one(file.row_cap.as_ref(), "`row_cap`", "leave it out: the default is 1000", reporter);
    let key = match (file.private_key_key, file.access_token, file.oauth_token) {
        (Some(key), None, None) if file.user.is_some() => Key::Pair(key.value),
        (None, Some(token), None) => Key::AccessToken(token.value),
        (None, None, Some(token)) => Key::OAuthToken(token.value),
        _ => return None,
    };
    Some(Arc::new(SnowflakeSettings {
        url: file.url?.value,
        account: file.account.map(|account| account.value),
        user: file.user.map(|user| user.value),
        key,
        role: file.role?.value,
        warehouse: file.warehouse?.value,
        database: file.database?.value,
        schema: file.schema?.value,
        statement_timeout: file.statement_timeout?.value,
        row_cap: row_cap?,
        sealed_cohorts: file.sealed_cohorts?.value,
        time_format: file.time_format?.value,
    }))
}
