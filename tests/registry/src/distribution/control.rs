//! `/-/`: what a test in another process asks for.
//!
//! | call | does |
//! |---|---|
//! | `GET /-/faults` | the faults, `[{"id":1,"met":0,"fault":{…}}]` |
//! | `POST /-/faults` | adds a [`Fault`], answers `{"id":1}` |
//! | `DELETE /-/faults`, `DELETE /-/faults/1` | removes all, or one: what it held goes on |
//! | `GET /-/settings`, `PUT /-/settings` | what can be changed while it runs; what the body leaves out is as usual |
//! | `GET /-/journal`, `DELETE /-/journal` | every request, oldest first; forgets what is finished |
//! | `GET /-/counts` | how many requests there were, `{"PATCH upload":3}` |
//! | `GET /-/uploads` | the uploads that were neither ended nor canceled |
//! | `POST /-/made-up/<repository>` | `{"seed":1,"bytes":10}`: adds a layer that is made up, answers its digest |

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::answer;
use super::faults::{Fault, FaultId};
use super::made_up::MadeUp;
use super::route::Call;
use super::site::Site;
use crate::lock::lock;

const BODY_BYTES: usize = 1 << 20;

pub(super) async fn answer(site: &Site, call: &Call, body: Body) -> Response {
    let rest = call.path.strip_prefix("/-/").unwrap_or_default();
    let (what, which) = rest.split_once('/').unwrap_or((rest, ""));
    let done = || answer::empty(StatusCode::NO_CONTENT);
    match (call.method.as_str(), what, which) {
        ("GET", "faults", "") => {
            let list = site.faults.list().into_iter();
            let each = list.map(|(id, fault, met)| json!({"id": id, "met": met, "fault": fault}));
            ok(&each.collect::<Vec<_>>())
        }
        ("POST", "faults", "") => match parse::<Fault>(body).await {
            Ok(fault) => ok(&json!({"id": site.faults.add(fault)})),
            Err(refusal) => refusal,
        },
        ("DELETE", "faults", "") => {
            site.faults.clear();
            done()
        }
        ("DELETE", "faults", id) => match id.parse() {
            Ok(id) if site.faults.remove(FaultId(id)) => done(),
            Ok(_) | Err(_) => answer::not_found(),
        },
        ("GET", "settings", "") => ok(&site.settings()),
        ("PUT", "settings", "") => match parse(body).await {
            Ok(settings) => {
                *lock(&site.settings) = settings;
                done()
            }
            Err(refusal) => refusal,
        },
        ("GET", "journal", "") => ok(&site.traffic.records()),
        ("DELETE", "journal", "") => {
            site.traffic.clear();
            done()
        }
        ("GET", "counts", "") => ok(&site.traffic.counts()),
        ("GET", "uploads", "") => ok(&site.store.open_uploads()),
        ("POST", "made-up", repository) => match parse::<MadeUp>(body).await {
            Ok(made_up) => match site.store.add_made_up(repository, made_up) {
                Ok(digest) => ok(&json!({"digest": digest})),
                Err(error) => refuse(&error.to_string()),
            },
            Err(refusal) => refusal,
        },
        _ => answer::not_found(),
    }
}

fn ok(body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => answer::bytes(StatusCode::OK, "application/json", body),
        Err(_) => answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn refuse(message: &str) -> Response {
    let body = json!({"message": message}).to_string();
    answer::bytes(StatusCode::BAD_REQUEST, "application/json", body)
}

async fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Response> {
    let bytes = axum::body::to_bytes(body, BODY_BYTES).await.map_err(|error| refuse(&error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refuse(&error.to_string()))
}
