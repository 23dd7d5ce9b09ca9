//! What makes a row due, and who looks at it: what the core says, and what the statements do.

use std::collections::{BTreeMap, BTreeSet};

use local::{Stack, StackOptions};
use shared::{
    endpoint::{Claim, Guard, Manage, Notification, StaleScan, Start},
    migration::{
        AttemptId, Due, Event, FIRST_LOOK, LeaseState, LookTime, Looker, NotificationStatus, Plan,
        RepositoryPath, State, Step, StepTimes, first_check, who_looks,
    },
    store::{Claimed, Lease, Resumed, Store},
};
use suite::{given, options, primary, reads, sql, writer};
use tokio::time::Instant;
use uuid::Uuid;

/// A stack of databases alone.
pub(super) async fn databases() -> Stack {
    Stack::start(StackOptions { functions: vec![], capacity: 1000, ..options() }).await.unwrap()
}

pub(super) fn soon() -> Instant {
    Instant::now() + suite::PATIENCE
}

pub(super) fn path(text: &str) -> RepositoryPath {
    RepositoryPath::parse(text).unwrap()
}

/// Forgets every repository.
pub(super) async fn forget_all(stack: &Stack) {
    sql(stack, "DELETE FROM container_repositories").await.unwrap();
}

const TIMES: [(&str, LookTime, &str); 3] = [
    ("never", LookTime::Never, "NULL"),
    ("come", LookTime::Come, "now() - interval '1 hour'"),
    ("to-come", LookTime::ToCome, "now() + interval '1 hour'"),
];

/// Every row there can be, as far as it matters, by a path that says what it is.
fn rows(enabled: bool) -> BTreeMap<String, Due> {
    let leases = [
        ("free", LeaseState::Free),
        ("own", LeaseState::Own),
        ("others", LeaseState::Others),
        ("over", LeaseState::Over),
    ];
    let mut rows = BTreeMap::new();
    for state in State::ALL.iter().copied() {
        for (waits, not_before, _) in TIMES {
            for (checked, next_check, _) in TIMES {
                for (leased, lease) in leases {
                    let path = format!("{state}/{waits}/{checked}/{leased}");
                    rows.insert(path, Due { state, not_before, next_check, lease, enabled });
                }
            }
        }
    }
    rows
}

/// Makes them the database's.
async fn given_all(stack: &Stack, own: Lease, enabled: bool) {
    forget_all(stack).await;
    sql(stack, &format!("UPDATE migration_settings SET enabled = {enabled}, capacity = 1000")).await.unwrap();
    let times = |of: &str| {
        let each = TIMES.map(|(name, _, value)| format!("WHEN '{name}' THEN {value}")).join(" ");
        format!("(CASE {of} {each} END)::timestamptz")
    };
    let (not_before, next_check_at) = (times("waits"), times("checked"));
    let given = format!(
        "INSERT INTO container_repositories (
            path, migration_state, slot, not_before, next_check_at, lease, leased_until, pre_import_started_at,
            pre_import_done_at, import_started_at, import_done_at, aborted_at, aborted_in_state, skipped_at, skipped_reason
        )
        SELECT
            concat_ws('/', state, waits, checked, leased), state,
            CASE WHEN state IN ('pre_importing', 'pre_import_done', 'importing')
                THEN row_number() OVER (ORDER BY state NOT IN ('pre_importing', 'pre_import_done', 'importing')) END,
            {not_before}, {next_check_at},
            CASE leased WHEN 'own' THEN '{own}'::uuid WHEN 'free' THEN NULL ELSE gen_random_uuid() END,
            CASE leased WHEN 'free' THEN NULL WHEN 'over' THEN now() - interval '1 second' ELSE now() + interval '1 hour' END,
            now(), now(), now(), now(), CASE WHEN state = 'import_aborted' THEN now() END,
            CASE WHEN state = 'import_aborted' THEN 'importing' END, now(), CASE WHEN state = 'import_skipped' THEN 2 END
        FROM unnest(ARRAY['{states}']) AS state
        CROSS JOIN unnest(ARRAY['never', 'come', 'to-come']) AS waits
        CROSS JOIN unnest(ARRAY['never', 'come', 'to-come']) AS checked
        CROSS JOIN unnest(ARRAY['free', 'own', 'others', 'over']) AS leased;
        UPDATE migration_slots AS s SET repository_id = c.id FROM container_repositories AS c WHERE c.slot = s.slot;",
        own = own.holder(),
        states = State::ALL.iter().map(|state| state.name()).collect::<Vec<_>>().join("', '"),
    );
    sql(stack, &given).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
}

/// What the sweep starts until nothing is due any more.
async fn swept(stack: &Stack) -> BTreeSet<String> {
    let store: Store<Claim> = Store::new(writer(stack));
    let mut swept = BTreeSet::new();
    let id = || AttemptId::new(Uuid::new_v4());
    while let Resumed::Started(row) = store.resume_parked(id(), soon()).await.unwrap() {
        swept.insert(row.path.to_string());
    }
    while let Claimed::Started(row) = store.claim_next(id(), soon()).await.unwrap() {
        swept.insert(row.path.to_string());
    }
    swept
}

