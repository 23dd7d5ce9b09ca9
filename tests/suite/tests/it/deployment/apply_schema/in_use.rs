//! The schema is applied while notifications come in: none is lost to it.

use std::time::{Duration, Instant};

use local::{
    DATABASE, Function, FunctionSet, OWNER_SECRET_ARN, Stack, StackOptions, WRITER_ARN,
    local_data_api::{DataApi, Effect, Fault, When},
};
use reqwest::StatusCode;
use shared::{
    endpoint::Schema,
    store::{
        Store,
        schema::{Script, scripts},
    },
};
use suite::given;
use uuid::Uuid;

use super::{
    bench::{apply, in_time, roles, store},
    function::empty,
};

/// A script to come: it changes the one table that every notification reads, and the one that it writes.
fn with_one_more() -> Vec<Script> {
    let mut all = scripts();
    all.push(Script {
        number: u16::try_from(all.len() + 1).unwrap(),
        name: "9999_next",
        sql: "ALTER TABLE container_repositories ADD COLUMN colour text NOT NULL DEFAULT 'green';
            ALTER TABLE migration_settings ADD COLUMN colour text NOT NULL DEFAULT 'green';",
    });
    all
}

/// A stack whose database was made by apply-schema, and which has rows that await notifications.
struct InUse {
    stack: Stack,
    functions: FunctionSet,
    /// For apply-schema, so that its faults are nobody else's.
    api: DataApi,
}

const ROWS: usize = 20;

impl InUse {
    async fn start() -> Self {
        let options = StackOptions { functions: Vec::new(), ..suite::options() };
        let stack = Stack::start(options).await.unwrap();
        empty(&stack).await;
        let api = stack.further_data_api().await.unwrap();
        let in_use = Self {
            functions: stack.run_functions(&[Function::RegistryNotification], |_, _| ()).await.unwrap(),
            stack,
            api,
        };
        apply(&in_use.store(), &scripts()).await.unwrap();
        for row in 0..ROWS {
            given(&in_use.stack, &format!("a/{row}"), "pre_importing", Some(Uuid::from_u128(row as u128)))
                .await
                .unwrap();
        }
        in_use
    }

    fn store(&self) -> Store<Schema> {
        store(&self.api, WRITER_ARN, DATABASE, OWNER_SECRET_ARN)
    }

    /// Sends a notification a second for as long as `work` takes. All of them must be taken, in time.
    async fn notified_during<T>(&self, first: usize, work: impl Future<Output = T>) -> T {
        let client = self.stack.client_of(&self.functions);
        let mut sent = tokio::task::JoinSet::new();
        let mut work = std::pin::pin!(work);
        let mut each_second = tokio::time::interval(Duration::from_secs(1));
        let mut row = first;
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = each_second.tick() => {
                    let (client, path, attempt) =
                        (client.clone(), format!("a/{row}"), Uuid::from_u128(row as u128).to_string());
                    assert!(row < ROWS, "it takes longer than there are rows");
                    row += 1;
                    sent.spawn(async move {
                        let begun = Instant::now();
                        let answer = client.notify(&path, "pre_import_failed", Some(&attempt)).await.unwrap();
                        (path, answer.status(), begun.elapsed())
                    });
                }
            }
        };
        let mut answered = 0;
        while let Some(answer) = sent.join_next().await {
            let (path, status, took) = answer.unwrap();
            assert_eq!(status, StatusCode::OK, "{path}, after {took:?}");
            answered += 1;
        }
        assert!(answered >= 3, "only {answered} notifications came while it went on");
        done
    }

    async fn stop(self) {
        self.functions.stop();
        self.api.stop().await;
        self.stack.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_no_notification_behind_an_open_read() {
    let in_use = InUse::start().await;
    let mut config: tokio_postgres::Config = in_use.stack.pair().writer().dsn().parse().unwrap();
    let (reader, connection) =
        config.application_name("somebody's console").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    reader.batch_execute("BEGIN; SELECT count(*) FROM migration_settings").await.unwrap();
    let process: i32 = reader.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);

    let (next, store) = (with_one_more(), in_use.store());
    let roles = roles("driver-1", "reader-1");
    let refused = in_use
        .notified_during(0, store.apply(&next, 0, &roles, in_time(Duration::from_secs(9))))
        .await
        .unwrap_err()
        .to_string();
    let words = format!(
        "script 9999_next, statement 2 of 2: somebody else holds a lock; conflict with another transaction, ran and \
         failed, DatabaseErrorException, SQLSTATE 55P03: held by process {process}, user postgres, application \
         somebody's console, "
    );
    assert!(refused.starts_with(&words), "{refused}");

    // Whoever reads ends, and the next attempt succeeds.
    let waits = in_use.notified_during(10, store.apply(&next, 0, &roles, in_time(Duration::from_secs(30))));
    let ends = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        reader.batch_execute("COMMIT").await.unwrap();
    };
    let (applied, ()) = tokio::join!(waits, ends);
    assert_eq!(applied.unwrap().applied, ["9999_next"]);
    in_use.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frees_what_it_had_locked_when_it_dies() {
    let in_use = InUse::start().await;
    let lost = Fault::new(Effect::Hang { when: When::After })
        .sql_contains("ALTER TABLE migration_settings")
        .times(1);
    in_use.api.inject(lost);
    let (next, store) = (with_one_more(), in_use.store());
    // It is dropped while its transaction is open, as when a process is lost.
    let lost = tokio::time::timeout(Duration::from_millis(800), apply(&store, &next));
    lost.await.unwrap_err();
    assert_eq!(in_use.api.open_transactions(), 1);
    in_use.notified_during(0, tokio::time::sleep(Duration::from_millis(3500))).await;
    assert_eq!(apply(&store, &next).await.unwrap().applied, ["9999_next"]);
    in_use.stop().await;
}
