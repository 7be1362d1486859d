//! Files: kept with their verdicts, or not at all, and no object that nobody knows of.

use super::*;
use crate::{Erasure, FileId, FileSeal, FileVerdict, FilesSeal, Missing, ObjectId, StoredFile};

fn file(size: u64) -> FileSeal {
    let file = StoredFile {
        id: FileId::generate(),
        name: "notes.txt".into(),
        content_type: "text/plain".into(),
        size,
        sha256: Hash::of(b"notes"),
        session: SessionId::generate(),
        judged: None,
        leaf: None,
        created_at: 4000,
    };
    FileSeal { wrapped_key: vec![7, 8, 9], leaf: None, file, verdict: FileVerdict::Kept }
}

fn judged(size: u64) -> FileSeal {
    FileSeal { leaf: Some(leaf(None)), ..file(size) }
}

fn seal(agent: &AgentId, files: Vec<FileSeal>) -> FilesSeal {
    FilesSeal { agent: *agent, files, most_bytes: None }
}

/// An agent that was never started.
async fn agent(store: &Store) -> AgentId {
    let agent = new_agent("alice");
    store.create_agent(agent.clone()).await.unwrap();
    agent.id
}

async fn announced(store: &Store, agent: &AgentId, files: &[FileSeal]) {
    let ids = files.iter().map(|seal| seal.file.id).collect();
    store.expect_objects(agent, ids).await.unwrap();
}

fn unclaimed(store: &Store) -> Vec<FileId> {
    store.unclaimed_objects(None, 100).unwrap().into_iter().map(|object| object.file).collect()
}

#[tokio::test]
async fn files_are_kept_with_their_verdicts_and_claim_their_objects() {
    let home = Home::new();
    let agent = agent(&home.store).await;
    let files = vec![judged(10), file(20)];
    announced(&home.store, &agent, &files).await;
    assert_eq!(unclaimed(&home.store).len(), 2);
    let sealed = home.store.keep_files(seal(&agent, files.clone())).await.unwrap();
    assert!(unclaimed(&home.store).is_empty());
    let receipt = sealed[0].clone().unwrap();
    assert_eq!(sealed[1], None);
    check_receipt(&home.store, &receipt);
    let row = home.store.leaf(&receipt.leaf_hash).unwrap().unwrap();
    assert_eq!(row.session, files[0].file.session);
    assert_eq!(home.store.session(&row.session).unwrap().unwrap().wrapped_key, vec![7, 8, 9]);

    let home = home.reopen();
    let again = home.store.keep_files(seal(&agent, files.clone())).await.unwrap();
    assert_eq!(again, sealed, "the same files again are no other ones");
    let kept = home.store.files(&agent, None, 10).unwrap();
    let mut ids = [files[0].file.id, files[1].file.id];
    ids.sort();
    assert_eq!(kept.iter().map(|kept| kept.id).collect::<Vec<_>>(), ids);
    let first = home.store.file(&agent, &files[0].file.id).unwrap().unwrap();
    assert_eq!(first.leaf.map(|place| place.hash), Some(receipt.leaf_hash));
    assert_eq!(home.store.files(&agent, Some(&kept[0].id), 10).unwrap(), kept[1..]);
    assert_eq!(home.store.file_bytes(&agent).unwrap(), 30);
    audit(&home.store);
}

#[tokio::test]
async fn a_refused_file_leaves_its_record_alone() {
    let home = Home::new();
    let agent = agent(&home.store).await;
    let refused = FileSeal { verdict: FileVerdict::Refused, ..judged(10) };
    announced(&home.store, &agent, std::slice::from_ref(&refused)).await;
    let sealed = home.store.keep_files(seal(&agent, vec![refused.clone()])).await.unwrap();
    assert!(home.store.leaf(&sealed[0].clone().unwrap().leaf_hash).unwrap().is_some());
    assert_eq!(home.store.files(&agent, None, 10).unwrap(), []);
    assert_eq!(home.store.file_bytes(&agent).unwrap(), 0);
    assert_eq!(unclaimed(&home.store), [refused.file.id]);
    let again = home.store.keep_files(seal(&agent, vec![refused])).await;
    assert!(matches!(again, Err(StoreError::SessionExists(_))), "{again:?}");
    assert_eq!(home.store.head().size, 1);
}

