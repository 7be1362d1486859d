//! Plugins: what is installed, and what was granted.

use std::collections::BTreeSet;

use gavel_log::Hash;
use serde_json::json;

use super::{Actor, Home};
use crate::{MAX_PLUGIN_VERSIONS, PluginChange, PluginGrant, PluginKind, PluginSource, PluginVersion};

fn version(number: u64) -> PluginVersion {
    PluginVersion {
        signed_by: None,
        digest: Hash::of(&number.to_be_bytes()),
        name: "tone".into(),
        version: format!("1.0.{number}"),
        kind: PluginKind::Policy,
        source: PluginSource::Upload,
        reference: None,
        installed_at: i64::try_from(number).unwrap(),
        listed: true,
        manifest: json!({"summary": "Judges the tone."}),
    }
}

fn list(versions: impl IntoIterator<Item = PluginVersion>) -> PluginChange {
    PluginChange { list: versions.into_iter().collect(), unlist: Vec::new() }
}

#[tokio::test]
async fn what_is_installed_and_granted_survives_a_restart_and_is_counted() {
    let home = Home::new();
    assert_eq!(home.store.plugins().unwrap().generation, 0);
    let (old, new) = (version(1), version(2));
    assert_eq!(home.store.change_plugins(list([old.clone()])).await.unwrap(), 1);
    let swap = PluginChange { list: vec![new.clone()], unlist: vec![old.digest] };
    assert_eq!(home.store.change_plugins(swap).await.unwrap(), 2);
    let grant = PluginGrant {
        origins: BTreeSet::from(["https://api.example.com".into()]),
        credentials: BTreeSet::from([("authorization".into(), "Bearer {key}".into())]),
    };
    assert_eq!(home.store.put_plugin_grant("acme", grant.clone()).await.unwrap(), 3);

    let kept = home.reopen().store.plugins().unwrap();
    assert_eq!((kept.generation, kept.grants.get("acme")), (3, Some(&grant)));
    let mut versions = kept.versions;
    versions.sort_by_key(|version| version.installed_at);
    assert_eq!(versions, [PluginVersion { listed: false, ..old }, new]);
}

#[tokio::test]
async fn versions_do_not_add_up_without_end_and_none_that_is_listed_is_forgotten() {
    let home = Home::new();
    let listed = version(0);
    let unlisted = (1..=MAX_PLUGIN_VERSIONS).map(|number| PluginVersion { listed: false, ..version(number) });
    home.store.change_plugins(list(unlisted.chain([listed.clone()]))).await.unwrap();
    let versions = home.store.plugins().unwrap().versions;
    assert!((versions.len() as u64) < MAX_PLUGIN_VERSIONS);
    assert!(versions.contains(&listed));
    assert!(versions.iter().any(|version| version.installed_at == i64::try_from(MAX_PLUGIN_VERSIONS).unwrap()));
}

#[tokio::test]
async fn the_bindings_of_all_agents_come_in_pages() {
    let home = Home::new();
    for _ in 0..3 {
        Actor::new(&home.store).await;
    }
    let first = home.store.bindings_of_all(None, 2).unwrap();
    let rest = home.store.bindings_of_all(Some(&first.last().unwrap().0), 2).unwrap();
    assert_eq!((first.len(), rest.len()), (2, 1));
    assert!(rest[0].0.key() > first[1].0.key());
}
