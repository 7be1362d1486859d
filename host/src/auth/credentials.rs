//! Callers who stay, and the end of what they came in with.
//!
//! A request is over before a credential's end matters; a WebSocket is not. Who stays is written down here before the
//! credential is looked up once more, and a credential is taken away in the store before it is ended here: so whoever
//! comes in while it is being taken away is found by one of the two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gavel_store::{KeyId, UserId};
use tokio_util::sync::CancellationToken;

use super::Caller;

/// Everyone who stays. Cloning it shares them.
#[derive(Clone, Default)]
pub struct Credentials(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    next: u64,
    by_number: HashMap<u64, Holder>,
}

struct Holder {
    user: UserId,
    key: Option<KeyId>,
    ended: CancellationToken,
}

/// One caller's stay. It ends when this is dropped.
pub struct Stay {
    credentials: Credentials,
    number: u64,
    ended: CancellationToken,
}

impl Credentials {
    /// Writes down that this caller stays.
    #[must_use]
    pub fn hold(&self, caller: &Caller) -> Stay {
        let ended = CancellationToken::new();
        let holder = Holder { user: caller.user().clone(), key: caller.key(), ended: ended.clone() };
        let number = self.with(|held| {
            let number = held.next;
            held.next += 1;
            held.by_number.insert(number, holder);
            number
        });
        Stay { credentials: self.clone(), number, ended }
    }

    /// Ends the stay of whoever came in with this key.
    pub fn end_key(&self, id: KeyId) {
        self.end(|holder| holder.key == Some(id));
    }

    /// Ends the stay of whoever came in with this user's token.
    pub fn end_token_of(&self, user: &UserId) {
        self.end(|holder| holder.key.is_none() && holder.user == *user);
    }

    /// Ends the stay of this user, and of whoever came in with a key of the user's agents.
    pub fn end_user(&self, user: &UserId) {
        self.end(|holder| holder.user == *user);
    }

    fn end(&self, whose: impl Fn(&Holder) -> bool) {
        self.with(|held| {
            for holder in held.by_number.values().filter(|holder| whose(holder)) {
                holder.ended.cancel();
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stay {
    /// Set when the credential has been taken away.
    #[must_use]
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.credentials.with(|held| held.by_number.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use gavel_log::Hash;
    use gavel_store::{AgentId, ApiKey, User, UserRole};

    use super::super::caller::KeyHolder;
    use super::*;

    fn user(name: &str) -> Caller {
        Caller::User(User { id: name.parse().unwrap(), role: UserRole::Member, token_hash: None, created_at: 0 })
    }

    fn key(owner: &str, agent: AgentId) -> (KeyId, Caller) {
        let key = ApiKey {
            id: KeyId::generate(),
            agent,
            name: "ci".to_owned(),
            scopes: Vec::new(),
            prefix: "gvk_".to_owned(),
            token_hash: Hash::of(b""),
            created_at: 0,
            expires_at: None,
            last_used_at: None,
        };
        (key.id, Caller::Key(KeyHolder::new(&key, owner.parse().unwrap())))
    }

    #[test]
    fn an_end_reaches_those_whom_it_is_about_and_no_one_else() {
        let credentials = Credentials::default();
        let (agent, other) = (AgentId::generate(), AgentId::generate());
        let (first, holder) = key("alice", agent);
        let stays = [
            credentials.hold(&user("alice")),
            credentials.hold(&holder),
            credentials.hold(&key("alice", agent).1),
            credentials.hold(&key("alice", other).1),
            credentials.hold(&user("bob")),
        ];
        let ended = || stays.each_ref().map(|stay| stay.ended().is_cancelled());
        credentials.end_key(first);
        assert_eq!(ended(), [false, true, false, false, false]);
        credentials.end_token_of(&"alice".parse().unwrap());
        assert_eq!(ended(), [true, true, false, false, false]);
        credentials.end_user(&"alice".parse().unwrap());
        assert_eq!(ended(), [true, true, true, true, false]);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let credentials = Credentials::default();
        drop(credentials.hold(&user("alice")));
        assert!(credentials.with(|held| held.by_number.is_empty()));
    }
}
