use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{InvalidPath, RepositoryPath, foreign::read_name, whole};

/// The highest priority that a prefix can have.
const MAX_PRIORITY: i32 = 1000;

/// Which repositories a hold is about: the one with this path and those below it, by whole components. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct HoldPrefix(String);

impl HoldPrefix {
    /// Its text, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HoldPrefix {
    type Err = InvalidPath;

    /// Takes `text` as it is, but for one slash at its end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        RepositoryPath::exactly(text.strip_suffix('/').unwrap_or(text)).map(|path| Self(path.to_string()))
    }
}

impl<'de> Deserialize<'de> for HoldPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for HoldPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A time of day, to the minute: `22:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(Time);

impl FromStr for TimeOfDay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let two = |part: &str| digits(part).then(|| part.parse().ok()).flatten();
            Time::new(two(hour)?, two(minute)?, 0, 0).ok()
        };
        read(text).map(Self).ok_or("must be a time of day such as 22:00")
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// When final steps may begin, each day. It may end on the next one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From then on.
    pub from: TimeOfDay,
    /// Until then.
    pub until: TimeOfDay,
    /// The zone of both, by its name: `Europe/Berlin`. The database knows which there are.
    pub zone: String,
}

/// What an operator wants a prefix's hold to be. It replaces the one that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldChange {
    /// Whose final steps.
    pub prefix: HoldPrefix,
    /// They are held whatever the time is.
    #[serde(default)]
    pub until_released: bool,
    /// They are held outside of this.
    #[serde(default)]
    pub window: Option<Window>,
    /// From 1 to 1000: they, and all their starts, go before those of a lower priority.
    #[serde(default, deserialize_with = "whole")]
    pub priority: Option<i32>,
    /// Why, in words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A hold cannot be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidHold {
    /// Which part of it.
    pub field: &'static str,
    /// What it may be.
    pub reason: String,
}

impl HoldChange {
    /// Checks every value but the zone's name.
    ///
    /// # Errors
    /// [`InvalidHold`] for the first that cannot be.
    pub fn checked(mut self) -> Result<Self, InvalidHold> {
        let refuse = |field, reason: String| Err(InvalidHold { field, reason });
        if !self.until_released && self.window.is_none() && self.priority.is_none() {
            let reason = "must be true, or there must be a window or a priority: else nothing is held";
            return refuse("until_released", reason.to_owned());
        }
        if let Some(window) = &mut self.window {
            if window.from == window.until {
                return refuse("window", "must begin and end at different times".to_owned());
            }
            match read_name(&window.zone) {
                Ok(zone) => window.zone = zone,
                Err(error) => return refuse("window", format!("its zone's name {error}")),
            }
        }
        if self.priority.is_some_and(|priority| !(1..=MAX_PRIORITY).contains(&priority)) {
            return refuse("priority", format!("must be between 1 and {MAX_PRIORITY}"));
        }
        if let Some(reason) = &mut self.reason {
            match read_name(reason) {
                Ok(read) if !read.contains(char::is_control) => *reason = read,
                Ok(_) => return refuse("reason", "must be one line".to_owned()),
                Err(error) => return refuse("reason", error.to_string()),
            }
        }
        Ok(self)
    }
}

/// A hold as it stands, and what it does at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Whose final steps.
    pub prefix: HoldPrefix,
    /// They are held whatever the time is.
    pub until_released: bool,
    /// They are held outside of this.
    pub window: Option<Window>,
    /// They go before those of a lower priority.
    pub priority: Option<i32>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Who set it.
    pub operator: Option<String>,
    /// When it was set.
    pub changed_at: Timestamp,
    /// Whether it holds now.
    pub holding: bool,
    /// When its window opens or closes next. None: it has none, or is held whatever the time is.
    pub changes_at: Option<Timestamp>,
    /// How many repositories of the prefix wait for their final step without a slot, held or released.
    pub held: u64,
    /// How many of them its window had released when it closed last. None of them while it is open.
    pub left_over: u64,
}

/// The hold that holds one repository at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HoldNow {
    /// The hold's prefix.
    pub prefix: HoldPrefix,
    /// When its window opens. None: an operator must release it.
    pub opens_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{HoldChange, HoldPrefix};

    fn read(value: Value) -> Result<HoldChange, String> {
        let change: HoldChange = serde_json::from_value(value).map_err(|error| error.to_string())?;
        change.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn takes_whole_components_as_a_prefix() {
        for (text, prefix) in [("", ""), ("group/", "group"), ("group", "group"), ("a/b.c", "a/b.c")] {
            let read = text.parse::<HoldPrefix>().unwrap();
            assert_eq!((read.as_str(), read.to_string().as_str()), (prefix, prefix));
        }
        for text in ["/", "a//", "Group", "a b", "a%", "/a", "a/../b", "a\0"] {
            assert!(text.parse::<HoldPrefix>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn reads_a_hold_and_writes_it_the_same() {
        let window = json!({"from": "22:00", "until": "04:00", "zone": "Europe/Berlin"});
        for value in [
            json!({"prefix": "group", "until_released": true, "window": null, "priority": null, "reason": null}),
            json!({"prefix": "", "until_released": false, "window": window, "priority": 1000, "reason": "at night"}),
        ] {
            assert_eq!(serde_json::to_value(read(value.clone()).unwrap()).unwrap(), value);
        }
        assert_eq!(read(json!({"prefix": "a", "priority": 3.0})).unwrap().priority, Some(3));
    }

    #[test]
    fn refuses_a_hold_that_cannot_be() {
        let window = |from: &str, until: &str, zone: &str| json!({"prefix": "a", "window": {"from": from, "until": until, "zone": zone}});
        for (value, expected) in [
            (json!({"prefix": "a"}), "until_released: must be true, or"),
            (json!({"prefix": "a", "until_released": false}), "until_released: "),
            (json!({"prefix": "a", "priority": 0}), "priority: must be between 1 and 1000"),
            (json!({"prefix": "a", "priority": 1001}), "priority: "),
            (json!({"prefix": "a", "until_released": true, "reason": " "}), "reason: "),
            (json!({"prefix": "a", "until_released": true, "reason": "a\nb"}), "reason: must be one line"),
            (json!({"prefix": "A", "until_released": true}), "the path is not in lower case"),
            (json!({"until_released": true}), "missing field `prefix`"),
            (json!({"prefix": "a", "unitl": true}), "unknown field"),
            (window("22:00", "22:00", "UTC"), "window: must begin and end at different times"),
            (window("22:00", "04:00", ""), "window: its zone's name must have"),
            (window("24:00", "04:00", "UTC"), "must be a time of day such as 22:00"),
            (window("9:00", "04:00", "UTC"), "must be a time of day such as 22:00"),
            (window("+9:00", "04:00", "UTC"), "must be a time of day such as 22:00"),
            (window("22:60", "04:00", "UTC"), "must be a time of day such as 22:00"),
            (window("22:00:00", "04:00", "UTC"), "must be a time of day such as 22:00"),
        ] {
            let error = read(value.clone()).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
