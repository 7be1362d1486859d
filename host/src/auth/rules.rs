//! One table: every route, its method, and who may call it.
//!
//! A route that is not in the table is refused to everyone, so that a new one cannot be left open by mistake.

use axum::http::Method;

use super::Scope;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anyone, without a token.
    Open,
    /// Any user; no API key.
    User,
    /// A user who may see every agent's verdicts: an auditor or an administrator.
    Auditor,
    /// An administrator: what holds for the whole installation.
    Admin,
    /// The user to whom the agent in the path belongs; to another user the agent does not exist. No API key.
    Owner,
    /// The agent's owner, or one of the agent's API keys with this scope.
    Key(Scope),
    /// A user, or an API key with this scope, of whichever agent: the handler names the agent and asks whether it is the
    /// caller's.
    AnyKey(Scope),
}

const ROUTES: &[(Method, &str, Rule)] = &[
    (Method::GET, "/health", Rule::Open),
    (Method::GET, "/health/live", Rule::Open),
    (Method::GET, "/health/ready", Rule::Open),
    (Method::GET, "/openapi.json", Rule::Open),
    (Method::GET, "/docs", Rule::Open),
    (Method::GET, "/docs/{file}", Rule::Open),
    (Method::GET, "/log/checkpoint", Rule::Open),
    (Method::GET, "/log/key", Rule::Open),
    (Method::GET, "/log/consistency", Rule::Open),
    (Method::GET, "/log/tile/{*tile}", Rule::Open),
    (Method::GET, "/verify/", Rule::Open),
    (Method::GET, "/verify/{file}", Rule::Open),
    (Method::GET, "/verify/proof/{leaf_hash}", Rule::Open),
    (Method::POST, "/v1/chat/completions", Rule::AnyKey(Scope::Chat)),
    (Method::GET, "/v1/models", Rule::AnyKey(Scope::Chat)),
    (Method::GET, "/v1/models/{model}", Rule::AnyKey(Scope::Chat)),
    (Method::POST, "/v1/agents", Rule::User),
    (Method::GET, "/v1/agents", Rule::User),
    (Method::GET, "/v1/agents/{id}", Rule::Key(Scope::AgentRead)),
    (Method::PATCH, "/v1/agents/{id}", Rule::Owner),
    (Method::POST, "/v1/agents/{id}/api-keys", Rule::Owner),
    (Method::GET, "/v1/agents/{id}/api-keys", Rule::Owner),
    (Method::DELETE, "/v1/agents/{id}/api-keys/{key_id}", Rule::Owner),
    (Method::DELETE, "/v1/agents/{id}", Rule::Owner),
    (Method::POST, "/v1/agents/{id}/start", Rule::Key(Scope::AgentControl)),
    (Method::POST, "/v1/agents/{id}/stop", Rule::Key(Scope::AgentControl)),
    (Method::GET, "/v1/agents/{id}/chat", Rule::Key(Scope::Chat)),
    (Method::GET, "/v1/agents/{id}/messages", Rule::Key(Scope::MessagesRead)),
    (Method::POST, "/v1/agents/{id}/vault", Rule::Owner),
    (Method::GET, "/v1/agents/{id}/vault", Rule::Owner),
    (Method::DELETE, "/v1/agents/{id}/vault", Rule::Owner),
    (Method::POST, "/v1/agents/{id}/files", Rule::Key(Scope::FilesWrite)),
    (Method::GET, "/v1/agents/{id}/files", Rule::Key(Scope::FilesRead)),
    (Method::GET, "/v1/agents/{id}/files/{file_id}", Rule::Key(Scope::FilesRead)),
    (Method::DELETE, "/v1/agents/{id}/files/{file_id}", Rule::Key(Scope::FilesWrite)),
    (Method::DELETE, "/v1/agents/{id}/messages", Rule::Key(Scope::MessagesWrite)),
    (Method::GET, "/v1/agents/{id}/checkpoints", Rule::Owner),
    (Method::POST, "/v1/agents/{id}/checkpoints", Rule::Owner),
    (Method::GET, "/v1/agents/{id}/checkpoints/{checkpoint_id}", Rule::Owner),
    (Method::POST, "/v1/agents/{id}/checkpoints/{checkpoint_id}/restore", Rule::Owner),
    (Method::GET, "/v1/agents/{id}/policies", Rule::Key(Scope::AgentRead)),
    (Method::PUT, "/v1/agents/{id}/policies", Rule::Owner),
    (Method::GET, "/v1/agents/{id}/proofs/{leaf_hash}", Rule::Key(Scope::ProofsRead)),
    (Method::GET, "/v1/agents/{id}/verdicts", Rule::Key(Scope::ProofsRead)),
    (Method::GET, "/v1/agents/{id}/quota", Rule::Key(Scope::QuotaRead)),
    (Method::POST, "/v1/policies/{name}/evaluate", Rule::User),
    (Method::GET, "/v1/verdicts", Rule::Auditor),
    (Method::POST, "/v1/policies/{name}/backtest", Rule::User),
    (Method::GET, "/v1/plugins", Rule::User),
    (Method::POST, "/v1/plugins", Rule::Admin),
    (Method::GET, "/v1/plugins/{name}", Rule::User),
    (Method::GET, "/v1/plugins/{name}/versions", Rule::User),
    (Method::DELETE, "/v1/plugins/{name}/versions/{digest}", Rule::Admin),
    (Method::POST, "/v1/plugins/{name}/approve", Rule::Admin),
];

/// The rule of a route, by the path that the router knows it under; none for what the table does not name.
#[must_use]
pub fn rule_for(method: &Method, path: &str) -> Option<Rule> {
    // A HEAD is answered by the route's GET, and so under its rule.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    ROUTES.iter().find(|(known, route, _)| known == method && *route == path).map(|(_, _, rule)| *rule)
}

/// Every route with its rule.
pub fn routes() -> impl Iterator<Item = (&'static Method, &'static str, Rule)> {
    ROUTES.iter().map(|(method, path, rule)| (method, *path, *rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_an_agent_is_its_owners_or_its_keys() {
        for (method, path, rule) in ROUTES {
            let owned = path.starts_with("/v1/agents/{id}");
            assert_eq!(matches!(rule, Rule::Owner | Rule::Key(_)), owned, "{method} {path}");
            assert!(*rule != Rule::Open || !path.starts_with("/v1"), "{method} {path}");
        }
    }

    #[test]
    fn no_route_stands_twice() {
        for (index, (method, path, _)) in ROUTES.iter().enumerate() {
            let twice = ROUTES.iter().skip(index + 1).any(|(m, p, _)| m == method && p == path);
            assert!(!twice, "{method} {path}");
        }
    }

    #[test]
    fn what_the_table_does_not_name_has_no_rule() {
        assert_eq!(rule_for(&Method::DELETE, "/v1/agents"), None);
        assert_eq!(rule_for(&Method::HEAD, "/v1/agents"), Some(Rule::User));
    }
}
