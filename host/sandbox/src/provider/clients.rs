//! The two HTTP clients: one reaches public addresses only, the other private ones too.
//!
//! reqwest pools connections by scheme and authority alone, so one client for both would let a chat without the right
//! to private addresses use a connection that another has opened. The two never share a pool.

use reqwest::Client;
use reqwest::redirect::Policy;

use super::error::RuntimeError;
use super::limits::{HEADER_BYTES, ProviderLimits};
use super::reach::Reach;

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
        .dns_resolver(Reach { allow_private })
        .build()
}
