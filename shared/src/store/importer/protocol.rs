use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, ImportProtocol, Statement},
    migration::AttemptId,
    store::Store,
};

const START: &str = include_str!("sql/start.sql");
const IMPORT: &str = include_str!("sql/import.sql");
const CANCEL: &str = include_str!("sql/cancel.sql");
const UNATTENDED: &str = include_str!("sql/unattended.sql");
const DUE_NOTICES: &str = include_str!("sql/due_notices.sql");
const KEEP_NOTICE: &str = include_str!("sql/keep_notice.sql");

/// One of the two imports of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStep {
    /// While the source is written to. No tag is written.
    Pre,
    /// What is new, then the tags and their proof.
    Final,
}

impl ImportStep {
    /// What the names of its statuses begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Pre => "pre_import",
            Self::Final => "import",
        }
    }
}

/// An import's status, as the import protocol names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the protocol's names say it")]
pub enum ImportStatus {
    PreImportInProgress,
    PreImportComplete,
    PreImportFailed,
    PreImportCanceled,
    ImportInProgress,
    ImportComplete,
    ImportFailed,
    ImportCanceled,
}

impl ImportStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::PreImportInProgress,
        Self::PreImportComplete,
        Self::PreImportFailed,
        Self::PreImportCanceled,
        Self::ImportInProgress,
        Self::ImportComplete,
        Self::ImportFailed,
        Self::ImportCanceled,
    ];

    /// The protocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreImportInProgress => "pre_import_in_progress",
            Self::PreImportComplete => "pre_import_complete",
            Self::PreImportFailed => "pre_import_failed",
            Self::PreImportCanceled => "pre_import_canceled",
            Self::ImportInProgress => "import_in_progress",
            Self::ImportComplete => "import_complete",
            Self::ImportFailed => "import_failed",
            Self::ImportCanceled => "import_canceled",
        }
    }

    /// The step that is in progress. None: it has ended.
    #[must_use]
    pub const fn in_progress(self) -> Option<ImportStep> {
        match self {
            Self::PreImportInProgress => Some(ImportStep::Pre),
            Self::ImportInProgress => Some(ImportStep::Final),
            _ => None,
        }
    }

    /// Whether somebody canceled it.
    #[must_use]
    pub const fn is_canceled(self) -> bool {
        matches!(self, Self::PreImportCanceled | Self::ImportCanceled)
    }
}

/// A row of `imports`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Import {
    /// The repository's name at the source.
    pub source: String,
    /// Its name at the target.
    pub target: String,
    /// How it stands.
    pub status: ImportStatus,
    /// The request that started it.
    pub attempt: Uuid,
    /// Whether a lease of this attempt ran out before it was given back.
    pub lease_lost: bool,
    /// Whether anything may have been written to the target.
    pub wrote: bool,
    /// How far it has come.
    #[serde(flatten)]
    pub progress: super::Progress,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// And what was said.
    pub error: Option<String>,
    /// How long ago it last moved.
    pub idle_seconds: u64,
}

/// An import whose end somebody is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Notice {
    /// The import.
    #[serde(flatten)]
    pub import: Import,
    /// Its version: a notice of an earlier one is none any more.
    pub version: i64,
    /// How whoever asked called the request.
    pub request_id: String,
    /// How often it was told, this time counted.
    pub notices: u32,
    /// How often that was refused.
    pub notices_refused: u32,
    /// How long ago it ended.
    pub age_seconds: u64,
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct ImportStart<'a> {
    /// The repository at the source.
    pub source: &'a str,
    /// Its name at the target.
    pub target: &'a str,
    /// Which step. None: the request named another, which is said where the order of the checks comes to it.
    pub step: Option<ImportStep>,
    /// The request's id.
    pub attempt: AttemptId,
    /// What recognises the statement when it is sent again.
    pub change: Uuid,
    /// How whoever asks calls the request; it is told the end under that. None: nobody is told.
    pub request_id: Option<&'a str>,
    /// How long after a canceled pre step another start is refused, in seconds.
    pub settle_seconds: u32,
    /// For each status, and for `absent`, the verdict: `start`, or the name of what is answered instead.
    pub plan: &'a Value,
}

