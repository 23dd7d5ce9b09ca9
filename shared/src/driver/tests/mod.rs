//! The steps, each with a database and a registry that answer by a script: what is asked of which, in what order, and
//! what is made of the answers.

mod ask;
mod fill;
mod give_up;
mod guard;
mod notify;
mod start_claimed;
mod sweep;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    endpoint::{
        ErrorClass, Execution, Failure, Purpose, Writer,
        scripted_server::{Reply, ScriptedServer},
        scripted_transport::{Does, ScriptedTransport},
    },
    migration::{ContainerRepository, RepositoryPath},
    registry::{RegistryClient, tests::client},
    store::Store,
};

const PATH: &str = "group/project/image";
const ATTEMPT: &str = "00000000-0000-0000-0000-000000000007";

fn path() -> RepositoryPath {
    RepositoryPath::parse(PATH).unwrap()
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// A row in `state` with `members` besides, as the database gives it.
fn row(state: &str, members: &Value) -> Value {
    let mut row = json!({
        "path": PATH, "migration_state": state, "version": 4, "attempt": ATTEMPT, "retries_count": 0, "priority": 0,
        "state_since": "2026-11-26T10:00:00Z", "created_at": "2026-11-26T10:00:00Z",
    });
    let more = members.as_object().cloned().unwrap_or_default();
    row.as_object_mut().unwrap().extend(more);
    row
}

fn repository(state: &str, members: &Value) -> ContainerRepository {
    serde_json::from_value(row(state, members)).unwrap()
}

/// What a statement reports that changes one row.
fn changed(verdict: &str, row: &Value) -> Does {
    Does::Answers(json!({ "verdict": verdict, "before": row["migration_state"], "row": row }).to_string())
}

/// What a claim reports.
fn claimed(verdict: &str, row: &Value) -> Does {
    Does::Answers(json!({ "verdict": verdict, "row": row }).to_string())
}

fn unknown() -> Does {
    Does::Fails(Failure::new(Execution::Unknown, ErrorClass::Unavailable))
}

/// An error of the registry's.
fn refused(status: u16, code: &str) -> Reply {
    Reply::answer(status, json!({ "errors": [{ "code": code, "message": "m" }] }).to_string())
}

/// What the registry says of the repository when it is asked.
fn stands(status: &str) -> Reply {
    Reply::answer(200, json!({ "name": "image", "path": PATH, "status": status }).to_string())
}

fn accepted() -> Reply {
    Reply::answer(202, "")
}

/// The database and the registry.
struct Stage {
    database: ScriptedTransport,
    server: ScriptedServer,
    registry: RegistryClient,
}

impl Stage {
    /// With a registry that replies so, the last reply again and again.
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let server = ScriptedServer::start(replies).await;
        let registry = client(&server.url());
        Self { database: ScriptedTransport::default(), server, registry }
    }

    fn store<P: Purpose<Endpoint = Writer>>(&self) -> Store<P> {
        Store::new(Writer::new(self.database.clone()))
    }

    /// What the registry was asked: `PUT pre`, `GET`, `DELETE`.
    fn calls(&self) -> Vec<String> {
        let call = |method: &str, target: &str| match target.split_once("import_type=") {
            Some((_, step)) => format!("{method} {step}"),
            None => method.to_owned(),
        };
        self.server.received().iter().map(|request| call(&request.method, &request.target)).collect()
    }
}
