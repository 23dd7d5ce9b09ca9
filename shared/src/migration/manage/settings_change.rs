use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::migration::{
    RepositoryPath,
    foreign::{keep_first, read_name},
    whole,
};

/// The most slots there are.
const MAX_CAPACITY: i32 = 1000;
/// A week, in seconds: no step and no wait is longer.
const MAX_SECONDS: i32 = 7 * 24 * 3600;
const MAX_RETRIES: i32 = 1000;
const MAX_FAILURES: i32 = 1000;
/// An hour; the third retry then waits for sixty.
const MAX_RETRY_BACKOFF: i32 = 3600;
/// Marks are written each minute, and how old they are is kept for an hour.
const LAG_BOUNDS: RangeInclusive<i32> = 60..=3600;
const MAX_SECONDS_PER_TAG: f64 = 3600.0;
/// Less makes no difference, and far less is a number that the database does not have.
const MIN_SECONDS_PER_TAG: f64 = 0.001;
/// The longest list.
const MAX_NAMES: usize = 1000;
/// The most bytes of a list as JSON. The settings are read whole, together with a row: far below what one result of the
/// database may hold.
const MAX_LIST_BYTES: usize = 24_000;
/// When something can have been registered: 1970, and the end of the years that both sides can tell, rounded or not.
const TIMES: RangeInclusive<Timestamp> = Timestamp::UNIX_EPOCH..=Timestamp::constant(253_370_764_800, 0);

/// What an operator wants to change of the [`Settings`](super::super::Settings). What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// Only if the settings still are at this version.
    #[serde(default, deserialize_with = "whole", skip_serializing)]
    pub version: Option<i64>,
    /// The kill switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Off takes the reader out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_enabled: Option<bool>,
    /// From 60 to 3600, or 0: no bound.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub reader_lag_bound_seconds: Option<i32>,
    /// Off where the engine itself proves that nothing is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_tags: Option<bool>,
    /// 0 to 1000.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i32>,
    /// From 0.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub waiting_time_seconds: Option<i32>,
    /// From 0: no limit.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub max_tags_count: Option<i32>,
    /// From 1.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// From 1 to 1000, or 0: no circuit breaker.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub circuit_breaker_failures: Option<i32>,
    /// 0 to 3600.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub retry_backoff_seconds: Option<i32>,
    /// 0: never; at most a week.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub repeat_pre_import_after_seconds: Option<i32>,
    /// From 1.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub max_step_duration_seconds: Option<i32>,
    /// From 1.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub pre_import_timeout_seconds: Option<i32>,
    /// From 1.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub import_timeout_seconds: Option<i32>,
    /// 0, or from 0.001.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_import_seconds_per_tag: Option<f64>,
    /// From 1970 to 9999; `null` takes the limit away.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Option<Timestamp>>,
    /// Empty: every plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_plans: Option<Vec<String>>,
    /// Root namespaces, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_root_namespaces: Option<Vec<String>>,
}

/// A setting cannot have this value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidSetting {
    /// The setting.
    pub field: &'static str,
    /// What it may be.
    pub reason: String,
}

impl SettingsChange {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { version: self.version, ..Self::default() }
    }

    /// Checks every value, and writes names as they are compared: without spaces around them, namespaces in
    /// lower case, each once.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first that cannot be.
    pub fn checked(mut self) -> Result<Self, InvalidSetting> {
        if self.reader_lag_bound_seconds.is_some_and(|bound| bound != 0 && !LAG_BOUNDS.contains(&bound)) {
            let (least, most) = LAG_BOUNDS.into_inner();
            let reason = format!("must be between {least} and {most}, or 0 for no bound");
            return Err(InvalidSetting { field: "reader_lag_bound_seconds", reason });
        }
        within("capacity", self.capacity, 0, MAX_CAPACITY)?;
        within("waiting_time_seconds", self.waiting_time_seconds, 0, MAX_SECONDS)?;
        within("max_tags_count", self.max_tags_count, 0, i32::MAX)?;
        within("max_retries", self.max_retries, 1, MAX_RETRIES)?;
        within("circuit_breaker_failures", self.circuit_breaker_failures, 0, MAX_FAILURES)?;
        within("retry_backoff_seconds", self.retry_backoff_seconds, 0, MAX_RETRY_BACKOFF)?;
        within("repeat_pre_import_after_seconds", self.repeat_pre_import_after_seconds, 0, MAX_SECONDS)?;
        within("max_step_duration_seconds", self.max_step_duration_seconds, 1, MAX_SECONDS)?;
        within("pre_import_timeout_seconds", self.pre_import_timeout_seconds, 1, MAX_SECONDS)?;
        within("import_timeout_seconds", self.import_timeout_seconds, 1, MAX_SECONDS)?;
        let per_tag =
            |value: f64| value == 0.0 || (MIN_SECONDS_PER_TAG..=MAX_SECONDS_PER_TAG).contains(&value);
        if !self.pre_import_seconds_per_tag.is_none_or(per_tag) {
            let reason = format!("must be 0, or between {MIN_SECONDS_PER_TAG} and {MAX_SECONDS_PER_TAG}");
            return Err(InvalidSetting { field: "pre_import_seconds_per_tag", reason });
        }
        if self.created_before.flatten().is_some_and(|time| !TIMES.contains(&time)) {
            let reason = format!("must be null, or a time between {} and {}", TIMES.start(), TIMES.end());
            return Err(InvalidSetting { field: "created_before", reason });
        }
        let plan = |name: &str| Some(name.to_owned());
        names("target_plans", self.target_plans.as_mut(), plan, "a plan's name")?;
        let namespace = |name: &str| {
            let path = RepositoryPath::parse(name).ok()?;
            (path.root_namespace() == path.as_str()).then(|| path.as_str().to_owned())
        };
        names("denied_root_namespaces", self.denied_root_namespaces.as_mut(), namespace, "a root namespace")?;
        Ok(self)
    }
}

