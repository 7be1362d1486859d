//! Who may call what: every route that the server knows, with every kind of caller, against one table.
//!
//! A route that lands without its line here fails the story, and so does a line that the server does not keep.

use std::collections::BTreeSet;

use gavel::auth::Scope;
use gavel_tests::{Agent, Answer, Form, GavelServer, User, gavel, within};
use reqwest::Method;
use serde_json::json;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    /// Everyone, without a token.
    Anyone,
    /// Users, with their tokens.
    Users,
    /// Auditors and administrators, with their tokens.
    Auditors,
    /// Administrators, with their tokens.
    Admins,
    /// The agent's owner, with the owner's token.
    Owner,
    /// The agent's owner, and the agent's keys with this scope.
    Keys(&'static str),
    /// Users, and any agent's keys with this scope: each for the agents that are its own.
    AnyKey(&'static str),
    /// The same, for one agent that the path calls a model.
    Model(&'static str),
}

/// The contract, line by line.
#[rustfmt::skip]
const TABLE: &[(&str, &str, May)] = &[
    ("GET", "/health", May::Anyone),
    ("GET", "/health/live", May::Anyone),
    ("GET", "/health/ready", May::Anyone),
    ("GET", "/openapi.json", May::Anyone),
    ("GET", "/docs", May::Anyone),
    ("GET", "/docs/{file}", May::Anyone),
    ("GET", "/log/checkpoint", May::Anyone),
    ("GET", "/log/key", May::Anyone),
    ("GET", "/log/consistency", May::Anyone),
    ("GET", "/log/tile/{*tile}", May::Anyone),
    ("GET", "/verify/", May::Anyone),
    ("GET", "/verify/{file}", May::Anyone),
    ("GET", "/verify/proof/{leaf_hash}", May::Anyone),
    ("POST", "/v1/agents", May::Users),
    ("GET", "/v1/agents", May::Users),
    ("GET", "/v1/agents/{id}", May::Keys("agent:read")),
    ("PATCH", "/v1/agents/{id}", May::Owner),
    ("DELETE", "/v1/agents/{id}", May::Owner),
    ("POST", "/v1/agents/{id}/start", May::Keys("agent:control")),
    ("POST", "/v1/agents/{id}/stop", May::Keys("agent:control")),
    ("GET", "/v1/agents/{id}/chat", May::Keys("chat")),
    ("GET", "/v1/agents/{id}/messages", May::Keys("messages:read")),
    ("DELETE", "/v1/agents/{id}/messages", May::Keys("messages:write")),
    ("POST", "/v1/agents/{id}/vault", May::Owner),
    ("GET", "/v1/agents/{id}/vault", May::Owner),
    ("DELETE", "/v1/agents/{id}/vault", May::Owner),
    ("POST", "/v1/agents/{id}/api-keys", May::Owner),
    ("GET", "/v1/agents/{id}/api-keys", May::Owner),
    ("DELETE", "/v1/agents/{id}/api-keys/{key_id}", May::Owner),
    ("POST", "/v1/agents/{id}/files", May::Keys("files:write")),
    ("GET", "/v1/agents/{id}/files", May::Keys("files:read")),
    ("GET", "/v1/agents/{id}/files/{file_id}", May::Keys("files:read")),
    ("DELETE", "/v1/agents/{id}/files/{file_id}", May::Keys("files:write")),
    ("GET", "/v1/agents/{id}/proofs/{leaf_hash}", May::Keys("proofs:read")),
    ("GET", "/v1/agents/{id}/verdicts", May::Keys("proofs:read")),
    ("GET", "/v1/agents/{id}/quota", May::Keys("quota:read")),
    ("GET", "/v1/agents/{id}/checkpoints", May::Owner),
    ("POST", "/v1/agents/{id}/checkpoints", May::Owner),
    ("GET", "/v1/agents/{id}/checkpoints/{checkpoint_id}", May::Owner),
    ("POST", "/v1/agents/{id}/checkpoints/{checkpoint_id}/restore", May::Owner),
    ("GET", "/v1/agents/{id}/policies", May::Keys("agent:read")),
    ("PUT", "/v1/agents/{id}/policies", May::Owner),
    ("POST", "/v1/policies/{name}/evaluate", May::Users),
    ("GET", "/v1/verdicts", May::Auditors),
    // Where the body names no agent, it is every agent's history.
    ("POST", "/v1/policies/{name}/backtest", May::Admins),
    ("GET", "/v1/plugins", May::Users),
    ("POST", "/v1/plugins", May::Admins),
    ("GET", "/v1/plugins/{name}", May::Users),
    ("GET", "/v1/plugins/{name}/versions", May::Users),
    ("DELETE", "/v1/plugins/{name}/versions/{digest}", May::Admins),
    ("POST", "/v1/plugins/{name}/approve", May::Admins),
    ("POST", "/v1/chat/completions", May::AnyKey("chat")),
    ("GET", "/v1/models", May::AnyKey("chat")),
    ("GET", "/v1/models/{model}", May::Model("chat")),
];

/// What became of a request, as far as authorisation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unauthorized,
    Forbidden,
    Unseen,
    Allowed,
}

impl Fate {
    fn of(answer: &Answer) -> Self {
        match answer.status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::Unseen,
            500.. => panic!("{} {}", answer.status, answer.text()),
            _ => Self::Allowed,
        }
    }
}

