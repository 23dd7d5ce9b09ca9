use std::{fmt, str::FromStr};

use super::InvalidPath;

/// The longest path, so the longest beginning of one, in characters.
const MAX_LENGTH: usize = 255;

/// What the paths of some repositories begin with, in lower case: any part of a component, or nothing, which is
/// every path's beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PathPrefix {
    type Err = InvalidPath;

    /// Lower-cases `text` and checks that a path can be made of its characters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = text.to_ascii_lowercase();
        let of_paths = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "./_-".contains(c);
        if prefix.len() <= MAX_LENGTH && prefix.chars().all(of_paths) {
            Ok(Self(prefix))
        } else {
            Err(InvalidPath::Impossible)
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PathPrefix;

    #[test]
    fn takes_only_the_beginning_of_a_path_as_a_prefix() {
        for (text, prefix) in [("", ""), ("Group/", "group/"), ("group/pro", "group/pro"), ("a.", "a.")] {
            let read = text.parse::<PathPrefix>().unwrap();
            assert_eq!((read.as_str(), read.to_string().as_str()), (prefix, prefix));
        }
        assert!("a".repeat(255).parse::<PathPrefix>().is_ok());
        for text in ["a%", "a~", "a b", "grü", "a\0", &"a".repeat(256)] {
            assert!(text.parse::<PathPrefix>().is_err(), "{text:?}");
        }
    }
}
