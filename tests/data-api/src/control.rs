//! `/-/…`: the journal and the faults, for tests in another process.

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use crate::faults::Fault;
use crate::respond::{self, Answer};
use crate::shared::Shared;

#[derive(Deserialize)]
#[serde(untagged)]
enum Faults {
    Several(Vec<Fault>),
    One(Box<Fault>),
}

pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &Bytes) -> Answer {
    match (path, method.as_str()) {
        ("health", "GET") => respond::json(200, &json!({ "open_transactions": shared.transactions.count() })),
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
