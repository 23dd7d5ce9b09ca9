//! Two databases that hold the same, one behind each transport.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use direct_endpoint::{Access, Direct, Server};
use local::{DATABASE, READER_ARN, READER_SECRET_ARN, Stack, WRITER_ARN, WRITER_SECRET_ARN};
use serde_json::Value as Json;
use shared::{
    endpoint::{
        Call, DataApi, ErrorClass, Execution, Failure, ReadOnlyWriter, Reader, ReaderConnections,
        ReplicaReads, Transport, Value, Writer,
    },
    store::HEALTH_PROBE,
};
use suite::{data_api, primary, server};
use tokio::time::Instant;

/// The one behind the direct transport.
const OTHER: &str = "other";

/// Refuses with a code that is hard to come by otherwise.
pub const RAISE: &str = "CREATE FUNCTION refuse(code text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = code; END $$";

/// A statement that was sent.
struct Sent {
    name: &'static str,
    sql: &'static str,
    parameters: Vec<(&'static str, Value)>,
}

/// Sends each statement over both transports and gives what both answer; where they differ, the test fails.
#[derive(Clone)]
pub struct Twin {
    data_api: Arc<DataApi>,
    direct: Arc<Direct>,
    sent: Arc<Mutex<Vec<Sent>>>,
    reading: (Arc<DataApi>, Arc<Direct>),
}

impl Twin {
    pub async fn start(stack: &Stack) -> Self {
        let primary = primary(stack).await.unwrap();
        // Where the server is must make no difference.
        primary.batch_execute("ALTER SYSTEM SET timezone = 'Asia/Tokyo'").await.unwrap();
        primary.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        drop(primary);
        copy(stack).await;
        stack.pair().wait_until_replayed().await.unwrap();
        let other =
            |port, secret| Server { database: OTHER.to_owned(), ..server(stack, port, secret).unwrap() };
        let (writer, reader) = (stack.pair().writer().port, stack.pair().reader().port);
        Self {
            data_api: Arc::new(data_api(stack, WRITER_ARN, WRITER_SECRET_ARN, DATABASE)),
            direct: Arc::new(Direct::new(other(writer, WRITER_SECRET_ARN), Access::ReadWrite).unwrap()),
            sent: Arc::default(),
            reading: (
                Arc::new(data_api(stack, READER_ARN, READER_SECRET_ARN, DATABASE)),
                Arc::new(Direct::new(other(reader, READER_SECRET_ARN), Access::ReadOnly).unwrap()),
            ),
        }
    }

    /// The primary, over both.
    pub fn writer(&self) -> Writer {
        Writer::new(self.clone())
    }

    /// The standby, over both, with the role that can only SELECT.
    pub fn reader(&self) -> Reader {
        Reader::new(self.standby())
    }

    /// The same under the name that a store asks the writer by, when a reader is behind.
    pub fn read_only_writer(&self) -> ReadOnlyWriter {
        ReadOnlyWriter::new(self.standby())
    }

    /// What reads on both, for a store.
    pub fn reads(&self) -> Arc<ReplicaReads> {
        let reader = ReaderConnections::shared(self.reader());
        Arc::new(ReplicaReads::new(reader, self.read_only_writer(), HEALTH_PROBE))
    }

    fn standby(&self) -> Self {
        let (data_api, direct) = self.reading.clone();
        Self { data_api, direct, ..self.clone() }
    }

    /// The names of the statements that were sent.
    pub fn sent(&self) -> BTreeSet<String> {
        self.sent.lock().unwrap().iter().map(|sent| sent.name.to_owned()).collect()
    }

    /// What the planner takes each statement that was sent to cost, as the primary's database is now; of several
    /// sendings the dearest.
    pub async fn costs(&self) -> BTreeMap<&'static str, f64> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        let mut costs = BTreeMap::new();
        for Sent { name, sql, parameters } in &sent {
            // The transport takes what lives as long as the process.
            let sql = Box::leak(format!("EXPLAIN (FORMAT JSON) {sql}").into_boxed_str());
            let call = Call { name, sql, parameters };
            let plan = self.data_api.execute(call, Instant::now() + Duration::from_secs(10)).await.unwrap();
            let plan: Json = serde_json::from_str(&plan[0]).unwrap();
            let cost = plan[0]["Plan"]["Total Cost"].as_f64().unwrap();
            let dearest: &mut f64 = costs.entry(*name).or_default();
            *dearest = dearest.max(cost);
        }
        *self.sent.lock().unwrap() = sent;
        costs
    }

