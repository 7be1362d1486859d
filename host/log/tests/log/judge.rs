//! `tlog_tiles`, an independent implementation by another log's authors, as judge of our tiles, roots and proofs,
//! and ours of its proofs.

use std::convert::Infallible;
use std::fmt::Debug;

use gavel_log::{
    Checkpoint, Edge, Hash, MAX_INTEGER, Origin, SigningKey, TileId, TilePath, TileReader, TreeFull, consistency_proof,
    inclusion_proof, verify_consistency, verify_inclusion,
};

use tlog_tiles::{
    Error, Hash as TheirHash, HashReader, Tile, check_record, check_tree, prove_record, prove_tree,
    split_stored_hash_index, stored_hashes_for_record_hash, tree_hash,
};

use crate::memory::{MemoryTiles, leaves};

/// Their way of storage: a row of all complete subtrees' hashes, in the order in which they become complete.
#[derive(Default)]
struct Stored(Vec<TheirHash>);

impl Stored {
    fn of(leaves: &[Hash]) -> Self {
        let mut stored = Self::default();
        for (number, leaf) in (0..).zip(leaves) {
            let hashes = stored_hashes_for_record_hash(number, TheirHash(leaf.0), &stored).unwrap();
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

fn ours(hashes: &[TheirHash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash(hash.0)).collect()
}

fn theirs(hashes: &[Hash]) -> Vec<TheirHash> {
    hashes.iter().map(|hash| TheirHash(hash.0)).collect()
}

/// The edge of the tree of these tiles' first `size` leaves.
fn edge(tiles: &impl TileReader<Error: Debug>, size: u64) -> Edge {
    let (index, width) = (size / 256, u16::try_from(size % 256).unwrap());
    let mut leaves = if width == 0 { Vec::new() } else { tiles.read_tile(TileId { level: 0, index }, width).unwrap() };
    leaves.truncate(width.into());
    Edge::rebuild(tiles, size, leaves).unwrap()
}

/// Both make the proofs of these leaves and older trees, which must be the same, and both check them.
fn compare(tiles: &impl TileReader<Error: Debug>, stored: &impl HashReader, size: u64, places: &[u64]) {
    let root = edge(tiles, size).root();
    let their_root = tree_hash(size, stored).unwrap();
    assert_eq!(root.0, their_root.0, "root of {size}");
    for &index in places.iter().filter(|&&index| index < size) {
        let leaf = TileId { level: 0, index: index / 256 };
        let width = u16::try_from(index % 256 + 1).unwrap();
        let leaf = tiles.read_tile(leaf, width).unwrap()[usize::from(width) - 1];
        let path = inclusion_proof(tiles, index, size).unwrap();
        assert_eq!(path, ours(&prove_record(size, index, stored).unwrap()), "leaf {index} of {size}");
        verify_inclusion(&leaf, index, size, &path, &root).unwrap();
        check_record(&theirs(&path), size, their_root, index, TheirHash(leaf.0)).unwrap();

        let from = index + 1;
        let old = tree_hash(from, stored).unwrap();
        let proof = consistency_proof(tiles, from, size).unwrap();
        assert_eq!(proof, ours(&prove_tree(size, from, stored).unwrap()), "from {from} to {size}");
        verify_consistency(from, size, &Hash(old.0), &root, &proof).unwrap();
        check_tree(&theirs(&proof), size, their_root, from, old).unwrap();
    }
}

/// Our path for one of their tiles: theirs name the height and know no entries.
fn path_of(tile: &Tile) -> TilePath {
    let ours = tile.path().strip_prefix("tile/8/").unwrap().to_owned();
    let path = TilePath::parse(&ours).unwrap();
    assert_eq!(path.to_string(), ours);
    path
}

/// The full ones are given as they fill up, the partial ones are the edge's.
fn compare_new_tiles(tiles: &impl TileReader<Error: Debug>, stored: &impl HashReader, old: u64, added: &[Hash]) {
    let mut edge = edge(tiles, old);
    let mut filled: Vec<_> = added.iter().flat_map(|leaf| edge.push(*leaf).unwrap()).collect();
    for tile in Tile::new_tiles(8, old, edge.size()) {
        let (level, index, width) = (tile.level(), tile.level_index(), u16::try_from(tile.width()).unwrap());
        assert_eq!(path_of(&tile), TilePath::Hashes { level, index, width });
        let id = TileId { level, index };
        let ours = if width == 256 {
            let place = filled.iter().position(|(filled, _)| *filled == id).unwrap();
            filled.remove(place).1
        } else {
            edge.tile(id, width).unwrap().to_vec()
        };
        let bytes: Vec<u8> = ours.iter().flat_map(|hash| hash.0).collect();
        assert_eq!(bytes, tile.read_data(stored).unwrap());
    }
    assert_eq!(filled, []);
}

#[test]
fn around_one_tile() {
    let all = leaves(700);
    let (stored, tiles) = (Stored::of(&all), MemoryTiles::of(&all));
    let places = [0, 1, 2, 127, 128, 200, 254, 255, 256, 257, 300, 511, 512, 513, 698];
    for size in [1, 2, 3, 128, 254, 255, 256, 257, 258, 400, 511, 512, 513, 700] {
        compare(&tiles, &stored, size, &places);
    }
    for (old, new) in [(0, 1), (0, 255), (0, 256), (255, 256), (255, 257), (256, 257), (0, 700), (511, 513)] {
        compare_new_tiles(&tiles, &stored, old as u64, &all[old..new]);
    }
}

#[test]
fn around_a_full_tile_of_tiles() {
    const FULL: u64 = 1 << 16;
    let all = leaves(usize::try_from(FULL).unwrap() + 300);
    let (stored, tiles) = (Stored::of(&all), MemoryTiles::of(&all));
    let places =
        [0, 255, 256, 40_000, FULL - 300, FULL - 257, FULL - 256, FULL - 2, FULL - 1, FULL, FULL + 1, FULL + 255];
    for size in [FULL - 300, FULL - 256, FULL - 1, FULL, FULL + 1, FULL + 255, FULL + 256, FULL + 257, FULL + 300] {
        compare(&tiles, &stored, size, &places);
    }
    let at = |size: u64| usize::try_from(size).unwrap();
    for (old, new) in [(FULL - 300, FULL - 1), (FULL - 1, FULL), (FULL - 1, FULL + 1), (FULL, FULL + 300)] {
        compare_new_tiles(&tiles, &stored, old, &all[at(old)..at(new)]);
    }
}

/// A tree whose leaves are all the same: every complete subtree of a height has the same hash, so tiles and stored
/// hashes of any size are computed and none is kept.
struct EqualLeaves {
    /// By height.
    subtrees: Vec<Hash>,
}

impl EqualLeaves {
    fn new() -> Self {
        let next = |hash: &Hash| Some(Hash::node(hash, hash));
        Self { subtrees: std::iter::successors(Some(Hash::leaf(b"same")), next).take(64).collect() }
    }
}

impl TileReader for EqualLeaves {
    type Error = Infallible;

    fn read_tile(&self, id: TileId, width: u16) -> Result<Vec<Hash>, Infallible> {
        Ok(vec![self.subtrees[usize::from(id.level) * 8]; width.into()])
    }
}

impl HashReader for EqualLeaves {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, Error> {
        let height = |index: &u64| usize::from(split_stored_hash_index(*index).0);
        Ok(indexes.iter().map(|index| TheirHash(self.subtrees[height(index)].0)).collect())
    }
}

#[test]
fn large_trees() {
    let tree = EqualLeaves::new();
    for full in [1_u64 << 24, 1 << 32, 1 << 40] {
        let places =
            [0, 1, 255, 65_535, 65_536, full / 2, full - 257, full - 256, full - 1, full, full + 255, full + 65_536];
        for size in [full - 1, full, full + 1, full + 256, full + 257, full + 65_536 + 256 + 1] {
            compare(&tree, &tree, size, &places);
        }
    }
}

#[test]
fn appending_across_many_levels() {
    let tree = EqualLeaves::new();
    let leaf = tree.subtrees[0];
    let full = 1_u64 << 24;
    compare_new_tiles(&tree, &tree, full - 1, &[leaf, leaf]);

    let mut edge = edge(&tree, full - 1);
    let filled = edge.push(leaf).unwrap();
    let ids: Vec<_> = filled.iter().map(|(id, hashes)| (id.level, id.index, hashes.len())).collect();
    assert_eq!(ids, [(0, 65_535, 256), (1, 255, 256), (2, 0, 256)]);
    assert_eq!(edge.push(leaf).unwrap(), []);
    assert_eq!(edge.root().0, tree_hash(full + 1, &tree).unwrap().0);
}

#[test]
fn the_largest_tree_takes_no_more() {
    let tree = EqualLeaves::new();
    let mut edge = edge(&tree, MAX_INTEGER - 1);
    edge.push(tree.subtrees[0]).unwrap();
    assert_eq!(edge.root().0, tree_hash(MAX_INTEGER, &tree).unwrap().0);
    let full = edge.clone();
    assert_eq!(edge.push(tree.subtrees[0]), Err(TreeFull));
    assert_eq!(edge, full);
}

/// The signed note and checkpoint by their crates.
#[test]
fn checkpoints() {
    let origin = Origin::parse("gavel.localhost/0123456789abcdef").unwrap();
    let key = SigningKey::from_seed([9; 32], origin.clone());
    let checkpoint = Checkpoint { origin, size: 12_345, root: Hash::of(b"root") };
    let note = key.sign(&checkpoint);
    let verifier = signed_note::StandardVerifier::new(&key.verifier_key().to_string()).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let opened = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let (verified, unverified) = opened.verify(&known).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    assert_eq!(opened.text(), checkpoint.body().as_bytes());
    let text = tlog_tiles::Checkpoint::from_bytes(opened.text()).unwrap();
    assert_eq!(text.origin(), checkpoint.origin.as_str());
    assert_eq!((text.size(), text.hash().0), (checkpoint.size, checkpoint.root.0));
}
