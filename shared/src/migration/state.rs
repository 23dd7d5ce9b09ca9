use std::fmt;

use serde::{Deserialize, Serialize};

/// A stored or received word that is none of those its list knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind}: {text:?}")]
pub struct UnknownName {
    /// What the word should have been.
    pub kind: &'static str,
    /// The word.
    pub text: String,
}

/// Defines an enum whose variants have one name each, in the database, in JSON and in logs. By hand, since a crate's
/// derives would want their attributes, a constant and two functions at each of the enums to come to the same.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident, $kind:literal { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one of them, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in the database, in JSON and in logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Reads a name.
            ///
            /// # Errors
            /// [`UnknownName`](crate::migration::UnknownName) when it is none of them.
            pub fn parse(text: &str) -> Result<Self, $crate::migration::UnknownName> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::migration::UnknownName { kind: $kind, text: text.to_owned() }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::migration::UnknownName;
            fn try_from(text: String) -> Result<Self, Self::Error> { Self::parse(&text) }
        }

        impl From<$name> for &'static str {
            fn from(value: $name) -> Self { value.name() }
        }
    };
}
pub(crate) use named;

named! {
    /// Where a container repository stands in its migration. The names are the field's standard terms.
    State, "migration state" {
        /// Not begun.
        Default = "default",
        /// The registry copies everything while users still push.
        PreImporting = "pre_importing",
        /// The pre step is done and the final step not begun.
        PreImportDone = "pre_import_done",
        /// The registry does the short, read-only final step.
        Importing = "importing",
        /// Served by the new registry. Terminal.
        ImportDone = "import_done",
        /// Stopped; will be retried.
        ImportAborted = "import_aborted",
        /// Given up, for a [`SkipReason`]. Terminal unless an operator reopens it.
        ImportSkipped = "import_skipped",
    }
}

impl State {
    /// Whether a notification is accepted: the registry is at work.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::PreImporting | Self::Importing)
    }

    /// Whether the repository is between start and end, and so holds a slot unless it is held.
    #[must_use]
    pub const fn is_in_progress(self) -> bool {
        self.is_active() || matches!(self, Self::PreImportDone)
    }

    /// Whether the migration is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::ImportDone | Self::ImportSkipped)
    }
}

named! {
    /// One of the two imports of a repository. The names are the registry's `import_type`.
    Step, "step" {
        /// Copies everything while users still push.
        Pre = "pre",
        /// Short, read-only.
        Final = "final",
    }
}

impl Step {
    /// The state of a repository whose step is running.
    #[must_use]
    pub const fn running_state(self) -> State {
        match self {
            Self::Pre => State::PreImporting,
            Self::Final => State::Importing,
        }
    }
}

impl State {
    /// The step that runs in this state.
    #[must_use]
    pub const fn running_step(self) -> Option<Step> {
        match self {
            Self::PreImporting => Some(Step::Pre),
            Self::Importing => Some(Step::Final),
            Self::Default
            | Self::PreImportDone
            | Self::ImportAborted
            | Self::ImportDone
            | Self::ImportSkipped => None,
        }
    }
}

/// Why a repository was skipped. `NativeImport` and `NotFound` may also stand on an `import_done` row.
/// Stored as a number, and named in answers: the numbers are those of GitLab's `migration_skipped_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "StoredReason")]
#[repr(i16)]
pub enum SkipReason {
    /// The namespace's plan is not among the target plans.
    NotInPlan = 0,
    /// It failed as often as the settings allow.
    TooManyRetries = 1,
    /// More tags than the settings allow.
    TooManyTags = 2,
    /// Its root namespace is denied.
    RootNamespaceInDenyList = 3,
    /// The driver canceled it past its time.
    MigrationCanceled = 4,
    /// The old storage does not have it.
    NotFound = 5,
    /// The new storage already had it.
    NativeImport = 6,
    /// An operator canceled it by force.
    MigrationForcedCanceled = 7,
    /// The registry canceled it.
    MigrationCanceledByRegistry = 8,
}

impl SkipReason {
    /// Every reason, by number.
    pub const ALL: [Self; 9] = [
        Self::NotInPlan,
        Self::TooManyRetries,
        Self::TooManyTags,
        Self::RootNamespaceInDenyList,
        Self::MigrationCanceled,
        Self::NotFound,
        Self::NativeImport,
        Self::MigrationForcedCanceled,
        Self::MigrationCanceledByRegistry,
    ];

    /// The number in the database.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// The name in answers and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotInPlan => "not_in_plan",
            Self::TooManyRetries => "too_many_retries",
            Self::TooManyTags => "too_many_tags",
            Self::RootNamespaceInDenyList => "root_namespace_in_deny_list",
            Self::MigrationCanceled => "migration_canceled",
            Self::NotFound => "not_found",
            Self::NativeImport => "native_import",
            Self::MigrationForcedCanceled => "migration_forced_canceled",
            Self::MigrationCanceledByRegistry => "migration_canceled_by_registry",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`UnknownName`] when it is none of them.
    pub fn parse(text: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName { kind: "skip reason", text: text.to_owned() };
        Self::ALL.into_iter().find(|reason| reason.name() == text).ok_or_else(unknown)
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<SkipReason> for &'static str {
    fn from(reason: SkipReason) -> Self {
        reason.name()
    }
}

/// The two forms a reason is read in: the database's number, an answer's name.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredReason {
    Number(i16),
    Name(String),
}

impl TryFrom<StoredReason> for SkipReason {
    type Error = UnknownName;

    fn try_from(stored: StoredReason) -> Result<Self, Self::Error> {
        match stored {
            StoredReason::Number(number) => number.try_into(),
            StoredReason::Name(name) => Self::parse(&name),
        }
    }
}

impl TryFrom<i16> for SkipReason {
    type Error = UnknownName;

    fn try_from(number: i16) -> Result<Self, Self::Error> {
        let unknown = || UnknownName { kind: "skip reason", text: number.to_string() };
        Self::ALL.into_iter().find(|reason| reason.number() == number).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::SkipReason;

    #[test]
    fn reads_a_reason_by_its_number_and_by_its_name() {
        for reason in SkipReason::ALL {
            let (number, name) = (reason.number(), reason.name());
            assert_eq!(SkipReason::parse(name).unwrap(), reason);
            assert_eq!(serde_json::from_value::<SkipReason>(json!(number)).unwrap(), reason);
            assert_eq!(serde_json::from_value::<SkipReason>(json!(name)).unwrap(), reason);
            assert_eq!(serde_json::to_value(reason).unwrap(), json!(name));
            assert_eq!(<&str>::from(reason), name);
        }
        assert!(SkipReason::parse("no_reason").is_err());
        assert!(serde_json::from_value::<SkipReason>(json!(9)).is_err());
    }
}
