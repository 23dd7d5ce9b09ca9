//! Answering one request: the faults first, then who may, then what.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use serde_json::json;

use super::access::Tokens;
use super::answer::{self, API_VERSION, CONTENT_DIGEST, Code, Said, Writer, set};
use super::config::{DistributionConfig, Settings};
use super::control;
use super::faults::{FaultEffect, FaultId, Faults, HoldPoint, Released, Subject};
use super::route::{Call, Target};
use super::shape::{Pieces, Shape, Stop};
use super::store::Store;
use super::traffic::{Kind, Ticket, Traffic};
use crate::http::CutConnection;
use crate::lock::lock;
use crate::rules::When;
use crate::server::Answer;
use crate::storage::StorageError;

/// What answers requests: of the registry's own address and of the files'.
#[derive(Debug)]
pub(super) struct Site {
    pub config: DistributionConfig,
    pub settings: Mutex<Settings>,
    pub store: Store,
    pub faults: Arc<Faults>,
    pub traffic: Arc<Traffic>,
    pub tokens: Tokens,
    pub files_url: String,
    /// What Locations and signatures are sealed with.
    pub secret: String,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Its body was cut off.
    Cut,
    Storage(StorageError),
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Which of the two addresses a request came to.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub site: Arc<Site>,
    pub files: bool,
}

impl Answer for Door {
    async fn answer(self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let call = Call::new(parts.method, &parts.uri, parts.headers);
        if !self.files && call.path.starts_with("/-/") {
            return control::answer(&self.site, &call, body).await;
        }
        let mut call = call;
        if self.files != matches!(call.target, Target::File(_)) {
            call.target = Target::Nothing;
        }
        self.site.answer(call, body).await
    }
}

/// The faults that meet a request, sorted by when they act.
#[derive(Default)]
struct Met {
    effects: Vec<(FaultId, FaultEffect)>,
}

impl Met {
    fn delay(&self) -> u64 {
        let each = self.effects.iter().map(|(_, effect)| match effect {
            FaultEffect::Delay { milliseconds } => *milliseconds,
            _ => 0,
        });
        each.sum()
    }

    fn holds(&self, wanted: HoldPoint) -> impl Iterator<Item = FaultId> {
        let held = move |(id, effect): &(FaultId, FaultEffect)| match effect {
            FaultEffect::Hold { at } if *at == wanted => Some(*id),
            _ => None,
        };
        self.effects.iter().filter_map(held)
    }

    fn cuts(&self, wanted: When) -> bool {
        self.effects.iter().any(|(_, effect)| *effect == FaultEffect::Cut { when: wanted })
    }

