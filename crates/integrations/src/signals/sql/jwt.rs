//! Signed assertions (JSON Web Tokens with RS256), with which a program shows that it has a private key.
//! <https://www.rfc-editor.org/rfc/rfc7515>
//!
//! **Invariant**: nothing of a key is in an error.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, PublicKey};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// An RSA key that signs.
pub(crate) struct SigningKey(KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// A key in PKCS #8, as PEM: `-----BEGIN PRIVATE KEY-----`.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, String> {
        let lines = || pem.lines().map(str::trim).filter(|line| !line.is_empty());
        match lines().next() {
            Some("-----BEGIN PRIVATE KEY-----") => {}
            Some("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
                return Err("it is encrypted; write it without a passphrase, as `openssl pkcs8 -topk8 -nocrypt` does"
                    .to_owned());
            }
            Some("-----BEGIN RSA PRIVATE KEY-----") => {
                return Err("it is in PKCS #1; convert it with `openssl pkcs8 -topk8 -nocrypt`".to_owned());
            }
            _ => return Err("it is no private key in PEM, which begins with `-----BEGIN PRIVATE KEY-----`".to_owned()),
        }
        let text: String = lines().filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(text).map_err(|_| "its base64 is damaged".to_owned())?;
        let pair =
            KeyPair::from_pkcs8(&der).map_err(|_| "it is no RSA key of 2048 to 8192 bits in PKCS #8".to_owned())?;
        Ok(Self(pair))
    }

    /// SHA-256 of the public key (`SubjectPublicKeyInfo`), in base64.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub(super) fn fingerprint(&self) -> Result<String, String> {
        let public: &PublicKey = self.0.public_key();
        let der: PublicKeyX509Der<'_> = public.as_der().map_err(|_| "its public half cannot be written".to_owned())?;
        Ok(STANDARD.encode(Sha256::digest(der.as_ref())))
    }

    /// The signed claims.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, String> {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = serde_json::to_vec(claims).map_err(|error| error.to_string())?;
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| "nothing can be signed with it".to_owned())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Seconds since 1970. Whoever is asked for a token judges an assertion by the real time, which the clock of a workspace need not show.
#[expect(clippy::disallowed_methods, reason = "the other side compares it with its own clock")]
pub(crate) fn real_time() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// A random UUID (version 4), to name a request by.
///
/// # Errors
/// When the system has no random numbers.
pub(super) fn random_uuid() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "this machine gives no random numbers".to_owned())?;
    let [.., sixth, _, eighth, _, _, _, _, _, _, _] = &mut bytes;
    *sixth = (*sixth & 0x0f) | 0x40;
    *eighth = (*eighth & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    Ok([part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_signed_is_verified_with_the_public_half() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
        let key = SigningKey::from_pem(&pem).unwrap();
        let token = key.sign(&json!({ "iss": "me" })).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        assert_eq!(key.fingerprint().unwrap().len(), 44);
        assert_eq!(format!("{key:?}"), "SigningKey");
    }

    #[test]
    fn a_random_name_is_a_uuid_of_version_4() {
        let [one, other] = [random_uuid().unwrap(), random_uuid().unwrap()];
        assert_ne!(one, other);
        let groups: Vec<&str> = one.split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(groups[2].starts_with('4') && "89ab".contains(&groups[3][..1]), "{one}");
    }

    #[test]
    fn what_is_no_key_is_said_without_it() {
        for (pem, expected) in [
            ("hunter2", "no private key in PEM"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2", "-nocrypt"),
            ("-----BEGIN RSA PRIVATE KEY-----\nhunter2", "PKCS #1"),
            ("-----BEGIN PRIVATE KEY-----\nhun!ter2\n-----END PRIVATE KEY-----", "base64"),
            ("-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----", "no RSA key"),
        ] {
            let error = SigningKey::from_pem(pem).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