#[tokio::test]
async fn an_agent_keeps_no_more_bytes_than_it_may() {
    let home = Home::new();
    let agent = agent(&home.store).await;
    let bounded = |files| FilesSeal { most_bytes: Some(100), ..seal(&agent, files) };
    let sixty = file(60);
    let id = sixty.file.id;
    home.store.keep_files(bounded(vec![sixty, file(40)])).await.unwrap();
    let full = home.store.keep_files(bounded(vec![judged(1)])).await;
    assert!(matches!(full, Err(StoreError::StorageFull { limit: 100, .. })), "{full:?}");
    assert_eq!((home.store.head().size, home.store.file_bytes(&agent).unwrap()), (0, 100));
    home.store.keep_files(bounded(vec![file(0)])).await.unwrap();
    home.store.remove_file(&agent, &id).await.unwrap();
    home.store.keep_files(bounded(vec![file(60)])).await.unwrap();
    assert_eq!(home.store.file_bytes(&agent).unwrap(), 100);
}

#[tokio::test]
async fn a_removed_file_loses_its_key_and_its_object_is_on_the_list_until_it_is_gone() {
    let home = Home::new();
    let agent = agent(&home.store).await;
    let kept = judged(10);
    let (id, session) = (kept.file.id, kept.file.session);
    home.store.keep_files(seal(&agent, vec![kept])).await.unwrap();
    home.store.remove_file(&agent, &id).await.unwrap();
    assert_eq!(home.store.file(&agent, &id).unwrap(), None);
    assert_eq!(home.store.session(&session).unwrap(), None);
    let again = home.store.remove_file(&agent, &id).await;
    assert!(matches!(again, Err(StoreError::NotFound(Missing::File(gone))) if gone == id), "{again:?}");

    let home = home.reopen();
    assert_eq!(unclaimed(&home.store), [id]);
    home.store.forget_objects(vec![ObjectId { agent, file: id }]).await.unwrap();
    assert!(unclaimed(&home.store).is_empty());
    audit(&home.store);
}

#[tokio::test]
async fn all_files_of_an_agent_go_in_bounded_steps() {
    let home = Home::new();
    let (alices, bobs) = (agent(&home.store).await, agent(&home.store).await);
    for _ in 0..3 {
        home.store.keep_files(seal(&alices, (0..30).map(|_| file(2)).collect())).await.unwrap();
    }
    home.store.keep_files(seal(&bobs, vec![file(5)])).await.unwrap();
    let mut steps = Vec::new();
    loop {
        let removed = home.store.remove_files_of(&alices).await.unwrap();
        if removed.is_empty() {
            break;
        }
        steps.push(removed.len());
    }
    assert_eq!(steps, [64, 26]);
    assert_eq!((home.store.file_bytes(&alices).unwrap(), home.store.file_bytes(&bobs).unwrap()), (0, 5));
    let first = home.store.unclaimed_objects(None, 50).unwrap();
    let second = home.store.unclaimed_objects(first.last().copied(), 50).unwrap();
    assert_eq!((first.len(), second.len()), (50, 40));
    assert!(first.iter().chain(&second).all(|object| object.agent == alices));
}

#[tokio::test]
async fn nobody_elses_file_is_found() {
    let home = Home::new();
    let (alices, bobs) = (agent(&home.store).await, agent(&home.store).await);
    let kept = file(1);
    let id = kept.file.id;
    home.store.keep_files(seal(&alices, vec![kept])).await.unwrap();
    assert_eq!(home.store.file(&bobs, &id).unwrap(), None);
    assert_eq!(home.store.files(&bobs, None, 10).unwrap(), []);
    assert!(matches!(home.store.remove_file(&bobs, &id).await, Err(StoreError::NotFound(_))));
    let unknown = AgentId::generate();
    assert!(matches!(home.store.expect_objects(&unknown, vec![id]).await, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_deleted_agent_leaves_no_key_of_its_files() {
    let home = Home::new();
    let agent = agent(&home.store).await;
    let (kept, refused) = (judged(10), FileSeal { verdict: FileVerdict::Refused, ..judged(5) });
    let sessions = [kept.file.session, refused.file.session];
    for upload in [kept, refused] {
        home.store.keep_files(seal(&agent, vec![upload])).await.unwrap();
    }
    home.store.delete_agent(&agent).await.unwrap();
    assert!(matches!(home.store.keep_files(seal(&agent, vec![judged(1)])).await, Err(StoreError::NotFound(_))));
    assert_eq!(home.store.remove_files_of(&agent).await.unwrap().len(), 1);
    while home.store.erase(Erasure::Agent(agent)).await.unwrap() {}
    for session in sessions {
        assert_eq!(home.store.session(&session).unwrap(), None);
    }
    assert_eq!(home.store.file_bytes(&agent).unwrap(), 0);
    audit(&home.store);
}
