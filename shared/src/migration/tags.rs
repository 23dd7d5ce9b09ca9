//! Whether a migrated repository still has the tags that it had before.

use serde::{Deserialize, Serialize};

use super::foreign::{keep, keep_first};

/// The longest name of a tag, in characters: the registry's own limit.
const MAX_TAG: usize = 128;

/// How many of the tags that are missing are named.
const NAMED: usize = 20;

/// How far the comparison of a repository's tags has come. None where there is none: the setting is off, or there is
/// nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagsCheck {
    /// They are to be listed before the final step is asked for.
    TagsDue,
    /// Their names are kept, to be compared after the end.
    TagsListed,
    /// Their number and a hash are kept: the names are too many.
    TagsCounted,
    /// All that were listed are there.
    TagsComplete,
    /// Some that were listed are not there.
    TagsMissing,
    /// Some were missing, or could not be compared, and an operator has accepted that.
    TagsAccepted,
    /// Nobody compared them: they could not be listed, before or after.
    TagsUnverified,
}

impl TagsCheck {
    /// Its name in the database and in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TagsDue => "tags_due",
            Self::TagsListed => "tags_listed",
            Self::TagsCounted => "tags_counted",
            Self::TagsComplete => "tags_complete",
            Self::TagsMissing => "tags_missing",
            Self::TagsAccepted => "tags_accepted",
            Self::TagsUnverified => "tags_unverified",
        }
    }

    /// Whether what was listed before is still to be compared, once the repository is done.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        match self {
            Self::TagsListed | Self::TagsCounted => true,
            Self::TagsDue
            | Self::TagsComplete
            | Self::TagsMissing
            | Self::TagsAccepted
            | Self::TagsUnverified => false,
        }
    }
}

/// What a transition does with the comparison of the tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TagsChange {
    /// Leaves it.
    Keep,
    /// The final step is about to be asked for: they are to be listed.
    Due,
    /// The import is done: what was listed is to be compared.
    Finish,
    /// There was nothing to import any more: what was listed, if anything, is to be compared.
    Settle,
    /// Forgets it.
    Clear,
}

impl TagsChange {
    /// What stands in the row after it; `verify` is the setting. The store's statements say the same.
    #[must_use]
    pub fn apply(self, check: Option<TagsCheck>, verify: bool) -> Option<TagsCheck> {
        let kept = check.filter(|check| check.is_kept());
        match self {
            Self::Keep => check,
            Self::Due => verify.then_some(TagsCheck::TagsDue),
            Self::Finish => kept.or(verify.then_some(TagsCheck::TagsUnverified)),
            Self::Settle => kept,
            Self::Clear => None,
        }
    }
}

/// The tags that were there before and are not there after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingTags {
    /// How many, at least.
    pub count: i64,
    /// The first of them, by name; none where only their number was kept.
    pub names: Vec<String>,
}

impl MissingTags {
    /// Those of `before` that are not in `after`. None: all are there.
    #[must_use]
    pub fn between<'a>(
        before: impl IntoIterator<Item = &'a String>,
        after: &std::collections::BTreeSet<String>,
    ) -> Option<Self> {
        let mut missing = before.into_iter().filter(|name| !after.contains(*name));
        let names: Vec<String> = missing.by_ref().take(NAMED).map(|name| keep_first(name, MAX_TAG)).collect();
        let count = i64::try_from(names.len() + missing.count()).unwrap_or(i64::MAX);
        (count > 0).then_some(Self { count, names })
    }

    /// The same where only numbers are known. None: nobody can tell.
    #[must_use]
    pub fn by_count(before: i64, after: i64) -> Option<Self> {
        (after < before).then(|| Self { count: before - after, names: vec![] })
    }

    /// In words, for the history.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { count, names } = self;
        let of = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        keep(&format!("{count} of the tags listed before the final step are not there{of}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{MissingTags, TagsChange, TagsCheck};

    const ALL: [TagsCheck; 7] = [
        TagsCheck::TagsDue,
        TagsCheck::TagsListed,
        TagsCheck::TagsCounted,
        TagsCheck::TagsComplete,
        TagsCheck::TagsMissing,
        TagsCheck::TagsAccepted,
        TagsCheck::TagsUnverified,
    ];

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_check_is_named_in_json_as_in_the_database() {
        for check in ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.name());
        }
    }

    #[test]
    fn compares_only_what_was_listed() {
        for check in ALL.into_iter().map(Some).chain([None]) {
            let kept = check.filter(|check| matches!(check, TagsCheck::TagsListed | TagsCheck::TagsCounted));
            for verify in [true, false] {
                let on = |check| if verify { Some(check) } else { None };
                for (change, after) in [
                    (TagsChange::Keep, check),
                    (TagsChange::Due, on(TagsCheck::TagsDue)),
                    (TagsChange::Finish, kept.or(on(TagsCheck::TagsUnverified))),
                    (TagsChange::Settle, kept),
                    (TagsChange::Clear, None),
                ] {
                    assert_eq!(change.apply(check, verify), after, "{change:?} {check:?} {verify}");
                }
            }
        }
    }

    #[test]
    fn names_the_first_of_the_tags_that_are_missing() {
        let many: Vec<String> = (0..30).map(|number| format!("v{number:02}")).collect();
        let before: BTreeSet<String> = many.iter().cloned().collect();
        let missing = MissingTags::between(&before, &set(&["v00", "new"])).unwrap();
        assert_eq!((missing.count, missing.names.len(), missing.names[0].as_str()), (29, 20, "v01"));
        assert!(missing.words().starts_with("29 of the tags"), "{}", missing.words());
        assert!(missing.words().chars().count() <= 255);
        // One that was pushed meanwhile is not missed.
        assert_eq!(MissingTags::between(&set(&["a"]), &set(&["a", "b"])), None);
        assert_eq!(MissingTags::between(&set(&[]), &set(&[])), None);
        let foreign = MissingTags::between(&set(&["a\0\n", &"x".repeat(200)]), &set(&[])).unwrap();
        assert_eq!(foreign.names, ["a\u{fffd}\n".to_owned(), "x".repeat(128)]);
    }

    #[test]
    fn counts_what_is_missing_where_names_are_not_kept() {
        assert_eq!(MissingTags::by_count(3, 1).map(|missing| missing.count), Some(2));
        for after in [3, 4] {
            assert_eq!(MissingTags::by_count(3, after), None);
        }
    }
}
