//! `serve`: the import protocol over HTTP, for a driver on this machine.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use importer::Stop;
use importer::protocol::{self, Notifications, Protocol, TokenRule, Tokens};
use oci::Name;
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::{Opened, RunError, TO_END, Target, close, limiting, open, say};
use crate::arguments::{ServeArguments, notification};
use crate::exit::Exit;
use crate::screen::note;
use crate::signals::Signals;

/// How long the driver has to answer a notification.
const TO_NOTIFY: Duration = Duration::from_secs(10);

/// The largest file with a key or a secret that is read.
const FILE_LIMIT: u64 = 64 << 10;

/// Answers the import protocol until it is ended.
///
/// # Errors
/// [`RunError`] when it could not even begin, or not go on.
pub async fn serve(arguments: ServeArguments, signals: &mut Signals) -> Result<Exit, RunError> {
    if !arguments.listen.ip().is_loopback() {
        return Err(RunError::Usage(
            "--listen must be an address of this machine alone, such as 127.0.0.1:5005: what it speaks is not encrypted".to_owned(),
        ));
    }
    let rule = TokenRule {
        public_keys: arguments.public_key.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
        audience: arguments.audience.clone(),
        issuer: arguments.issuer.clone(),
    };
    let tokens = Tokens::new(&rule).map_err(|error| RunError::Usage(format!("--public-key: {error}")))?;
    let url = notification("--notify", &arguments.notify).map_err(RunError::usage)?;
    let secret = SecretString::from(read(&arguments.notify_secret)?.trim().to_owned());
    let notifications = Notifications::new(url, secret, TO_NOTIFY).map_err(RunError::unusable)?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| RunError::Unusable(format!("--listen {}: {error}", arguments.listen)))?;
    let address = listener.local_addr().map_err(RunError::unusable)?;

    let opened = open(&arguments.migration, Target::Written, signals).await?;
    let Opened { directory, registries, rules, names, server, importer, .. } = opened;
    let naming = move |name: &Name| Name::parse(&rules.target_of(name.as_str())?).ok();
    let protocol = Protocol::new(importer.clone(), tokens, notifications, Arc::new(naming));
    let stop = Stop::new();
    let answering = axum::serve(listener, Router::new().fallback(answer).with_state(protocol.clone()));
    let serving = async {
        importer.prepare(true).await.map_err(RunError::unusable)?;
        say(&format!(
            "Listening at http://{address} for {} repositories. This is the driver's REGISTRY_URL.",
            names.len()
        ))?;
        let attending = protocol.attend(&stop);
        tokio::pin!(attending);
        let waiting = async {
            signals.received().await;
            note("Ending: what is in flight is finished and stored. Once more ends it at once.");
            stop.now();
            tokio::select! {
                () = tokio::time::sleep(TO_END) => {}
                () = signals.received() => {}
            }
        };
        tokio::select! {
            ended = &mut attending => ended.map(|()| Exit::Done).map_err(|error| RunError::Interrupted(error.to_string())),
            ended = answering.into_future() => Err(RunError::Interrupted(match ended {
                Ok(()) => "nothing listens any more".to_owned(),
                Err(error) => error.to_string(),
            })),
            never = limiting::follow(&directory, &registries) => match never {},
            () = waiting => Ok(Exit::Unfinished),
        }
    };
    let done = tokio::select! {
        done = serving => done,
        () = server.ended() => Err(RunError::without_database()),
    };
    close(server).await;
    done
}

/// Reads a file of a key or a secret, which no message repeats.
fn read(path: &Path) -> Result<String, RunError> {
    let failed = |error: std::io::Error| RunError::Usage(format!("{}: {error}", path.display()));
    let mut text = String::new();
    fs::File::open(path).map_err(failed)?.take(FILE_LIMIT).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

async fn answer(State(protocol): State<Protocol>, request: Request) -> Response<Body> {
    let (request, _body) = request.into_parts();
    let of = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let answer = protocol
        .answer(protocol::Request {
            method: request.method.as_str(),
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
            authorization: of("authorization"),
            request_id: of("x-request-id"),
        })
        .await;
    let link = answer.link();
    let body = answer.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(challenge) = answer.challenge {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    headers.extend(link.and_then(|link| HeaderValue::try_from(link).ok()).map(|link| (header::LINK, link)));
    response
}
