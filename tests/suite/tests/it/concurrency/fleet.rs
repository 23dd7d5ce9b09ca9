//! Many repositories at once: how many are in progress, how often each is started, what one bad one holds up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::join_all;
use local::{
    Function, Stack, StackOptions,
    local_registry::{Effect, Operation, Point, Rule, When, storage::verify},
};
use serde_json::json;
use suite::{options, primary, repositories, row, sql, until};

/// The schedule and the webhook, so many processes of each.
async fn stack(instances: usize, capacity: i32) -> Stack {
    let functions = vec![Function::RegistryNotification, Function::EnqueueMigrations];
    Stack::start(StackOptions { instances, functions, capacity, ..options() }).await.unwrap()
}

fn named(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}/image{number}")).collect()
}

async fn known(stack: &Stack, paths: &[String]) {
    repositories(stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
}

async fn in_state(stack: &Stack, state: &str) -> usize {
    let count = "SELECT count(*) FROM container_repositories WHERE migration_state = $1";
    let count: i64 = primary(stack).await.unwrap().query_one(count, &[&state]).await.unwrap().get(0);
    count.try_into().unwrap()
}

/// Goes through the history in the order of its ids, which per slot is that of the commits: who is in which slot.
/// Gives the most that were in progress at once.
async fn most_at_once(stack: &Stack) -> usize {
    let lines = "SELECT repository_id, slot, to_state IN ('pre_importing', 'pre_import_done', 'importing')
        FROM migration_transitions WHERE applied ORDER BY id";
    let mut occupants = BTreeMap::new();
    let mut most = 0;
    for line in primary(stack).await.unwrap().query(lines, &[]).await.unwrap() {
        let (repository, slot, in_progress): (i64, i32, bool) = (line.get(0), line.get(1), line.get(2));
        let occupant = *occupants.entry(slot).or_insert(repository);
        assert_eq!(occupant, repository, "slot {slot} has one occupant");
        if !in_progress {
            occupants.remove(&slot);
        }
        most = most.max(occupants.len());
    }
    most
}

/// The ids of the requests to start something, each with the status it was answered.
fn start_requests(stack: &Stack) -> Vec<(String, Option<u16>)> {
    let requests = stack.registry().unwrap().journal().requests().into_iter();
    let starts = requests.filter(|request| request.operation == Operation::Start);
    starts.map(|request| (request.request_id.unwrap(), request.answered)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_500_once_with_25_slots_and_eight_enqueuers() {
    const REPOSITORIES: usize = 500;
    let stack = stack(8, 25).await;
    let paths = named("group", REPOSITORIES);
    known(&stack, &paths).await;

    // Beside them the webhook's own processes claim, for every slot that is freed.
    let enqueuer = async || {
        while in_state(&stack, "import_done").await < REPOSITORIES {
            let summary = stack.functions().tick().await.unwrap();
            assert!(summary["ended"] == "no_slot" || summary["ended"] == "none_due", "{summary}");
            // As schedules do, and so that there is time for anything else.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    join_all((0..8).map(|_| enqueuer())).await;

    assert_eq!(most_at_once(&stack).await, 25, "and no fewer: the slots are used");
    let client = primary(&stack).await.unwrap();
    let beyond = "SELECT count(*) FROM migration_transitions WHERE slot NOT BETWEEN 1 AND 25";
    assert_eq!(client.query_one(beyond, &[]).await.unwrap().get::<_, i64>(0), 0);
    let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    assert_eq!(client.query_one(held, &[]).await.unwrap().get::<_, i64>(0), 0, "no slot is leaked");
    let attempts =
        "SELECT attempt::text FROM migration_transitions WHERE event IN ('start_pre_import', 'start_import')";
    let attempts = client.query(attempts, &[]).await.unwrap();
    let attempts: BTreeSet<String> = attempts.iter().map(|row| row.get(0)).collect();
    let asked = start_requests(&stack);
    assert_eq!((attempts.len(), asked.len()), (2 * REPOSITORIES, 2 * REPOSITORIES));
    assert!(asked.iter().all(|(id, answered)| attempts.contains(id) && *answered == Some(202)), "{asked:?}");
    assert_eq!(asked.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), asked.len());
    let whole =
        "SELECT count(*) FROM container_repositories WHERE version % 1048576 = 4 AND retries_count = 0";
    assert_eq!(client.query_one(whole, &[]).await.unwrap().get::<_, i64>(0), REPOSITORIES as i64);
    let (old, new) = (stack.old_storage().unwrap(), stack.registry().unwrap().new_storage());
    for path in &paths {
        verify(&old, &new, path).unwrap();
    }
    assert_eq!(stack.functions().restarts(), 0);
    stack.stop().await.unwrap();
}

/// The registry answers every start of this repository so.
fn poison(stack: &Stack, path: &str, status: u16) {
    let code = (status < 500).then(|| "MANIFEST_INVALID".to_owned());
    let answer = Effect::Answer { status, code, detail: None, body: None, when: When::Before };
    stack.registry().unwrap().rules().add(Rule::new(answer).repository(path).operation(Operation::Start));
}

/// What became of the slots that were freed, by the webhook's own words.
fn dealt_with(stack: &Stack, how: &str) -> Vec<String> {
    let log = stack.functions().log(Function::RegistryNotification);
    log.lines().filter(|line| line.contains(how)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_repository_blocks_no_other() {
    const SLOTS: usize = 5;
    let stack = stack(4, SLOTS as i32).await;
    known(&stack, &named("soon", 20)).await;
    known(&stack, &named("late", 179)).await;
    // One is refused in the sweep, one in the chain, and of the third nobody ever knows whether it runs.
    let (first, refused, silent) = ("poison/first", "poison/refused", "poison/silent");
    known(&stack, &[first, refused, silent].map(str::to_owned)).await;
    for (path, status, priority) in [(first, 400, 20), (refused, 400, 5), (silent, 500, 5)] {
        poison(&stack, path, status);
        let set = format!("UPDATE container_repositories SET priority = {priority} WHERE path = '{path}'");
        sql(&stack, &set).await.unwrap();
    }
    sql(&stack, "UPDATE container_repositories SET priority = 10 WHERE path LIKE 'soon/%'").await.unwrap();
    let rules = stack.registry().unwrap().rules();
    let hold = rules.add(Rule::new(Effect::Hold { at: Point::Notification }));

    // One sweep, which fills every slot. All the rest is up to the chain: nothing is swept a second time.
    let summary = stack.functions().tick().await.unwrap();
    assert_eq!(
        summary,
        json!({"resumed": 0, "held": 0, "started": SLOTS, "skipped": 0, "ended": "no_slot"}),
        "the sweep went on behind the poisoned one"
    );
    assert!(rules.remove(hold));

    // A chain ends where nothing is due any more. One slot is the silent one's for good.
    until("the other chains have come to their ends", || async {
        Ok(dealt_with(&stack, "empty").len() == SLOTS - 1)
    })
    .await
    .unwrap();
    let ends = dealt_with(&stack, "empty");
    assert!(ends.iter().all(|end| end.contains("none_due")), "and not before: {ends:#?}");
    assert_eq!(in_state(&stack, "import_done").await, 199);
    assert_eq!(most_at_once(&stack).await, SLOTS);
    for path in [first, refused] {
        let row = row(&stack, path).await.unwrap();
        assert_eq!(
            (&row["migration_state"], &row["skipped_reason"], &row["retries_count"]),
            (&json!("import_skipped"), &json!(1), &json!(3)),
            "{path}"
        );
    }
    let silent = row(&stack, silent).await.unwrap();
    assert_eq!((&silent["migration_state"], &silent["retries_count"]), (&json!("pre_importing"), &json!(0)));
    let failed = start_requests(&stack).iter().filter(|(_, answered)| *answered != Some(202)).count();
    assert_eq!(failed, 3 + 3 + 1, "no call to the registry was spent on them besides");
    let client = primary(&stack).await.unwrap();
    let held =
        "SELECT array_agg(slot) = ARRAY[$1::integer] FROM migration_slots WHERE repository_id IS NOT NULL";
    let slot = i32::try_from(silent["slot"].as_i64().unwrap()).unwrap();
    assert!(client.query_one(held, &[&slot]).await.unwrap().get::<_, bool>(0));
    stack.stop().await.unwrap();
}
