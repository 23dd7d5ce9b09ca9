//! Names of repositories and tags, by the grammar of the distribution specification.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The text is no name of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a repository's name")]
pub struct InvalidName;

/// The text is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tag")]
pub struct InvalidTag;

/// A repository's name, such as `group/image`: at most 255 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// [`InvalidName`] where the specification's grammar does not allow it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let is_name = text.len() <= 255 && text.split('/').all(is_component);
        if is_name { Ok(Self(text.into())) } else { Err(InvalidName) }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut separator = String::new();
    let mut began = false;
    for byte in text.bytes() {
        if is_alphanumeric(byte) {
            let is_allowed = separator.is_empty()
                || matches!(separator.as_str(), "." | "_" | "__")
                || separator.bytes().all(|byte| byte == b'-');
            if !is_allowed || (!began && !separator.is_empty()) {
                return false;
            }
            began = true;
            separator.clear();
        } else if matches!(byte, b'.' | b'_' | b'-') {
            separator.push(char::from(byte));
        } else {
            return false;
        }
    }
    began && separator.is_empty()
}

/// A tag: at most 128 letters, digits, dots, dashes and underscores, of which the first is no dot and no dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(Box<str>);

impl Tag {
    /// How many characters a tag may have.
    pub(crate) const LONGEST: usize = 128;

    /// Reads a tag.
    ///
    /// # Errors
    /// [`InvalidTag`] where the specification's grammar does not allow it.
    pub fn parse(text: &str) -> Result<Self, InvalidTag> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_tag = text.len() <= Self::LONGEST
            && text.bytes().next().is_some_and(is_word)
            && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
        if is_tag { Ok(Self(text.into())) } else { Err(InvalidTag) }
    }

    /// A tag that is made by us.
    pub(crate) fn known(text: String) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The manifest that this tag's one belongs to, where the tag says so: `sha256-<digits>`, and what follows it after
    /// a dot.
    #[must_use]
    pub fn subject(&self) -> Option<Digest> {
        let (digest, ending) = self.0.split_once('.').unwrap_or((&self.0, "ending"));
        let digest = Digest::parse(&digest.replacen('-', ":", 1)).ok()?;
        (!ending.is_empty()).then_some(digest)
    }
}

/// What a manifest is asked for by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// By a tag.
    Tag(Tag),
    /// By its digest.
    Digest(Digest),
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => fmt::Display::fmt(digest, f),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! is_text {
    ($type:ty, $error:ty) => {
        impl FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(text: $type) -> Self {
                text.0.into()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

is_text!(Name, InvalidName);
is_text!(Tag, InvalidTag);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Name, Tag};

    #[test]
    fn knows_a_repositorys_name() {
        for text in ["a", "0", "group/project/image", "a.b_c__d---e", "a/b-c"] {
            assert!(Name::parse(text).is_ok(), "{text}");
        }
        let longest = "a".repeat(255);
        assert!(Name::parse(&longest).is_ok());
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a.-b",
            "a___b",
            "_a",
            "a_",
            "-a",
            "a-",
            ".",
            "..",
            "a/../b",
            "a b",
            "a%2fb",
            "\u{e9}",
            &(longest + "a"),
        ] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_a_tag() {
        let longest = "a".repeat(128);
        for text in ["v1", "_", "V1.2-rc_3", "0", &longest] {
            assert!(Tag::parse(text).is_ok(), "{text}");
        }
        for text in ["", ".a", "-a", "a/b", "a:b", "a b", "\u{e9}", &format!("{longest}a")] {
            assert!(Tag::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tells_what_a_tag_belongs_to() {
        let digits = "1".repeat(64);
        let subject = |text: String| Tag::parse(&text).unwrap().subject().map(|digest| digest.to_string());
        assert_eq!(subject(format!("sha256-{digits}")), Some(format!("sha256:{digits}")));
        assert_eq!(subject(format!("sha256-{digits}.sig")), Some(format!("sha256:{digits}")));
        assert_eq!(subject(format!("sha256-{digits}.")), None);
        assert_eq!(subject(format!("sha256-{digits}1")), None);
        assert_eq!(subject("v1".to_owned()), None);
    }

    proptest! {
        #[test]
        fn never_takes_a_name_that_leaves_its_place(text in "[a-z./_%-]{0,12}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert!(!name.as_str().split('/').any(|part| part.is_empty() || part == "." || part == ".."));
                prop_assert!(!name.as_str().contains('%'));
            }
        }
    }
}
