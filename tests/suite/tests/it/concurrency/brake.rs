//! What holds starts back besides the kill switch: the circuit breaker, a registry that stops, and one that has no room.

use std::{cell::Cell, time::Duration};

use futures::future::join_all;
use local::{Stack, StackOptions};
use serde_json::{Value, json};
use shared::{
    endpoint::{Claim, EndpointError, Guard, Manage, Notification, Start},
    migration::{
        AttemptId, Brake, ContainerRepository, Event, Held, NotificationStatus, Plan, RepositoryPath, Signal,
    },
    store::{AskingAgain, Changed, Claimed, Noted, Resumed, Started, Store, Verdict},
};
use suite::{PATIENCE, options, primary, sql, state, writer};
use tokio::time::Instant;
use uuid::Uuid;

/// So many failures in a row open the circuit breaker here.
const FAILURES: usize = 3;

/// The stores of a stack without functions, and repositories that were never started.
struct Desk {
    stack: Stack,
    claims: Store<Claim>,
    starts: Store<Start>,
    manage: Store<Manage>,
    guard: Store<Guard>,
    notifications: Store<Notification>,
    fresh: Cell<usize>,
}

fn id() -> AttemptId {
    AttemptId::new(Uuid::new_v4())
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

impl Desk {
    async fn new() -> Self {
        let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await.unwrap();
        let paths: Vec<String> = (0..60).map(|number| format!("group/image{number}")).collect();
        stack.register(&paths).await.unwrap();
        sql(&stack, &format!("UPDATE migration_settings SET circuit_breaker_failures = {FAILURES}"))
            .await
            .unwrap();
        let (claims, starts, manage) =
            (Store::new(writer(&stack)), Store::new(writer(&stack)), Store::new(writer(&stack)));
        let (guard, notifications) = (Store::new(writer(&stack)), Store::new(writer(&stack)));
        Self { stack, claims, starts, manage, guard, notifications, fresh: Cell::new(59) }
    }

    fn never_started(&self) -> RepositoryPath {
        // From the end of those that claims begin with.
        let number = self.fresh.replace(self.fresh.get() - 1);
        format!("group/image{number}").parse().unwrap()
    }

    async fn start(&self, path: &RepositoryPath) -> Started {
        self.starts.start(path, id(), soon()).await.unwrap()
    }

    /// Another repository, in its pre step.
    async fn running(&self) -> ContainerRepository {
        match self.start(&self.never_started()).await {
            Started::Started(row) => *row,
            other => panic!("{other:?}"),
        }
    }

    async fn notify(
        &self,
        row: &ContainerRepository,
        status: NotificationStatus,
        detail: Option<&str>,
    ) -> Changed {
        let outcome =
            self.notifications.apply_notification(&row.path, status, row.attempt, detail, id(), soon());
        let outcome = outcome.await.unwrap().unwrap();
        assert_eq!(outcome.verdict, Verdict::Applied, "{outcome:?}");
        outcome
    }

    async fn fails(&self, row: &ContainerRepository) {
        self.notify(row, NotificationStatus::PreImportFailed, Some("no such blob")).await;
    }

    async fn canceled(&self, row: &ContainerRepository, detail: &str) {
        self.notify(row, NotificationStatus::PreImportCanceled, Some(detail)).await;
    }

    /// Another one that starts, and fails.
    async fn another_fails(&self) {
        let row = self.running().await;
        self.fails(&row).await;
    }

    /// What a start would come to now, of whichever kind.
    async fn held(&self) -> Option<Held> {
        let path = self.never_started();
        let held = match self.start(&path).await {
            Started::Held(held) => Some(held),
            Started::Started(_) => None,
            other => panic!("{other:?}"),
        };
        if let Some(held) = held {
            let claimed = self.claims.claim_next(id(), soon()).await.unwrap();
            assert_eq!(claimed, Claimed::Held(held));
        }
        held
    }

    async fn held_by(&self) -> Option<Brake> {
        self.held().await.map(|held| held.by)
    }

    /// The row of the brake; null where nothing ever held anything back.
    async fn brake(&self) -> Value {
        let client = primary(&self.stack).await.unwrap();
        let row = client.query_opt("SELECT to_jsonb(b) FROM migration_brake AS b", &[]).await.unwrap();
        row.map_or(Value::Null, |row| row.get(0))
    }

    /// Lets so many seconds pass for the brake.
    async fn later(&self, seconds: u32) {
        let ago = format!("- interval '{seconds} seconds'");
        let text = format!(
            "UPDATE migration_brake SET opened_at = opened_at {ago}, next_start_at = next_start_at {ago},
                canceled_at = canceled_at {ago}, stopped_until = stopped_until {ago}, full_until = full_until {ago},
                failures = (SELECT coalesce(jsonb_object_agg(f.key, (f.value #>> '{{}}')::timestamptz {ago}), '{{}}')
                    FROM jsonb_each(failures) AS f);
            UPDATE container_repositories SET pre_import_started_at = pre_import_started_at {ago}"
        );
        sql(&self.stack, &text).await.unwrap();
    }

    /// How many of eight that start something at once are let through.
    async fn let_through_of_eight(&self) -> usize {
        let claim =
            || async { matches!(self.claims.claim_next(id(), soon()).await, Ok(Claimed::Started(_))) };
        let start = || async {
            let path = self.never_started();
            matches!(self.start(&path).await, Started::Started(_))
        };
        let (claimed, started) =
            tokio::join!(join_all((0..4).map(|_| claim())), join_all((0..4).map(|_| start())));
        claimed.into_iter().chain(started).filter(|let_through| *let_through).count()
    }

    async fn history(&self) -> i64 {
        let client = primary(&self.stack).await.unwrap();
        client.query_one("SELECT count(*) FROM migration_transitions", &[]).await.unwrap().get(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_the_breaker_after_failures_of_different_ones() {
    let desk = Desk::new().await;
    assert_eq!(desk.brake().await, Value::Null);
    // One repository that fails again and again is its own trouble.
    let row = desk.running().await;
    desk.fails(&row).await;
    for _ in 0..FAILURES {
        sql(&desk.stack, "UPDATE container_repositories SET not_before = NULL, retries_count = 0")
            .await
            .unwrap();
        let Started::Started(again) = desk.manage.retry(&row.path, id(), soon()).await.unwrap() else {
            panic!()
        };
        desk.fails(&again).await;
    }
    assert_eq!(desk.held_by().await, None);
    // What is begun after a failure and ends well ends the row, and failures more than a minute apart are none.
    for _ in 2..FAILURES {
        desk.another_fails().await;
    }
    let well = desk.running().await;
    desk.notify(&well, NotificationStatus::PreImportComplete, None).await;
    for _ in 1..FAILURES {
        desk.another_fails().await;
    }
    assert_eq!(desk.held_by().await, None);
    desk.later(61).await;
    desk.another_fails().await;
    assert_eq!(desk.held_by().await, None);
    for _ in 1..FAILURES {
        desk.another_fails().await;
    }
    assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen));
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_failures_past_a_success_begun_before_them() {
    let desk = Desk::new().await;
    let (pre, both) = (desk.running().await, desk.running().await);
    let promoted = desk.notify(&both, NotificationStatus::PreImportComplete, None).await.row;
    for _ in 2..FAILURES {
        desk.another_fails().await;
    }
    // They were past whatever makes others fail now.
    let between = desk.notify(&pre, NotificationStatus::PreImportComplete, None).await.row;
    desk.another_fails().await;
    desk.notify(&promoted, NotificationStatus::ImportComplete, None).await;
    assert_eq!(desk.held_by().await, None);
    // This one shows that all was well after the first failure, and says nothing of the second.
    desk.notify(&between, NotificationStatus::ImportComplete, None).await;
    assert_eq!(desk.brake().await["failures"].as_object().unwrap().len(), 1);
    for _ in 2..FAILURES {
        desk.another_fails().await;
    }
    assert_eq!(desk.held_by().await, None);
    desk.another_fails().await;
    assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen));
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lets_one_start_through_an_open_breaker_until_one_succeeds() {
    let desk = Desk::new().await;
    let (before, parked) = (desk.running().await, desk.running().await);
    for _ in 0..FAILURES {
        desk.another_fails().await;
    }
    let lines = desk.history().await;
    assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen));
    // What was begun before goes on to the end of its step and no further, and does not close it.
    let promoted = desk.notify(&parked, NotificationStatus::PreImportComplete, None).await;
    assert_eq!(promoted.row.migration_state.name(), "pre_import_done");
    assert!(matches!(desk.claims.resume_parked(id(), soon()).await.unwrap(), Resumed::Held(_)));
    let asking = desk.guard.note_asking_again(&before, AskingAgain::Asking, soon());
    assert_eq!(asking.await.unwrap(), Noted::Disabled);
    assert_eq!(desk.history().await, lines + 1);
    assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen));

    for trial in 0..3 {
        desk.later(15).await;
        assert_eq!(desk.let_through_of_eight().await, 1, "trial {trial}");
        assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen), "trial {trial}");
        let query = "SELECT path FROM container_repositories WHERE migration_state = 'pre_importing'
            ORDER BY pre_import_started_at DESC LIMIT 1";
        let path: String = primary(&desk.stack).await.unwrap().query_one(query, &[]).await.unwrap().get(0);
        let row = desk.manage.find(&path.parse().unwrap(), soon()).await.unwrap().unwrap();
        if trial < 2 {
            desk.fails(&row).await;
            assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen), "it failed too");
        } else {
            let outcome = desk.notify(&row, NotificationStatus::PreImportComplete, None).await;
            assert_eq!(outcome.row.migration_state.name(), "importing", "nothing holds its final step back");
        }
    }
    assert_eq!(desk.let_through_of_eight().await, 8);
    assert_eq!(desk.brake().await["failures"], json!({}));

    // Without a limit nothing opens it, and an open one does not count.
    for _ in 0..FAILURES {
        desk.another_fails().await;
    }
    assert_eq!(desk.held_by().await, Some(Brake::BreakerOpen));
    sql(&desk.stack, "UPDATE migration_settings SET circuit_breaker_failures = 0").await.unwrap();
    for _ in 0..=FAILURES {
        desk.another_fails().await;
    }
    assert_eq!(desk.held_by().await, None);
    desk.stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_nothing_for_20_s_from_the_first_sign_of_a_stop() {
    let desk = Desk::new().await;
    let manually = "pre import was canceled manually";
    // One alone, the same one twice, and two that are far apart concern themselves.
    let row = desk.running().await;
    desk.canceled(&row, manually).await;
    sql(&desk.stack, "UPDATE container_repositories SET not_before = NULL").await.unwrap();
    let Started::Started(again) = desk.manage.retry(&row.path, id(), soon()).await.unwrap() else { panic!() };
    desk.canceled(&again, manually).await;
    assert_eq!(desk.held_by().await, None);
    desk.later(10).await;
    let row = desk.running().await;
    desk.canceled(&row, manually).await;
    assert_eq!(desk.held_by().await, None);
    // Nor do those that were asked for here, whoever did.
    desk.later(10).await;
    for by_the_guard in [true, false] {
        for _ in 0..2 {
            let row = desk.running().await;
            let noted = match by_the_guard {
                true => desk.guard.note_canceling(&row, soon()).await,
                false => desk.manage.note_canceling(&row, soon()).await,
            };
            assert_eq!(noted.unwrap(), Noted::Noted);
            desk.canceled(&row, manually).await;
            let retries = if by_the_guard { 1 } else { 0 };
            let row = desk.manage.find(&row.path, soon()).await.unwrap().unwrap();
            assert_eq!(row.retries_count, retries, "past its time only where the guard has it canceled");
        }
    }
    assert_eq!(desk.held_by().await, None);

    // Two within ten seconds do, and are counted from the first.
    let (one, two, three) = (desk.running().await, desk.running().await, desk.running().await);
    let at_work = desk.running().await;
    desk.canceled(&one, manually).await;
    desk.later(9).await;
    desk.canceled(&two, manually).await;
    let first = desk.held().await.unwrap();
    assert_eq!(first.by, Brake::RegistryStopped);
    let left = first.until.duration_since(jiff::Timestamp::now());
    assert!(left.as_secs() < 11, "20 s from the first: {left:?}");
    desk.canceled(&three, "forced cancelation").await;
    assert_eq!(desk.held().await, Some(first), "later ones do not prolong it");
    let outcome = desk.notify(&at_work, NotificationStatus::PreImportComplete, None).await;
    assert_eq!(outcome.row.migration_state.name(), "pre_import_done");
    assert!(matches!(desk.claims.resume_parked(id(), soon()).await.unwrap(), Resumed::Held(_)));
    desk.later(20).await;
    assert_eq!(desk.let_through_of_eight().await, 8);

    // So does one in the words of a stop.
    let row = desk.running().await;
    desk.canceled(&row, "forced cancelation").await;
    assert_eq!(desk.held_by().await, Some(Brake::RegistryStopped));
    desk.stack.stop().await.unwrap();
}