/// Kinds of callers, from the view of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nobody,
    Malformed,
    Mistyped,
    TokenInQuery,
    KeyInQuery,
    Stranger,
    Auditor,
    Admin,
    Owner,
    KeyWithTheScope,
    KeyWithAllOtherScopes,
    KeyOfAnotherAgent,
    RevokedKey,
    ExpiredKey,
    RevokedUser,
}

const KINDS: [Kind; 15] = [
    Kind::Nobody,
    Kind::Malformed,
    Kind::Mistyped,
    Kind::TokenInQuery,
    Kind::KeyInQuery,
    Kind::Stranger,
    Kind::Auditor,
    Kind::Admin,
    Kind::Owner,
    Kind::KeyWithTheScope,
    Kind::KeyWithAllOtherScopes,
    Kind::KeyOfAnotherAgent,
    Kind::RevokedKey,
    Kind::ExpiredKey,
    Kind::RevokedUser,
];

/// The second table: what a rule means for a kind of caller.
#[expect(clippy::match_same_arms, reason = "a table has a line for each rule")]
fn expected(may: May, kind: Kind) -> Fate {
    use Fate::{Allowed, Forbidden, Unauthorized, Unseen};
    match (may, kind) {
        (May::Anyone, _) => Allowed,
        (
            _,
            Kind::Nobody
            | Kind::Malformed
            | Kind::Mistyped
            | Kind::TokenInQuery
            | Kind::KeyInQuery
            | Kind::RevokedKey
            | Kind::ExpiredKey
            | Kind::RevokedUser,
        ) => Unauthorized,
        (May::Admins, Kind::Admin) => Allowed,
        (May::Admins, _) => Forbidden,
        (_, Kind::Owner) if may != May::Auditors => Allowed,
        (May::Auditors, Kind::Auditor | Kind::Admin) => Allowed,
        (May::Auditors, _) => Forbidden,
        (May::Users, Kind::Stranger | Kind::Auditor | Kind::Admin | Kind::Owner) => Allowed,
        (May::AnyKey(_), Kind::Stranger | Kind::Auditor | Kind::Admin | Kind::Owner) => Allowed,
        (May::Owner | May::Keys(_) | May::Model(_), Kind::Stranger | Kind::Auditor | Kind::Admin | Kind::Owner) => {
            Unseen
        }
        (May::Users | May::Owner, _) => Forbidden,
        (May::Keys(_) | May::AnyKey(_) | May::Model(_), Kind::KeyWithTheScope) => Allowed,
        (May::AnyKey(_) | May::Model(_), Kind::KeyOfAnotherAgent) => Allowed,
        (May::Keys(_), Kind::KeyOfAnotherAgent) => Forbidden,
        (May::Keys(_) | May::AnyKey(_) | May::Model(_), Kind::KeyWithAllOtherScopes) => Forbidden,
    }
}

/// Those who are the same for every route.
struct Cast {
    nobody: User,
    malformed: User,
    mistyped: User,
    stranger: User,
    auditor: User,
    admin: User,
    owner: User,
    of_another_agent: User,
    revoked_key: User,
    expired_key: User,
    revoked_user: User,
}

impl Cast {
    async fn assemble(server: &GavelServer, admin: User) -> Self {
        let owner = server.new_user("owner", &[]).await;
        let another = owner.create_agent(json!({"policies": []})).await;
        let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let (_, of_another_agent) = owner.gives_key(&another, &all).await;
        let (gone, revoked_key) = owner.gives_key(&another, &all).await;
        let path = another.path(&format!("/api-keys/{}", gone["key_id"].as_str().unwrap()));
        owner.delete(&path).await.expect(204);
        let revoked_user = server.new_user("gone", &["--admin"]).await;
        assert_eq!(server.command(&["user", "revoke", "gone"]).await.status, Some(0));
        let token = owner.token().unwrap();
        let last = if token.ends_with('0') { "1" } else { "0" };
        Self {
            nobody: server.anyone(),
            malformed: server.bearer("gvu_not-a-token"),
            mistyped: server.bearer(&format!("{}{last}", &token[..token.len() - 1])),
            stranger: server.new_user("stranger", &[]).await,
            auditor: server.new_user("auditor", &["--auditor"]).await,
            expired_key: expired(server, &owner, &another, &all).await,
            admin,
            owner,
            of_another_agent,
            revoked_key,
            revoked_user,
        }
    }
}