fn within(field: &'static str, value: Option<i32>, least: i32, most: i32) -> Result<(), InvalidSetting> {
    if value.is_none_or(|value| (least..=most).contains(&value)) {
        return Ok(());
    }
    Err(InvalidSetting { field, reason: format!("must be between {least} and {most}") })
}

fn names(
    field: &'static str,
    names: Option<&mut Vec<String>>,
    read: impl Fn(&str) -> Option<String>,
    expected: &str,
) -> Result<(), InvalidSetting> {
    let Some(names) = names else { return Ok(()) };
    if names.len() > MAX_NAMES {
        return Err(InvalidSetting { field, reason: format!("must have at most {MAX_NAMES} names") });
    }
    let mut read_names: Vec<String> = Vec::with_capacity(names.len());
    for name in names.iter() {
        let known = read_name(name).ok().and_then(|name| read(&name));
        let known = known.ok_or_else(|| InvalidSetting {
            field,
            reason: format!("{:?} is not {expected}", keep_first(name, 80)),
        })?;
        if !read_names.contains(&known) {
            read_names.push(known);
        }
    }
    *names = read_names;
    // As the database writes them: each in quotes and escaped, with what stands between two.
    let bytes: usize = names.iter().map(|name| serde_json::json!(name).to_string().len() + 2).sum();
    if bytes > MAX_LIST_BYTES {
        let reason = format!("must have at most {MAX_LIST_BYTES} bytes as JSON, and has {bytes}");
        return Err(InvalidSetting { field, reason });
    }
    Ok(())
}

