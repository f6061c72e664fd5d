//! Under which names the daemon is reached, and whether a request came from its own pages.
//!
//! A page of a stranger's domain may let that domain point at 127.0.0.1 (DNS rebinding); its requests then carry the
//! stranger's name in `Host` and are refused before anything else is looked at.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use outcome_core::{Code, Error, Result};
use url::{Host, Url};

/// The daemon's own names.
#[derive(Debug, Clone)]
pub struct Site {
    app_url: Url,
    allowed: Vec<String>,
}

impl Site {
    /// A site at `app_url` that also answers to `allowed`.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when `app_url` is no http address.
    pub fn new(app_url: &str, allowed: &[String]) -> Result<Self> {
        let url = Url::parse(app_url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let app_url = url.ok_or_else(|| {
            Error::new(Code::InvalidInput, "`review_url` is not an http or https address")
                .hint("for example https://outcomes.example.com")
        })?;
        let allowed = allowed.iter().map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        Ok(Self { app_url, allowed: allowed.collect() })
    }

    /// Where the pages are, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.app_url.as_str().trim_end_matches('/')
    }

    /// True when cookies must travel encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.app_url.scheme() == "https"
    }

    /// The port that browsers see.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.app_url.port_or_known_default().unwrap_or_default()
    }

    /// True when the request names us.
    #[must_use]
    pub fn knows_host(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        host.to_str().ok().and_then(parse_authority).is_some_and(|(host, _)| self.is_ours(&host))
    }

    fn is_ours(&self, host: &Host<String>) -> bool {
        let is_loopback = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => IpAddr::V4(*ip).is_loopback(),
            Host::Ipv6(ip) => IpAddr::V6(*ip).is_loopback(),
        };
        let shown = host.to_string();
        is_loopback || self.app_url.host().is_some_and(|ours| ours.to_owned() == *host) || self.allowed.contains(&shown)
    }

    /// True when a request that changes something was sent by one of our own pages, or by a program that is no browser.
    ///
    /// `Origin` must be ours. With `Referrer-Policy: no-referrer` browsers send `null`; then `Sec-Fetch-Site`, which no page
    /// can set, must say so. Without either there is no browser, and the CSRF token and the cookie's `SameSite` remain.
    #[must_use]
    pub fn is_same_origin(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let site = text("sec-fetch-site");
        if site.is_some_and(|site| site != "same-origin") {
            return false;
        }
        match text("origin") {
            None => true,
            Some("null") => site.is_some(),
            Some(origin) => self.is_own_origin(origin, text("host").unwrap_or_default()),
        }
    }

    fn is_own_origin(&self, origin: &str, host: &str) -> bool {
        let Ok(origin) = Url::parse(origin) else { return false };
        if origin.origin() == self.app_url.origin() {
            return true;
        }
        let Some((host, port)) = parse_authority(host) else { return false };
        let wanted = port.or_else(|| origin.port_or_known_default());
        origin.host().map(|host| host.to_owned()) == Some(host) && origin.port_or_known_default() == wanted
    }
}

fn parse_authority(text: &str) -> Option<(Host<String>, Option<u16>)> {
    if text.is_empty() || text.contains(['/', '@', '?', '#', '\\']) {
        return None;
    }
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    Some((url.host()?.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn site() -> Site {
        Site::new("https://outcomes.example.com", &["daemon".to_owned()]).unwrap()
    }

    #[test]
    fn only_our_own_names_are_answered() {
        for host in ["localhost:8787", "127.0.0.1", "127.9.9.9:1", "[::1]:8787", "outcomes.example.com", "DAEMON:8787"]
        {
            assert!(site().knows_host(&headers(&[("host", host)])), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "10.0.0.1", "a/b"] {
            assert!(!site().knows_host(&headers(&[("host", host)])), "{host}");
        }
        assert!(!site().knows_host(&headers(&[])));
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let ok = |pairs: &[(&'static str, &str)]| site().is_same_origin(&headers(pairs));
        let host = ("host", "127.0.0.1:8787");
        assert!(ok(&[host]));
        assert!(ok(&[host, ("origin", "http://127.0.0.1:8787")]));
        assert!(ok(&[host, ("origin", "https://outcomes.example.com")]));
        assert!(ok(&[host, ("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!ok(&[host, ("origin", "null")]));
        assert!(!ok(&[host, ("origin", "http://127.0.0.1:9999")]));
        assert!(!ok(&[host, ("origin", "http://127.0.0.1")]));
        assert!(!ok(&[host, ("origin", "http://evil.example")]));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!ok(&[host, ("sec-fetch-site", site)]), "{site}");
        }
    }
}
