//! One request and its answer: who we are, where a redirect leads, how long anything may take, and when it is sent again.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use answer_headers::retry_after;
use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use reqwest::{Body, Response};
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use crate::{
    Action, Client,
    auth::{AskRealm, Scopes, TOKEN_LIMIT, TokenRequest},
    body::{PacedBody, Progress},
    error::{Cause, Error, Said, Sent},
    reach::Forbidden,
};

/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// How much of an error's body is read.
const ERROR_LIMIT: usize = 64 << 10;

/// How many 500s to one manifest say that it is that manifest which the registry cannot read, or does not take.
const SERVER_ERRORS: u32 = 4;

/// How fast a registry is expected to hash at the least when an upload ends, in bytes per second.
const HASHING: u64 = 20_000_000;

/// A request.
#[derive(Clone)]
pub struct Request {
    pub action: Action,
    pub operation: &'static str,
    pub method: Method,
    pub url: Url,
    pub scopes: Scopes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is sent. None: nothing, not even a length.
    pub body: Option<Bytes>,
    /// Whether it may be sent again when nobody knows whether it was done.
    pub is_repeatable: bool,
    /// How many bytes the registry may have to look at before it answers.
    pub weight: u64,
}

impl Request {
    /// One that may be sent again, without a body.
    pub const fn new(
        action: Action,
        operation: &'static str,
        method: Method,
        url: Url,
        scopes: Scopes,
    ) -> Self {
        Self {
            action,
            operation,
            method,
            url,
            scopes,
            headers: Vec::new(),
            body: None,
            is_repeatable: true,
            weight: 0,
        }
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    /// Whether it changes nothing, so that it may follow a redirect.
    fn is_read(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

/// An answer whose body has not been read.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub response: Response,
    /// Whether it is not the registry's own: a redirect led there.
    pub is_elsewhere: bool,
    operation: &'static str,
    authorization: Option<HeaderValue>,
}

/// An answer with its body.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// Sends a request and reads a body of at most `limit` bytes, again where that may help. An answer that is neither a
    /// success nor among `expected` is an error.
    pub(crate) async fn whole(
        &self,
        request: &Request,
        expected: &[u16],
        limit: usize,
        deadline: Instant,
    ) -> Result<Whole, Error> {
        let is_repeatable = request.is_repeatable;
        let errors = AtomicU32::new(0);
        self.again(is_repeatable, deadline, || async {
            let answer = self.open_once(request, expected, deadline).await;
            let answer = answer.map_err(|mut error| {
                let is_of_one = matches!(
                    request.action,
                    Action::GetManifest | Action::HeadManifest | Action::PutManifest
                );
                let is_error = is_of_one && error.status == Some(500);
                if is_error && errors.fetch_add(1, Ordering::Relaxed) + 1 >= SERVER_ERRORS {
                    error.cause = Cause::ServerError;
                }
                error
            })?;
            let (status, headers) = (answer.status, answer.headers.clone());
            let body = match request.method {
                Method::HEAD => Bytes::new(),
                _ => self.read(answer, limit, deadline).await?,
            };
            Ok(Whole { status, headers, body })
        })
        .await
    }

    /// The same, with the body left to be read.
    pub(crate) async fn open(
        &self,
        request: &Request,
        expected: &[u16],
        deadline: Instant,
    ) -> Result<Answer, Error> {
        self.again(request.is_repeatable, deadline, || self.open_once(request, expected, deadline)).await
    }

    /// Does something again while that may help and the deadline permits.
    pub(crate) async fn again<T, F>(
        &self,
        is_repeatable: bool,
        deadline: Instant,
        once: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        once.retry(self.pauses())
            .when(|error: &Error| may_help(error, is_repeatable))
            .adjust(|error, pause| {
                let pause = pause?.max(error.retry_after.unwrap_or_default());
                (Instant::now() + pause < deadline).then_some(pause)
            })
            .await
    }

    /// The pauses between tries.
    pub(crate) fn pauses(&self) -> impl BackoffBuilder<Backoff: Send> + Copy + use<> {
        let retries = self.retries();
        ExponentialBuilder::default()
            .with_min_delay(retries.first)
            .with_max_delay(retries.longest)
            .with_max_times(retries.tries.saturating_sub(1))
            .with_jitter()
    }

    /// Sends a request once. Once more with a new token, where the registry does not take the first one: it looks at the
    /// token before anything else, so nothing has happened.
    pub(crate) async fn open_once(
        &self,
        request: &Request,
        expected: &[u16],
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let realm = RealmOf { client: self, deadline };
        let mut renewed = false;
        loop {
            let authorization = self
                .authority()
                .authorization(&request.scopes, &realm)
                .await
                .map_err(|error| error.with_sent(Sent::No))?;
            let answer = self.follow(request, authorization.clone(), deadline).await?;
            if answer.status == 401 && !answer.is_elsewhere && !renewed {
                renewed = true;
                let refused =
                    self.authority().refused(&answer.headers, &request.scopes, authorization.as_ref());
                if refused.await? {
                    // The connection is kept for the next request.
                    let _ = self.read(answer, ERROR_LIMIT, deadline).await;
                    continue;
                }
            }
            if answer.status < 300 || expected.contains(&answer.status) {
                return Ok(answer);
            }
            return Err(self.refusal(answer, deadline).await);
        }
    }

    /// Sends a request and goes where redirects lead, without credentials.
    async fn follow(
        &self,
        request: &Request,
        authorization: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let mut url = request.url.clone();
        let mut carried = authorization.clone();
        for hop in 0..=REDIRECTS {
            let response = self.send(request, &url, carried.take(), deadline).await?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                let headers = response.headers().clone();
                let operation = request.operation;
                let is_elsewhere = hop > 0;
                return Ok(Answer { status, headers, response, is_elsewhere, operation, authorization });
            }
            let refused = |cause: Cause, said: String| {
                let mut error = Error::new(cause, request.operation, said);
                error.status = Some(status);
                Err(error)
            };
            if !request.is_read() {
                return refused(Cause::Protocol, "the registry redirects what changes it".to_owned());
            }
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(target) = target.and_then(|target| url.join(target).ok()) else {
                return refused(Cause::Protocol, "a redirect that leads nowhere".to_owned());
            };
            if !matches!(target.scheme(), "http" | "https")
                || (url.scheme() == "https" && target.scheme() == "http")
            {
                return refused(
                    Cause::ForbiddenAddress,
                    "a redirect to where everybody can read along".to_owned(),
                );
            }
            if let Err(error) = self.reach().admit(&target).await {
                return match error.downcast::<Forbidden>() {
                    Ok(forbidden) => refused(Cause::ForbiddenAddress, forbidden.to_string()),
                    Err(_) => {
                        refused(Cause::Unavailable, "the registry's own address is not known".to_owned())
                    }
                };
            }
            url = target;
            url.set_fragment(None);
        }
        Err(Error::new(Cause::Protocol, request.operation, "too many redirects"))
    }

