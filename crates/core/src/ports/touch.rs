//! A key in hardware that a person touches, as the core asks for its signature.

use crate::error::Result;

/// Signs with a key that a person touches.
pub trait TouchToSign: Send + Sync {
    /// The line of its `.pub` file.
    fn public_key(&self) -> &str;

    /// A whole signature of ssh (`SSHSIG`, in its binary form) over `bytes`, made for `namespace`. It waits for the person, so it is
    /// called off the async threads and while nothing is locked.
    ///
    /// # Errors
    /// Why there is none.
    fn sign(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>>;
}
