//! Which addresses a client of HTTP reaches: public ones, or private ones too.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::address::is_public;

/// A host name whose addresses are all special-purpose ones.
#[derive(Debug, thiserror::Error)]
#[error("every address of the host is private or otherwise special")]
pub struct Prohibited;

/// The addresses that may be connected to. A client resolves names by it, and asks [`admits`](Self::admits) before it
/// sends: a literal address skips the resolver.
///
/// As a resolver it is the system's, without the addresses that are not public unless private ones are allowed. What it
/// gives is what the connection is made to, so a name that resolves differently a moment later gains nothing. Two that
/// differ may not share a client: reqwest pools connections by scheme and authority alone.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Whether addresses of IANA's special-purpose registries are reached.
    pub allow_private: bool,
}

impl Reach {
    /// Whether the address that a URL names, if it names one literally, may be connected to.
    #[must_use]
    pub fn admits(self, url: &Url) -> bool {
        self.allow_private || literal_address(url).is_none_or(is_public)
    }

    /// Those of a name's addresses that are connected to.
    fn reached(self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Prohibited> {
        let reached: Vec<_> = found.filter(|address| self.allow_private || is_public(address.ip())).collect();
        if reached.is_empty() { Err(Prohibited) } else { Ok(reached) }
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let this = *self;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(this.reached(found)?.into_iter()) as Addrs)
        })
    }
}

/// The address, where a URL names one literally in whatever notation.
fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_the_loopback_resolves_only_where_private_is_allowed() {
        let resolve = |allow_private| Reach { allow_private }.resolve("localhost".parse().unwrap());
        assert!(resolve(false).await.err().unwrap().is::<Prohibited>());
        assert!(resolve(true).await.unwrap().all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn a_name_that_is_bound_anew_gains_nothing() {
        let reach = Reach { allow_private: false };
        // Each answer of the resolver is judged, and what was judged is what is connected to.
        let answer = |addresses: &[&str]| reach.reached(addresses.iter().map(|address| address.parse().unwrap()));
        assert_eq!(answer(&["93.184.215.14:0"]).unwrap(), ["93.184.215.14:0".parse().unwrap()]);
        assert!(answer(&["127.0.0.1:0"]).is_err());
        assert!(answer(&["169.254.169.254:0", "[::ffff:10.0.0.1]:0", "[fd00::1]:0"]).is_err());
        // One that hides among public ones is left out.
        let mixed = answer(&["10.0.0.1:0", "93.184.215.14:0", "[::1]:0"]).unwrap();
        assert_eq!(mixed, ["93.184.215.14:0".parse().unwrap()]);
    }

    #[test]
    fn literal_addresses_are_seen_in_every_notation() {
        for text in
            ["http://127.0.0.1/", "http://0x7f.1/", "http://2130706433/", "http://[::1]/", "http://017700000001/"]
        {
            let url = Url::parse(text).unwrap();
            assert!(literal_address(&url).is_some_and(|ip| ip.is_loopback()), "{text}");
            assert!(!Reach { allow_private: false }.admits(&url) && Reach { allow_private: true }.admits(&url));
        }
        assert!(Reach { allow_private: false }.admits(&Url::parse("http://localhost/").unwrap()));
    }
}
