//! `/gitlab/v1/`: the import protocol.

use axum::response::Response;
use http::header::{HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde_json::json;

use super::answer::{self, Code, CutConnection};
use super::{App, Call};
use crate::engine::{NotCanceled, Started};
use crate::error_code::ErrorCode;
use crate::journal::Journal;
use crate::name::is_repository_name;
use crate::rules::{AnswerEffect, When};
use crate::status::{Operation, Step};
use crate::token::Challenge;

const BASE: &str = "/gitlab/v1/";

pub(super) async fn answer(app: &App, call: &Call, request_id: Option<&HeaderValue>) -> Response {
    let with_slash = if call.path.ends_with('/') { call.path.clone() } else { format!("{}/", call.path) };
    let Some(rest) = with_slash.strip_prefix(BASE) else { return answer::not_found() };
    let repository = match rest.strip_prefix("import/").map(|path| path.trim_end_matches('/')) {
        None if rest.is_empty() => None,
        Some(path) if is_repository_name(path) => Some(path),
        None | Some(_) => return answer::not_found(),
    };
    let operation = match (repository, call.method.as_str()) {
        (None, "GET" | "HEAD") => Operation::Probe,
        (Some(_), "PUT") => Operation::Start,
        (Some(_), "GET") => Operation::Status,
        (Some(_), "DELETE") => Operation::Cancel,
        (None, _) => return answer::method_not_allowed(&[Method::GET]),
        (Some(_), _) => return answer::method_not_allowed(&[Method::DELETE, Method::GET, Method::PUT]),
    };
    let step = call.parameter("import_type").as_deref().and_then(Step::parse);
    let entry =
        OpenEntry::new(&app.engine.desk.journal, operation, repository, step, call.header("x-request-id"));
    let request_id = request_id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let exchange = Exchange { app, call, operation, repository, request_id };
    let effect = app.engine.desk.rules.for_answer(operation, repository, step);
    let response = exchange.answer_under(effect).await;
    entry.close(&response);
    response
}

/// One call of the protocol that is being answered.
struct Exchange<'a> {
    app: &'a App,
    call: &'a Call,
    operation: Operation,
    repository: Option<&'a str>,
    request_id: &'a str,
}