/// What came of a start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StartVerdict {
    /// `start` (also for its repetition), `rate_limited`, `wrong_type`, `not_ready`, or what the plan says.
    pub verdict: String,
    /// How the import stood before.
    pub status: Option<ImportStatus>,
}

impl StartVerdict {
    /// Whether the step is started.
    #[must_use]
    pub fn started(&self) -> bool {
        matches!(self.verdict.as_str(), "start" | "repeat")
    }
}

/// What came of a cancelation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum ImportCanceled {
    /// It was never asked for.
    Unknown,
    /// It is canceled.
    Canceled,
    /// It had ended, and stays as it is.
    Ended {
        /// How it stands.
        status: ImportStatus,
    },
}

impl Store<ImportProtocol> {
    /// Starts a step where the plan allows it and a slot is free.
    ///
    /// May be repeated with the same `change` after an unknown outcome.
    pub async fn start_import(
        &self,
        start: &ImportStart<'_>,
        deadline: Instant,
    ) -> Result<StartVerdict, EndpointError> {
        loop {
            let statement = Statement::repeatable_write("start_import", START)
                .brief()
                .bind("source", start.source)
                .bind("target", start.target)
                .bind("type", start.step.map(ImportStep::prefix))
                .bind("attempt", start.attempt)
                .bind("change", start.change)
                .bind("request_id", start.request_id)
                .bind("settle_seconds", start.settle_seconds)
                .bind("plan", start.plan);
            let verdict: StartVerdict = one(self.endpoint.fetch(statement, deadline).await?, "start_import")?;
            // Another start came between the look and the change: the next look sees it.
            if verdict.verdict != "raced" || Instant::now() >= deadline {
                return Ok(verdict);
            }
        }
    }

    /// The import as it stands. None: it was never asked for.
    pub async fn import(&self, source: &str, deadline: Instant) -> Result<Option<Import>, EndpointError> {
        let statement = Statement::read("import", IMPORT).brief().bind("source", source);
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }

    /// Cancels what is in progress; with `force` takes back what has ended too. It is not sent again when nobody knows
    /// whether it ran.
    pub async fn cancel_import(
        &self,
        source: &str,
        force: bool,
        deadline: Instant,
    ) -> Result<ImportCanceled, EndpointError> {
        let statement =
            Statement::write_once("cancel_import", CANCEL).bind("source", source).bind("force", force);
        one(self.endpoint.fetch(statement, deadline).await?, "cancel_import")
    }

    /// Whom to tell how an import ended, at most 100. Who is given one has a minute.
    pub async fn due_notices(&self, deadline: Instant) -> Result<Vec<Notice>, EndpointError> {
        self.endpoint.fetch(Statement::repeatable_write("due_notices", DUE_NOTICES).brief(), deadline).await
    }

    /// Keeps what came of sending a notice: `again` is in how many seconds it is sent again; None: it is not.
    pub async fn keep_notice(
        &self,
        notice: &Notice,
        again: Option<u32>,
        refused: bool,
        deadline: Instant,
    ) -> Result<(), EndpointError> {
        let statement = Statement::repeatable_write("keep_notice", KEEP_NOTICE)
            .brief()
            .bind("source", &notice.import.source)
            .bind("version", notice.version)
            .bind("again_seconds", again)
            .bind("refused", refused);
        self.endpoint.fetch::<Value, _>(statement, deadline).await.map(drop)
    }

    /// The imports in progress that nobody works on, at most 1000.
    pub async fn unattended(&self, deadline: Instant) -> Result<Vec<String>, EndpointError> {
        self.endpoint.fetch(Statement::repeatable_write("unattended", UNATTENDED).brief(), deadline).await
    }
}

/// The one row of a statement that always gives one.
pub(super) fn one<T>(rows: Vec<T>, statement: &'static str) -> Result<T, EndpointError> {
    use crate::endpoint::{ErrorClass, Execution, Failure, Writer};
    rows.into_iter().next().ok_or_else(|| {
        let failure = Failure::new(Execution::Unknown, ErrorClass::Undecodable)
            .with_detail("the answer has no row".to_owned());
        EndpointError { endpoint: Writer::NAME, statement, attempts: 1, failure }
    })
}
