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

/// The text is not a repository's name, so no repository can have it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid repository path")]
pub struct InvalidPath;

impl RepositoryPath {
    /// Lower-cases `text` and checks it against the grammar.
    ///
    /// # Errors
    /// [`InvalidPath`] when no registry can hold a repository of that name.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.len() > MAX_LENGTH || !text.is_ascii() {
            return Err(InvalidPath);
        }
        let path = text.to_ascii_lowercase();
        if path.split('/').all(is_component) { Ok(Self(path)) } else { Err(InvalidPath) }
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
    use super::RepositoryPath;

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
    fn the_root_namespace_is_the_first_component() {
        assert_eq!(RepositoryPath::parse("a/b/c").unwrap().root_namespace(), "a");
        assert_eq!(RepositoryPath::parse("a").unwrap().root_namespace(), "a");
    }
}
