use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use super::{Endpoints, ReplicaReads, Transactions, Writer};

mod sealed {
    pub trait Sealed {}
}

/// Why a statement is run. The purpose decides the endpoint: [`Purpose::Endpoint`] is the only type a store
/// for that purpose can be built with.
///
/// A store for notifications takes a writer:
///
/// ```
/// use shared::endpoint::{Notification, Purpose, Writer};
///
/// fn store<P: Purpose>(_endpoint: P::Endpoint) {}
/// fn wire(endpoint: Writer) {
///     store::<Notification>(endpoint);
/// }
/// ```
///
/// and with a reader in the same place it does not compile:
///
/// ```compile_fail,E0308
/// use shared::endpoint::{Notification, Purpose, Reader};
///
/// fn store<P: Purpose>(_endpoint: P::Endpoint) {}
/// fn wire(endpoint: Reader) {
///     store::<Notification>(endpoint);
/// }
/// ```
///
/// nor can what is shown be read on the writer by whoever likes to:
///
/// ```compile_fail,E0308
/// use shared::endpoint::{Purpose, ReadOnlyWriter, Status};
///
/// fn store<P: Purpose>(_endpoint: P::Endpoint) {}
/// fn wire(endpoint: ReadOnlyWriter) {
///     store::<Status>(endpoint);
/// }
/// ```
pub trait Purpose: sealed::Sealed + Send + Sync + 'static {
    /// Where statements for this purpose are sent.
    type Endpoint: Clone + Send + Sync + 'static;

    /// The same rule as data.
    const RULE: PurposeRule;
}

/// Which endpoint a purpose's statements are sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// The primary.
    Writer,
    /// A replica, which may lag; the writer where it cannot serve or may not ([`ReplicaReads`]).
    Reader,
    /// Both, on purpose: to compare them.
    Both,
}

/// How fresh the rows must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Everything committed before the statement started.
    Latest,
    /// The version the caller has already seen, if it names one; else whatever the reader has.
    MinVersion,
    /// Whatever the reader has.
    Any,
    /// Whatever the reader has, as a hint only: everything is decided again on the writer.
    Hint,
    /// Both are asked to be compared.
    Compared,
}

/// One line of the purpose table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurposeRule {
    /// The purpose's name, as its type is called.
    pub name: &'static str,
    /// The functions that run statements for this purpose.
    pub functions: &'static [&'static str],
    /// Where its statements are sent.
    pub endpoint: EndpointKind,
    /// How fresh the rows must be.
    pub consistency: Consistency,
}

/// What a store sends its statements through.
trait Handle {
    const KIND: EndpointKind;
}

impl Handle for Writer {
    const KIND: EndpointKind = EndpointKind::Writer;
}

impl Handle for Transactions {
    const KIND: EndpointKind = EndpointKind::Writer;
}

impl Handle for Arc<ReplicaReads> {
    const KIND: EndpointKind = EndpointKind::Reader;
}

impl Handle for Endpoints {
    const KIND: EndpointKind = EndpointKind::Both;
}

/// Each purpose gives its type and its row of [`PURPOSES`], so that the two cannot disagree.
macro_rules! purposes {
    ($($(#[$doc:meta])+ $name:ident {
        functions: $functions:tt,
        endpoint: $endpoint:ty,
        consistency: $consistency:ident,
    })+) => {
        $(
            $(#[$doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $name;

            impl sealed::Sealed for $name {}

            impl Purpose for $name {
                type Endpoint = $endpoint;

                const RULE: PurposeRule = PurposeRule {
                    name: stringify!($name),
                    functions: &$functions,
                    endpoint: <$endpoint as Handle>::KIND,
                    consistency: Consistency::$consistency,
                };
            }
        )+

        /// Every purpose and its rule, in the order of their definition.
        pub const PURPOSES: &[PurposeRule] = &[$($name::RULE),+];
    };
}

purposes! {
    /// Applying what the registry tells of an attempt.
    Notification {
        functions: ["registry-notification"],
        endpoint: Writer,
        consistency: Latest,
    }
    /// Beginning one repository's migration.
    Start {
        functions: ["start-migration"],
        endpoint: Writer,
        consistency: Latest,
    }
    /// An operator's other changes.
    Manage {
        functions: ["manage-migrations"],
        endpoint: Writer,
        consistency: Latest,
    }
    /// Filling free slots: the schedule, and the chain after a repository has ended.
    Claim {
        functions: ["enqueue-migrations", "registry-notification", "manage-migrations", "guard-migrations"],
        endpoint: Writer,
        consistency: Latest,
    }
    /// Deciding on what seems stuck, and on what a notification has cast doubt on.
    Guard {
        functions: ["guard-migrations", "registry-notification"],
        endpoint: Writer,
        consistency: Latest,
    }
    /// Showing one repository.
    Status {
        functions: ["migration-status"],
        endpoint: Arc<ReplicaReads>,
        consistency: MinVersion,
    }
    /// Showing many repositories.
    List {
        functions: ["migration-status"],
        endpoint: Arc<ReplicaReads>,
        consistency: Any,
    }
    /// Counting repositories by state.
    Summary {
        functions: ["migration-status"],
        endpoint: Arc<ReplicaReads>,
        consistency: Any,
    }
    /// Showing one repository's transitions.
    History {
        functions: ["migration-status"],
        endpoint: Arc<ReplicaReads>,
        consistency: MinVersion,
    }
    /// Looking for what seems stuck.
    StaleScan {
        functions: ["guard-migrations"],
        endpoint: Arc<ReplicaReads>,
        consistency: Hint,
    }
    /// Measuring the replica against the primary.
    Observe {
        functions: ["observe-migrations"],
        endpoint: Endpoints,
        consistency: Compared,
    }
    /// Answering the import protocol. No function does it yet.
    ImportProtocol {
        functions: [],
        endpoint: Writer,
        consistency: Latest,
    }
    /// Copying a repository from one registry to another. No function does it yet.
    CopyRepository {
        functions: [],
        endpoint: Writer,
        consistency: Latest,
    }
    /// Bringing the schema and the roles to what this version expects.
    Schema {
        functions: ["apply-schema"],
        endpoint: Transactions,
        consistency: Latest,
    }
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Both => "both",
        })
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latest => "latest",
            Self::MinVersion => "at least `min_version` if the caller names one, else any",
            Self::Any => "any",
            Self::Hint => "any: only a hint, decided again on the writer",
            Self::Compared => "compared",
        })
    }
}

/// [`PURPOSES`] as a Markdown table, as shared/README.md shows it.
#[must_use]
pub fn purposes_table() -> String {
    let mut table = String::from("| purpose | endpoint | how fresh |\n|---|---|---|\n");
    for PurposeRule { name, endpoint, consistency, .. } in PURPOSES {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {name} | {endpoint} | {consistency} |");
    }
    table
}
