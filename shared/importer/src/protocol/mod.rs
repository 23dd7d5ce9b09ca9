//! The import protocol, answered by the importer: what the driver asks of a registry that imports by itself.
//!
//! Whoever has an HTTP server gives [`Protocol::answer`] each request and sends what comes back, and lets
//! [`Protocol::attend`] run beside it, which copies what was started and tells the driver how it ended.

mod answer;
mod asked;
mod notices;
mod token;

use std::sync::Arc;

use oci::Name;
use serde_json::{Value, json};
use shared::{
    endpoint::EndpointError,
    migration::AttemptId,
    store::importer::{ImportCanceled, ImportStart, ImportStatus, ImportStep},
};
use tokio::sync::Notify;
use uuid::Uuid;

pub use answer::Answer;
pub use notices::Notifications;
pub use token::{TokenRule, Tokens, UnusableKey};

use crate::{
    decide::start_plan,
    importer::{Importer, database},
};
use answer::{error, started, status};
use asked::{Asked, asked};
use token::Scope;

/// A request, as the driver sends it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it stood in the request line.
    pub path: &'a str,
    /// Its query, without the question mark.
    pub query: &'a str,
    /// Its `Authorization`.
    pub authorization: Option<&'a str>,
    /// Its `X-Request-ID`.
    pub request_id: Option<&'a str>,
}

/// How a repository of the source is called at the target. None: it is not migrated.
pub type Naming = dyn Fn(&Name) -> Option<Name> + Send + Sync;

/// Answers the import protocol. Clones are one.
#[derive(Clone)]
pub struct Protocol {
    importer: Importer,
    tokens: Arc<Tokens>,
    notifications: Arc<Notifications>,
    naming: Arc<Naming>,
    started: Arc<Notify>,
}

/// In a plan: a repository that was never asked for, and that the source was not asked about either.
const UNSEEN: &str = "unseen";

impl Protocol {
    /// Answers for this importer: to whoever has a token that `tokens` takes, for the repositories that `naming` names.
    #[must_use]
    pub fn new(
        importer: Importer,
        tokens: Tokens,
        notifications: Notifications,
        naming: Arc<Naming>,
    ) -> Self {
        Self {
            importer,
            tokens: Arc::new(tokens),
            notifications: Arc::new(notifications),
            naming,
            started: Arc::default(),
        }
    }

    /// The answer to a request. What the database or a registry does not answer is a 500, and nothing is begun.
    pub async fn answer(&self, request: Request<'_>) -> Answer {
        let asked = asked(request.method, request.path, request.query);
        let scope = match &asked {
            Asked::Unknown => return Answer::empty(404),
            Asked::Probe | Asked::Start { .. } | Asked::Status { .. } | Asked::Cancel { .. } => Scope::Import,
            Asked::Catalogue { .. } => Scope::Catalogue,
            Asked::Tags { path } => Scope::Pull(path),
        };
        if !self.tokens.allow(request.authorization, scope) {
            return Answer::unauthorized();
        }
        let answer = match &asked {
            Asked::Probe => Ok(Answer::of(200, json!({}))),
            Asked::Start { path, step } => self.start(path, *step, request.request_id).await,
            Asked::Status { path } => self.status(path).await,
            Asked::Cancel { path, force } => self.cancel(path, *force).await,
            Asked::Catalogue { cursor } => Ok(self.catalogue(cursor.as_deref()).await),
            Asked::Tags { path } => self.tags(path).await,
            Asked::Unknown => Ok(Answer::empty(404)),
        };
        answer.unwrap_or_else(|failed| {
            tracing::warn!(error = %failed, "the import protocol cannot be answered");
            Answer::of(500, error("UNKNOWN", "unknown error", "the database does not answer"))
        })
    }

