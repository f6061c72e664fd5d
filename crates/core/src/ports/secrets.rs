//! References such as `${ENV}` in declared settings, and what a vendor needs to open them.

use std::path::Path;

use secrecy::SecretString;

/// What settings are opened with.
#[derive(Clone, Copy)]
pub struct Opening<'o> {
    /// The workspace's root, where relative paths begin.
    pub root: &'o Path,
    /// Resolves references.
    pub resolve: &'o dyn ResolveSecret,
}

/// Turns text with references such as `${ENV}` and `${secret:NAME}` into the text that is meant.
pub trait ResolveSecret: Send + Sync {
    /// The resolved text.
    ///
    /// # Errors
    /// When a reference has no value.
    fn resolve(&self, text: &str) -> crate::Result<SecretString>;
}

impl<F: Fn(&str) -> crate::Result<SecretString> + Send + Sync> ResolveSecret for F {
    fn resolve(&self, text: &str) -> crate::Result<SecretString> {
        self(text)
    }
}