    fn answer(&self, wanted: When, writer: Writer) -> Option<Response> {
        self.effects.iter().find_map(|(_, effect)| match effect {
            FaultEffect::Answer { status, code, headers, when } if *when == wanted => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = match code {
                    Some(code) => {
                        let error = json!({"code": code, "message": "answered on request of a test"});
                        writer.json(status, &json!({"errors": [error]}))
                    }
                    None => answer::empty(status),
                };
                for (name, value) in headers {
                    if let Ok(name) = HeaderName::try_from(name.as_str()) {
                        set(response.headers_mut(), name, value);
                    }
                }
                Some(response)
            }
            FaultEffect::Redirect { to } if wanted == When::Before => {
                Some(answer::redirect(StatusCode::TEMPORARY_REDIRECT, to))
            }
            _ => None,
        })
    }

    fn ignores_range(&self) -> bool {
        self.effects.iter().any(|(_, effect)| *effect == FaultEffect::IgnoreRange)
    }

    /// What happens to the request's body.
    fn incoming(&self, faults: &Arc<Faults>, has_body: bool) -> Shape {
        let mut shape = Shape::new(faults);
        for (id, effect) in &self.effects {
            match effect {
                FaultEffect::CutRequest { after } => shape.stops.push((*after, Stop::Cut)),
                FaultEffect::Hold { at: HoldPoint::Body(at) } if has_body => {
                    shape.stops.push((*at, Stop::Hold(*id)));
                }
                _ => {}
            }
        }
        shape
    }

    /// What happens to the answer's body.
    fn outgoing(&self, faults: &Arc<Faults>, has_body: bool) -> Shape {
        let mut shape = Shape::new(faults);
        for (id, effect) in &self.effects {
            match effect {
                FaultEffect::CutAnswer { after } => shape.stops.push((*after, Stop::Cut)),
                FaultEffect::Shorten { to } => shape.stops.push((*to, Stop::End)),
                FaultEffect::FlipByte { at } => shape.flip = Some(*at),
                FaultEffect::Hold { at: HoldPoint::Body(at) } if !has_body => {
                    shape.stops.push((*at, Stop::Hold(*id)));
                }
                _ => {}
            }
        }
        shape
    }

    /// What happens to the head of an answer.
    fn dress(&self, call: &Call, response: &mut Response) {
        for (_, effect) in &self.effects {
            match effect {
                FaultEffect::Header { name, value } => {
                    let Ok(name) = HeaderName::try_from(name.as_str()) else { continue };
                    match value {
                        Some(value) => set(response.headers_mut(), name, value),
                        None => {
                            response.headers_mut().remove(name);
                        }
                    }
                }
                FaultEffect::Shorten { to } => {
                    let headers = response.headers_mut();
                    let now = headers
                        .get(CONTENT_LENGTH)
                        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(now.map_or(*to, |now| now.min(*to))));
                }
                FaultEffect::Pretend { size }
                    if call.method == Method::HEAD && response.status() == StatusCode::NOT_FOUND =>
                {
                    *response = answer::empty(StatusCode::OK);
                    let headers = response.headers_mut();
                    headers.insert(CONTENT_LENGTH, HeaderValue::from(*size));
                    if call.kind() == Kind::Manifest {
                        set(headers, CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json");
                    }
                    if let Some(digest) = call.reference().filter(|reference| reference.contains(':')) {
                        set(headers, CONTENT_DIGEST, &digest);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Site {
    pub(super) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    pub(super) fn writer(&self) -> Writer {
        Writer(self.config.personality)
    }

    /// What a client calls this registry: Locations name it so.
    pub(super) fn host(&self, call: &Call) -> String {
        call.header("host").unwrap_or_default().to_owned()
    }

    async fn answer(&self, mut call: Call, body: Body) -> Response {
        let ticket = self.traffic.begin(call.record(&self.config.name));
        let reference = call.reference();
        let met = Met {
            effects: self.faults.take(Subject {
                method: call.method.as_str(),
                kind: call.kind(),
                repository: call.repository(),
                reference: reference.as_deref(),
            }),
        };
        let delay = self.settings().delay_milliseconds + met.delay();
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        for id in met.holds(HoldPoint::Before) {
            if self.faults.released(id).await == Released::Cut {
                return cut();
            }
        }
        if met.ignores_range() {
            call.headers.remove("range");
        }
        let has_body = call.header("content-length").is_some_and(|length| length != "0")
            || call.header("transfer-encoding").is_some();
        let counted = ticket.clone();
        let tell = move |bytes: usize| counted.note(|record| record.received += bytes as u64);
        let body = met.incoming(&self.faults, has_body).apply(body, tell);
        let mut response = match self.decide(&call, body, &met, &ticket).await {
            Ok(response) => response,
            Err(Failure::Cut) => return cut(),
            Err(Failure::Storage(error)) => {
                tracing::error!(%error, "the storage failed");
                self.writer().error(Code::Unknown, error.to_string())
            }
        };
        for id in met.holds(HoldPoint::After) {
            if self.faults.released(id).await == Released::Cut {
                return cut();
            }
        }
        if met.cuts(When::After) {
            return cut();
        }
        if let Some(other) = met.answer(When::After, self.writer()) {
            response = other;
        }
        if call.path.starts_with("/v2") {
            response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        }
        met.dress(&call, &mut response);
        self.send(&call, response, met.outgoing(&self.faults, has_body), ticket)
    }

    async fn decide(
        &self,
        call: &Call,
        body: Pieces,
        met: &Met,
        ticket: &Ticket,
    ) -> Result<Response, Failure> {
        if met.cuts(When::Before) {
            return Err(Failure::Cut);
        }
        let early = met
            .answer(When::Before, self.writer())
            .or_else(|| self.tokens.refusal(&self.config.access, call, &self.host(call), self.writer()));
        let outside = matches!(call.target, Target::Token | Target::File(_) | Target::Root | Target::Nothing);
        match early {
            Some(early) if !outside || met.answer(When::Before, self.writer()).is_some() => {
                // The rest of the request is read, so that the client reads the answer.
                drain(body).await?;
                Ok(early)
            }
            _ => self.route(call, body, ticket).await,
        }
    }

    async fn route(&self, call: &Call, body: Pieces, ticket: &Ticket) -> Result<Response, Failure> {
        let method = call.method.as_str();
        Ok(match (&call.target, method) {
            (Target::Root, _) => answer::empty(StatusCode::OK),
            (Target::Nothing, _) => answer::not_found(),
            (Target::NoSlash, _) => {
                let (to, moved) = (format!("{}/", call.path), StatusCode::MOVED_PERMANENTLY);
                if !call.reads() {
                    return Ok(answer::redirect(moved, &to));
                }
                let text = format!(
                    "<a href=\"{to}\">Moved Permanently</a>.

"
                );
                answer::located(answer::bytes(moved, "text/html; charset=utf-8", text), &to)
            }
            (Target::Ping, _) => {
                let kind = self.writer().json(StatusCode::OK, &json!({}));
                let kind = kind
                    .headers()
                    .get("content-type")
                    .and_then(|kind| kind.to_str().ok())
                    .unwrap_or_default();
                answer::bytes(StatusCode::OK, kind, "{}".to_owned())
            }
            (Target::Token, "GET") => {
                self.tokens.give(&self.config.access, call, self.settings().token_seconds, self.writer())
            }
            (Target::Token, _) => answer::not_allowed("GET"),
            (Target::File(digest), "GET" | "HEAD") => self.file(call, digest, ticket).await?,
            (Target::File(_), _) => answer::not_allowed("GET, HEAD"),
            (Target::Catalog, "GET") => self.catalog(call)?,
            (Target::Tags(name), "GET") => self.tags(call, name)?,
            (Target::Catalog | Target::Tags(_), _) => answer::not_allowed("GET"),
            (Target::Referrers(name, subject), "GET") if self.settings().referrers => {
                self.referrers(call, name, subject)?
            }
            (Target::Referrers(..), _) => answer::not_found(),
            (Target::Manifest(name, reference), "GET" | "HEAD") => self.manifest(call, name, reference)?,
            (Target::Manifest(name, reference), "PUT") => {
                self.put_manifest(call, body, name, reference).await?
            }
            (Target::Manifest(name, reference), "DELETE") => self.delete_manifest(name, reference)?,
            (Target::Manifest(..), _) => answer::not_allowed("DELETE, GET, HEAD, PUT"),
            (Target::Blob(name, digest), "GET" | "HEAD") => self.blob(call, name, digest, ticket).await?,
            (Target::Blob(name, digest), "DELETE") => self.delete_blob(name, digest)?,
            (Target::Blob(..), _) => answer::not_allowed("DELETE, GET, HEAD"),
            (Target::Uploads(name), "POST") => {
                drain(body).await?;
                self.begin(call, name)?
            }
            (Target::Uploads(_), _) => answer::not_allowed("POST"),
            (Target::Upload(name, id), "GET" | "HEAD" | "PATCH" | "PUT" | "DELETE") => {
                self.upload(call, body, name, id, ticket).await?
            }
            (Target::Upload(..), _) => answer::not_allowed("DELETE, GET, HEAD, PATCH, PUT"),
        })
    }

    fn send(&self, call: &Call, response: Response, shape: Shape, ticket: Ticket) -> Response {
        let (parts, body) = response.into_parts();
        let code = parts.extensions.get::<Said>().map(|said| said.0.clone());
        ticket.note(|record| (record.status, record.code) = (Some(parts.status.as_u16()), code));
        if call.method == Method::HEAD {
            return Response::from_parts(parts, Body::empty());
        }
        let tell = move |bytes: usize| ticket.note(|record| record.sent += bytes as u64);
        Response::from_parts(parts, Body::from_stream(shape.apply(body, tell)))
    }
}

async fn drain(mut body: Pieces) -> Result<(), Failure> {
    while let Some(piece) = futures::StreamExt::next(&mut body).await {
        piece.map_err(|_| Failure::Cut)?;
    }
    Ok(())
}

fn cut() -> Response {
    let mut response = answer::empty(StatusCode::OK);
    response.extensions_mut().insert(CutConnection);
    response
}
