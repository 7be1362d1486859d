//! Users, whom the operator makes, lists and revokes from the command line.

use std::os::unix::fs::PermissionsExt as _;

use gavel_tests::{GavelServer, gavel, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

async fn users(server: &GavelServer) -> Vec<Value> {
    let listed = server.command(&["user", "list", "--json"]).await;
    assert_eq!(listed.status, Some(0), "{listed:?}");
    serde_json::from_str::<Value>(&listed.out).unwrap()["users"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_new_user_is_let_in_at_once_and_sees_no_one_elses_agents() {
    let (server, _upstream, admin) = gavel().await;
    let admins = admin.starts(json!({})).await;
    let alice = server.new_user("alice", &[]).await;
    assert!(alice.token().unwrap().starts_with("gvu_"));
    let own = alice.starts(json!({})).await;
    let list = alice.get("/v1/agents").await.expect(200);
    assert_eq!(list["agents"].as_array().unwrap().len(), 1);
    assert_eq!(list["agents"][0]["agent_id"], own.id.as_str());
    alice.get(&admins.path("")).await.refused(404, "not_found");
    admin.get(&own.path("")).await.refused(404, "not_found");

    server.new_user("Auditing Eve", &["--auditor"]).await;
    let made = server.command(&["user", "add", "root", "--admin", "--json"]).await;
    let made: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!((&made["name"], &made["role"], &made["active"]), (&json!("root"), &json!("admin"), &json!(true)));
    server.bearer(made["token"].as_str().unwrap()).get("/v1/agents").await.expect(200);
    let listed: Vec<_> = users(&server).await.iter().map(|user| (user["name"].clone(), user["role"].clone())).collect();
    let expected = [("Auditing Eve", "auditor"), ("admin", "admin"), ("alice", "member"), ("root", "admin")];
    assert_eq!(listed, expected.map(|(name, role)| (json!(name), json!(role))));
    let listed = server.command(&["user", "list"]).await.out;
    assert!(listed.lines().any(|line| line.starts_with("alice\tmember\tactive\t")), "{listed}");
    assert!(!server.said().contains(alice.token().unwrap()), "no token is logged");
}

#[tokio::test]
async fn a_revoked_user_is_out_at_once_and_so_are_the_keys_of_the_users_agents() {
    let (mut server, _upstream, admin) = gavel().await;
    let alice = server.new_user("alice", &[]).await;
    let agent = alice.starts(json!({})).await;
    let (_, ci) = alice.gives_key(&agent, &["chat"]).await;
    let admins = admin.starts(json!({})).await;
    let (mut own, mut keys) = (alice.chat(&agent).await, ci.chat(&agent).await);
    let mut others = admin.chat(&admins).await;
    own.is_open().await;
    keys.is_open().await;

    let revoked = server.command(&["user", "revoke", "alice"]).await;
    assert_eq!((revoked.status, revoked.out.as_str()), (Some(0), "alice is revoked\n"));
    assert_eq!((own.closed().await.0, keys.closed().await.0), (4401, 4401));
    others.is_open().await;
    alice.get("/v1/agents").await.refused(401, "unauthorized");
    ci.get(&agent.path("/messages")).await.refused(401, "unauthorized");
    assert_eq!(users(&server).await[1]["active"], false);

    server.kill().await;
    server.start_again().await;
    server.bearer(alice.token().unwrap()).get("/v1/agents").await.refused(401, "unauthorized");

    // Back with another token: the agents are still there, and their keys work again.
    let back = server.new_user("alice", &["--new-token"]).await;
    back.agent(&agent).await;
    server.bearer(ci.token().unwrap()).chat(&agent).await.say("Hello").await.ended("stop");
    server.bearer(alice.token().unwrap()).get("/v1/agents").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn another_token_ends_the_old_one_and_leaves_keys_alone() {
    let (server, _upstream, _admin) = gavel().await;
    let alice = server.new_user("alice", &["--auditor"]).await;
    let agent = alice.starts(json!({})).await;
    let (_, ci) = alice.gives_key(&agent, &["chat"]).await;
    let (mut own, mut keys) = (alice.chat(&agent).await, ci.chat(&agent).await);
    server.new_user("alice", &["--new-token"]).await.agent(&agent).await;
    assert_eq!(own.closed().await.0, 4401);
    keys.is_open().await;
    alice.get(&agent.path("")).await.refused(401, "unauthorized");
    assert_eq!(users(&server).await[1]["role"], "auditor", "the role stays");
}

#[tokio::test]
async fn what_cannot_be_done_to_users_is_said_and_changes_nothing() {
    let (server, _upstream, admin) = gavel().await;
    let before = users(&server).await;
    let refused = async |args: &[&str], status: i32, word: &str| {
        let ran = server.command(args).await;
        assert_eq!(ran.status, Some(status), "{ran:?}");
        assert!(ran.err.contains(word) && ran.out.is_empty(), "{ran:?}");
    };
    refused(&["user", "add", "admin"], 1, "exists already").await;
    refused(&["user", "add", "oidc:0123456789abcdef"], 1, "oidc:").await;
    refused(&["user", "add", "nobody", "--new-token"], 1, "no user nobody").await;
    refused(&["user", "revoke", "nobody"], 1, "no user nobody").await;
    refused(&["user", "revoke", "admin"], 1, "only administrator").await;
    refused(&["user", "add", " alice"], 2, "space").await;
    refused(&["user", "add"], 2, "NAME").await;
    refused(&["user", "add", "alice", "--admin", "--auditor"], 2, "cannot be used with").await;
    assert_eq!(users(&server).await, before);
    admin.get("/v1/agents").await.expect(200);

    server.new_user("deputy", &["--admin"]).await;
    assert_eq!(server.command(&["user", "revoke", "admin"]).await.status, Some(0));
    admin.get("/v1/agents").await.refused(401, "unauthorized");
    refused(&["user", "revoke", "deputy"], 1, "only administrator").await;
}

#[tokio::test]
async fn without_a_server_the_commands_open_the_store_themselves() {
    let (mut server, _upstream, _admin) = gavel().await;
    server.kill().await;
    let alice = server.new_user("alice", &[]).await;
    assert_eq!(users(&server).await.len(), 2);
    server.start_again().await;
    server.bearer(alice.token().unwrap()).get("/v1/agents").await.expect(200);
    server.ask_to_stop();
    assert!(server.ended().await.success());
    assert!(!server.data_dir().join("admin.sock").exists());
    assert_eq!(server.command(&["user", "revoke", "alice"]).await.status, Some(0));

    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("data");
    let ran = gavel_tests::gavel_command(&["user", "list", "--data-dir", nowhere.to_str().unwrap()]).await;
    assert_eq!(ran.status, Some(3), "{ran:?}");
    assert!(ran.err.contains("holds no installation") && !nowhere.exists(), "{ran:?}");
}

#[tokio::test]
async fn the_admin_socket_is_for_the_operator_and_bears_rubbish() {
    let (server, _upstream, _admin) = gavel().await;
    let socket = server.data_dir().join("admin.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let too_long = format!("{}\n", "x".repeat(100_000));
    for rubbish in ["\n", "hello\n", "{}\n", "{\"command\":\"dance\"}\n", "[\"list_users\"]", &too_long] {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        // The server may have said no before all of it is written.
        let _ = stream.write_all(rubbish.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut said = Vec::new();
        let _ = within("an answer", stream.read_to_end(&mut said)).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.contains("\"answer\":\"refused\""), "{said}");
    }
    assert_eq!(users(&server).await.len(), 1);
}