    /// A code means the same however it comes.
    pub async fn raised(&self) {
        use ErrorClass::{Conflict, ConnectionLost, Misconfigured, ReadOnly, Timeout, Unavailable};
        use Execution::{DidNotRun, RanAndFailed, Unknown};
        for (code, outcome, class) in [
            ("40001", RanAndFailed, Conflict),
            ("40P01", RanAndFailed, Conflict),
            ("25006", RanAndFailed, ReadOnly),
            ("57014", RanAndFailed, Timeout),
            ("57P01", Unknown, ConnectionLost),
            ("08006", Unknown, ConnectionLost),
            ("28P01", DidNotRun, Misconfigured),
            ("53300", DidNotRun, Unavailable),
            ("25P03", RanAndFailed, ConnectionLost),
            ("25P04", RanAndFailed, ConnectionLost),
            ("58030", Unknown, Unavailable),
            ("XX000", Unknown, Unavailable),
            ("42P01", RanAndFailed, ErrorClass::Defect),
        ] {
            let call =
                Call { name: "raised", sql: "SELECT refuse(:code)", parameters: &[("code", code.into())] };
            let failure = self.execute(call, Instant::now() + Duration::from_secs(5)).await.unwrap_err();
            assert_eq!((failure.outcome, failure.class), (outcome, class), "{code}: {failure}");
        }
    }

    /// Statements that fail, each in its own way.
    pub async fn refusals(&self) {
        use ErrorClass::{Constraint, Defect, Misconfigured, ReadOnly, Undecodable};
        let mark = "INSERT INTO replica_mark (mark) VALUES (:a) RETURNING mark::text";
        for (place, sql, class, state) in [
            (self, "SELECT x::text FROM missing AS x WHERE :a::bigint > 0", Defect, Some("42P01")),
            (self, "SELECT (:a / 0)::text", Defect, Some("22012")),
            (self, "SELECT 'x' WHERE now() = :a", Defect, Some("42883")),
            (self, "SELECT :a::text FRM x y", Defect, Some("42601")),
            (self, mark, Constraint, Some("23505")),
            (self, "SELECT :a", Undecodable, None),
            (self, "SELECT :a::text, 'two'", Undecodable, None),
            (self, "SELECT nullif(:a::text, '7')", Undecodable, None),
            (&self.standby(), mark, ReadOnly, Some("25006")),
            (&self.standby(), "SELECT :a::text FROM pg_authid", Misconfigured, Some("42501")),
        ] {
            let call = Call { name: "refused", sql, parameters: &[("a", Value::Long(7))] };
            let answer = place.execute(call, Instant::now() + Duration::from_secs(5)).await;
            let Err(failure) = answer else { panic!("{sql}: {answer:?}") };
            assert_eq!(failure.class, class, "{sql}: {failure}");
            assert_eq!(failure.sql_state.map(|state| state.to_string()).as_deref(), state, "{sql}");
            if class != Undecodable {
                assert_eq!(failure.outcome, Execution::RanAndFailed, "{sql}");
            }
        }
        for parameters in [&[][..], &[("a", Value::Null), ("b", Value::Null)][..]] {
            let call = Call { name: "refused", sql: "SELECT :a::text", parameters };
            let failure = self.execute(call, Instant::now() + Duration::from_secs(5)).await.unwrap_err();
            assert_eq!(failure.class, Defect, "{failure}");
        }
    }
}

#[async_trait]
impl Transport for Twin {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        let Call { name, sql, parameters } = call;
        self.sent.lock().unwrap().push(Sent { name, sql, parameters: parameters.to_vec() });
        let one = self.data_api.execute(call, deadline).await;
        let other = self.direct.execute(call, deadline).await;
        match (&one, &other) {
            (Ok(one), Ok(other)) => assert_eq!(timeless(one), timeless(other), "{}", call.name),
            (Err(one), Err(other)) => {
                // What PostgreSQL did not say, the two services may know more or less of.
                let reported = |failure: &Failure| failure.sql_state.map(|state| (state, failure.outcome));
                assert_eq!(one.class, other.class, "{}: {one} and {other}", call.sql);
                if let (Some(one), Some(other)) = (reported(one), reported(other)) {
                    assert_eq!(one, other, "{}", call.sql);
                }
            }
            _ => panic!("{}: {one:?} and {other:?}", call.sql),
        }
        one
    }
}

/// The rows without the times and ages in them: two databases do nothing at the same microsecond. That a time is one,
/// and in UTC, is left.
fn timeless(rows: &[String]) -> Vec<Json> {
    rows.iter().map(|row| without_times(serde_json::from_str(row).expect("a JSON document"))).collect()
}

fn without_times(value: Json) -> Json {
    match value {
        Json::String(text) if is_a_time(&text) => Json::String(format!("a time{}", &text[text.len() - 6..])),
        Json::Array(elements) => elements.into_iter().map(without_times).collect(),
        Json::Object(fields) => {
            let fields =
                fields.into_iter().filter(|(name, value)| !(name.contains("seconds") && value.is_f64()));
            Json::Object(fields.map(|(name, value)| (name, without_times(value))).collect())
        }
        plain => plain,
    }
}

fn is_a_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() > 22 && bytes[4] == b'-' && bytes[10] == b'T' && text.ends_with("+00:00")
}

async fn copy(stack: &Stack) {
    // A template must have no connection: those of whoever looked at it last may take a moment to end.
    let dsn = stack.pair().writer().dsn().replace(DATABASE, "postgres");
    let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    suite::until("the database can be copied", || async {
        Ok(client.batch_execute(&format!("CREATE DATABASE {OTHER} TEMPLATE {DATABASE}")).await.is_ok())
    })
    .await
    .unwrap();
}
