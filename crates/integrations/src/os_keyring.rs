//! The keyring of the operating system: the Secret Service of desktops on Linux, the Keychain of macOS, the Credential Manager of
//! Windows. Built with the feature `keyring` alone: servers have none.
//!
//! Contract: the crate `keyring`, version 4. Secrets are entries of the service `outcome-runtime` with the secret's name as the account,
//! so that all workspaces of an account share them.

use outcome_core::ports::OsKeyring;

/// The keyring, where this was built with one.
#[cfg(feature = "keyring")]
pub(crate) const KEYRING: Option<&dyn OsKeyring> = Some(&built::SystemKeyring::NATIVE);
/// None was built.
#[cfg(not(feature = "keyring"))]
pub(crate) const KEYRING: Option<&dyn OsKeyring> = None;

#[cfg(feature = "keyring")]
mod built {
    use keyring_core::{Entry, Error};
    use outcome_core::ports::{KeyringError, OsKeyring};
    use secrecy::{ExposeSecret as _, SecretString};

    /// What our entries are filed under.
    const SERVICE: &str = "outcome-runtime";
    /// Characters of what the keyring says of itself.
    const MAX_DETAIL: usize = 200;

    type Open = fn(&str, &str) -> Result<Entry, Error>;

    /// A keyring, by how its entries are opened.
    pub(super) struct SystemKeyring {
        open: Open,
    }

    impl std::fmt::Debug for SystemKeyring {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("SystemKeyring")
        }
    }

    impl SystemKeyring {
        /// The one that this system has.
        pub(super) const NATIVE: Self = Self { open: native };

        fn entry(&self, name: &str) -> Result<Entry, KeyringError> {
            (self.open)(SERVICE, name).map_err(|error| unavailable(&error))
        }
    }

    fn native(service: &str, account: &str) -> Result<Entry, Error> {
        keyring::Entry::new(service, account).map(|entry| entry.inner)
    }

    /// Why it cannot be used. Errors that carry what was stored are named, and not shown.
    fn unavailable(error: &Error) -> KeyringError {
        let detail = match error {
            Error::NoDefaultStore => match keyring::Entry::store_status() {
                Err(cause) if !matches!(cause, Error::BadEncoding(_) | Error::BadDataFormat(..)) => cause.to_string(),
                _ => error.to_string(),
            },
            Error::BadEncoding(_) | Error::BadDataFormat(..) => "what it holds under this name is not text".to_owned(),
            other => other.to_string(),
        };
        KeyringError::Unavailable(detail.chars().filter(|c| !c.is_control()).take(MAX_DETAIL).collect())
    }

    impl OsKeyring for SystemKeyring {
        fn get(&self, name: &str) -> Result<Option<SecretString>, KeyringError> {
            match self.entry(name)?.get_password() {
                Ok(found) => Ok(Some(SecretString::from(found))),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(unavailable(&error)),
            }
        }

        fn set(&self, name: &str, value: &SecretString) -> Result<(), KeyringError> {
            self.entry(name)?.set_password(value.expose_secret()).map_err(|error| unavailable(&error))
        }

        fn remove(&self, name: &str) -> Result<bool, KeyringError> {
            match self.entry(name)?.delete_credential() {
                Ok(()) => Ok(true),
                Err(Error::NoEntry) => Ok(false),
                Err(error) => Err(unavailable(&error)),
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::{Arc, LazyLock};

        use keyring_core::CredentialStore;
        use keyring_core::mock::Store;

        use super::*;

        static MOCK: LazyLock<Arc<CredentialStore>> = LazyLock::new(|| Store::new().unwrap());
        const KEYRING: SystemKeyring = SystemKeyring { open: mock };

        fn mock(service: &str, account: &str) -> Result<Entry, Error> {
            MOCK.build(service, account, None)
        }

        #[test]
        fn a_secret_is_found_replaced_and_removed_by_its_name() {
            let found = |name: &str| KEYRING.get(name).unwrap().map(|found| found.expose_secret().to_owned());
            assert_eq!((found("PG_URL"), KEYRING.remove("PG_URL")), (None, Ok(false)));
            for value in ["postgres://app:pw@db/shop", "of two\nlines"] {
                KEYRING.set("PG_URL", &SecretString::from(value)).unwrap();
                assert_eq!((found("PG_URL").as_deref(), found("OTHER")), (Some(value), None));
            }
            assert_eq!((KEYRING.remove("PG_URL"), found("PG_URL")), (Ok(true), None));
        }

        #[test]
        fn what_is_stored_is_in_no_error() {
            let error = unavailable(&Error::BadEncoding(b"hunter2".to_vec()));
            assert_eq!(error, KeyringError::Unavailable("what it holds under this name is not text".to_owned()));
            assert!(!format!("{KEYRING:?}").contains("hunter2"));
        }
    }
}