/// A key whose time is over by now.
async fn expired(server: &GavelServer, owner: &User, agent: &Agent, scopes: &[&str]) -> User {
    let soon = gavel::clock::rfc3339_ms(gavel::clock::now_ms() + 1500);
    let wish = json!({"name": "short", "scopes": scopes, "expires_at": soon});
    let made = owner.post(&agent.path("/api-keys"), &wish).await.expect(201);
    let key = server.bearer(made["raw_key"].as_str().unwrap());
    key.get(&agent.path("")).await.expect(200);
    let over = async { while key.get(&agent.path("")).await.status == 200 {} };
    within("the key's end", over).await;
    key
}

/// One route's scene: an agent of the owner's with everything that a path may name.
struct Scene {
    path: String,
    with_the_scope: User,
    with_all_others: User,
}

impl Scene {
    async fn set(cast: &Cast, path: &str, may: May) -> Self {
        let owner = &cast.owner;
        let agent = owner.starts(json!({"policies": []})).await;
        let mut filled = path.replace("{id}", &agent.id).replace("{model}", &agent.id);
        if filled.contains("{leaf_hash}") {
            let turn = owner.chat(&agent).await.say("Hello").await;
            filled = filled.replace("{leaf_hash}", turn.input["leaf_hash"].as_str().unwrap());
        }
        if filled.contains("{file_id}") {
            let answer = owner.upload(&agent, Form::new().file("a.txt", "text/plain", b"hello")).await.expect(201);
            filled = filled.replace("{file_id}", answer["files"][0]["file_id"].as_str().unwrap());
        }
        if filled.contains("{checkpoint_id}") {
            let stopped = owner.stop(&agent).await;
            filled = filled.replace("{checkpoint_id}", stopped["checkpoint"]["checkpoint_id"].as_str().unwrap());
        }
        if filled.contains("{key_id}") {
            let (key, _) = owner.gives_key(&agent, &["chat"]).await;
            filled = filled.replace("{key_id}", key["key_id"].as_str().unwrap());
        }
        if filled.contains("{*tile}") {
            // The log's first partial tile, which the first turn makes.
            owner.chat(&agent).await.say("Hello").await;
            let size = owner.get("/health").await.expect(200)["log"]["tree_size"].as_u64().unwrap();
            filled = filled.replace("{*tile}", &format!("0/000.p/{}", size % 256));
        }
        if filled == "/log/consistency" {
            owner.chat(&agent).await.say("Hello").await;
            filled.push_str("?from=1&to=1");
        }
        filled = filled.replace("/docs/{file}", "/docs/start.js").replace("/verify/{file}", "/verify/portal.js");
        if filled.contains("{digest}") {
            // The only version of what the configuration binds, so that it stays.
            let pii = owner.get("/v1/plugins/pii").await.expect(200);
            filled = filled.replace("{digest}", pii["digest"].as_str().unwrap());
        }
        // Approving what the binary grants already changes nothing.
        filled = filled.replace("{name}", if filled.ends_with("/approve") { "openai" } else { "pii" });
        assert!(!filled.contains('{'), "teach the scene what {filled} names");

        let scope = match may {
            May::Keys(scope) | May::AnyKey(scope) | May::Model(scope) => scope,
            May::Anyone | May::Users | May::Auditors | May::Admins | May::Owner => "chat",
        };
        let others: Vec<_> = Scope::ALL.iter().map(|other| other.as_str()).filter(|other| *other != scope).collect();
        assert_eq!(others.len() + 1, Scope::ALL.len(), "{scope} is no scope");
        // A route that no scope opens stays closed to a key with all of them.
        let all = [others.as_slice(), &[scope]].concat();
        let held: &[&str] =
            if matches!(may, May::Owner | May::Users | May::Auditors | May::Admins) { &all } else { &[scope] };
        let (_, with_the_scope) = owner.gives_key(&agent, held).await;
        let (_, with_all_others) = owner.gives_key(&agent, &others).await;
        Self { path: filled, with_the_scope, with_all_others }
    }