async fn who_looks_is_who_the_core_says(stack: &Stack) {
    let (scan, guard) = (Store::<StaleScan>::new(reads(stack)), Store::<Guard>::new(writer(stack)));
    for enabled in [false, true] {
        let own = Lease::random();
        given_all(stack, own, enabled).await;
        let rows = rows(enabled);
        let all: Vec<_> = rows.keys().map(|name| path(name)).collect();
        let names =
            |paths: Vec<RepositoryPath>| paths.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let hinted = names(scan.scan_stuck(1000, None, soon()).await.unwrap().found);
        let leased = guard.lease_stuck(&all, own, soon()).await.unwrap();
        let again = guard.lease_stuck(&all, own, soon()).await.unwrap();
        let of =
            |stuck: Vec<shared::migration::Stuck>| names(stuck.into_iter().map(|s| s.row.path).collect());
        let (leased, again) = (of(leased), of(again));
        let swept = swept(stack).await;
        for (name, due) in rows {
            let expected = who_looks(due);
            let guarded = matches!(expected, Looker::Guard | Looker::Either);
            assert_eq!(leased.contains(&name), guarded, "leased: {name}, {due:?}");
            assert_eq!(again.contains(&name), guarded, "leased once more: {name}, {due:?}");
            assert_eq!(
                swept.contains(&name),
                matches!(expected, Looker::Sweep | Looker::Either),
                "{name}, {due:?}"
            );
            // A hint says nothing of leases.
            let unleased = who_looks(Due { lease: LeaseState::Free, ..due });
            assert_eq!(
                hinted.contains(&name),
                matches!(unleased, Looker::Guard | Looker::Either),
                "hinted: {name}"
            );
        }
    }
    forget_all(stack).await;
}

/// How a row comes to be where it is.
const KINDS: [&str; 9] =
    ["claimed", "started", "retried", "resumed", "promoted", "adopted", "parked", "refused", "aborted"];

/// Brings the one row there by a statement of the driver's.
async fn comes_by(stack: &Stack, kind: &str) {
    let attempt = Uuid::new_v4();
    let id = || AttemptId::new(Uuid::new_v4());
    let (name, claims) = (path("group/image"), Store::<Claim>::new(writer(stack)));
    let from = match kind {
        "claimed" | "started" => "default",
        "retried" => "import_aborted",
        "resumed" => "pre_import_done",
        "promoted" | "adopted" | "aborted" => "pre_importing",
        _ => "importing",
    };
    given(stack, "group/image", from, Some(attempt)).await.unwrap();
    let held = "UPDATE container_repositories SET lease = gen_random_uuid(), leased_until = now() + interval '1 hour',
        resume_state = CASE migration_state WHEN 'importing' THEN 'pre_import_done' END";
    sql(stack, held).await.unwrap();
    let record = async |plan: Plan| {
        claims
            .record_answer(&name, AttemptId::new(attempt), &plan, None, id(), soon())
            .await
            .unwrap()
            .unwrap();
    };
    match kind {
        "claimed" => drop(claims.claim_next(id(), soon()).await.unwrap()),
        "started" => drop(Store::<Start>::new(writer(stack)).start(&name, id(), soon()).await.unwrap()),
        "retried" => drop(Store::<Manage>::new(writer(stack)).retry(&name, id(), soon()).await.unwrap()),
        "resumed" => drop(claims.resume_parked(id(), soon()).await.unwrap()),
        "promoted" => {
            let store: Store<Notification> = Store::new(writer(stack));
            let status = NotificationStatus::PreImportComplete;
            store.apply_notification(&name, status, None, None, id(), soon()).await.unwrap().unwrap();
        }
        "adopted" => record(Plan::event(Event::Adopt(Step::Pre))).await,
        "parked" => record(Plan::event(Event::StartRefused)).await,
        "refused" => record(Plan::event(Event::StartRefused).not_before(FIRST_LOOK * 2)).await,
        _ => record(Plan::event(Event::AbortImport { counted: true })).await,
    }
}

async fn the_first_look_is_where_the_core_says(stack: &Stack) {
    let row = "SELECT c.migration_state, to_jsonb(c.next_check_at)::text, to_jsonb(c.not_before)::text,
            (SELECT to_jsonb(max(created_at))::text FROM migration_transitions WHERE repository_id = c.id AND event <> 'given'),
            c.lease IS NULL AND c.leased_until IS NULL
        FROM container_repositories AS c";
    for (max_step_duration_seconds, kind) in [300, 4].into_iter().flat_map(|s| KINDS.map(|kind| (s, kind))) {
        let set =
            format!("UPDATE migration_settings SET max_step_duration_seconds = {max_step_duration_seconds}");
        sql(stack, &set).await.unwrap();
        comes_by(stack, kind).await;
        let row = primary(stack).await.unwrap().query_one(row, &[]).await.unwrap();
        let time = |text: Option<String>| text.map(|text| serde_json::from_str(&text).unwrap());
        let state: String = row.get(0);
        let (next_check_at, not_before) = (time(row.get(1)), time(row.get(2)));
        let now = time(row.get(3)).unwrap_or_else(|| panic!("{kind} changes nothing"));
        let steps = StepTimes {
            max_step_duration_seconds,
            pre_import_timeout_seconds: 1800,
            import_timeout_seconds: 600,
            pre_import_seconds_per_tag: 0.5,
        };
        let expected = first_check(State::parse(&state).unwrap(), not_before, now, &steps);
        assert_eq!(next_check_at, expected, "{kind}: {state}");
        assert!(row.get::<_, bool>(4), "{kind}: what has changed is nobody's to look at any more");
        forget_all(stack).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_at_rows_when_the_core_says_so() {
    let stack = databases().await;
    who_looks_is_who_the_core_says(&stack).await;
    the_first_look_is_where_the_core_says(&stack).await;
    stack.stop().await.unwrap();
}
