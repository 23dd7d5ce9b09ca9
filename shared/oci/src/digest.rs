//! Digests: what names a blob or a manifest by its bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Hasher, Tag};

/// How a digest is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, which everybody uses.
    Sha256,
    /// SHA-512, which the specification also allows.
    Sha512,
}

impl Algorithm {
    /// Its name in a digest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits it has.
    const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A digest, as `sha256:<64 digits>` or `sha512:<128 digits>`, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

/// The text is no digest that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sha256 or sha512 digest")]
pub struct InvalidDigest;

impl Digest {
    /// Reads a digest.
    ///
    /// # Errors
    /// [`InvalidDigest`] for another algorithm, another length, and digits that are not lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        let (name, hex) = text.split_once(':').ok_or(InvalidDigest)?;
        let algorithm = [Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(InvalidDigest)?;
        let is_hex = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != algorithm.digits() || !is_hex {
            return Err(InvalidDigest);
        }
        Ok(Self { algorithm, hex: hex.into() })
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// What a hash came to.
    pub(crate) fn of_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        Self { algorithm, hex: data_encoding::HEXLOWER.encode(hash).into() }
    }

    /// How it is computed.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// The tag under which a registry without the referrers API keeps what refers to this manifest: `sha256-<digits>`.
    #[must_use]
    pub fn fallback_tag(&self) -> Tag {
        self.tag_with("")
    }

    /// The tags that cosign gives to what belongs to this manifest: a signature, an attestation, a bill of materials.
    #[must_use]
    pub fn attached_tags(&self) -> [Tag; 3] {
        [".sig", ".att", ".sbom"].map(|ending| self.tag_with(ending))
    }

    /// A tag has at most 128 characters, and the longer digest alone has as many: it is cut, as the specification
    /// says.
    fn tag_with(&self, ending: &str) -> Tag {
        let mut text = format!("{}-{}", self.algorithm.name(), self.hex);
        text.truncate(Tag::LONGEST - ending.len());
        Tag::known(text + ending)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Algorithm, Digest, InvalidDigest};

    #[test]
    fn computes_what_everybody_computes() {
        assert_eq!(
            Digest::of(Algorithm::Sha256, b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Digest::of(Algorithm::Sha512, b"abc").to_string(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn refuses_what_cannot_be_verified() {
        let hex = "a".repeat(64);
        assert!(Digest::parse(&format!("sha256:{hex}")).is_ok());
        for text in [
            String::new(),
            "sha256:".to_owned(),
            hex.clone(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{hex}a"),
            format!("sha512:{hex}"),
            format!("md5:{}", "a".repeat(32)),
            format!("sha256:{}\u{e9}", "a".repeat(62)),
            format!(" sha256:{hex}"),
            format!("sha256:../{}", "a".repeat(61)),
        ] {
            assert_eq!(Digest::parse(&text), Err(InvalidDigest), "{text}");
        }
    }

    #[test]
    fn names_the_tags_of_what_refers_to_it() {
        let digest = Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
        assert_eq!(digest.fallback_tag().as_str(), format!("sha256-{}", "0".repeat(64)));
        assert_eq!(digest.attached_tags()[0].as_str(), format!("sha256-{}.sig", "0".repeat(64)));
        assert_eq!(digest.fallback_tag().subject(), Some(digest.clone()));
        assert_eq!(digest.attached_tags()[2].subject(), Some(digest));
        let long = Digest::of(Algorithm::Sha512, b"");
        assert_eq!(long.fallback_tag().as_str().len(), 128);
    }

    proptest! {
        #[test]
        fn reads_back_what_it_writes(bytes: Vec<u8>) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let digest = Digest::of(algorithm, &bytes);
                prop_assert_eq!(&Digest::parse(&digest.to_string()).unwrap(), &digest);
                let json = serde_json::to_string(&digest).unwrap();
                prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
            }
        }

        #[test]
        fn survives_any_text(text: String) {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }
    }
}
