//! Plugins as files in a directory that the server watches: put there, replaced, broken, removed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gavel_tests::{GavelServer, Setup, Upstream, User, gavel, within};
use serde_json::{Value, json};

use crate::guests::{MARKER, marker, marker_named, rebuilt};

fn file(server: &GavelServer, name: &str) -> PathBuf {
    server.data_dir().join("plugins").join(name)
}

/// Puts a file there whole: written elsewhere, and renamed.
fn put(path: &Path, bytes: &[u8]) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes).unwrap();
    std::fs::rename(draft, path).unwrap();
}

/// The entry of the list that is like this, once there is one.
async fn listed(user: &User, like: impl Fn(&Value) -> bool) -> Value {
    let coming = async {
        loop {
            let list = user.get("/v1/plugins").await.expect(200);
            if let Some(found) = list["plugins"].as_array().unwrap().iter().find(|plugin| like(plugin)) {
                return found.clone();
            }
            tokio::task::yield_now().await;
        }
    };
    within("the plugin's place in the list", coming).await
}

async fn serves(user: &User, name: &str, version: &str) -> Value {
    listed(user, |plugin| {
        (&plugin["name"], &plugin["version"], &plugin["state"]) == (&json!(name), &json!(version), &json!("serving"))
    })
    .await
}

async fn is_gone(user: &User, name: &str) {
    let path = format!("/v1/plugins/{name}");
    within("the plugin's end", async { while user.get(&path).await.status != 404 {} }).await;
}

