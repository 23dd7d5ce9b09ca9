//! `/-/…`: health, the journal and the faults, for tests in another process.

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::faults::Fault;
use crate::respond::{self, Answer};
use crate::shared::Shared;

#[derive(Deserialize)]
#[serde(untagged)]
enum Faults {
    Several(Vec<Fault>),
    One(Box<Fault>),
}

pub(crate) async fn answer(shared: &Shared, method: &Method, path: &str, body: &Bytes) -> Answer {
    match (path, method.as_str()) {
        ("health", "GET") => health(shared).await,
        ("journal", "GET") => respond::json(200, &json!(shared.journal.calls())),
        ("journal", "DELETE") => {
            shared.journal.clear();
            respond::json(200, &json!({}))
        }
        ("faults", "GET") => respond::json(200, &json!(shared.faults.pending())),
        ("faults", "DELETE") => {
            shared.faults.clear();
            respond::json(200, &json!({}))
        }
        ("faults", "POST") => match serde_json::from_slice(body) {
            Err(error) => respond::json(400, &json!({ "message": error.to_string() })),
            Ok(faults) => {
                let faults = match faults {
                    Faults::Several(faults) => faults,
                    Faults::One(fault) => vec![*fault],
                };
                faults.into_iter().for_each(|fault| shared.faults.add(fault));
                respond::json(200, &json!({}))
            }
        },
        _ => respond::json(404, &json!({ "message": "There is nothing here." })),
    }
}

/// Whether each server answers: 503 where one does not. A cluster that takes no calls by its state is not asked.
async fn health(shared: &Shared) -> Answer {
    let databases = shared.servers();
    let asked = databases.iter().map(async |(name, target)| {
        let told = match shared.connect(target).await {
            Ok(session) if session.answers().await => json!({ "ok": true }),
            Ok(_) => json!({ "ok": false, "error": "The server does not answer." }),
            Err(error) => json!({ "ok": false, "error": error.message }),
        };
        (name.clone(), told)
    });
    let told: Map<String, Value> = futures::future::join_all(asked).await.into_iter().collect();
    let ok = told.values().all(|told| told["ok"] == true);
    let open = shared.transactions.count();
    let body = json!({ "ok": ok, "databases": told, "open_transactions": open });
    respond::json(if ok { 200 } else { 503 }, &body)
}
