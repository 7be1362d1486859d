//! The public log, read as anyone may read it.

use gavel_log::{Checkpoint, Hash, TilePath, VerifierKey, decode_bundle};
use serde_json::Value;

use crate::{Answer, User};

/// Leaves under one full tile.
const TILE: u64 = 256;

/// A reader of the log.
pub struct PublicLog {
    reader: User,
}

impl PublicLog {
    pub(crate) fn new(reader: User) -> Self {
        Self { reader }
    }

    /// The verifier key's text.
    ///
    /// # Panics
    /// When it is refused, or there are several.
    pub async fn key_text(&self) -> String {
        let keys = self.reader.get("/log/key").await;
        assert_eq!((keys.status, keys.header("content-type")), (200, "text/plain; charset=utf-8"));
        let keys = keys.text();
        assert_eq!(keys.lines().count(), 1, "{keys}");
        keys.trim_end().to_owned()
    }

    /// The verifier key.
    ///
    /// # Panics
    /// When it is none.
    pub async fn key(&self) -> VerifierKey {
        VerifierKey::parse(&self.key_text().await).expect("the log's key is one")
    }

    /// The newest checkpoint, as the signed note that it is.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn note(&self) -> String {
        let note = self.reader.get("/log/checkpoint").await;
        assert_eq!((note.status, note.header("content-type")), (200, "text/plain; charset=utf-8"));
        note.text()
    }

    /// The newest checkpoint, its signature verified.
    ///
    /// # Panics
    /// When it does not verify.
    pub async fn head(&self) -> Checkpoint {
        Checkpoint::verify(&self.note().await, &self.key().await).expect("the checkpoint verifies")
    }

    /// The proof that the tree of `to` leaves continues that of `from`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn consistency(&self, from: u64, to: u64) -> Vec<Hash> {
        let body = self.reader.get(&format!("/log/consistency?from={from}&to={to}")).await.expect(200);
        assert_eq!((&body["from"], &body["to"]), (&Value::from(from), &Value::from(to)));
        serde_json::from_value(body["proof"].clone()).expect("a proof is hashes")
    }

    /// Anything under `/log/tile/`.
    pub async fn tile(&self, path: &str) -> Answer {
        self.reader.get(&format!("/log/tile/{path}")).await
    }

    /// Entries `from..to`, read from the bundles that hold them.
    ///
    /// # Panics
    /// When a bundle is refused or malformed.
    pub async fn entries(&self, from: u64, to: u64) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        for index in from / TILE..to.div_ceil(TILE) {
            let width = u16::try_from((to - index * TILE).min(TILE)).expect("a bundle is narrow");
            let bundle = self.tile(&TilePath::Entries { index, width }.to_string()).await;
            assert_eq!(bundle.status, 200, "{}", bundle.text());
            let all = decode_bundle(&bundle.bytes).expect("a bundle reads");
            let skipped = usize::try_from(from.saturating_sub(index * TILE)).expect("a bundle is narrow");
            entries.extend(all.into_iter().skip(skipped).map(<[u8]>::to_vec));
        }
        entries
    }
}