    /// Sends a request to `url` and waits for the head of the answer.
    async fn send(
        &self,
        request: &Request,
        url: &Url,
        authorization: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<Response, Error> {
        let operation = request.operation;
        let not_sent = |cause: Cause, said: &str| Error::new(cause, operation, said).with_sent(Sent::No);
        if Instant::now() >= deadline {
            return Err(not_sent(Cause::Deadline, "no time left"));
        }
        if let Err(held) = self.pace().turn(request.action, deadline).await {
            let mut error = not_sent(Cause::RateLimited, "the floor of ratelimit-remaining is reached");
            error.retry_after = Some(held.pause);
            return Err(error);
        }
        let pass = timeout_at(deadline, self.gate().enter())
            .await
            .map_err(|_elapsed| not_sent(Cause::Deadline, "too many requests are under way"))?;
        if Instant::now() >= deadline {
            return Err(not_sent(Cause::Deadline, "its turn did not come in time"));
        }
        let mut builder = self.http().request(request.method.clone(), url.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        let length = request.body.as_ref().map_or(0, Bytes::len);
        let progress = Progress::of(length);
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_LENGTH, length);
            if length > 0 {
                let body = PacedBody::new(
                    body.clone(),
                    Arc::clone(&progress),
                    Arc::clone(self.pace()),
                    Arc::clone(self.counters()),
                );
                builder = builder.body(Body::wrap(body));
            }
        }
        let began = Instant::now();
        self.counters().request(request.action);
        let answer_timeout = self.answer_timeout() + Duration::from_secs(request.weight / HASHING);
        let sent = builder.send();
        tokio::pin!(sent);
        let limit = || progress.last() + if progress.is_done() { answer_timeout } else { self.silence() };
        let result = loop {
            tokio::select! {
                biased;
                result = &mut sent => break result.map_err(|error| unsent(&error, operation)),
                () = sleep_until(limit().min(deadline)) => {}
            }
            let failed = |cause, said| Err(Error::new(cause, operation, said).with_sent(Sent::Maybe));
            if Instant::now() >= deadline {
                break failed(Cause::Deadline, "no answer in time");
            }
            if Instant::now() >= limit() {
                let said = if progress.is_done() { "no answer" } else { "nothing more is taken" };
                break failed(Cause::Unavailable, said);
            }
        };
        drop(pass);
        let status = result.as_ref().ok().map(|response| response.status().as_u16());
        match &result {
            Ok(response) => {
                self.pace().told(response.headers());
                match response.status().as_u16() {
                    429 => {
                        self.counters().rate_limited();
                        self.pace().refused();
                        self.gate().refused();
                    }
                    503 => self.gate().refused(),
                    _ => self.gate().answered(request.action, progress.last().max(began).elapsed()),
                }
            }
            Err(error) if error.cause == Cause::Unavailable => self.gate().refused(),
            Err(_) => {}
        }
        tracing::debug!(
            operation,
            url_path = url.path(),
            outcome = result.as_ref().map_or_else(|error| error.cause.as_str(), |_| "answered"),
            status,
            elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "registry called"
        );
        result
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(&self, answer: Answer, limit: usize, deadline: Instant) -> Result<Bytes, Error> {
        let Answer { operation, mut response, status, .. } = answer;
        let broken = |cause: Cause, said: &str| {
            let mut error = Error::new(cause, operation, said).with_sent(Sent::Maybe);
            error.status = Some(status);
            error
        };
        let mut body = BytesMut::new();
        loop {
            let until = deadline.min(Instant::now() + self.silence());
            match timeout_at(until, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    if body.len() + chunk.len() > limit {
                        return Err(
                            broken(Cause::TooLarge, "the answer is too large").with_sent(Sent::Answered)
                        );
                    }
                    self.counters().received(chunk.len());
                    self.pace().bytes(chunk.len()).await;
                    body.extend_from_slice(&chunk);
                }
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Err(_)) => return Err(broken(Cause::Unavailable, "the answer was cut off")),
                Err(_) if until >= deadline => {
                    return Err(broken(Cause::Deadline, "the answer did not end in time"));
                }
                Err(_) => return Err(broken(Cause::Unavailable, "the answer stopped")),
            }
        }
    }

    /// What an answer that is no success means.
    pub(crate) async fn refusal(&self, answer: Answer, deadline: Instant) -> Error {
        let (status, operation, is_elsewhere) = (answer.status, answer.operation, answer.is_elsewhere);
        let retry_after = retry_after(&answer.headers, jiff::Timestamp::now());
        let authorization = answer.authorization.clone();
        let is_text = answer
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.starts_with("text/plain") || text.contains("json"));
        // Some registries say a length and send less: a 416 is not waited for.
        let body = match status {
            416 => Bytes::new(),
            _ => self.read(answer, ERROR_LIMIT, deadline).await.unwrap_or_default(),
        };
        let Said { code, words } = Said::read(&body, is_text);
        let cause = match status {
            // The place that a redirect leads to knows nothing of us: its signature is over, and another one helps.
            400 | 401 | 403 if is_elsewhere => Cause::Unavailable,
            status => Cause::of(status, code.as_deref(), &words),
        };
        let said = self.authority().hide(words, authorization.as_ref());
        Error { cause, operation, status: Some(status), code, said, retry_after, sent: Sent::Answered }
    }
}

