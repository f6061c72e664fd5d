//! What whoever reads the files of the account gets, without any door of ours.

use outcome_core::identity::{SealError, SealedKey};
use outcome_core::ids::KeyId;
use secrecy::SecretString;

use crate::home::{Home, PASSPHRASE};

#[tokio::test]
async fn the_sealed_key_can_be_read_and_passphrases_tried_on_it() {
    use sqlx::Connection as _;
    let home = tokio::task::spawn_blocking(|| {
        let home = Home::new();
        home.shop(&[]);
        home.sign(&["init"]).exits(0);
        home
    });
    let home = home.await.unwrap();
    let url = format!("sqlite:{}?mode=ro", home.database().display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let keys: Vec<(KeyId, String)> =
        sqlx::query_as("SELECT id, sealed FROM member_key WHERE sealed IS NOT NULL").fetch_all(&mut db).await.unwrap();
    let [(id, sealed)] = &keys[..] else { panic!("one member, one key: {}", keys.len()) };
    let key: SealedKey = serde_json::from_str(sealed).unwrap();
    for wrong in ["correct horse", "battery"] {
        assert_eq!(key.open(*id, &SecretString::from(wrong)).err(), Some(SealError::WrongPassphrase));
    }
    assert!(key.open(*id, &SecretString::from(PASSPHRASE)).is_ok(), "nothing but the passphrase is between them");
}