/// Tells `null` from what is absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::SettingsChange;

    /// Every setting at its least and at its most.
    fn at_the_limits() -> Vec<Value> {
        let week = 604_800;
        vec![
            json!({
                "reader_lag_bound_seconds": 0, "capacity": 0, "waiting_time_seconds": 0, "max_tags_count": 0,
                "max_retries": 1, "repeat_pre_import_after_seconds": 0, "max_step_duration_seconds": 1, "pre_import_timeout_seconds": 1,
                "import_timeout_seconds": 1, "pre_import_seconds_per_tag": 0.001,
                "created_before": "1970-01-01T00:00:00Z", "target_plans": [], "denied_root_namespaces": [],
            }),
            json!({
                "reader_lag_bound_seconds": 3600, "capacity": 1000, "waiting_time_seconds": week,
                "max_tags_count": i32::MAX, "max_retries": 1000, "repeat_pre_import_after_seconds": week, "max_step_duration_seconds": week,
                "pre_import_timeout_seconds": week, "import_timeout_seconds": week,
                "pre_import_seconds_per_tag": 3600, "created_before": "9999-01-01T00:00:00Z",
                "target_plans": (0..47).map(|n| format!("{n:0>4}{}", "ü".repeat(251))).collect::<Vec<_>>(),
                "denied_root_namespaces": (0..500).map(|n| format!("{n:0>44}")).collect::<Vec<_>>(),
            }),
        ]
    }

    fn read(value: Value) -> Result<SettingsChange, String> {
        let change: SettingsChange = serde_json::from_value(value).map_err(|error| error.to_string())?;
        change.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn reads_every_whole_number_in_any_spelling() {
        for limits in at_the_limits() {
            let whole = limits.as_object().unwrap().iter().filter(|(_, value)| value.is_i64());
            let named = ["circuit_breaker_failures", "retry_backoff_seconds"].map(str::to_owned);
            for name in whole.map(|(name, _)| name.clone()).chain(named) {
                let text = format!(r#"{{"{name}": 60.0}}"#);
                let read: Result<SettingsChange, _> = serde_json::from_str(&text);
                assert!(read.is_ok(), "{text}: {read:?}");
            }
        }
    }

    #[test]
    fn what_is_absent_is_not_part_of_the_change_and_null_is_a_value() {
        for (given, stored) in [
            (json!({"capacity": 5, "version": 3}), json!({"capacity": 5})),
            (json!({"created_before": null}), json!({"created_before": null})),
            (
                json!({"created_before": "2026-01-01T00:00:00Z"}),
                json!({"created_before": "2026-01-01T00:00:00Z"}),
            ),
            (json!({"target_plans": []}), json!({"target_plans": []})),
            (json!({"verify_tags": false}), json!({"verify_tags": false})),
            (json!({"retry_backoff_seconds": 0}), json!({"retry_backoff_seconds": 0})),
            (json!({"retry_backoff_seconds": 3600}), json!({"retry_backoff_seconds": 3600})),
            (json!({"reader_lag_bound_seconds": 0}), json!({"reader_lag_bound_seconds": 0})),
            (json!({"reader_lag_bound_seconds": 60}), json!({"reader_lag_bound_seconds": 60})),
        ] {
            let change = read(given.clone()).unwrap();
            assert_eq!(serde_json::to_value(&change).unwrap(), stored);
            assert!(!change.is_empty(), "{given}");
        }
        assert!(read(json!({})).unwrap().is_empty());
        assert!(read(json!({"version": 3})).unwrap().is_empty());
    }

    #[test]
    fn a_setting_that_does_not_exist_is_refused_by_its_name() {
        assert!(read(json!({"capcity": 5})).unwrap_err().contains("`capcity`"));
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_by_its_setting() {
        for (field, value) in [
            ("reader_lag_bound_seconds", json!(-60)),
            ("reader_lag_bound_seconds", json!(59)),
            ("reader_lag_bound_seconds", json!(3601)),
            ("capacity", json!(-1)),
            ("capacity", json!(1001)),
            ("waiting_time_seconds", json!(-1)),
            ("max_tags_count", json!(-1)),
            ("max_retries", json!(0)),
            ("circuit_breaker_failures", json!(-1)),
            ("circuit_breaker_failures", json!(1001)),
            ("retry_backoff_seconds", json!(-1)),
            ("retry_backoff_seconds", json!(3601)),
            ("repeat_pre_import_after_seconds", json!(-1)),
            ("repeat_pre_import_after_seconds", json!(604_801)),
            ("max_step_duration_seconds", json!(0)),
            ("pre_import_timeout_seconds", json!(0)),
            ("import_timeout_seconds", json!(604_801)),
            ("pre_import_seconds_per_tag", json!(-0.5)),
            ("target_plans", json!(["free", " "])),
            ("target_plans", json!(["p".repeat(256)])),
            ("denied_root_namespaces", json!(["a/b"])),
            ("denied_root_namespaces", json!(["-"])),
            ("denied_root_namespaces", json!(["a\0"])),
            ("target_plans", json!(["go\0ld"])),
            ("target_plans", json!(vec!["x"; 1001])),
            // As many bytes as too long names have, in characters that JSON escapes.
            (
                "target_plans",
                json!((0..40).map(|n| format!("{n}{}", "\u{1}".repeat(100))).collect::<Vec<_>>()),
            ),
            ("denied_root_namespaces", json!((0..500).map(|n| format!("{n:0>46}")).collect::<Vec<_>>())),
            ("pre_import_seconds_per_tag", json!(1e-320)),
            ("pre_import_seconds_per_tag", json!(3600.5)),
            ("created_before", json!("0000-01-01T00:00:00Z")),
            ("created_before", json!("-000001-01-01T00:00:00Z")),
            ("created_before", json!("1969-12-31T23:59:59.999999999Z")),
            ("created_before", json!("9999-01-01T00:00:00.000000001Z")),
            ("created_before", json!("9999-12-30T22:00:00.999999999Z")),
        ] {
            let error = read(json!({field: value.clone()})).unwrap_err();
            assert!(error.starts_with(&format!("{field}: ")), "{field} {value}: {error}");
        }
        for (field, value) in
            [("capacity", json!("5")), ("enabled", json!(1)), ("created_before", json!("tomorrow"))]
        {
            assert!(read(json!({field: value})).is_err(), "{field}");
        }
    }

    #[test]
    fn what_stands_at_a_limit_can_be_set() {
        for change in at_the_limits() {
            assert_eq!(read(change.clone()).map(|_| ()), Ok(()), "{change}");
        }
        let most_names = json!({"target_plans": vec!["x"; 1000], "pre_import_seconds_per_tag": 0});
        assert_eq!(read(most_names).map(|_| ()), Ok(()));
        assert_eq!(read(json!({"capacity": 5.0})).unwrap().capacity, Some(5));
    }

    #[test]
    fn names_are_kept_as_they_are_compared() {
        let change =
            read(json!({"denied_root_namespaces": [" Secret", "secret", "b"], "target_plans": ["Free "]}))
                .unwrap();
        assert_eq!(change.denied_root_namespaces.unwrap(), ["secret", "b"]);
        assert_eq!(change.target_plans.unwrap(), ["Free"]);
    }
}
