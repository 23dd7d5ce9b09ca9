//! Messages that come late, twice or never, processes that are killed, services that are restarted: every
//! repository gets to its end, and no retry is counted for what was not its own failure.

mod enqueue_killed;
mod guard_killed;
mod kill;
mod manage_killed;
mod messages;
mod notification_killed;
mod restarts;
mod start_killed;

use local::{
    Function, Stack, StackOptions,
    local_registry::{Effect, Operation, Point, Rule, Step, storage::verify},
};
use serde_json::Value;
use suite::{BEGUN_AGAIN, PATIENCE, WHOLE, history, options, primary, repositories, row, sql, until_state};

/// Failed in the pre step, and begun once more.
const RETRIED: [&str; 6] = [
    "start_pre_import default>pre_importing",
    "abort_import pre_importing>import_aborted",
    "retry_pre_import import_aborted>pre_importing",
    "finish_pre_import pre_importing>pre_import_done",
    "start_import pre_import_done>importing",
    "finish_import importing>import_done",
];

/// A stack in which nobody ticks a schedule and no step is ever past its time, with so many processes of each
/// function.
async fn stack(instances: usize) -> Stack {
    let functions = vec![
        Function::StartMigration,
        Function::RegistryNotification,
        Function::EnqueueMigrations,
        Function::GuardMigrations,
        Function::ManageMigrations,
    ];
    let stack = Stack::start(StackOptions { instances, functions, ..options() }).await.unwrap();
    let patient = "UPDATE migration_settings
        SET pre_import_timeout_seconds = 1000000, import_timeout_seconds = 1000000";
    sql(&stack, patient).await.unwrap();
    stack
}

/// The row's state while this step runs.
fn running(step: Step) -> &'static str {
    match step {
        Step::Pre => "pre_importing",
        Step::Final => "importing",
    }
}

/// Registers repositories and has them started, one by one.
async fn started(stack: &Stack, paths: &[&str]) {
    for path in paths {
        repositories(stack, &[path]).await.unwrap();
        assert_eq!(stack.client().start(path).await.unwrap().status(), 202, "{path}");
    }
}

/// Has the repository started, and lets `step` fail once, which is counted. It is not begun again yet.
async fn failed_once(stack: &Stack, path: &str, step: Step) {
    let rules = stack.registry().unwrap().rules();
    let only = |effect| Rule::new(effect).repository(path).step(step).times(1);
    rules.add(only(Effect::Fail { error: "blob unknown".to_owned() }));
    let held = rules.add(only(Effect::Hold { at: Point::Work }));
    started(stack, &[path]).await;
    until_state(stack, path, running(step)).await.unwrap();
    // Nobody is to claim it when it has failed.
    sql(stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    assert!(rules.remove(held));
    until_state(stack, path, "import_aborted").await.unwrap();
    work_after_answers_is_done(stack).await;
    sql(stack, "UPDATE migration_settings SET capacity = 100").await.unwrap();
}

/// A stack's only process of registry-notification serves the next request once the work after the last answer
/// is done.
async fn work_after_answers_is_done(stack: &Stack) {
    assert_eq!(stack.functions().pids(Function::RegistryNotification).len(), 1);
    assert_eq!(stack.client().notify("group/image", "none of the six", None).await.unwrap().status(), 400);
}

/// Lets everything have begun so much earlier than it has, on the reader too, and every wait be over.
async fn time_passes(stack: &Stack) {
    let earlier = "UPDATE container_repositories SET
            pre_import_started_at = pre_import_started_at - interval '6 minutes',
            import_started_at = import_started_at - interval '6 minutes',
            not_before = not_before - interval '6 minutes',
            next_check_at = next_check_at - interval '6 minutes',
            leased_until = leased_until - interval '6 minutes'
        WHERE migration_state NOT IN ('import_done', 'import_skipped')";
    sql(stack, earlier).await.unwrap();
    suite::release_the_brake(stack).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
}

/// One round of the guard, to which everything in progress seems stuck.
async fn guard(stack: &Stack) -> Value {
    time_passes(stack).await;
    stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap()
}

/// Waits until nothing moves any more: no import runs, and no notification of those sent after the first `sent`
/// is without its answer.
async fn quiet(stack: &Stack, sent: usize) {
    let registry = stack.registry().unwrap();
    let nothing_runs = || registry.entries().iter().all(|entry| !entry.status.is_in_progress());
    let all_told = registry.journal().wait_until(PATIENCE, |journal| {
        nothing_runs() && journal.notifications().iter().skip(sent).all(|sending| sending.ended.is_some())
    });
    assert!(all_told.await, "{:?}", registry.entries());
}

/// Runs the schedules, again and again, until every repository has come to its end.
async fn schedules_run_until_the_end(stack: &Stack) {
    for _ in 0..8 {
        let sent = stack.registry().unwrap().journal().notifications().len();
        guard(stack).await;
        time_passes(stack).await;
        stack.functions().tick().await.unwrap();
        quiet(stack, sent).await;
        if all_ended(stack).await {
            return;
        }
    }
    let left = "SELECT jsonb_agg(to_jsonb(c)) FROM container_repositories AS c
        WHERE migration_state NOT IN ('import_done', 'import_skipped')";
    let left: Value = primary(stack).await.unwrap().query_one(left, &[]).await.unwrap().get(0);
    panic!("not all repositories have come to their end: {left}");
}

async fn all_ended(stack: &Stack) -> bool {
    let left = "SELECT count(*) FROM container_repositories
        WHERE migration_state NOT IN ('import_done', 'import_skipped')";
    primary(stack).await.unwrap().query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0
}

async fn transitions(stack: &Stack, path: &str) -> Vec<String> {
    let history = history(stack, path).await.unwrap();
    history.into_iter().filter(|line| !line.ends_with(')')).collect()
}

/// The repository is migrated, byte for byte, having made these transitions and no others, with so many retries
/// counted.
async fn is_migrated(stack: &Stack, path: &str, expected: &[&str], retries: i64) {
    assert_eq!(transitions(stack, path).await, expected, "{path}");
    let row = row(stack, path).await.unwrap();
    assert_eq!(row["migration_state"], "import_done", "{path}");
    assert_eq!(
        (row["retries_count"].as_i64(), row["skipped_reason"].as_i64()),
        (Some(retries), None),
        "{path}"
    );
    verify(&stack.old_storage().unwrap(), &stack.registry().unwrap().new_storage(), path).unwrap();
}

/// No slot is held any more.
async fn nothing_is_held(stack: &Stack) {
    let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    let held: i64 = primary(stack).await.unwrap().query_one(held, &[]).await.unwrap().get(0);
    assert_eq!(held, 0);
}

/// Only the start of this step of this repository.
fn start_of(rule: Rule, path: &str, step: Step) -> Rule {
    rule.operation(Operation::Start).repository(path).step(step)
}
