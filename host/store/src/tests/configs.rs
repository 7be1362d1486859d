//! Configurations, kept so that verdicts can be computed again.

use gavel_log::Hash;

use super::Home;
use crate::{MAX_CONFIG_BYTES, StoreError};

#[tokio::test]
async fn a_configuration_is_kept_under_its_digest_and_survives_a_restart() {
    let home = Home::new();
    let json = r#"{"action":"block"}"#;
    let digest = Hash::of(json.as_bytes());
    assert_eq!(home.store.config(&digest).unwrap(), None);
    home.store.keep_config(&digest, json).await.unwrap();
    home.store.keep_config(&digest, json).await.unwrap();
    let home = home.reopen();
    assert_eq!(home.store.config(&digest).unwrap().as_deref(), Some(json));
}

#[tokio::test]
async fn another_ones_digest_and_one_without_end_are_refused() {
    let home = Home::new();
    let digest = Hash::of(b"{}");
    let wrong = home.store.keep_config(&digest, "{ }").await;
    assert!(matches!(wrong, Err(StoreError::WrongConfig(named)) if named == digest));
    let endless = "1".repeat(MAX_CONFIG_BYTES + 1);
    let large = home.store.keep_config(&Hash::of(endless.as_bytes()), &endless).await;
    assert!(matches!(large, Err(StoreError::TooLarge { .. })));
    assert_eq!(home.store.config(&digest).unwrap(), None);
}
