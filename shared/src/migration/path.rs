use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};

/// The longest repository name a registry accepts, in characters (all of them are ASCII).
const MAX_LENGTH: usize = 255;

/// A container repository's path, e.g. `group/project/image`: lower case, and valid by the name grammar of
/// the distribution specification (components of `[a-z0-9]+`, joined within by one `.`, one or two `_`, or
/// any number of `-`; components joined by `/`; 255 characters at most).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RepositoryPath(String);

/// Why a text is not a container repository's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// The grammar does not allow it.
    #[error("no container repository can have this path")]
    Impossible,
    /// It would be one in lower case. As it is, it names another repository, which the driver cannot keep.
    #[error("the path is not in lower case")]
    UpperCase,
}

impl RepositoryPath {
    /// Lower-cases `text` and checks it against the grammar: for addresses, whose case a client may have changed.
    ///
    /// # Errors
    /// [`InvalidPath::Impossible`] when no registry can hold a repository of that name.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.len() > MAX_LENGTH || !text.is_ascii() {
            return Err(InvalidPath::Impossible);
        }
        let path = text.to_ascii_lowercase();
        if path.split('/').all(is_component) { Ok(Self(path)) } else { Err(InvalidPath::Impossible) }
    }

    /// Takes `text` as it is: for names that the driver is to know. A name in upper case would silently become the
    /// name of another repository.
    ///
    /// # Errors
    /// [`InvalidPath`] when no registry can hold a repository of that name, or when it is not in lower case.
    pub fn exactly(text: &str) -> Result<Self, InvalidPath> {
        let path = Self::parse(text)?;
        if path.0 == text { Ok(path) } else { Err(InvalidPath::UpperCase) }
    }

    /// The path's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first component: the namespace that settings may deny.
    #[must_use]
    pub fn root_namespace(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = component.starts_with(alphanumeric) && component.ends_with(alphanumeric);
    ends && component
        .split(alphanumeric)
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.chars().all(|c| c == '-'))
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RepositoryPath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for RepositoryPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPath, RepositoryPath};

    #[test]
    fn names_of_the_distribution_grammar_are_accepted_in_lower_case() {
        for (text, path) in [
            ("group/project/image", "group/project/image"),
            ("Group/Project", "group/project"),
            ("a", "a"),
            ("a.b/c_d/e__f/g---h/0", "a.b/c_d/e__f/g---h/0"),
        ] {
            assert_eq!(RepositoryPath::parse(text).map(|p| p.as_str().to_owned()).as_deref(), Ok(path));
        }
        assert!(RepositoryPath::parse(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn names_that_no_registry_can_hold_are_refused() {
        for text in [
            "", "/", "a/", "/a", "a//b", "..", "a/../b", ".a", "a.", "a..b", "a___b", "a._b", "-a", "a b",
            "é", "a?b", "a%2fb", "a:b", "a\0b", "a\n",
        ] {
            assert!(RepositoryPath::parse(text).is_err(), "{text:?}");
        }
        assert!(RepositoryPath::parse(&"a".repeat(256)).is_err());
    }

    #[test]
    fn a_name_that_the_driver_is_to_know_is_taken_as_it_is() {
        assert_eq!(
            RepositoryPath::exactly("group/image").map(|path| path.to_string()),
            Ok("group/image".to_owned())
        );
        for (text, why) in [
            ("Group/image", InvalidPath::UpperCase),
            ("group/imagE", InvalidPath::UpperCase),
            ("Group//image", InvalidPath::Impossible),
            ("gr\u{dc}n", InvalidPath::Impossible),
            ("group/image ", InvalidPath::Impossible),
            ("group/image\0", InvalidPath::Impossible),
            ("\u{feff}group/image", InvalidPath::Impossible),
        ] {
            assert_eq!(RepositoryPath::exactly(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn the_root_namespace_is_the_first_component() {
        assert_eq!(RepositoryPath::parse("a/b/c").unwrap().root_namespace(), "a");
        assert_eq!(RepositoryPath::parse("a").unwrap().root_namespace(), "a");
    }
}
