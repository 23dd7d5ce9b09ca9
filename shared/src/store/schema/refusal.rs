use std::fmt;

use crate::endpoint::{Execution, Failure};

/// The schema is not as it should be. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A step failed.
    #[error("{step}: {}{failure}", hint(*step, failure))]
    Failed {
        /// Which.
        step: Step,
        /// What is known about it.
        failure: Box<Failure>,
    },
    /// A script is not what it was when it was applied.
    #[error(
        "the script {name} is not the one that was applied to this database: its name or checksum differs"
    )]
    Changed {
        /// The script.
        name: &'static str,
    },
    /// The database was left by a newer version.
    #[error(
        "the database is newer than this version: it has {name}, this version knows scripts up to {newest}"
    )]
    Newer {
        /// The first script that is not known here.
        name: String,
        /// The newest that is.
        newest: &'static str,
    },
    /// A later script was applied and this one was not.
    #[error("the database has later scripts without number {number}")]
    Gap {
        /// The script's number.
        number: u16,
    },
    /// The cluster works for another stack.
    #[error(
        "the cluster belongs to the stack {stack}, whose passwords its roles have. Nothing was changed. If that stack \
         is gone, or shall lose the cluster, deploy with TakeOverDatabaseFrom={stack}"
    )]
    Owned {
        /// The stack's id.
        stack: String,
    },
    /// The database cannot hold what is written to it.
    #[error(
        "the database's encoding is {found}, UTF8 is needed: make a database with ENCODING 'UTF8' TEMPLATE template0, \
         and deploy with its DatabaseName"
    )]
    Encoding {
        /// What it has.
        found: String,
    },
    /// What the first cluster keeps for its replica was dropped: some of it has not been copied and never will be.
    #[error(
        "the second cluster subscribes to a replication slot that is gone: DROP SUBSCRIPTION registry_migrations \
         there, empty its tables, and deploy again"
    )]
    SlotGone,
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Beginning a transaction.
    Begin,
    /// Waiting for another run.
    Lock,
    /// Looking whose the cluster is.
    Owner,
    /// Looking at the database's encoding.
    Encoding,
    /// Creating the roles or setting their passwords.
    Roles,
    /// Letting the role of a second cluster replicate.
    ReplicationRole,
    /// Letting a role log in by IAM tokens.
    IamRole,
    /// Publishing the tables to a second cluster.
    Publication,
    /// Having the log kept for a second cluster.
    Slot,
    /// Subscribing a second cluster.
    Subscription,
    /// Telling a second cluster which tables are published.
    Refresh,
    /// Reading or writing which scripts were applied.
    History,
    /// Running a script.
    Script {
        /// Its name.
        name: &'static str,
        /// Which of its statements, counted from 1.
        statement: usize,
        /// How many it has.
        of: usize,
    },
    /// Committing.
    Commit,
}

impl SchemaError {
    pub(super) fn failed(step: Step, failure: Failure) -> Self {
        Self::Failed { step, failure: Box::new(failure) }
    }

    /// Whether somebody else held a lock for longer than is waited for.
    pub(super) fn is_of_a_lock(&self) -> bool {
        matches!(self, Self::Failed { failure, .. }
            if failure.sql_state.is_some_and(|state| state.as_str() == "55P03"))
    }

    /// Whether another attempt may find it gone. A commit of which nobody knows is looked at again in any case.
    pub(super) fn may_pass(&self, waited: Waited) -> bool {
        match self {
            Self::Failed { step: Step::Commit, failure } if failure.outcome == Execution::Unknown => true,
            Self::Failed { failure, .. } => match failure.code.as_deref().unwrap_or_default() {
                // Elsewhere a secret that the Data API could not read is waited for. Here most likely nobody has made
                // it, or it holds something else: whoever deploys hears of it at once, and the platform invokes again.
                "SecretsErrorException" => false,
                // It takes seconds until everybody has heard of a new permission, or of a new cluster.
                "AccessDeniedException" => waited.is_short,
                "HttpEndpointNotEnabledException" => waited.is_short && waited.for_what_is_new,
                _ => failure.class.is_unavailable(),
            },
            Self::Changed { .. }
            | Self::Newer { .. }
            | Self::Gap { .. }
            | Self::Owned { .. }
            | Self::Encoding { .. }
            | Self::SlotGone => false,
        }
    }
}

/// What was waited for until now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waited {
    /// Less than it may take until everybody has heard of what is new.
    pub(super) is_short: bool,
    /// The cluster may have been made just now.
    pub(super) for_what_is_new: bool,
}

/// What the failures that somebody can do something about mean here.
fn hint(step: Step, failure: &Failure) -> &'static str {
    let state = failure.sql_state.as_ref().map_or("", |state| state.as_str());
    match (state, failure.code.as_deref().unwrap_or_default()) {
        ("42704", _) if step == Step::IamRole => "the cluster knows no IAM authentication; ",
        ("55000", _) if step == Step::Slot => {
            "rds.logical_replication is not 1 in the parameter group of the first cluster; "
        }
        ("3D000", _) => "there is no such database; ",
        (state, _) if state.starts_with("28") => {
            "the user or the password of the owner's secret is refused; "
        }
        ("42501", _) => "the role of the owner's secret may not do this; ",
        ("55P03", _) => "somebody else holds a lock; ",
        (_, "HttpEndpointNotEnabledException" | "DatabaseNotFoundException") => {
            "there is no such cluster, or its Data API (HTTP endpoint) is not enabled; "
        }
        (_, "AccessDeniedException" | "ForbiddenException") => "the function's role may not do this; ",
        (_, "SecretsErrorException" | "InvalidSecretException") => {
            "the Data API cannot use the owner's secret: it does not exist, cannot be read, or holds no JSON with a \
             username and a password; "
        }
        _ => "",
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin => f.write_str("beginning a transaction"),
            Self::Lock => f.write_str("waiting for another run"),
            Self::Owner => f.write_str("looking which stack the cluster belongs to"),
            Self::Encoding => f.write_str("looking at the database's encoding"),
            Self::Roles => f.write_str("creating the roles"),
            Self::ReplicationRole => f.write_str("letting migration_replication replicate"),
            Self::IamRole => f.write_str("letting the role read by IAM tokens"),
            Self::Publication => f.write_str("publishing the tables"),
            Self::Slot => f.write_str("creating the replication slot for the second cluster"),
            Self::Subscription => f.write_str("subscribing to the first cluster"),
            Self::Refresh => f.write_str("asking the first cluster which tables it publishes"),
            Self::History => f.write_str("looking at what was applied"),
            Self::Script { name, statement, of } => write!(f, "script {name}, statement {statement} of {of}"),
            Self::Commit => f.write_str("committing"),
        }
    }
}
