//! Every fault of the two services the driver stands on, met by every kind of call: nothing is applied twice,
//! nothing is lost, and there is an answer in time.

mod asking;
mod canceling;
mod data_api;
mod lasting;
mod registry;

use std::time::{Duration, Instant};

use local::{
    Function, READER_ARN, Stack, StackOptions, WRITER_ARN,
    local_data_api::Fault,
    local_registry::{Effect, Operation, RequestRecord, Rule, Status, Step, storage::verify},
};
use reqwest::{Method, Response};
use serde_json::Value;
use suite::{BEGUN_AGAIN, PATIENCE, WHOLE, history, options, primary, repositories, row, sql, until_state};

/// How long a function may take until its answer, and what a busy machine adds to that. Together they stay
/// below the registry's notification timeout of 10 s.
const BUDGET: Duration = Duration::from_secs(8);
const MARGIN: Duration = Duration::from_millis(1900);

/// How long a scheduled function may run.
const INVOCATION: Duration = Duration::from_secs(29);

/// What meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Notification,
    Start,
    Sweep,
    Status,
}

impl Call {
    const ALL: [Self; 4] = [Self::Notification, Self::Start, Self::Sweep, Self::Status];

    /// The fault on just this call's statement.
    fn aims(self, fault: Fault) -> Fault {
        match self {
            Self::Notification => fault.on(WRITER_ARN).sql_contains(":precondition = 'notification'"),
            Self::Start => fault.on(WRITER_ARN).sql_contains("named AS MATERIALIZED"),
            Self::Sweep => fault.on(WRITER_ARN).sql_contains("FOR UPDATE OF s SKIP LOCKED"),
            Self::Status => fault.on(READER_ARN).sql_contains("WHERE c.path = :path"),
        }
    }

    /// What it is answered when all is well.
    const fn success(self) -> u16 {
        match self {
            Self::Start => 202,
            Self::Notification | Self::Sweep | Self::Status => 200,
        }
    }

    fn path(self, fault: &str) -> String {
        format!("{self:?}/{fault}").to_lowercase().replace(' ', "-")
    }

    /// A repository that the call finds something to do about. The one for a notification has really been
    /// imported, and only the notification of that is missing.
    async fn prepare(self, stack: &Stack, path: &str) {
        if self == Self::Notification {
            let lost = Rule::new(Effect::LoseNotification).repository(path).step(Step::Pre).times(1);
            stack.registry().unwrap().rules().add(lost);
        }
        repositories(stack, &[path]).await.unwrap();
        if self == Self::Notification {
            assert_eq!(stack.client().start(path).await.unwrap().status(), 202, "{path}");
            let imported =
                stack.registry().unwrap().wait_for_status(path, Status::PreImportComplete, PATIENCE);
            assert!(imported.await, "{path}");
        }
        if self == Self::Status {
            stack.pair().wait_until_replayed().await.unwrap();
        }
    }

    /// Makes the call. `attempt` is what the registry would send with a notification.
    async fn make(self, stack: &Stack, path: &str, attempt: Option<&str>) -> Answer {
        let client = stack.client();
        let began = Instant::now();
        let sent = match self {
            Self::Notification => client.notify(path, "pre_import_complete", attempt).await,
            Self::Start => client.start(path).await,
            Self::Status => {
                client.as_operator(Method::GET, &format!("/migrations/status/{path}")).send().await
            }
            Self::Sweep => {
                let status = if stack.functions().tick().await.is_ok() { 200 } else { 500 };
                return Answer { status, retry_after: false, took: began.elapsed() };
            }
        };
        Answer::of(sent.unwrap(), began)
    }
}

/// What a call was answered, and when.
#[derive(Debug)]
struct Answer {
    status: u16,
    retry_after: bool,
    took: Duration,
}

impl Answer {
    fn of(response: Response, began: Instant) -> Self {
        let retry_after = response.headers().contains_key("retry-after");
        Self { status: response.status().as_u16(), retry_after, took: began.elapsed() }
    }
}

/// A stack with room for everything at once, and so many processes of each function.
async fn stack(instances: usize) -> Stack {
    let functions = Function::ALL.into_iter().filter(|function| *function != Function::ManageMigrations);
    stack_of(instances, functions.collect()).await
}

/// The same of these functions.
async fn stack_of(instances: usize, functions: Vec<Function>) -> Stack {
    Stack::start(StackOptions { instances, functions, ..options() }).await.unwrap()
}

/// The attempt of the row, as it was sent to the registry.
async fn attempt(stack: &Stack, path: &str) -> Option<String> {
    row(stack, path).await.unwrap()["attempt"].as_str().map(str::to_owned)
}

/// Lets what a schedule does happen, later: one sweep, and one round of the guard in which everything in
/// progress seems stuck.
async fn schedules_run(stack: &Stack) {
    stack.functions().tick().await.unwrap();
    guarded_later(stack, 6).await;
}

/// A round of the guard so many minutes later. It ends in its time.
async fn guarded_later(stack: &Stack, minutes: u32) -> Value {
    let earlier = format!(
        "UPDATE container_repositories SET
            pre_import_started_at = pre_import_started_at - interval '{minutes} minutes',
            import_started_at = import_started_at - interval '{minutes} minutes',
            next_check_at = next_check_at - interval '{minutes} minutes',
            leased_until = leased_until - interval '{minutes} minutes'
        WHERE slot IS NOT NULL"
    );
    sql(stack, &earlier).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let began = Instant::now();
    let summary = stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    assert!(began.elapsed() < INVOCATION + MARGIN, "{summary}");
    summary
}

/// The calls of one operation that the registry has had about a repository.
fn asked_for(stack: &Stack, path: &str, operation: Operation) -> usize {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    let of_it = |request: &RequestRecord| request.path.as_deref() == Some(path);
    requests.filter(|request| request.operation == operation && of_it(request)).count()
}

async fn transitions(stack: &Stack, path: &str) -> Vec<String> {
    let history = history(stack, path).await.unwrap();
    history.into_iter().filter(|line| !line.ends_with(')')).collect()
}

/// The repository gets to its end, byte for byte, having made these transitions and no others.
async fn is_migrated_by(stack: &Stack, path: &str, expected: &[&str]) {
    until_state(stack, path, "import_done").await.unwrap();
    assert_eq!(transitions(stack, path).await, expected, "{path}");
    let row = row(stack, path).await.unwrap();
    assert_eq!((row["retries_count"].as_i64(), row["skipped_reason"].as_i64()), (Some(0), None), "{path}");
    verify(&stack.old_storage().unwrap(), &stack.registry().unwrap().new_storage(), path).unwrap();
}

/// No slot is held any more, and none of the functions' processes has died.
async fn nothing_is_left(stack: Stack) {
    let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    let held: i64 = primary(&stack).await.unwrap().query_one(held, &[]).await.unwrap().get(0);
    assert_eq!((held, stack.functions().restarts()), (0, 0));
    stack.stop().await.unwrap();
}