    async fn start(
        &self,
        path: &str,
        step: Option<ImportStep>,
        request_id: Option<&str>,
    ) -> Result<Answer, EndpointError> {
        let name = Name::parse(path).ok();
        let target = name.as_ref().and_then(|name| (self.naming)(name));
        let mut plan = step.map_or_else(|| json!({}), start_plan);
        let whole = plan["absent"].take();
        plan["absent"] = json!(UNSEEN);
        let own = Uuid::new_v4();
        let own_id = own.to_string();
        let start = ImportStart {
            source: path,
            target: target.as_ref().map_or("", Name::as_str),
            step,
            attempt: AttemptId::new(request_id.and_then(|id| Uuid::parse_str(id).ok()).unwrap_or(own)),
            change: Uuid::new_v4(),
            request_id: Some(request_id.filter(|id| id.len() <= 255).unwrap_or(&own_id)),
            settle_seconds: u32::try_from(self.importer.tuning.settle.as_secs()).unwrap_or(u32::MAX),
            plan: &plan,
        };
        let mut verdict = self.importer.protocol.start_import(&start, database()).await?;
        if verdict.verdict == UNSEEN {
            match self.is_at_source(name.as_ref().filter(|_| target.is_some())).await {
                Ok(true) => {
                    let plan: Value = json!({"absent": whole});
                    let start = ImportStart { plan: &plan, ..start };
                    verdict = self.importer.protocol.start_import(&start, database()).await?;
                }
                Ok(false) => verdict.verdict = "name_unknown".to_owned(),
                Err(failed) => {
                    tracing::warn!(error = %failed, "the source cannot be asked for a repository");
                    return Ok(Answer::of(
                        500,
                        error("UNKNOWN", "unknown error", "the source does not answer"),
                    ));
                }
            }
        }
        if verdict.started() {
            self.started.notify_one();
        }
        Ok(started(&verdict.verdict, path))
    }

    async fn is_at_source(&self, name: Option<&Name>) -> Result<bool, oci::Error> {
        let Some(name) = name else { return Ok(false) };
        match self.importer.source.tags_page(name, None, self.importer.patience()).await {
            Ok(page) => Ok(!page.items.is_empty() || page.next.is_some()),
            Err(error) if error.cause == oci::Cause::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn status(&self, path: &str) -> Result<Answer, EndpointError> {
        let import = self.importer.protocol.import(path, database()).await?;
        Ok(import.map_or_else(|| Answer::empty(404), |import| Answer::of(200, status(&import))))
    }

    async fn cancel(&self, path: &str, force: bool) -> Result<Answer, EndpointError> {
        Ok(match self.importer.protocol.cancel_import(path, force, database()).await? {
            ImportCanceled::Unknown => Answer::empty(404),
            ImportCanceled::Canceled => {
                self.started.notify_one();
                Answer::empty(202)
            }
            ImportCanceled::Ended { status } => {
                let detail = format!("repository path {path} previous migration status: {}", status.name());
                Answer::of(400, error("IMPORT_CANNOT_BE_CANCELED", "the import cannot be canceled", &detail))
            }
        })
    }

    /// The source's, those alone that are migrated.
    async fn catalogue(&self, cursor: Option<&str>) -> Answer {
        match self.importer.source.catalogue_page(cursor, self.importer.patience()).await {
            Ok(page) => {
                let named = page.items.iter().filter(|name| (self.naming)(name).is_some());
                let names: Vec<&str> = named.map(Name::as_str).collect();
                Answer { next: page.next, ..Answer::of(200, json!({"repositories": names})) }
            }
            Err(failed) => Answer::of_registry(&failed, "the catalogue"),
        }
    }

    /// The source's until the import is complete, then the target's.
    async fn tags(&self, path: &str) -> Result<Answer, EndpointError> {
        let import = self.importer.protocol.import(path, database()).await?;
        let complete = import.filter(|import| import.status == ImportStatus::ImportComplete);
        let (client, name) = match &complete {
            Some(import) => (&self.importer.target, &*import.target),
            None => (&self.importer.source, path),
        };
        let Ok(name) = Name::parse(name) else {
            return Ok(Answer::of(404, error("NAME_UNKNOWN", "repository name not known to registry", path)));
        };
        Ok(match client.tags(&name, self.importer.patience()).await {
            Ok(page) => {
                let tags: Vec<&str> = page.items.iter().map(oci::Tag::as_str).collect();
                Answer::of(200, json!({"name": path, "tags": tags}))
            }
            Err(failed) => Answer::of_registry(&failed, path),
        })
    }
}
