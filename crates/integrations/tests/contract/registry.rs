//! Opening connectors, and keeping them open.

use std::path::Path;
use std::sync::Arc;

use outcome_core::config::ConnectorSpec;
use outcome_core::domain::ArmSums;
use outcome_core::ports::Opening;
use outcome_core::registry::Sources;
use outcome_core::{Code, Error};
use pretty_assertions::assert_eq;
use secrecy::SecretString;

use super::contract::{SqlConfig, connector, day, signal};

#[test]
fn wrong_settings_are_refused_without_showing_them() {
    for url in [
        "",
        "shop.db",
        "oracle://u:s3cret@h/d",
        "sqlite::memory:",
        "sqlite:",
        "sqlite:x.db?mode=memory",
        "postgres://u:s3cret@h:port/d",
        "postgres://u:s3cret@h/d?sslmode=maybe",
        "mysql://u:s3cret@h:99999/d",
    ] {
        let Err(error) = SqlConfig::new(url).open(Path::new("/")) else { panic!("{url} was opened") };
        assert_eq!(error.code(), Code::ConnectorConfig, "{url}: {error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        assert!(error.hint().unwrap().contains("postgres://user:password@host"), "{error:?}");
    }
    let missing = |_: &str| Err(Error::new(Code::SecretMissing, "SHOP_URL is not set").hint("set SHOP_URL"));
    let opening = Opening { root: Path::new("/"), resolve: &missing };
    let Err(error) = SqlConfig::new("").declared().settings.open("shop", &opening) else { panic!("it was opened") };
    assert_eq!(error.to_string(), "connector `shop`: SHOP_URL is not set");
    assert_eq!(error.hint().as_deref(), Some("set SHOP_URL"));
}

#[tokio::test]
async fn a_relative_sqlite_path_begins_at_the_workspace() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data/shop.db"), "").unwrap();
    for url in ["sqlite:data/shop.db", "sqlite://data/shop.db"] {
        let source = SqlConfig::new(url).open(dir.path()).unwrap();
        let got = source.level(&signal("SELECT 7 AS value", ""), day()).await.unwrap();
        assert_eq!(got.data, ArmSums::Value { value: 7.0 });
    }
}

#[tokio::test]
async fn a_source_stays_open_until_its_declaration_or_its_secret_changes() {
    let sources = Sources::default();
    let get = |spec: &ConnectorSpec, url: &'static str| {
        sources.get(spec, Path::new("/"), &move |_: &str| Ok(SecretString::from(url))).unwrap()
    };
    let spec = SqlConfig::new("").declared();
    let first = get(&spec, "sqlite:a.db");
    assert!(Arc::ptr_eq(&first, &get(&spec, "sqlite:a.db")));
    assert!(!Arc::ptr_eq(&first, &get(&spec, "sqlite:b.db")), "the secret changed");
    let first = get(&spec, "sqlite:b.db");
    let changed = SqlConfig { row_cap: 7, ..SqlConfig::new("") }.declared();
    assert!(!Arc::ptr_eq(&first, &get(&changed, "sqlite:b.db")), "the declaration changed");
}

#[tokio::test]
async fn a_pushing_source_cannot_be_asked() {
    let resolve = |text: &str| Ok(SecretString::from(text));
    let opening = Opening { root: Path::new("/"), resolve: &resolve };
    let source = connector("webhook", "secret: ${S}").settings.open("warehouse", &opening).unwrap();
    assert!(source.test().await.unwrap().is_read_only);
    let error = source.level(&signal("SELECT 1", ""), day()).await.unwrap_err();
    assert_eq!((error.code(), error.is_transient()), (Code::SignalFetchFailed, false));
}
