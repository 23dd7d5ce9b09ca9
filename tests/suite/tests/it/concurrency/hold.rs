//! Holds: final steps that wait for an operator or for a time of day, and what goes on meanwhile.

use std::{collections::BTreeSet, time::Duration};

use local::{Function, Stack, StackOptions};
use serde_json::{Value, json};
use shared::{
    endpoint::{Claim, Guard, Manage, Notification, Start, Summary},
    migration::{
        AttemptId, Cancelation, ContainerRepository, Finding, GuardDecision, HoldChange, NotificationStatus,
        Plan, RegistryStatus, RegistryView, Remedy, RepositoryPath, State, canceled_decision, guard_decision,
    },
    store::{AskingAgain, Claimed, HeldNow, HoldSet, Lease, Noted, Resumed, Started, Store, Verdict},
};
use suite::{PATIENCE, given, history, options, primary, reads, repositories, row, sql, window, writer};
use tokio::time::Instant;
use uuid::Uuid;

/// The stores of a stack.
struct Desk {
    stack: Stack,
    claims: Store<Claim>,
    starts: Store<Start>,
    manage: Store<Manage>,
    guard: Store<Guard>,
    notifications: Store<Notification>,
}

fn id() -> AttemptId {
    AttemptId::new(Uuid::new_v4())
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

fn path(text: &str) -> RepositoryPath {
    text.parse().unwrap()
}

impl Desk {
    async fn new() -> Self {
        Self::with(StackOptions { functions: vec![], ..options() }).await
    }

    async fn with(options: StackOptions) -> Self {
        let stack = Stack::start(options).await.unwrap();
        Self {
            claims: Store::new(writer(&stack)),
            starts: Store::new(writer(&stack)),
            manage: Store::new(writer(&stack)),
            guard: Store::new(writer(&stack)),
            notifications: Store::new(writer(&stack)),
            stack,
        }
    }

    async fn set(&self, change: Value) {
        let change: HoldChange = serde_json::from_value(change).unwrap();
        let set = self.manage.set_hold(&change.checked().unwrap(), Uuid::new_v4(), soon()).await.unwrap();
        assert_eq!(set, HoldSet::Set);
    }

    async fn hold(&self, prefix: &str) {
        self.set(json!({"prefix": prefix, "until_released": true})).await;
    }

    async fn release(&self, prefix: &str) {
        assert!(self.manage.release_hold(&prefix.parse().unwrap(), Uuid::new_v4(), soon()).await.unwrap());
    }

    async fn row(&self, of: &str) -> ContainerRepository {
        self.manage.find(&path(of), soon()).await.unwrap().unwrap()
    }

    /// Done with the pre step and held, without having been either.
    async fn held(&self, of: &str) {
        given(&self.stack, of, "pre_importing", Some(Uuid::new_v4())).await.unwrap();
        assert_eq!(self.pre_import_complete(of).await, State::PreImportDone);
        assert!(self.row(of).await.is_held());
    }

    async fn pre_import_complete(&self, of: &str) -> State {
        let status = NotificationStatus::PreImportComplete;
        let notified =
            self.notifications.apply_notification(&path(of), status, None, None, id(), soon()).await;
        let notified = notified.unwrap().unwrap();
        assert_eq!(notified.verdict, Verdict::Applied);
        notified.row.migration_state
    }

    /// What is claimed next, if anything is.
    async fn claimed(&self) -> Option<ContainerRepository> {
        match self.claims.claim_next(id(), soon()).await.unwrap() {
            Claimed::Started(row) => Some(*row),
            Claimed::NoneDue => None,
            other => panic!("{other:?}"),
        }
    }

    /// What would be claimed next and next, until nothing is due.
    async fn order(&self) -> Vec<String> {
        let mut order = Vec::new();
        while let Some(row) = self.claimed().await {
            order.push(row.path.to_string());
        }
        order
    }

    async fn summary(&self) -> HeldNow {
        self.stack.pair().wait_until_replayed().await.unwrap();
        let summary: Store<Summary> = Store::new(reads(&self.stack));
        summary.census(soon()).await.unwrap().found.unwrap().held
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pre_imports_all_while_held_and_promotes_in_order() {
    const REPOSITORIES: usize = 200;
    let functions = vec![Function::RegistryNotification, Function::EnqueueMigrations];
    let desk = Desk::with(StackOptions { instances: 4, functions, capacity: 8, ..options() }).await;
    let paths: Vec<String> = (0..REPOSITORIES).map(|number| format!("group/image{number:03}")).collect();
    repositories(&desk.stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    desk.hold("").await;
    let client = primary(&desk.stack).await.unwrap();
    let count = async |rows: &str| {
        let query = format!("SELECT count(*) FROM container_repositories WHERE {rows}");
        usize::try_from(client.query_one(&query, &[]).await.unwrap().get::<_, i64>(0)).unwrap()
    };
    // However slow the machine is.
    let all = async |rows: &str| {
        while count(rows).await < REPOSITORIES {
            // A round that a busy machine does not end is taken up by the next one.
            desk.stack.functions().tick().await.ok();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };

    all("migration_state = 'pre_import_done' AND held_since IS NOT NULL AND slot IS NULL").await;

    let occupied = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    assert_eq!(client.query_one(occupied, &[]).await.unwrap().get::<_, i64>(0), 0);
    let waiting = desk.summary().await;
    assert_eq!((waiting.count, waiting.released), (REPOSITORIES as u64, 0));
    // One below which are some goes first.
    desk.set(json!({"prefix": "group/image199", "priority": 5})).await;
    desk.release("").await;
    assert_eq!(desk.summary().await.released, REPOSITORIES as u64);

    all("migration_state = 'import_done' AND retries_count = 0").await;

    let started = "SELECT c.path FROM migration_transitions AS t
        JOIN container_repositories AS c ON c.id = t.repository_id WHERE t.event = 'start_import' ORDER BY t.id";
    let started: Vec<String> =
        client.query(started, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let expected: Vec<&String> = paths.last().into_iter().chain(&paths[..REPOSITORIES - 1]).collect();
    assert_eq!(started.iter().collect::<BTreeSet<_>>().len(), started.len(), "each once");
    // Those that are claimed at the same moment are written in either order.
    for (place, path) in expected.into_iter().enumerate() {
        let found = started.iter().position(|started| started == path).unwrap();
        assert!(found.abs_diff(place) < 16, "{path} is number {found} instead of {place}");
    }
    let lines = "SELECT slot, to_state IN ('pre_importing', 'importing')
            OR to_state = 'pre_import_done' AND event <> 'hold' AS holds
        FROM migration_transitions WHERE applied ORDER BY id";
    let mut occupied = BTreeSet::new();
    let mut most = 0;
    for line in client.query(lines, &[]).await.unwrap() {
        let (slot, holds): (i32, bool) = (line.get(0), line.get(1));
        if holds {
            occupied.insert(slot)
        } else {
            occupied.remove(&slot)
        };
        most = most.max(occupied.len());
    }
    assert_eq!(most, 8, "the capacity is used, and never exceeded");
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_one_rule_wherever_a_final_step_begins() {
    let desk = Desk::new().await;
    for name in ["group/parked", "groups/parked"] {
        given(&desk.stack, name, "pre_import_done", Some(Uuid::new_v4())).await.unwrap();
    }
    for name in ["group/lost", "group/aborted"] {
        let state = if name == "group/lost" { "importing" } else { "import_aborted" };
        given(&desk.stack, name, state, Some(Uuid::new_v4())).await.unwrap();
    }
    desk.hold("group").await;

    // The notification.
    desk.held("group/image").await;
    assert_eq!(
        history(&desk.stack, "group/image").await.unwrap()[1..],
        ["finish_pre_import pre_importing>pre_import_done", "hold pre_import_done>pre_import_done"]
    );
    given(&desk.stack, "groups/image", "pre_importing", None).await.unwrap();
    assert_eq!(desk.pre_import_complete("groups/image").await, State::Importing, "another component");
    // What is parked: one gives its slot back, the other goes on.
    let Resumed::ToHold(parked) = desk.claims.resume_parked(id(), soon()).await.unwrap() else { panic!() };
    assert_eq!(parked.path.as_str(), "group/parked");
    let held = desk.claims.hold_parked(&parked, id(), soon()).await.unwrap().unwrap();
    assert_eq!((held.verdict, held.row.slot, held.row.is_held()), (Verdict::Applied, None, true));
    assert_eq!(held.row.attempt, parked.attempt, "what is late is recognised");
    let Resumed::Started(row) = desk.claims.resume_parked(id(), soon()).await.unwrap() else { panic!() };
    assert_eq!(row.path.as_str(), "groups/parked");
    assert_eq!(desk.claims.resume_parked(id(), soon()).await.unwrap(), Resumed::NoneDue);
    // The guard, which leases no row that is held, and asks for no final step that is.
    let all = ["group/lost", "group/image", "group/parked"].map(path);
    let leased = desk.guard.lease_stuck(&all, Lease::random(), soon()).await.unwrap();
    assert!(leased.is_empty(), "the lost one is not due yet: {leased:?}");
    sql(&desk.stack, "UPDATE container_repositories SET next_check_at = now() WHERE path = 'group/lost'")
        .await
        .unwrap();
    let mut leased = desk.guard.lease_stuck(&all, Lease::random(), soon()).await.unwrap();
    let stuck = leased.pop().unwrap();
    assert!(leased.is_empty(), "{leased:?}");
    assert!(stuck.is_held && stuck.row.path.as_str() == "group/lost");
    let noted = desk.guard.note_asking_again(&stuck.row, AskingAgain::Asking, soon()).await.unwrap();
    assert_eq!(noted, Noted::Disabled);
    let says = RegistryView::Says(RegistryStatus::PreImportComplete);
    let GuardDecision::Apply(Remedy::Record { finding: Finding::GivenBack, plan }) =
        guard_decision(&stuck, says, None)
    else {
        panic!("a final step is asked for");
    };
    let given_back =
        desk.guard.record_decision(&stuck.row, &plan, None, id(), soon()).await.unwrap().unwrap();
    assert_eq!(given_back.row.migration_state, State::ImportAborted);
    // The claim and the operator's start: with the pre step.
    let claimed = desk.claimed().await.unwrap();
    assert_eq!((claimed.path.as_str(), claimed.migration_state), ("group/lost", State::PreImporting));
    let Started::Started(started) = desk.starts.start(&path("group/aborted"), id(), soon()).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(started.migration_state, State::PreImporting);
    // What was decided before the hold was set is recorded as the hold has it.
    given(&desk.stack, "late/image", "pre_import_done", Some(Uuid::new_v4())).await.unwrap();
    let leased = desk.guard.lease_stuck(&[path("late/image")], Lease::random(), soon()).await.unwrap();
    desk.hold("late").await;
    let remedy = canceled_decision(&leased[0], Cancelation::Stands(RegistryStatus::PreImportComplete));
    let Remedy::Record { plan, .. } = remedy else { panic!("{remedy:?}") };
    let row = &leased[0].row;
    let recorded = desk.guard.record_decision(row, &plan, None, id(), soon()).await.unwrap().unwrap();
    assert!(recorded.row.is_held(), "{recorded:?}");
    let again = desk.guard.record_decision(row, &plan, None, id(), soon()).await.unwrap().unwrap();
    assert_eq!(again.verdict, Verdict::Refused, "a held row goes on by a claim alone");
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_what_is_released_first_and_in_order() {
    let desk = Desk::new().await;
    desk.hold("").await;
    for name in ["a/b", "b", "b-c/d", "b/c", "b/d", "c/a", "c/b", "d/e"] {
        desk.held(name).await;
    }
    given(&desk.stack, "aborted", "import_aborted", None).await.unwrap();
    given(&desk.stack, "new/one", "default", None).await.unwrap();
    given(&desk.stack, "raised/two", "default", None).await.unwrap();
    // What is held by another hold stays, however many stand before it and behind it.
    desk.hold("b").await;
    desk.hold("c/a").await;
    desk.set(json!({"prefix": "c", "priority": 2})).await;
    desk.set(json!({"prefix": "raised", "priority": 1})).await;
    assert_eq!(desk.order().await, ["aborted", "raised/two", "new/one"], "nothing is released");
    let slots = "UPDATE migration_slots SET repository_id = NULL;
        UPDATE container_repositories SET slot = NULL, migration_state = 'import_done', import_done_at = now(),
            resume_state = NULL WHERE slot IS NOT NULL";
    sql(&desk.stack, slots).await.unwrap();
    given(&desk.stack, "aborted-again", "import_aborted", None).await.unwrap();

    desk.release("").await;

    assert_eq!(desk.summary().await.released, 4);
    // Nothing but the walk past what `b` holds leads to the last of them.
    assert_eq!(desk.order().await, ["c/b", "a/b", "b-c/d", "d/e", "aborted-again"]);
    assert!(desk.order().await.is_empty());
    desk.release("b").await;
    desk.release("c/a").await;
    assert_eq!(desk.order().await, ["c/a", "b", "b/c", "b/d"]);
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn begins_final_steps_within_the_window_alone() {
    let desk = Desk::new().await;
    desk.set(json!({"prefix": "group", "window": window(false).unwrap()})).await;
    for name in ["group/a", "group/b", "group/c"] {
        desk.held(name).await;
    }
    assert_eq!(desk.claimed().await, None);
    let hold = desk.manage.holds(soon()).await.unwrap().remove(0);
    assert!(hold.holding && hold.held == 3 && hold.left_over == 0, "{hold:?}");
    let until_open = hold.changes_at.unwrap().duration_since(jiff::Timestamp::now());
    assert!((100..=120).contains(&until_open.as_mins()), "{hold:?}");

    desk.set(json!({"prefix": "group", "window": window(true).unwrap()})).await;
    assert_eq!(desk.summary().await.released, 3);
    let running = desk.claimed().await.unwrap();
    assert_eq!((running.path.as_str(), running.migration_state), ("group/a", State::Importing));

    // The window ends. What runs is left alone, and what was not reached is counted.
    sql(&desk.stack, "UPDATE container_repositories SET held_since = held_since - interval '3 hours' WHERE held_since IS NOT NULL")
        .await
        .unwrap();
    desk.set(json!({"prefix": "group", "window": window(false).unwrap()})).await;
    assert_eq!(desk.claimed().await, None);
    let status = NotificationStatus::ImportComplete;
    let ended =
        desk.notifications.apply_notification(&running.path, status, running.attempt, None, id(), soon());
    assert_eq!(ended.await.unwrap().unwrap().row.migration_state, State::ImportDone);
    desk.held("group/d").await;
    let summary = desk.summary().await;
    assert_eq!((summary.count, summary.released, summary.left_over), (3, 0, 2));
    let hold = desk.manage.holds(soon()).await.unwrap().remove(0);
    assert_eq!((hold.held, hold.left_over), (3, 2));
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_again_what_was_held_longer_than_a_day() {
    let desk = Desk::new().await;
    desk.hold("").await;
    for name in ["group/new", "group/old"] {
        desk.held(name).await;
    }
    let day = "UPDATE container_repositories SET held_since = held_since - interval '25 hours' WHERE path = 'group/old'";
    sql(&desk.stack, day).await.unwrap();
    desk.release("").await;

    let new = desk.claimed().await.unwrap();
    assert_eq!((new.path.as_str(), new.migration_state), ("group/new", State::Importing));
    let old = desk.claimed().await.unwrap();
    assert_eq!(
        (old.path.as_str(), old.migration_state, old.retries_count),
        ("group/old", State::PreImporting, 0)
    );
    assert!(old.slot.is_some() && old.held_since.is_none() && old.pre_import_done_at.is_none());
    assert_eq!(
        history(&desk.stack, "group/old").await.unwrap().last().unwrap(),
        "repeat_pre_import pre_import_done>pre_importing"
    );
    assert_eq!(desk.pre_import_complete("group/old").await, State::Importing);
    // 0: never.
    sql(&desk.stack, "UPDATE migration_settings SET repeat_pre_import_after_seconds = 0").await.unwrap();
    desk.hold("").await;
    desk.held("group/older").await;
    sql(&desk.stack, &day.replace("old'", "older'")).await.unwrap();
    desk.release("").await;
    assert_eq!(desk.claimed().await.unwrap().migration_state, State::Importing);
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_no_slot_by_the_schema_itself() {
    let desk = Desk::new().await;
    desk.hold("").await;
    desk.held("group/image").await;
    given(&desk.stack, "group/parked", "pre_import_done", None).await.unwrap();
    for refused in [
        "UPDATE container_repositories SET slot = 77 WHERE held_since IS NOT NULL",
        "UPDATE container_repositories SET slot = NULL WHERE path = 'group/parked'",
        "UPDATE container_repositories SET held_since = now() WHERE path = 'group/parked'",
        "UPDATE container_repositories SET held_since = NULL WHERE path = 'group/image'",
        "INSERT INTO migration_holds (prefix) VALUES ('group')",
        "INSERT INTO migration_holds (prefix, is_until_released) VALUES ('group/', true)",
        "INSERT INTO migration_holds (prefix, opens, closes, zone) VALUES ('group', '10:00', '10:00', 'UTC')",
        "INSERT INTO migration_holds (prefix, opens) VALUES ('group', '10:00')",
    ] {
        assert!(sql(&desk.stack, refused).await.is_err(), "{refused}");
    }
    // Ended by whatever takes it out of its state.
    let skip = Plan::skip_seen_in(State::PreImportDone, shared::migration::SkipReason::NotInPlan);
    let seen = desk.row("group/image").await;
    let skipped = desk.manage.operate(&seen.path, seen.attempt, &skip, None, soon()).await.unwrap().unwrap();
    assert_eq!((skipped.verdict, skipped.row.held_since), (Verdict::Applied, None));
    let nowhere = json!({"from": "22:00", "until": "04:00", "zone": "Europe/Nowhere"});
    let change: HoldChange = serde_json::from_value(json!({"prefix": "a", "window": nowhere})).unwrap();
    let unknown = desk.manage.set_hold(&change, Uuid::new_v4(), soon()).await.unwrap();
    assert_eq!(unknown, HoldSet::UnknownZone);
    // Sent again it recognises its own change.
    let change_id = Uuid::new_v4();
    let again = async || desk.manage.release_hold(&"".parse().unwrap(), change_id, soon()).await.unwrap();
    assert_eq!((again().await, again().await), (true, true));
    assert!(!desk.manage.release_hold(&"".parse().unwrap(), Uuid::new_v4(), soon()).await.unwrap());
    desk.stack.stop().await.unwrap();
}

/// A statement with its parameters written in.
fn written(sql: &str, parameters: &[(&str, &str)]) -> String {
    parameters.iter().fold(sql.to_owned(), |sql, (name, value)| {
        let value =
            if *value == "NULL" { "NULL".to_owned() } else { format!("'{}'", value.replace('\'', "''")) };
        sql.replace(&format!(":{name}"), &value)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_before_leaves_held_rows_alone() {
    let desk = Desk::new().await;
    desk.hold("").await;
    desk.held("group/image").await;
    let before = row(&desk.stack, "group/image").await.unwrap();
    let client = primary(&desk.stack).await.unwrap();
    let run = async |sql: &str, parameters: &[(&str, &str)]| {
        let rows = client.query(&written(sql, parameters), &[]).await.unwrap();
        rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect::<Vec<Value>>()
    };
    let change = || Uuid::new_v4().to_string();

    let plan = Plan::resume().to_json().to_string();
    let other = change();
    let parameters = [("plan", plan.as_str()), ("cause", "claim"), ("change", &other)];
    let resumed = run(include_str!("former/resume_parked.sql"), &parameters).await;
    assert_eq!(resumed[0]["verdict"], "none_due");
    let scanned = run(include_str!("former/scan_stuck.sql"), &[("limit", "10")]).await;
    assert_eq!(scanned[0]["paths"], json!([]));
    let parameters = [("paths", r#"["group/image"]"#), ("lease", &other)];
    let leased = run(include_str!("former/lease_stuck.sql"), &parameters).await;
    assert!(leased.is_empty());
    assert_eq!(row(&desk.stack, "group/image").await.unwrap(), before);

    // An operator of it may give the row up and reopen it. Later it is in a slot again, and its notification is taken.
    let changed = async |plan: Plan, precondition: &str, attempt: &str| {
        let plan = plan.to_json().to_string();
        let change = change();
        let parameters = [
            ("path", "group/image"),
            ("plan", &plan),
            ("precondition", precondition),
            ("permille", "1000"),
            ("change", &change),
            ("cause", "test"),
            ("event", "test"),
            ("attempt", attempt),
            ("detail", "NULL"),
        ];
        run(include_str!("former/change.sql"), &parameters).await.remove(0)
    };
    let attempt = before["attempt"].as_str().unwrap();
    let skip = Plan::skip_seen_in(State::PreImportDone, shared::migration::SkipReason::NotInPlan);
    assert_eq!(changed(skip, "attempt", attempt).await["verdict"], "applied");
    assert_eq!(row(&desk.stack, "group/image").await.unwrap()["held_since"], Value::Null);
    assert_eq!(changed(Plan::reopen(), "attempt", attempt).await["verdict"], "applied");
    let started = desk.starts.start(&path("group/image"), id(), soon()).await.unwrap();
    assert!(matches!(started, Started::Started(_)), "{started:?}");
    let notified = Plan::notification(NotificationStatus::PreImportComplete);
    let notified = changed(notified, "notification", "NULL").await;
    assert_eq!(
        (&notified["verdict"], &notified["row"]["migration_state"]),
        (&json!("applied"), &json!("importing"))
    );
    desk.stack.stop().await.unwrap();
}
