use std::ops::RangeInclusive;

use serde::{Deserialize, Deserializer, Serialize};

use crate::migration::RepositoryPath;

/// The most slots there are.
const MAX_CAPACITY: i32 = 1000;
/// A week, in seconds: no step and no wait is longer.
const MAX_SECONDS: i32 = 7 * 24 * 3600;
const MAX_RETRIES: i32 = 1000;
/// Marks are written each minute, and how old they are is kept for an hour.
const LAG_BOUNDS: RangeInclusive<i32> = 60..=3600;
const MAX_SECONDS_PER_TAG: f64 = 3600.0;
/// The longest list, and the longest name in one.
const MAX_NAMES: usize = 1000;
const MAX_NAME_LENGTH: usize = 255;

/// What an operator wants to change of the [`Settings`](super::super::Settings). What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// Only if the settings still are at this version.
    #[serde(skip_serializing)]
    pub version: Option<i64>,
    /// The kill switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Off takes the reader out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_enabled: Option<bool>,
    /// From 60 to 3600, or 0: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_lag_bound_seconds: Option<i32>,
    /// 0 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i32>,
    /// From 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_time_seconds: Option<i32>,
    /// From 0: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tags_count: Option<i32>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_step_duration_seconds: Option<i32>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_import_timeout_seconds: Option<i32>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import_timeout_seconds: Option<i32>,
    /// From 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_import_seconds_per_tag: Option<f64>,
    /// `null` takes the limit away.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Option<jiff::Timestamp>>,
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
            let reason = format!("a number from {least} to {most} is expected, or 0 for no bound");
            return Err(InvalidSetting { field: "reader_lag_bound_seconds", reason });
        }
        within("capacity", self.capacity, 0, MAX_CAPACITY)?;
        within("waiting_time_seconds", self.waiting_time_seconds, 0, MAX_SECONDS)?;
        within("max_tags_count", self.max_tags_count, 0, i32::MAX)?;
        within("max_retries", self.max_retries, 1, MAX_RETRIES)?;
        within("max_step_duration_seconds", self.max_step_duration_seconds, 1, MAX_SECONDS)?;
        within("pre_import_timeout_seconds", self.pre_import_timeout_seconds, 1, MAX_SECONDS)?;
        within("import_timeout_seconds", self.import_timeout_seconds, 1, MAX_SECONDS)?;
        if self.pre_import_seconds_per_tag.is_some_and(|value| !(0.0..=MAX_SECONDS_PER_TAG).contains(&value))
        {
            let reason = format!("a number from 0 to {MAX_SECONDS_PER_TAG} is expected");
            return Err(InvalidSetting { field: "pre_import_seconds_per_tag", reason });
        }
        let plan = |name: &str| (name.len() <= MAX_NAME_LENGTH).then(|| name.to_owned());
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
    Err(InvalidSetting { field, reason: format!("a number from {least} to {most} is expected") })
}

fn names(
    field: &'static str,
    names: Option<&mut Vec<String>>,
    read: impl Fn(&str) -> Option<String>,
    expected: &str,
) -> Result<(), InvalidSetting> {
    let Some(names) = names else { return Ok(()) };
    if names.len() > MAX_NAMES {
        return Err(InvalidSetting { field, reason: format!("at most {MAX_NAMES} names are expected") });
    }
    let mut read_names: Vec<String> = Vec::with_capacity(names.len());
    for name in names.iter() {
        let known = Some(name.trim()).filter(|name| !name.is_empty() && !name.contains('\0')).and_then(&read);
        let known =
            known.ok_or_else(|| InvalidSetting { field, reason: format!("{name:?} is not {expected}") })?;
        if !read_names.contains(&known) {
            read_names.push(known);
        }
    }
    *names = read_names;
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

    fn read(value: Value) -> Result<SettingsChange, String> {
        let change: SettingsChange = serde_json::from_value(value).map_err(|error| error.to_string())?;
        change.checked().map_err(|error| error.to_string())
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
            ("max_step_duration_seconds", json!(0)),
            ("pre_import_timeout_seconds", json!(0)),
            ("import_timeout_seconds", json!(604_801)),
            ("pre_import_seconds_per_tag", json!(-0.5)),
            ("target_plans", json!(["free", " "])),
            ("target_plans", json!(["p".repeat(256)])),
            ("denied_root_namespaces", json!(["a/b"])),
            ("denied_root_namespaces", json!(["-"])),
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
    fn names_are_kept_as_they_are_compared() {
        let change =
            read(json!({"denied_root_namespaces": [" Secret", "secret", "b"], "target_plans": ["Free "]}))
                .unwrap();
        assert_eq!(change.denied_root_namespaces.unwrap(), ["secret", "b"]);
        assert_eq!(change.target_plans.unwrap(), ["Free"]);
    }
}
