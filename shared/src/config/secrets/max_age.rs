use std::{num::ParseIntError, str::FromStr, time::Duration};

/// How long a secret that a caller shows is believed after it was read. The secret that was rotated away twice works
/// for this long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretMaxAge(Duration);

/// No time for which a secret may be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMaxAge {
    /// No number.
    #[error(transparent)]
    NoNumber(#[from] ParseIntError),
    /// Out of range.
    #[error("must be between 10 and 3600 seconds")]
    OutOfRange,
}

impl SecretMaxAge {
    /// The time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Default for SecretMaxAge {
    fn default() -> Self {
        Self(Duration::from_secs(300))
    }
}

impl FromStr for SecretMaxAge {
    type Err = InvalidMaxAge;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse()?;
        match seconds {
            10..=3600 => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(InvalidMaxAge::OutOfRange),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{InvalidMaxAge, SecretMaxAge};

    #[test]
    fn takes_from_ten_seconds_to_an_hour() {
        for (text, seconds) in [("10", 10), ("300", 300), ("3600", 3600)] {
            assert_eq!(text.parse::<SecretMaxAge>().unwrap().duration(), Duration::from_secs(seconds));
        }
        for text in ["0", "9", "3601"] {
            assert_eq!(text.parse::<SecretMaxAge>(), Err(InvalidMaxAge::OutOfRange), "{text}");
        }
        for text in ["-1", "5m", "1.5"] {
            assert!(matches!(text.parse::<SecretMaxAge>(), Err(InvalidMaxAge::NoNumber(_))), "{text}");
        }
        assert_eq!(SecretMaxAge::default().duration(), Duration::from_secs(300));
    }
}
