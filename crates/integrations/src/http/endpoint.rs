//! One API of a third party: where it is, and who asks.

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Access, Answer, HttpClient, HttpError};

/// An address with the credentials for it.
pub(crate) struct Endpoint {
    client: HttpClient,
    base: Url,
    access: Access,
}

impl Endpoint {
    /// Nothing is connected.
    ///
    /// # Errors
    /// With a sentence about an address or credentials that cannot work.
    pub(crate) fn open(url: &SecretString, access: Access) -> Result<Self, String> {
        let base = Url::parse(url.expose_secret()).map_err(|error| format!("its `url`: {error}"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err("its `url` must begin with https:// or http://".to_owned());
        }
        if !base.username().is_empty() || base.password().is_some() || base.query().is_some() {
            return Err("its `url` must not contain a user, password or query".to_owned());
        }
        access
            .check()
            .map_err(|key| format!("its `{key}` has characters that a header cannot contain, such as a line break"))?;
        let client = HttpClient::new(access.secrets()).map_err(|error| error.to_string())?;
        Ok(Self { client, base, access })
    }

    /// Where it leads: who answers is the host, and a path may hold a key.
    pub(crate) fn place(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// An address below the base; each part is one segment, however it is written.
    pub(crate) fn address(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// The address of a link in an answer, wherever it leads.
    pub(crate) fn join(&self, link: &str) -> Option<Url> {
        self.base.join(link).ok()
    }

    /// Whether an address is one of this API, so that the credentials may go there.
    pub(crate) fn is_below(&self, url: &Url) -> bool {
        let base = self.base.path().trim_end_matches('/');
        let rest = url.path().strip_prefix(base);
        url.origin() == self.base.origin()
            && url.username().is_empty()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Sends a request **once**, with the credentials, and returns the answer whatever its status.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(crate) async fn ask(&self, request: impl FnOnce(&Client) -> RequestBuilder) -> Result<Answer, HttpError> {
        self.client.ask(|client| self.access.sign(request(client))).await
    }

    /// Takes our secrets out of a text of the third party, and cuts it.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.client.clean(text)
    }
}
