//! What is sealed opens where it was sealed, and nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::clock::SystemClock;
use crate::sealing::{KeyPlaces, NEW_VARIABLE, VARIABLE};

const HERE: WorkspaceId = WorkspaceId(Uuid::from_u128(1));

fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock))
}

fn keys_of(current: &str, new: Option<&str>) -> EncryptionKeys {
    let env = |name: &str| match name {
        VARIABLE => Some(current.to_owned()),
        NEW_VARIABLE => new.map(ToOwned::to_owned),
        _ => None,
    };
    KeyPlaces::of_env(&env).read().unwrap()
}

fn fresh() -> String {
    EncryptionKey::fresh(&ids()).1.expose_secret().to_owned()
}

fn sealed(text: &str, name: &str, keys: &EncryptionKeys) -> Sealed {
    Sealed::seal(&SecretString::from(text), (HERE, name), keys.current().unwrap(), &ids()).unwrap()
}

#[test]
fn ten_thousand_seals_have_ten_thousand_nonces_and_open_to_what_was_sealed() {
    let (keys, ids) = (keys_of(&fresh(), None), ids());
    let key = keys.current().unwrap();
    let mut nonces = BTreeSet::new();
    let mut texts = BTreeSet::new();
    for n in 0..10_000 {
        // The same value as often as another one.
        let value = format!("postgres://app:pw{}@db/shop", n % 7);
        let sealed = Sealed::seal(&SecretString::from(value.as_str()), (HERE, "PG_URL"), key, &ids).unwrap();
        assert_eq!(STANDARD.decode(&sealed.nonce).unwrap().len(), NONCE);
        assert_eq!(sealed.open((HERE, "PG_URL"), &keys).unwrap().expose_secret(), value);
        nonces.insert(sealed.nonce);
        texts.insert(sealed.sealed);
    }
    assert_eq!((nonces.len(), texts.len()), (10_000, 10_000));
}

proptest! {
    #[test]
    fn any_text_opens_to_itself_and_any_changed_byte_is_refused(
        text in "[^\u{0}]{1,200}", at in any::<prop::sample::Index>(), bit in 0..8_u8, in_nonce in any::<bool>(),
    ) {
        let keys = keys_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", None);
        let sealed = sealed(&text, "KEY", &keys);
        let opened = sealed.open((HERE, "KEY"), &keys).unwrap();
        prop_assert_eq!(opened.expose_secret(), &text);
        let mut changed = sealed.clone();
        let part = if in_nonce { &mut changed.nonce } else { &mut changed.sealed };
        let mut bytes = STANDARD.decode(&*part).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        *part = STANDARD.encode(bytes);
        let error = changed.open((HERE, "KEY"), &keys).unwrap_err();
        prop_assert_eq!(error, SealingError::Changed { name: "KEY".to_owned() });
    }
}

#[test]
fn a_row_in_the_place_of_another_does_not_open() {
    let keys = keys_of(&fresh(), None);
    let one = sealed("the first secret", "ONE", &keys);
    let other = WorkspaceId(Uuid::from_u128(2));
    for (workspace, name) in [(HERE, "TWO"), (other, "ONE")] {
        let error = one.open((workspace, name), &keys).unwrap_err();
        assert_eq!(error, SealingError::Changed { name: name.to_owned() });
    }
    // Nor one that says of itself that another key sealed it.
    let both = keys_of(&fresh(), Some(&fresh()));
    let moved = Sealed { key_id: both.new_key().unwrap().id().to_owned(), ..sealed("the first secret", "ONE", &both) };
    assert_eq!(moved.open((HERE, "ONE"), &both).unwrap_err(), SealingError::Changed { name: "ONE".to_owned() });
    for damaged in [Sealed { nonce: "!".to_owned(), ..one.clone() }, Sealed { nonce: "AAAA".to_owned(), ..one }] {
        assert!(matches!(damaged.open((HERE, "ONE"), &keys), Err(SealingError::Changed { .. })));
    }
}

#[test]
fn another_key_and_no_key_are_told_apart_and_either_of_two_keys_opens() {
    let (old, new) = (fresh(), fresh());
    let (of_old, of_new) = (keys_of(&old, None), keys_of(&new, None));
    let secret = sealed("the first secret", "ONE", &of_old);
    let error = secret.open((HERE, "ONE"), &of_new).unwrap_err();
    assert!(matches!(&error, SealingError::OtherKey { sealed_with, .. } if *sealed_with == secret.key_id), "{error}");
    for said in [error.to_string(), error.hint()] {
        assert!(!said.contains(&old) && !said.contains(&new) && !said.contains("the first"), "{said}");
    }
    let none = KeyPlaces::default().read().unwrap();
    assert_eq!(secret.open((HERE, "ONE"), &none).unwrap_err(), SealingError::NoKey { variable: VARIABLE });
    for keys in [keys_of(&old, Some(&new)), keys_of(&new, Some(&old))] {
        assert_eq!(secret.open((HERE, "ONE"), &keys).unwrap().expose_secret(), "the first secret");
    }
}

#[test]
fn a_hint_is_of_long_secrets_alone() {
    for (text, hint) in [
        ("postgres://app:pw@db.internal/shop", None),
        ("a-token-of-23-character", None),
        ("a-token-of-24-characters", Some("ters")),
        ("correct horse battery staple", None),
        ("äöüäöüäöüäöüäöüäöüäöüäöü", None),
        ("{\n  \"private_key\": \"x\"\n}", None),
    ] {
        assert_eq!(hint_of(&SecretString::from(text)).as_deref(), hint, "{text}");
    }
}

#[test]
fn names_are_those_of_variables() {
    for (name, is_one) in [("PG_URL", true), ("_a1", true), ("1A", false), ("A-B", false), ("", false), ("A\n", false)]
    {
        assert_eq!(is_secret_name(name), is_one, "{name:?}");
    }
    assert!(is_secret_name(&"A".repeat(64)) && !is_secret_name(&"A".repeat(65)));
}
