//! The public log as strangers read it: `tlog_tiles` and `signed_note`, by another log's authors, judge what is served.

use std::collections::HashMap;

use gavel_log::{Hash, TilePath, verify_consistency};
use gavel_tests::{GavelServer, PublicLog, gavel};
use serde_json::json;
use tlog_tiles::{
    Error, Hash as TheirHash, HashReader, Tile, check_record, check_tree, prove_record, prove_tree, tree_hash,
};

/// Messages that make more than one full tile of leaves.
const MESSAGES: usize = 140;

/// Their row of stored hashes, computed by them from the entries that are served.
#[derive(Default)]
struct Stored(Vec<TheirHash>);

impl Stored {
    fn of(entries: &[Vec<u8>]) -> Self {
        let mut stored = Self::default();
        for (number, entry) in (0..).zip(entries) {
            let hashes = tlog_tiles::stored_hashes(number, entry, &stored).unwrap();
            stored.0.extend(hashes);
        }
        stored
    }
}

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, Error> {
        let read = |index: &u64| self.0.get(usize::try_from(*index).unwrap()).copied();
        indexes.iter().map(read).collect::<Option<_>>().ok_or(Error::IndexesNotInTree)
    }
}

/// Hashes read from the tiles that are served; their paths name the height, ours do not.
struct Served(HashMap<String, Vec<u8>>);

impl Served {
    async fn fetched(log: &PublicLog, size: u64) -> Self {
        let mut tiles = HashMap::new();
        for tile in Tile::new_tiles(8, 0, size) {
            let path = c2sp_path(&tile);
            let answer = log.tile(&path).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, "application/octet-stream"), "{path}");
            assert!(answer.header("cache-control").contains("immutable"), "{path}");
            tiles.insert(path, answer.bytes);
        }
        Self(tiles)
    }
}

fn c2sp_path(tile: &Tile) -> String {
    let path = tile.path().strip_prefix("tile/8/").unwrap().to_owned();
    assert_eq!(TilePath::parse(&path).unwrap().to_string(), path);
    path
}

async fn a_log_of_some_length() -> (GavelServer, Vec<(u64, TheirHash)>) {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let mut heads = Vec::new();
    let clients = (0..4).map(|_| {
        let (alice, agent) = (alice.clone(), agent.clone());
        tokio::spawn(async move {
            let mut chat = alice.chat(&agent).await;
            let mut notes = Vec::new();
            for number in 0..MESSAGES / 4 {
                let turn = chat.say(&format!("message {number}")).await;
                notes.extend([&turn.input, &turn.output].map(|r| r["checkpoint"].as_str().unwrap().to_owned()));
            }
            notes
        })
    });
    for client in clients.collect::<Vec<_>>() {
        for note in client.await.unwrap() {
            heads.push(their_checkpoint(&server.log().key_text().await, &note));
        }
    }
    (server, heads)
}

/// A checkpoint as their crates read and verify it.
fn their_checkpoint(key: &str, note: &str) -> (u64, TheirHash) {
    let verifier = signed_note::StandardVerifier::new(key).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let note = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let (verified, unverified) = note.verify(&known).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    (checkpoint.size(), *checkpoint.hash())
}

#[tokio::test]
async fn another_logs_authors_agree_with_it() {
    let (server, heads) = a_log_of_some_length().await;
    let log = server.log();
    let (size, root) = their_checkpoint(&log.key_text().await, &log.note().await);
    assert_eq!(size, 2 * MESSAGES as u64);

    let entries = log.entries(0, size).await;
    let stored = Stored::of(&entries);
    assert_eq!(tree_hash(size, &stored).unwrap(), root);
    let served = Served::fetched(&log, size).await;
    for tile in Tile::new_tiles(8, 0, size) {
        assert_eq!(served.0[&c2sp_path(&tile)], tile.read_data(&stored).unwrap(), "{}", c2sp_path(&tile));
    }

    // Each receipt that a client was given is a head of this log, and each later head continues it.
    for (old_size, old_root) in heads {
        assert_eq!(tree_hash(old_size, &stored).unwrap(), old_root);
        let proof: Vec<_> = log.consistency(old_size, size).await.iter().map(|hash| TheirHash(hash.0)).collect();
        assert_eq!(proof, prove_tree(size, old_size, &stored).unwrap());
        check_tree(&proof, size, root, old_size, old_root).unwrap();
    }
    for (index, entry) in (0..).zip(&entries).step_by(37) {
        let hash = Hash::leaf(entry);
        let proof = server.anyone().get(&format!("/verify/proof/{}", hash.tagged())).await.expect(200);
        let path: Vec<Hash> = serde_json::from_value(proof["proof"]["inclusion_path"].clone()).unwrap();
        let path: Vec<_> = path.iter().map(|hash| TheirHash(hash.0)).collect();
        assert_eq!(path, prove_record(size, index, &stored).unwrap());
        check_record(&path, size, root, index, TheirHash(hash.0)).unwrap();
    }
}

#[tokio::test]
async fn entries_are_blind_and_small() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({"policies": []})).await;
    let turn = alice.chat(&agent).await.say("Hello").await;
    for entry in server.log().entries(0, 2).await {
        assert!(entry.len() < 300);
        let members: Vec<_> =
            serde_json::from_slice::<serde_json::Value>(&entry).unwrap().as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["chain", "prev", "record", "seq", "v"]);
        let text = String::from_utf8(entry).unwrap();
        assert!(!text.contains(&agent.id) && !text.contains(&turn.message_id));
    }
}

#[tokio::test]
async fn there_is_nothing_at_any_other_path() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    let log = server.log();
    for path in ["0/000.p/1", "0/000.p/2", "entries/000.p/1", "entries/000.p/2"] {
        assert_eq!(log.tile(path).await.status, 200, "{path}");
    }
    let nothing = [
        "0/000",
        "0/000.p/3",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/02",
        "0/0.p/1",
        "0/001.p/1",
        "0/x000/000.p/1",
        "1/000.p/1",
        "63/000",
        "64/000",
        "-1/000",
        "00/000.p/1",
        "8/0/000.p/1",
        "data/000.p/1",
        "entries/000",
        "entries/000.p/3",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
        "0/000.p/1/2",
        "0/000.p/",
    ];
    for path in nothing {
        let answer = log.tile(path).await;
        assert!(!answer.header("cache-control").contains("immutable"), "{path}");
        answer.refused(404, "not_found");
    }
    for query in ["from=0&to=1", "from=2&to=1", "from=1&to=3", "from=1", "to=2", "from=x&to=2", "from=1&to=2&by=1", ""]
    {
        server.anyone().get(&format!("/log/consistency?{query}")).await.refused(400, "invalid_request");
    }
    assert_eq!(log.consistency(2, 2).await, []);
}

#[tokio::test]
async fn an_empty_log_has_a_signed_head() {
    let (server, _upstream, alice) = gavel().await;
    let head = server.log().head().await;
    assert_eq!((head.size, head.root), (0, Hash::of(b"")));
    let agent = alice.starts(json!({})).await;
    alice.chat(&agent).await.say("Hello").await.ended("stop");
    let later = server.log().head().await;
    assert_eq!(later.size, 2);
    verify_consistency(0, 2, &head.root, &later.root, &[]).unwrap();
}
