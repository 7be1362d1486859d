//! The two HTTP clients: one reaches public addresses only, the other private ones too.
//!
//! reqwest pools connections by scheme and authority alone, so one client for both would let a chat without the right
//! to private addresses use a connection that another has opened. The two never share a pool.

use std::net::SocketAddr;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use super::address::is_public;
use super::error::RuntimeError;
use super::limits::{HEADER_BYTES, ProviderLimits};

/// A host name whose addresses are all special-purpose ones.
#[derive(Debug, thiserror::Error)]
#[error("every address of the host is private or otherwise special")]
pub(super) struct Prohibited;

/// Shared by all chats of a runtime.
pub(super) struct Clients {
    public: Client,
    private_allowed: Client,
}

impl Clients {
    pub(super) fn new(limits: &ProviderLimits) -> Result<Self, RuntimeError> {
        let build =
            |allow_private| client(limits, allow_private).map_err(|error| RuntimeError::Client(error.to_string()));
        Ok(Self { public: build(false)?, private_allowed: build(true)? })
    }

    pub(super) fn get(&self, allow_private: bool) -> &Client {
        if allow_private { &self.private_allowed } else { &self.public }
    }
}

fn client(limits: &ProviderLimits, allow_private: bool) -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("gavel/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .redirect(Policy::none())
        .connect_timeout(limits.connect)
        .http2_max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .dns_resolver(Resolver { allow_private })
        .build()
}

/// The system's resolver, without the addresses that are not public unless they are allowed.
///
/// What it gives is what the connection is made to, so a name that resolves differently a moment later gains nothing.
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Prohibited.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_the_loopback_resolves_only_where_private_is_allowed() {
        let resolve = |allow_private| Resolver { allow_private }.resolve("localhost".parse().unwrap());
        assert!(resolve(false).await.err().unwrap().is::<Prohibited>());
        assert!(resolve(true).await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