/// Whether the same request may succeed if it is sent once more, and does no harm.
fn may_help(error: &Error, is_repeatable: bool) -> bool {
    let is_done_perhaps = error.sent == Sent::Maybe || error.status.is_some_and(|status| status >= 500);
    match error.cause {
        Cause::RateLimited => true,
        Cause::Unavailable => is_repeatable || !is_done_perhaps,
        _ => false,
    }
}

/// What is known of a request that was not answered.
fn unsent(error: &reqwest::Error, operation: &'static str) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return Error::new(Cause::ForbiddenAddress, operation, forbidden.to_string()).with_sent(Sent::No);
        }
        source = inner.source();
    }
    if error.is_connect() {
        Error::new(Cause::Unavailable, operation, "no connection").with_sent(Sent::No)
    } else if error.is_builder() {
        Error::new(Cause::Protocol, operation, "the request cannot be built").with_sent(Sent::No)
    } else {
        Error::new(Cause::Unavailable, operation, "the connection was cut").with_sent(Sent::Maybe)
    }
}

/// Asks the realm of the registry's tokens.
struct RealmOf<'a> {
    client: &'a Client,
    deadline: Instant,
}

impl AskRealm for RealmOf<'_> {
    async fn ask(&self, request: TokenRequest) -> Result<Vec<u8>, Error> {
        let TokenRequest { url, authorization, form } = request;
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let mut asked = Request::new(Action::Check, "get token", method, url, Scopes::none());
        if let Some(form) = form {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            asked = asked.header(CONTENT_TYPE, form_type).body(Bytes::from(form));
        }
        let url = asked.url.clone();
        let client = self.client;
        let answer = client
            .again(true, self.deadline, || async {
                client.reach().admit(&url).await.map_err(|error| {
                    Error::new(Cause::ForbiddenAddress, "get token", error.to_string()).with_sent(Sent::No)
                })?;
                let response = client.send(&asked, &url, authorization.clone(), self.deadline).await?;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let answer = Answer {
                    status,
                    headers,
                    response,
                    is_elsewhere: false,
                    operation: "get token",
                    authorization: authorization.clone(),
                };
                match status {
                    200..300 => client.read(answer, TOKEN_LIMIT, self.deadline).await,
                    300..400 => Err(Error::new(Cause::Protocol, "get token", "the realm redirects")),
                    _ => {
                        let mut error = client.refusal(answer, self.deadline).await;
                        // Whatever the realm's reason is: we get no token.
                        if !error.cause.is_transient() {
                            error.cause = Cause::Unauthorized;
                        }
                        Err(error)
                    }
                }
            })
            .await?;
        Ok(answer.to_vec())
    }
}
