//! Slots under many claimers at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use local::{DATABASE, Stack, StackOptions, WRITER_ARN, WRITER_SECRET_ARN};
use shared::{
    endpoint::{Claim, Notification, Start, Writer},
    migration::{AttemptId, NotificationStatus, RepositoryPath, State},
    store::{Changed, Claimed, Started, Store, Verdict},
};
use suite::{explained::Explained, options, primary, repositories, stack, writer};
use tokio::{sync::RwLock, time::Instant};
use tokio_postgres::Client;
use uuid::Uuid;

const REPOSITORIES: usize = 200;
/// As many are enough where each costs more calls.
const FEWER: usize = 100;
/// So many groups of them are claimed at most, until all that is looked for has happened.
const GROUPS: usize = 10;
const CAPACITY: i64 = 5;
const CLAIMERS: usize = 8;

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Claims and finishes repositories until none is left.
async fn claimer(claims: Store<Claim>, notifications: Store<Notification>) -> usize {
    let mut finished = 0;
    loop {
        let row = match claims.claim_next(AttemptId::new(Uuid::new_v4()), deadline()).await.unwrap() {
            Claimed::Started(row) => row,
            Claimed::NoSlot | Claimed::PassedOver | Claimed::SlotWaits => continue,
            Claimed::NoneDue => return finished,
            Claimed::Disabled | Claimed::Held(_) => panic!("nothing holds starts back"),
        };
        for status in [NotificationStatus::PreImportComplete, NotificationStatus::ImportComplete] {
            let change = AttemptId::new(Uuid::new_v4());
            let changed = notifications
                .apply_notification(&row.path, status, None, None, change, deadline())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(changed.verdict, Verdict::Applied);
        }
        finished += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_capacity_with_eight_concurrent_claimers() {
    let stack = Arc::new(stack().await.unwrap());
    let paths: Vec<String> = (0..REPOSITORIES).map(|number| format!("group/image{number}")).collect();
    stack.register(&paths).await.unwrap();
    suite::sql(&stack, &format!("UPDATE migration_settings SET capacity = {CAPACITY}")).await.unwrap();
    let (claims, notifications) = (Store::new(writer(&stack)), Store::new(writer(&stack)));

    let finished = join_all((0..CLAIMERS).map(|_| claimer(claims.clone(), notifications.clone()))).await;

    assert_eq!(finished.iter().sum::<usize>(), REPOSITORIES);
    let client = primary(&stack).await.unwrap();
    let once = "SELECT count(*) FROM (
            SELECT repository_id FROM migration_transitions WHERE event = 'start_pre_import'
            GROUP BY repository_id HAVING count(*) = 1
        ) AS started";
    assert_eq!(client.query_one(once, &[]).await.unwrap().get::<_, i64>(0), REPOSITORIES as i64);
    // Per slot, starts and ends alternate in the order of the history's ids, and no slot is beyond the capacity.
    let order = "SELECT slot, array_agg(event = 'start_pre_import' ORDER BY id) AS starts
        FROM migration_transitions WHERE event IN ('start_pre_import', 'finish_import') GROUP BY slot";
    let slots = client.query(order, &[]).await.unwrap();
    assert!(slots.iter().all(|row| (1..=5).contains(&row.get::<_, i32>(0))));
    let mut starts = 0;
    for slot in &slots {
        for (index, start) in slot.get::<_, Vec<bool>>(1).into_iter().enumerate() {
            assert_eq!(start, index % 2 == 0, "slot {}: line {index}", slot.get::<_, i32>(0));
            starts += usize::from(start);
        }
    }
    assert_eq!(starts, REPOSITORIES);
    let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    assert_eq!(client.query_one(held, &[]).await.unwrap().get::<_, i64>(0), 0, "no slot is leaked");
    Arc::into_inner(stack).unwrap().stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_in_the_settings_cost_a_claim_nothing() {
    let stack = stack().await.unwrap();
    let rows = "INSERT INTO container_repositories (path, plan, created_at)
        SELECT CASE WHEN n <= 3000 THEN 'denied0/image' ELSE 'open/image' END || n, 'plan0', now() - interval '1 day'
        FROM generate_series(1, 4000) AS n";
    suite::sql(&stack, rows).await.unwrap();
    // Outside of a transaction: rows whose pages are known to be seen by everybody are not fetched.
    suite::sql(&stack, "VACUUM ANALYZE container_repositories").await.unwrap();
    let explained = Explained::new(suite::data_api(&stack, WRITER_ARN, WRITER_SECRET_ARN, DATABASE));
    let claims = Store::<Claim>::new(Writer::new(explained.clone()));
    // Each plan's rows begin at a place of their own in the index: that much is for the longest list of plans.
    for (plans, more) in [(false, 100), (true, 4 * 1000)] {
        let mut pages = Vec::new();
        for names in [1, 1000] {
            let list =
                |name: &str| format!("ARRAY(SELECT '{name}' || n FROM generate_series(0, {names} - 1) AS n)");
            let (denied, plans) = (list("denied"), if plans { list("plan") } else { "'{}'".to_owned() });
            let set = format!(
                "UPDATE migration_settings SET denied_root_namespaces = {denied}, target_plans = {plans}"
            );
            suite::sql(&stack, &set).await.unwrap();
            // What it reports is swallowed: no row seems to be due.
            claims.claim_next(AttemptId::new(Uuid::new_v4()), deadline()).await.unwrap();
            pages.push(explained.pages());
        }
        assert!(pages[1] < pages[0] + more, "{pages:?} pages with one name and with a thousand");
    }
    let started = "SELECT count(*) FROM container_repositories WHERE migration_state = 'pre_importing'";
    let started = primary(&stack).await.unwrap().query_one(started, &[]).await.unwrap();
    assert_eq!(started.get::<_, i64>(0), 4, "each claim took a row");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_what_runs_only_above_a_lowered_capacity() {
    let stack = stack().await.unwrap();
    let paths: Vec<String> = (0..9).map(|number| format!("group/image{number}")).collect();
    stack.register(&paths).await.unwrap();
    let explained = Explained::new(suite::data_api(&stack, WRITER_ARN, WRITER_SECRET_ARN, DATABASE));
    let claims = Store::<Claim>::new(Writer::new(explained.clone()));
    let starts = Store::<Start>::new(Writer::new(explained.clone()));
    let id = || AttemptId::new(Uuid::new_v4());
    // Claims begin with the others. What is reported is swallowed.
    let named = paths.iter().rev();
    for ((capacity, counted), named) in [(4, false), (4, false), (1, true), (4, false)].into_iter().zip(named)
    {
        let set = format!("UPDATE migration_settings SET capacity = {capacity}");
        suite::sql(&stack, &set).await.unwrap();
        claims.claim_next(id(), deadline()).await.unwrap();
        assert_eq!(explained.has_counted(), counted, "a claim with a capacity of {capacity}");
        starts.start(&named.parse().unwrap(), id(), deadline()).await.unwrap();
        assert_eq!(explained.has_counted(), counted, "a start with a capacity of {capacity}");
    }
    let in_progress = "SELECT count(*) FROM container_repositories WHERE slot IS NOT NULL";
    let in_progress = primary(&stack).await.unwrap().query_one(in_progress, &[]).await.unwrap();
    assert_eq!(in_progress.get::<_, i64>(0), 4, "two claims and two starts were made");
    stack.stop().await.unwrap();
}

/// A failure notification that waits for the row's lock while `meanwhile` is done to the row and committed.
async fn failed_after(stack: &Stack, meanwhile: &str) -> Changed {
    let mut holder = primary(stack).await.unwrap();
    let transaction = holder.transaction().await.unwrap();
    transaction.batch_execute(meanwhile).await.unwrap();
    let store = Store::<Notification>::new(writer(stack));
    let path = "group/image".parse().unwrap();
    let waiting = tokio::spawn(async move {
        let change = AttemptId::new(Uuid::new_v4());
        store
            .apply_notification(&path, NotificationStatus::ImportFailed, None, None, change, deadline())
            .await
    });
    let observer = primary(stack).await.unwrap();
    suite::until("the change waits for the lock", || async {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        Ok(observer.query_one(query, &[]).await?.get::<_, i64>(0) == 1)
    })
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    waiting.await.unwrap().unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waited_for_another_ones_lock_is_made() {
    let stack = stack().await.unwrap();
    suite::given(&stack, "group/image", "importing", None).await.unwrap();

    let changed = failed_after(&stack, "UPDATE container_repositories SET version = version + 1").await;

    assert_eq!((changed.verdict, changed.row.version), (Verdict::Applied, 4));
    assert_eq!(suite::state(&stack, "group/image").await.unwrap(), "import_aborted");
    let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    let client = primary(&stack).await.unwrap();
    assert_eq!(client.query_one(held, &[]).await.unwrap().get::<_, i64>(0), 0);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waited_is_decided_by_what_the_other_one_did() {
    let stack = stack().await.unwrap();
    suite::given(&stack, "group/image", "importing", None).await.unwrap();
    let done = "UPDATE migration_slots SET repository_id = NULL;
        UPDATE container_repositories SET migration_state = 'import_done', import_done_at = now(), slot = NULL,
            version = version + 1";

    let changed = failed_after(&stack, done).await;

    assert_eq!((changed.verdict, changed.before), (Verdict::Refused, State::ImportDone));
    let row = suite::row(&stack, "group/image").await.unwrap();
    assert_eq!((row["migration_state"].as_str(), row["version"].as_i64()), (Some("import_done"), Some(3)));
    assert_eq!(row["retries_count"], 0);
    stack.stop().await.unwrap();
}

/// A session that holds the lock of the only slot, as a claim does that is just taking it.
async fn holder_of_the_slot(stack: &Stack) -> Client {
    suite::sql(stack, "UPDATE migration_settings SET capacity = 1").await.unwrap();
    let holder = primary(stack).await.unwrap();
    holder.batch_execute("BEGIN; SELECT FROM migration_slots WHERE slot = 1 FOR UPDATE").await.unwrap();
    holder
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_a_contended_slot_from_a_taken_one() {
    let stack = stack().await.unwrap();
    stack.register(&["group/image".to_owned()]).await.unwrap();
    let store = Store::<Claim>::new(writer(&stack));
    let claim = async || store.claim_next(AttemptId::new(Uuid::new_v4()), deadline()).await.unwrap();
    let holder = holder_of_the_slot(&stack).await;

    assert_eq!(claim().await, Claimed::PassedOver);
    holder.batch_execute("COMMIT").await.unwrap();
    assert!(matches!(claim().await, Claimed::Started(_)));
    assert_eq!(claim().await, Claimed::NoSlot);
    // What waits is not being taken, whoever holds it.
    let waits = "UPDATE migration_slots SET repository_id = NULL, freed_at = now() WHERE slot = 1;
        UPDATE migration_settings SET waiting_time_seconds = 1000";
    holder.batch_execute(waits).await.unwrap();
    holder.batch_execute("BEGIN; SELECT FROM migration_slots WHERE slot = 1 FOR UPDATE").await.unwrap();
    assert_eq!(claim().await, Claimed::SlotWaits);
    drop(holder);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_passed_over_the_only_free_slot_is_made_again() {
    let stack = stack().await.unwrap();
    repositories(&stack, &["group/image"]).await.unwrap();
    let holder = holder_of_the_slot(&stack).await;
    let claims = || {
        let calls = stack.data_api().journal();
        let claim = |sql: &str| sql.contains("FOR UPDATE OF s SKIP LOCKED");
        calls.iter().filter(|call| call.sql.as_deref().is_some_and(claim)).count()
    };

    let let_go = async {
        suite::until("it is claimed again", || async { Ok(claims() > 1) }).await.unwrap();
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (summary, ()) = tokio::join!(stack.functions().tick(), let_go);

    assert_eq!(summary.unwrap()["started"], 1);
    stack.stop().await.unwrap();
}

/// The capacity, changed at random while claims are made, but not in the midst of one: so it is known which one each
/// claim had to keep.
struct Capacity {
    client: Client,
    /// From which line of the history on it was what, the oldest first.
    known: Vec<(i64, i64)>,
}

impl Capacity {
    async fn change(&mut self, to: i64) {
        let sql = format!("UPDATE migration_settings SET capacity = {to}");
        self.client.batch_execute(&sql).await.unwrap();
        let last = "SELECT coalesce(max(id), 0) FROM migration_transitions";
        self.known.push((self.client.query_one(last, &[]).await.unwrap().get(0), to));
    }

    fn at(&self, id: i64) -> i64 {
        self.known.iter().rfind(|(since, _)| *since < id).map(|(_, capacity)| *capacity).unwrap()
    }
}

/// Claims repositories, ends others and changes the capacity, in an order by chance, until all are started. How often
/// it was passed over.
async fn worker(
    stack: &Stack,
    group: usize,
    capacity: &RwLock<Capacity>,
    started: &Mutex<Vec<RepositoryPath>>,
) -> usize {
    let (claims, starts) = (Store::<Claim>::new(writer(stack)), Store::<Start>::new(writer(stack)));
    let notifications = Store::<Notification>::new(writer(stack));
    let id = || AttemptId::new(Uuid::new_v4());
    let (mut passed_over, mut named) = (0, 0..FEWER);
    loop {
        if rand::random_ratio(1, 12) {
            capacity.write().await.change(rand::random_range(1..=10)).await;
        }
        let known = capacity.read().await;
        let row = if rand::random_bool(0.2) {
            let Some(number) = named.next() else { continue };
            let path = format!("group{group}/image{number}").parse().unwrap();
            match starts.start(&path, id(), deadline()).await.unwrap() {
                Started::Started(row) => Some(row),
                Started::PassedOver => {
                    passed_over += 1;
                    None
                }
                Started::WrongState(_) | Started::NoSlot => None,
                other @ (Started::Disabled | Started::Held(_) | Started::NotFound) => panic!("{other:?}"),
            }
        } else {
            match claims.claim_next(id(), deadline()).await.unwrap() {
                Claimed::Started(row) => Some(row),
                Claimed::PassedOver => {
                    passed_over += 1;
                    None
                }
                Claimed::NoSlot => None,
                Claimed::NoneDue => return passed_over,
                other @ (Claimed::Disabled | Claimed::Held(_) | Claimed::SlotWaits) => panic!("{other:?}"),
            }
        };
        drop(known);
        started.lock().unwrap().extend(row.map(|row| row.path));
        let ended =
            Some(started.lock().unwrap()).filter(|rows| rows.len() > 3).map(|mut rows| rows.remove(0));
        if let Some(path) = ended {
            for status in [NotificationStatus::PreImportComplete, NotificationStatus::ImportComplete] {
                notifications.apply_notification(&path, status, None, None, id(), deadline()).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_claimers_keep_a_capacity_that_goes_up_and_down() {
    let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await.unwrap();
    let client = primary(&stack).await.unwrap();
    let mut capacity = Capacity { client, known: vec![] };
    capacity.change(10).await;
    let (capacity, started) = (RwLock::new(capacity), Mutex::default());

    let (mut with_one_above, mut passed_over) = (0, 0);
    for group in 0..GROUPS {
        let paths: Vec<String> = (0..FEWER).map(|number| format!("group{group}/image{number}")).collect();
        stack.register(&paths).await.unwrap();
        let workers = (0..CLAIMERS).map(|_| worker(&stack, group, &capacity, &started));
        passed_over += join_all(workers).await.into_iter().sum::<usize>();
        with_one_above = starts_with_one_above(&*capacity.read().await).await;
        if with_one_above > 0 && passed_over > 0 {
            break;
        }
    }
    assert!(with_one_above > 0 && passed_over > 0, "{with_one_above}, {passed_over}");
    stack.stop().await.unwrap();
}

/// Looks that each start had room, and counts those beside one in a slot that the capacity has no more.
async fn starts_with_one_above(capacity: &Capacity) -> usize {
    let query = "SELECT id, slot, from_state = 'default'
        FROM migration_transitions WHERE 'default' = from_state OR to_state = 'import_done' ORDER BY id";
    let (mut in_progress, mut with_one_above) = (BTreeSet::new(), 0);
    for line in capacity.client.query(query, &[]).await.unwrap() {
        let (id, slot, start): (i64, i32, bool) = (line.get(0), line.get(1), line.get(2));
        if !start {
            in_progress.remove(&slot);
            continue;
        }
        let most = capacity.at(id);
        assert!((in_progress.len() as i64) < most, "line {id}: {in_progress:?} of {most}");
        with_one_above += usize::from(in_progress.iter().any(|slot| i64::from(*slot) > most));
        assert!(in_progress.insert(slot), "line {id}: slot {slot} was taken");
    }
    with_one_above
}
