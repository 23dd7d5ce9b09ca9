//! Amounts as people write them. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A limit that may be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit<T> {
    /// At most so much.
    AtMost(T),
    /// As much as there is.
    None,
}

impl<T> Limit<T> {
    /// The amount, where there is a limit.
    pub fn amount(self) -> Option<T> {
        match self {
            Self::AtMost(amount) => Some(amount),
            Self::None => None,
        }
    }
}

/// An amount cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// Of bytes.
    #[error("{0:?} is no number of bytes per second: write 500kB, 20MB, 64MiB or none")]
    Bytes(String),
    /// Of requests.
    #[error("{0:?} is no number of requests per second: write 0.5, 20 or none")]
    Requests(String),
    /// Of requests of one action.
    #[error("{0:?} is no limit of an action: write put-manifest=10 or put-manifest=none. The actions are {actions}", actions = actions())]
    Action(String),
    /// Of requests that are left.
    #[error("{0:?} is no number of requests: write 20 or none")]
    Remaining(String),
}

/// Every action's name.
fn actions() -> String {
    oci::Action::ALL.map(oci::Action::name).join(", ")
}

/// Bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bandwidth(pub u64);

impl FromStr for Limit<Bandwidth> {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let invalid = || InvalidAmount::Bytes(text.to_owned());
        let plain = text.trim().trim_end_matches("/s").trim();
        if plain == "none" {
            return Ok(Self::None);
        }
        let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(plain.len());
        let (number, unit) = plain.split_at(end);
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "ki" | "kib" => 1024.0,
            "mi" | "mib" => 1024.0 * 1024.0,
            "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(invalid()),
        };
        let bytes = number.parse::<f64>().map_err(|_| invalid())? * unit;
        // Less would not carry a request; more than an exabyte is a slip of the pen.
        if !(1e3..1e18).contains(&bytes) {
            return Err(invalid());
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1e3 and 1e18")]
        Ok(Self::AtMost(Bandwidth(bytes as u64)))
    }
}

impl fmt::Display for Limit<Bandwidth> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bytes) => write!(f, "{}/s", indicatif::DecimalBytes(bytes.0)),
            Self::None => f.write_str("none"),
        }
    }
}

/// Requests a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Requests(pub f64);

impl FromStr for Limit<Requests> {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let plain = text.trim().trim_end_matches("/s").trim();
        if plain == "none" {
            return Ok(Self::None);
        }
        match plain.parse::<f64>() {
            Ok(number) if (0.01..=1e6).contains(&number) => Ok(Self::AtMost(Requests(number))),
            Ok(_) | Err(_) => Err(InvalidAmount::Requests(text.to_owned())),
        }
    }
}

impl fmt::Display for Limit<Requests> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(requests) => write!(f, "{}/s", requests.0),
            Self::None => f.write_str("none"),
        }
    }
}

/// How many requests must be left of those that a registry allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining(pub u64);

impl FromStr for Limit<Remaining> {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        match text.trim() {
            "none" => Ok(Self::None),
            text => match text.parse() {
                Ok(number) => Ok(Self::AtMost(Remaining(number))),
                Err(_) => Err(InvalidAmount::Remaining(text.to_owned())),
            },
        }
    }
}

/// One of the things that a registry is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Action(pub oci::Action);

impl From<Action> for String {
    fn from(action: Action) -> Self {
        action.0.name().to_owned()
    }
}

impl TryFrom<String> for Action {
    type Error = InvalidAmount;

    fn try_from(name: String) -> Result<Self, InvalidAmount> {
        oci::Action::named(&name).map(Self).ok_or(InvalidAmount::Action(name))
    }
}

/// The limit of one action: `put-manifest=10`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActionLimit {
    /// Which.
    pub action: Action,
    /// How often a second.
    pub limit: Limit<Requests>,
}

impl FromStr for ActionLimit {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let invalid = || InvalidAmount::Action(text.to_owned());
        let (name, limit) = text.split_once('=').ok_or_else(invalid)?;
        let action = Action::try_from(name.trim().to_owned()).map_err(|_| invalid())?;
        Ok(Self { action, limit: limit.parse().map_err(|_| invalid())? })
    }
}

#[cfg(test)]
mod tests {
    use super::{ActionLimit, Bandwidth, Limit, Remaining, Requests};

    #[test]
    fn reads_bandwidths_in_every_unit() {
        for (text, bytes) in [
            ("500kB", 500_000),
            ("20MB", 20_000_000),
            ("20 MB/s", 20_000_000),
            ("1.5g", 1_500_000_000),
            ("64MiB", 67_108_864),
            ("1Ki", 1024),
            ("4096", 4096),
        ] {
            assert_eq!(text.parse(), Ok(Limit::AtMost(Bandwidth(bytes))), "{text}");
        }
        assert_eq!("none".parse(), Ok(Limit::<Bandwidth>::None));
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", "0", "-1", "MB", "10 apples", "1e3", "nan", "999", "inf", "1.2.3MB", "10Mbit"] {
            assert!(text.parse::<Limit<Bandwidth>>().is_err(), "{text}");
        }
        for text in ["", "0", "-1", "nan", "inf", "many", "0.001"] {
            assert!(text.parse::<Limit<Requests>>().is_err(), "{text}");
        }
        assert_eq!("0.5".parse(), Ok(Limit::AtMost(Requests(0.5))));
        assert_eq!("none".parse(), Ok(Limit::<Requests>::None));
        for text in ["", "put-manifest", "PUT=10", "put-manifest=", "put-manifest=fast", "=10"] {
            let refused = text.parse::<ActionLimit>().unwrap_err().to_string();
            assert!(refused.contains("get-blob, "), "{refused}");
        }
        let limit = "put-manifest=none".parse::<ActionLimit>().unwrap();
        assert_eq!((limit.action.0, limit.limit), (oci::Action::PutManifest, Limit::None));
        assert!("some".parse::<Limit<Remaining>>().is_err() && "-1".parse::<Limit<Remaining>>().is_err());
    }
}
