//! Two savings in how ureq makes connections. Its interfaces for this may
//! change between minor versions.

use std::net::{IpAddr, SocketAddr};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport};

use super::sigpipe;

/// ureq reads all authorities anew for every connection of a request that has
/// settings of its own. Ours have only times of their own, so the settings of
/// TLS are the agent's: read once, and its sessions can be resumed.
#[derive(Debug, Default)]
pub(super) struct SharedTls(DefaultConnector);

impl Connector for SharedTls {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let details = ConnectionDetails {
            request_level: false,
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, chained)
    }
}

/// ureq starts a thread for every look-up, on a kept connection too. An address
/// needs none.
#[derive(Debug, Default)]
pub(super) struct NamesOnly(DefaultResolver);

impl Resolver for NamesOnly {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let Some(address) = address(uri) else {
            // In a thread of its own: our look-ups have a timeout.
            return sigpipe::blocked(|| self.0.resolve(uri, config, timeout));
        };
        let mut addresses = self.empty();
        addresses.push(address);
        Ok(addresses)
    }
}

/// The address and port of a URL whose host is an address.
fn address(uri: &Uri) -> Option<SocketAddr> {
    let host: IpAddr = uri.host()?.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let default = if uri.scheme_str()? == "https" { 443 } else { 80 };
    Some(SocketAddr::new(host, uri.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_that_are_addresses_are_not_looked_up() {
        let address = |url: &str| address(&url.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(address("https://127.0.0.1:4443/v2/").unwrap(), "127.0.0.1:4443");
        assert_eq!(address("https://192.0.2.1/v2/").unwrap(), "192.0.2.1:443");
        assert_eq!(address("http://[::1]/v2/").unwrap(), "[::1]:80");
        for name in ["https://localhost/", "https://127.0.0.1.example/", "https://127.1/", "https://1/"] {
            assert_eq!(address(name), None, "{name}");
        }
    }
}