    async fn call(&self, cast: &Cast, kind: Kind, method: Method) -> Answer {
        let mut path = self.path.clone();
        let mut in_query = |user: &User| {
            let token = user.token().unwrap_or_default();
            path = format!("{path}{}access_token={token}", if path.contains('?') { '&' } else { '?' });
        };
        let caller = match kind {
            Kind::Nobody => &cast.nobody,
            Kind::Malformed => &cast.malformed,
            Kind::Mistyped => &cast.mistyped,
            Kind::TokenInQuery => {
                in_query(&cast.owner);
                &cast.nobody
            }
            Kind::KeyInQuery => {
                in_query(&self.with_the_scope);
                &cast.owner
            }
            Kind::Stranger => &cast.stranger,
            Kind::Auditor => &cast.auditor,
            Kind::Admin => &cast.admin,
            Kind::Owner => &cast.owner,
            Kind::KeyWithTheScope => &self.with_the_scope,
            Kind::KeyWithAllOtherScopes => &self.with_all_others,
            Kind::KeyOfAnotherAgent => &cast.of_another_agent,
            Kind::RevokedKey => &cast.revoked_key,
            Kind::ExpiredKey => &cast.expired_key,
            Kind::RevokedUser => &cast.revoked_user,
        };
        caller.send(caller.request(method, &path)).await
    }
}

fn line(method: &str, path: &str) -> Option<May> {
    TABLE.iter().find(|(known, route, _)| *known == method && *route == path).map(|(.., may)| *may)
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_names_and_no_one_else() {
    let (server, _upstream, admin) = gavel().await;
    server.is_ready().await;
    let cast = Cast::assemble(&server, admin).await;
    let mut wrong = Vec::new();
    for (method, path, _) in gavel::auth::routes() {
        let Some(may) = line(method.as_str(), path) else {
            wrong.push(format!("{method} {path} is not in the table"));
            continue;
        };
        let mut scene = Scene::set(&cast, path, may).await;
        for kind in KINDS {
            let methods = if *method == Method::GET { vec![Method::GET, Method::HEAD] } else { vec![method.clone()] };
            for method in methods {
                let answer = scene.call(&cast, kind, method.clone()).await;
                let (fate, expected) = (Fate::of(&answer), expected(may, kind));
                if fate != expected {
                    wrong.push(format!("{method} {path} as {kind:?}: {fate:?}, not {expected:?}: {}", answer.text()));
                }
                if fate == Fate::Unauthorized && answer.header("www-authenticate") != "Bearer" {
                    wrong.push(format!("{method} {path} as {kind:?}: 401 without WWW-Authenticate"));
                }
            }
            // Whoever removes something leaves nothing to the next one.
            if *method == Method::DELETE && expected(may, kind) == Fate::Allowed {
                scene = Scene::set(&cast, path, may).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_line_is_of_a_route_that_the_server_has_and_stands_once() {
    let known: BTreeSet<_> = gavel::auth::routes().map(|(method, path, _)| (method.as_str(), path)).collect();
    let lines: Vec<_> = TABLE.iter().map(|(method, path, _)| (*method, *path)).collect();
    let unknown: Vec<_> = lines.iter().filter(|line| !known.contains(*line)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(lines.len(), lines.iter().collect::<BTreeSet<_>>().len(), "a line stands twice");
}

#[tokio::test]
async fn what_the_server_describes_of_the_api_is_in_the_table() {
    let (server, _upstream, _admin) = gavel().await;
    let described = server.anyone().get("/openapi.json").await.expect(200);
    let operations: BTreeSet<_> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .filter(|(method, path)| path.starts_with("/v1/") && METHODS.contains(&method.as_str()))
        .collect();
    let missing: Vec<_> = operations.iter().filter(|(method, path)| line(method, path).is_none()).collect();
    assert!(!operations.is_empty() && missing.is_empty(), "{missing:?}");
}

/// The members of a path item that are operations.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[tokio::test]
async fn a_token_is_taken_from_the_header_and_the_subprotocol_alone() {
    let (server, _upstream, alice) = gavel().await;
    let agent = alice.starts(json!({})).await;
    let (_, key) = alice.gives_key(&agent, &["chat"]).await;
    let token = key.token().unwrap();
    for query in [format!("token={token}"), format!("access_token={token}"), format!("x={}", &token[..8])] {
        alice.get(&agent.path(&format!("/chat?{query}"))).await.refused(401, "unauthorized");
    }
    let basic = server.anyone().request(Method::GET, &agent.path("")).basic_auth("key", Some(token));
    alice.send(basic).await.refused(401, "unauthorized");
    let cookie = server.anyone().request(Method::GET, &agent.path("")).header("cookie", format!("token={token}"));
    alice.send(cookie).await.refused(401, "unauthorized");
    key.try_chat_from_a_browser(&agent).await.ok().unwrap().is_open().await;
}