/// The registry answers a start that it has no room.
async fn has_no_room(desk: &Desk, row: &ContainerRepository) -> Result<(), EndpointError> {
    let plan = Plan::event(Event::StartRefused).not_before(Duration::from_secs(1)).with_signal(Signal::Full);
    let attempt = row.attempt.unwrap();
    let changed = desk.claims.record_answer(&row.path, attempt, &plan, None, id(), soon()).await?.unwrap();
    assert_eq!(changed.verdict, Verdict::Applied);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn adds_two_lines_in_30_s_while_the_registry_has_no_room() {
    let desk = Desk::new().await;
    let at_work = desk.running().await;
    let row = desk.running().await;
    has_no_room(&desk, &row).await.unwrap();
    let lines = desk.history().await;
    // An hour of it.
    let claim = || desk.claims.claim_next(id(), soon());
    for _ in 0..120 {
        assert!(matches!(claim().await.unwrap(), Claimed::Held(held) if held.by == Brake::RegistryFull));
        desk.later(30).await;
        let (one, other) = tokio::join!(claim(), claim());
        let started = [one, other].map(|claimed| matches!(claimed, Ok(Claimed::Started(_))));
        assert_eq!(started.into_iter().filter(|started| *started).count(), 1);
        let query =
            "SELECT path FROM container_repositories WHERE migration_state = 'pre_importing' AND path <> $1";
        let client = primary(&desk.stack).await.unwrap();
        let path: String = client.query_one(query, &[&at_work.path.as_str()]).await.unwrap().get(0);
        let row = desk.manage.find(&path.parse().unwrap(), soon()).await.unwrap().unwrap();
        has_no_room(&desk, &row).await.unwrap();
    }
    assert_eq!(desk.history().await - lines, 240);
    // The end of a step makes room, and what it is followed by is asked for.
    let outcome = desk.notify(&at_work, NotificationStatus::PreImportComplete, None).await;
    assert_eq!(outcome.row.migration_state.name(), "importing");
    assert_eq!(desk.let_through_of_eight().await, 8);
    // One that is let through and not turned away within ten seconds has found room.
    let row = desk.running().await;
    has_no_room(&desk, &row).await.unwrap();
    desk.later(30).await;
    assert_eq!(desk.let_through_of_eight().await, 1);
    desk.later(10).await;
    assert_eq!(desk.let_through_of_eight().await, 8);
    assert_eq!(state(&desk.stack, row.path.as_str()).await.unwrap(), "default");
    desk.stack.stop().await.unwrap();
}