impl Exchange<'_> {
    async fn answer_under(&self, effect: Option<AnswerEffect>) -> Response {
        let Some(effect) = effect else { return self.answer().await };
        let done = match effect.when() {
            When::Before => None,
            When::After => Some(self.answer().await),
        };
        match effect {
            AnswerEffect::Answer { status, code, detail, body, .. } => {
                self.substitute(status, code.as_deref(), detail, body)
            }
            AnswerEffect::Hang { time, .. } => {
                tokio::time::sleep(time).await;
                match done {
                    Some(response) => response,
                    None => self.answer().await,
                }
            }
            AnswerEffect::Cut { .. } => {
                let mut response = answer::empty(StatusCode::OK);
                response.extensions_mut().insert(CutConnection);
                response
            }
        }
    }

    fn substitute(
        &self,
        status: u16,
        code: Option<&str>,
        detail: Option<String>,
        body: Option<String>,
    ) -> Response {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(body) = body {
            let mut response = answer::empty(status);
            *response.body_mut() = body.into();
            return response;
        }
        match code {
            Some(code) => {
                let detail = detail.unwrap_or_else(|| self.usual_detail());
                answer::error_as(status, code, "answered on request of a test", &detail)
            }
            None => answer::empty(status),
        }
    }

    fn usual_detail(&self) -> String {
        format!("repository path {}", self.repository.unwrap_or_default())
    }

    async fn answer(&self) -> Response {
        if !self.call.path.ends_with('/') {
            return self.redirect();
        }
        let import = self.repository.is_some();
        if let Err(challenge) = self.app.registry.verifier.check(self.call.header("authorization"), import) {
            return self.challenge(challenge);
        }
        match (self.operation, self.repository) {
            (Operation::Start, Some(path)) => self.start(path).await,
            (Operation::Status, Some(path)) => match self.app.engine.report(path) {
                Some(report) => answer::json(StatusCode::OK, &report),
                None => answer::empty(StatusCode::NOT_FOUND),
            },
            (Operation::Cancel, Some(path)) => self.cancel(path),
            (Operation::Probe, _) | (_, None) => answer::empty(StatusCode::OK),
        }
    }

    async fn start(&self, path: &str) -> Response {
        let import_type = self.call.parameter("import_type").unwrap_or_default();
        match self.app.engine.start(path, &import_type, self.request_id) {
            Ok(Started::AlreadyThere) => answer::empty(StatusCode::OK),
            Ok(Started::Begun { mut notified, answer_after_notification }) => {
                if answer_after_notification {
                    // The import may end without having notified, when the registry stops: then nobody waits.
                    let _ = notified.wait_for(|notified| *notified).await;
                }
                answer::empty(StatusCode::ACCEPTED)
            }
            Err(code) => answer::error(code, &self.usual_detail()),
        }
    }

    fn cancel(&self, path: &str) -> Response {
        let force = self.call.parameter("force").is_some_and(|value| value == "true");
        match self.app.engine.cancel(path, force) {
            Ok(()) => answer::empty(StatusCode::ACCEPTED),
            Err(NotCanceled::Unknown) => answer::empty(StatusCode::NOT_FOUND),
            Err(NotCanceled::Refused { status }) => {
                let detail = format!("repository path {path} previous migration status: {status}");
                answer::error(ErrorCode::ImportCannotBeCanceled, &detail)
            }
            Err(NotCanceled::Broken) => answer::error(ErrorCode::Unknown, &self.usual_detail()),
        }
    }

    /// What the real router does without the trailing slash, for every method.
    fn redirect(&self) -> Response {
        let uri = &self.call.uri;
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut response = answer::empty(StatusCode::MOVED_PERMANENTLY);
        if let Ok(location) = HeaderValue::from_str(&format!("{}/{query}", uri.path())) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }

    fn challenge(&self, challenge: Challenge) -> Response {
        // The detail of this one error is the access that is missing: distribution's authorization comes before
        // the import handler, which speaks of the repository path.
        let access = match self.repository {
            Some(_) => json!([{"Type": "registry", "Class": "", "Name": "import", "Action": "*"}]),
            None => json!([]),
        };
        let mut response = answer::error(ErrorCode::Unauthorized, &access);
        let check = &self.app.registry.config.token;
        let scope = if self.repository.is_some() { ",scope=\"registry:import:*\"" } else { "" };
        let error = match challenge {
            Challenge::Missing => "",
            Challenge::InvalidToken => ",error=\"invalid_token\"",
            Challenge::InsufficientScope => ",error=\"insufficient_scope\"",
        };
        let value = format!("Bearer realm=\"{}\",service=\"{}\"{scope}{error}", check.issuer, check.audience);
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

/// The journal's entry for a call whose end is not known yet. A client that goes away takes the call with it: the
/// entry then ends without an answer.
struct OpenEntry<'a> {
    journal: &'a Journal,
    received: u64,
    open: bool,
}

impl<'a> OpenEntry<'a> {
    fn new(
        journal: &'a Journal,
        operation: Operation,
        path: Option<&str>,
        step: Option<Step>,
        request_id: Option<&str>,
    ) -> Self {
        let received = journal.received(operation, path, step, request_id);
        Self { journal, received, open: true }
    }

    fn close(mut self, response: &Response) {
        self.open = false;
        if response.extensions().get::<CutConnection>().is_some() {
            return self.journal.answered(self.received, None, None);
        }
        let code = response.extensions().get::<Code>().map(|code| code.0.clone());
        self.journal.answered(self.received, Some(response.status().as_u16()), code);
    }
}

impl Drop for OpenEntry<'_> {
    fn drop(&mut self) {
        if self.open {
            self.journal.answered(self.received, None, None);
        }
    }
}