#[tokio::test]
async fn a_file_that_is_renamed_to_its_place_serves_at_once() {
    let upstream = Upstream::start().await;
    // With a cache of machine code of its own, so that each version is compiled.
    let server = GavelServer::start(Setup::with(&upstream).makes_its_master_key()).await;
    let alice = server.admin();
    let path = file(&server, "tone.wasm");
    let mut times = Vec::new();
    for version in 1000..1010 {
        let component = marker(version);
        let begun = Instant::now();
        put(&path, &component);
        serves(&alice, MARKER, &format!("1.{version}.0")).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    println!("from rename to active: median {:?}, slowest {:?}", times[times.len() / 2], times[times.len() - 1]);
    let versions = alice.get(&format!("/v1/plugins/{MARKER}/versions")).await.expect(200);
    let versions = versions["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1, "what a file gave before goes off the list");
    assert_eq!((&versions[0]["source"], &versions[0]["reference"]), (&json!("directory"), &json!("tone.wasm")));
}

#[tokio::test]
async fn a_bad_file_leaves_the_old_version_serving_and_is_told_of() {
    let (mut server, _upstream, alice) = gavel().await;
    let path = file(&server, "tone.wasm");
    put(&path, &marker(1000));
    serves(&alice, MARKER, "1.1000.0").await;
    let whole = marker(1001);
    let refused = |plugin: &Value| plugin["state"] == "refused" && plugin["reference"] == "tone.wasm";
    for (bytes, says) in
        [(&whole[..whole.len() / 2], "cut off"), (b"rubbish", "no WebAssembly"), (b"", "no WebAssembly")]
    {
        // In place, as a copy writes it that has no room left.
        std::fs::write(&path, bytes).unwrap();
        let told = listed(&alice, |plugin| refused(plugin) && plugin["error"].as_str().unwrap().contains(says)).await;
        assert_eq!((&told["name"], &told["kind"]), (&json!(MARKER), &json!("policy")));
        serves(&alice, MARKER, "1.1000.0").await;
    }
    put(&file(&server, "stranger.wasm"), b"rubbish");
    let stranger = listed(&alice, |plugin| plugin["name"] == "stranger").await;
    assert_eq!((&stranger["state"], &stranger["kind"]), (&json!("refused"), &Value::Null));

    server.kill().await;
    server.start_again().await;
    let alice = server.admin();
    serves(&alice, MARKER, "1.1000.0").await;
    listed(&alice, refused).await;
    put(&path, &whole);
    serves(&alice, MARKER, "1.1001.0").await;
    let list = alice.get("/v1/plugins").await.expect(200);
    assert!(!list["plugins"].as_array().unwrap().iter().any(refused), "{list:#}");
}

#[tokio::test]
async fn a_file_that_is_still_being_written_replaces_nothing_and_rapid_changes_end_at_the_last() {
    let (server, _upstream, alice) = gavel().await;
    let path = file(&server, "tone.wasm");
    put(&path, &marker(1000));
    serves(&alice, MARKER, "1.1000.0").await;
    // Piece by piece, as a slow copy does.
    let new = marker(1001);
    let mut out = std::fs::File::create(&path).unwrap();
    for piece in new.chunks(new.len() / 8) {
        std::io::Write::write_all(&mut out, piece).unwrap();
        let shown = alice.get(&format!("/v1/plugins/{MARKER}")).await.expect(200);
        assert!(["1.1000.0", "1.1001.0"].iter().any(|version| shown["version"] == *version), "{shown}");
    }
    drop(out);
    serves(&alice, MARKER, "1.1001.0").await;
    for version in 1002..1030 {
        put(&path, &marker(version));
        if version % 3 == 0 {
            std::fs::remove_file(&path).unwrap();
        }
    }
    put(&path, &marker(1500));
    serves(&alice, MARKER, "1.1500.0").await;
    put(&path, &rebuilt(&marker(1500), 1));
    let again = gavel_digest(&rebuilt(&marker(1500), 1));
    listed(&alice, |plugin| plugin["digest"] == json!(again)).await;
}

fn gavel_digest(bytes: &[u8]) -> String {
    gavel_log::Hash::of(bytes).tagged()
}

#[tokio::test]
async fn what_a_file_gave_goes_with_it_but_who_is_pinned_to_its_bytes_keeps_them() {
    let (mut server, _upstream, alice) = gavel().await;
    let (one, two) = (file(&server, "one.wasm"), file(&server, "two.wasm"));
    put(&one, &marker(1000));
    let given = serves(&alice, MARKER, "1.1000.0").await;
    let digest = given["digest"].as_str().unwrap().to_owned();
    alice.delete(&format!("/v1/plugins/{MARKER}/versions/{digest}")).await.refused(409, "plugin_watched");
    let wish = |policy: String| json!({"governance_mode": "enforcing", "policies": [{"policy": policy}]});
    let following = alice.starts(wish(MARKER.to_owned())).await;
    let pinned = alice.starts(wish(format!("{MARKER}@{digest}"))).await;

    // The same bytes in another file: they stay as long as either is there.
    put(&two, &marker(1000));
    put(&file(&server, "other.wasm"), &marker_named("marker-policy-01", 1000));
    serves(&alice, "marker-policy-01", "1.1000.0").await;
    std::fs::remove_file(&one).unwrap();
    listed(&alice, |plugin| plugin["digest"] == json!(digest) && plugin["reference"] == "two.wasm").await;
    std::fs::remove_file(&two).unwrap();
    is_gone(&alice, MARKER).await;
    let turn = alice.chat(&following).await.say("one").await;
    assert_eq!(turn.error["code"], "policy_unavailable", "{:#?}", turn.frames);
    let turn = alice.chat(&pinned).await.say("two").await;
    assert_eq!(turn.ended("stop").input["verdicts"][0]["digest"], json!(digest));

    server.kill().await;
    std::fs::remove_file(file(&server, "other.wasm")).unwrap();
    put(&file(&server, "three.wasm"), &marker_named("marker-policy-03", 1000));
    server.start_again().await;
    let alice = server.admin();
    assert_eq!(alice.get("/v1/plugins/marker-policy-01").await.status, 404, "its file went while no server ran");
    assert_eq!(alice.get("/v1/plugins/marker-policy-03").await.status, 200, "its file came while no server ran");
    let turn = alice.chat(&pinned).await.say("three").await;
    assert_eq!(turn.ended("stop").input["verdicts"][0]["digest"], json!(digest));
    let again = json!({"policies": [{"policy": format!("{MARKER}@{digest}")}]});
    alice.post("/v1/agents", &again).await.points_at(400, "invalid_request", &["/policies/0/policy"]);
}

#[tokio::test]
async fn drafts_and_other_files_are_no_plugins() {
    let (server, _upstream, alice) = gavel().await;
    put(&file(&server, ".hidden.wasm"), &marker(1000));
    put(&file(&server, "tone.txt"), &marker(1000));
    put(&file(&server, "tone.wasm"), &marker_named("marker-policy-02", 1000));
    serves(&alice, "marker-policy-02", "1.1000.0").await;
    assert_eq!(alice.get(&format!("/v1/plugins/{MARKER}")).await.status, 404);
}
