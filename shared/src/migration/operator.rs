use std::{fmt, str::FromStr};

use serde::Serialize;

/// The most characters of a name.
const MAX_CHARACTERS: usize = 100;

/// Who acts, as they name themselves. It is kept with what they change, and permits nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Operator(String);

impl Operator {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not an operator's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {MAX_CHARACTERS} characters, and no control characters")]
pub struct InvalidOperator;

impl FromStr for Operator {
    type Err = InvalidOperator;

    /// Takes `text` without the blanks around it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim();
        let possible = !name.is_empty()
            && name.chars().nth(MAX_CHARACTERS).is_none()
            && !name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        if possible { Ok(Self(name.to_owned())) } else { Err(InvalidOperator) }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Operator;

    #[test]
    fn takes_a_bounded_name_without_control_characters() {
        let long = "ü".repeat(100);
        for (text, name) in
            [("jo", "jo"), (" Jo Müller <jo@example.com> ", "Jo Müller <jo@example.com>"), (&long, &long)]
        {
            let operator: Operator = text.parse().unwrap();
            assert_eq!((operator.as_str(), operator.to_string().as_str()), (name, name));
        }
        for text in ["", "  ", "a\nb", "a\0", "a\u{7f}b", "a\u{85}b", "a\u{2028}b", &"ü".repeat(101)] {
            assert!(text.parse::<Operator>().is_err(), "{text:?}");
        }
    }
}
