//! Every statement of the store, sent once at least and mostly where it finds something to do.

use std::time::Duration;

use local::{DATABASE, Stack};
use serde_json::json;
use shared::{
    endpoint::{
        Claim, CopyRepository, Endpoints, Guard, History, ImportProtocol, List, Manage, Notification,
        Observe, ReaderConnections, ReaderRule, ReaderStatus, ServedBy, StaleScan, Start, Status, Summary,
        WriterStatus,
    },
    migration::{
        AttemptId, ContainerRepository, Event, MissingTags, NotificationStatus, Plan, RepositoryPath,
        SkipReason, State, Step, TagsCheck,
    },
    store::{
        AskingAgain, AttentionFilter, Claimed, Compared, HEALTH_PROBE, HistoryPage, HoldSet, KeptTags, Lease,
        ListFilter, NextLook, Noted, PrefixFilter, Registration, ReopenFilter, ReportFilter, Resumed,
        SettingsChanged, Started, Store, Verdict,
        importer::{
            BlobClaim, Claimant, ImportCanceled, ImportStart, ImportStatus, ImportStep, KeptUpload, Progress,
            TagRecord, TagState,
        },
    },
};
use tokio::time::Instant;
use uuid::Uuid;

use super::twin::Twin;

fn path(text: &str) -> RepositoryPath {
    RepositoryPath::parse(text).unwrap()
}

fn id() -> AttemptId {
    AttemptId::new(Uuid::new_v4())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// The same change past the driver, in both databases.
async fn in_both(stack: &Stack, sql: &str) {
    for database in [DATABASE, "other"] {
        let dsn = stack.pair().writer().dsn().replace(DATABASE, database);
        let (client, connection) = tokio_postgres::connect(&dsn, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }
}

pub async fn run_all(stack: &Stack, twin: &Twin) {
    let manage: Store<Manage> = Store::new(twin.writer());
    register(&manage).await;
    let row = run_one(stack, twin).await;
    guard(stack, twin, &row).await;
    tags(stack, twin, &manage, &row).await;
    fill(stack, twin, &manage).await;
    operate(&manage).await;
    observe(stack, twin).await;
    import(stack, twin).await;
    // The database itself makes the ids of changes in bulk.
    in_both(
        stack,
        "UPDATE container_repositories SET change = NULL WHERE path = 'a/many';
         UPDATE container_repositories SET tags_check = 'tags_unverified' WHERE path = 'a/one'",
    )
    .await;
    stack.pair().wait_until_replayed().await.unwrap();
    read(twin).await;
}

/// The importer's, from a start to a cancelation.
async fn import(stack: &Stack, twin: &Twin) {
    // The stack's writer is the driver, which sees none of these tables.
    let tables =
        "importer_settings, imports, import_slots, import_uploads, import_blobs, import_tags, import_limits";
    in_both(stack, &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO migration_driver")).await;
    let protocol: Store<ImportProtocol> = Store::new(twin.writer());
    let copies: Store<CopyRepository> = Store::new(twin.writer());
    copies.prepare(2, Duration::from_secs(30), true, soon()).await.unwrap();
    let plan = json!({"absent": "start"});
    let start = ImportStart {
        source: "a/one",
        target: "b/one",
        step: Some(ImportStep::Final),
        attempt: id(),
        change: Uuid::new_v4(),
        request_id: Some("attempt"),
        settle_seconds: 5,
        plan: &plan,
    };
    for verdict in ["start", "repeat"] {
        assert_eq!(protocol.start_import(&start, soon()).await.unwrap().verdict, verdict);
    }
    assert_eq!(protocol.unattended(soon()).await.unwrap(), ["a/one"]);
    let lease = copies.take_lease("a/one", Uuid::new_v4(), soon()).await.unwrap().unwrap();
    copies.limit("source", "requests", Some(2.5), soon()).await.unwrap();
    let beat = copies.heartbeat(&lease.holder, &Progress::default(), false, true, soon()).await.unwrap();
    assert_eq!((beat.workers, beat.limits.len()), (1, 1));
    let claimant = Claimant { source: "a/one", target: "b/one" };
    let claims = copies.claim_blobs(claimant, &["sha256:1".to_owned()], soon()).await.unwrap();
    assert_eq!(claims["sha256:1"], BlobClaim::Mine);
    copies.note_blobs(claimant, &["sha256:1".to_owned()], &["sha256:2".to_owned()], soon()).await.unwrap();
    let upload = KeptUpload {
        digest: "sha256:3".to_owned(),
        location: "/v2/b/one/blobs/uploads/1?_state=x".to_owned(),
        sent: 5_000_000_000,
        hash: "state".to_owned(),
    };
    copies.keep_upload(&lease.holder, "b/one", &upload, soon()).await.unwrap();
    assert_eq!(copies.uploads("b/one", soon()).await.unwrap(), [upload]);
    copies.end_upload("b/one", "sha256:3", soon()).await.unwrap();
    let tag = TagRecord {
        tag: "v1".to_owned(),
        source_digest: Some("sha256:1".to_owned()),
        target_digest: None,
        state: TagState::Failed,
        wrote: false,
        cause: Some("source_broken".to_owned()),
        error: Some("Größe \"s\" '\\ :x".to_owned()),
    };
    copies.keep_copied_tags(&lease.holder, std::slice::from_ref(&tag), soon()).await.unwrap();
    assert_eq!(copies.copied_tags("a/one", soon()).await.unwrap(), [tag]);
    in_both(stack, "UPDATE import_tags SET checked_at = 'epoch'").await;
    assert_eq!(copies.proof("", "", soon()).await.unwrap().len(), 1);
    copies.give_back(&lease.holder, soon()).await.unwrap();
    let lease = copies.take_lease("a/one", Uuid::new_v4(), soon()).await.unwrap().unwrap();
    let failed = ImportStatus::ImportFailed;
    let ended = copies.finish_import(&lease.holder, failed, Some("quota"), Some("full"), soon()).await;
    assert_eq!(ended.unwrap(), Some(failed));
    let notice = protocol.due_notices(soon()).await.unwrap().pop().unwrap();
    assert_eq!((notice.request_id.as_str(), notice.notices), ("attempt", 1));
    protocol.keep_notice(&notice, Some(30), true, soon()).await.unwrap();
    let canceled = protocol.cancel_import("a/one", true, soon()).await.unwrap();
    assert_eq!(canceled, ImportCanceled::Canceled);
    assert!(protocol.import("a/one", soon()).await.unwrap().is_some());
    in_both(
        stack,
        "UPDATE imports SET started_at = 'epoch', moved_at = now() - interval '7.5 seconds', ended_at = 'epoch',
            heartbeat_at = 'epoch', notice_at = 'epoch'",
    )
    .await;
    assert_eq!(copies.imports("", soon()).await.unwrap().len(), 1);
}

async fn register(manage: &Store<Manage>) {
    let of = |name: &str, tags_count| Registration {
        path: path(name),
        tags_count,
        plan: Some("Größe \"s\" '\\ :x".to_owned()),
        priority: 1,
    };
    let all = [of("a/one", Some(3)), of("a/two", None), of("a/many", Some(900)), of("a/six", Some(6))];
    assert_eq!(manage.register(&all, Uuid::new_v4(), soon()).await.unwrap(), 4);
    let missing = manage.unregistered(&[path("a/one"), path("a/none")], soon()).await.unwrap();
    assert_eq!(missing, [path("a/none")]);
    assert!(manage.settings(soon()).await.unwrap().is_some());
    let change =
        json!({"enabled": true, "capacity": 2, "max_tags_count": 100, "max_step_duration_seconds": 60});
    let change = serde_json::from_value(change).unwrap();
    let changed = manage.change_settings(&change, soon()).await.unwrap();
    assert!(matches!(changed, Some(SettingsChanged::Changed(_))), "{changed:?}");
    assert!(manage.find(&path("a/one"), soon()).await.unwrap().is_some());
    assert!(manage.surroundings(&path("a/one"), soon()).await.unwrap().is_some());
}

/// From the start to the final step.
async fn run_one(stack: &Stack, twin: &Twin) -> ContainerRepository {
    let attempt = id();
    let started = Store::<Start>::new(twin.writer()).start(&path("a/one"), attempt, soon()).await.unwrap();
    assert!(matches!(started, Started::Started(_)), "{started:?}");
    let store: Store<Claim> = Store::new(twin.writer());
    let plan = Plan::event(Event::Adopt(Step::Pre));
    let recorded = store.record_answer(&path("a/one"), attempt, &plan, Some("detail"), id(), soon()).await;
    assert_eq!(recorded.unwrap().unwrap().verdict, Verdict::Applied);
    let status = NotificationStatus::PreImportComplete;
    let notified = Store::<Notification>::new(twin.writer())
        .apply_notification(&path("a/one"), status, None, None, id(), soon())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((notified.verdict, notified.row.migration_state), (Verdict::Applied, State::Importing));
    in_both(
        stack,
        "UPDATE container_repositories SET import_started_at = now() - interval '5 minutes', next_check_at = now(),
            pre_import_started_at = now() - interval '6 minutes', pre_import_done_at = now() - interval '5 minutes'
         WHERE migration_state = 'importing'",
    )
    .await;
    assert_eq!(notified.row.tags_check, Some(TagsCheck::TagsDue));
    let kept =
        store.keep_tags(&path("a/one"), notified.row.attempt.unwrap(), Some(&kept("before")), soon()).await;
    assert_eq!(kept.unwrap().unwrap().tags_check, Some(TagsCheck::TagsListed));
    notified.row
}

fn kept(hash: &str) -> KeptTags {
    KeptTags { count: 2, hash: hash.to_owned(), names: Some("AQID".to_owned()) }
}

/// The tags of the row that is done.
async fn tags(stack: &Stack, twin: &Twin, manage: &Store<Manage>, row: &ContainerRepository) {
    let earlier =
        "UPDATE container_repositories SET import_done_at = now() - interval '1 minute' WHERE path = 'a/one'";
    in_both(stack, earlier).await;
    let store: Store<Guard> = Store::new(twin.writer());
    let taken = store.take_uncompared(10, soon()).await.unwrap();
    assert_eq!(taken.iter().map(|row| &row.path).collect::<Vec<_>>(), [&row.path]);
    assert!(store.take_uncompared(10, soon()).await.unwrap().is_empty());
    let differs = Compared::Differs { count: 2, names: Some("AQID".to_owned()) };
    assert_eq!(store.compare_tags(&row.path, &kept("after"), soon()).await.unwrap(), differs);
    let missing = MissingTags { count: 1, names: vec!["v2".to_owned()] };
    let change = Uuid::new_v4();
    for verdict in [Verdict::Applied, Verdict::Repeat] {
        let check = TagsCheck::TagsMissing;
        let settled =
            store.settle_tags(&row.path, Some(&missing), check, change, soon()).await.unwrap().unwrap();
        assert_eq!((settled.verdict, settled.row.missing_tags.as_ref()), (verdict, Some(&missing)));
    }
    assert_eq!(store.compare_tags(&row.path, &kept("before"), soon()).await.unwrap(), Compared::Nothing);
    for verdict in [Verdict::Applied, Verdict::Refused] {
        let accepted =
            manage.accept_tags(&row.path, "deleted", Uuid::new_v4(), soon()).await.unwrap().unwrap();
        assert_eq!((accepted.verdict, accepted.row.tags_check), (verdict, Some(TagsCheck::TagsAccepted)));
    }
}

/// A heartbeat on the writer, and looked for on the reader.
async fn observe(stack: &Stack, twin: &Twin) {
    let reader = ReaderConnections::shared(twin.reader());
    let store: Store<Observe> = Store::new(Endpoints { writer: twin.writer(), reader });
    let first = store.write_heartbeat(soon()).await.unwrap().unwrap();
    in_both(stack, "UPDATE replica_mark_times SET marked_at = now() - interval '1 minute'").await;
    let next = store.write_heartbeat(soon()).await.unwrap().unwrap();
    assert_eq!((next.overdue_heartbeat, next.heartbeat), (Some(first.heartbeat), first.heartbeat + 1));
    stack.pair().wait_until_replayed().await.unwrap();
    assert_eq!(store.replayed_heartbeat(soon()).await.unwrap(), Some(next.heartbeat));
}

async fn guard(stack: &Stack, twin: &Twin, row: &ContainerRepository) {
    stack.pair().wait_until_replayed().await.unwrap();
    let scan: Store<StaleScan> = Store::new(twin.reads());
    let store: Store<Guard> = Store::new(twin.writer());
    in_both(stack, "UPDATE migration_transitions SET created_at = created_at - interval '1 minute'").await;
    stack.pair().wait_until_replayed().await.unwrap();
    let overdue = store.overdue_line(soon()).await.unwrap();
    assert!(overdue.is_some());
    let hints = scan.scan_stuck(10, overdue, soon()).await.unwrap();
    assert_eq!((hints.found, hints.by), (vec![path("a/one")], ServedBy::Reader));
    let hints = vec![path("a/one")];
    assert!(!store.is_idle(soon()).await.unwrap());
    let lease = Lease::random();
    assert_eq!(store.lease_stuck(&hints, lease, soon()).await.unwrap().len(), 1);
    let looks = [NextLook { path: hints[0].clone(), next_check_at: None }];
    assert_eq!(store.release_stuck(&looks, lease, soon()).await.unwrap(), hints);
    let noted = store.note_asking_again(row, AskingAgain::Asking, soon()).await.unwrap();
    assert_eq!(noted, Noted::Noted);
    let plan = Plan::event(Event::FinishImport);
    let decided = store.record_decision(row, &plan, None, id(), soon()).await.unwrap().unwrap();
    assert_eq!(decided.row.migration_state, State::ImportDone);
}

async fn fill(stack: &Stack, twin: &Twin, manage: &Store<Manage>) {
    let store: Store<Claim> = Store::new(twin.writer());
    assert_eq!(store.skip_many_tags(soon()).await.unwrap(), 1);
    let claimed = store.claim_next(id(), soon()).await.unwrap();
    assert!(matches!(claimed, Claimed::Started(_)), "{claimed:?}");
    assert_eq!(store.resume_parked(id(), soon()).await.unwrap(), Resumed::NoneDue);

    in_both(
        stack,
        "WITH freed AS (UPDATE migration_slots SET repository_id = NULL)
         UPDATE container_repositories SET migration_state = 'import_aborted', aborted_at = now(),
            aborted_in_state = 'importing', slot = NULL, resume_state = NULL
         WHERE slot IS NOT NULL",
    )
    .await;
    let row = match claimed {
        Claimed::Started(row) => row,
        other => panic!("{other:?}"),
    };
    let retried = manage.retry(&row.path, id(), soon()).await.unwrap();
    assert!(matches!(retried, Started::Started(_)), "{retried:?}");
    let superseded = store.hold_parked(&row, id(), soon()).await.unwrap().unwrap();
    assert_eq!(superseded.verdict, Verdict::Superseded);
}

async fn operate(manage: &Store<Manage>) {
    let window = json!({"from": "22:00", "until": "04:00", "zone": "Europe/Berlin"});
    let hold = json!({"prefix": "b", "window": window, "priority": 3, "reason": "ü ' :x"});
    let manage = &manage.by("jo".parse().ok());
    let hold = serde_json::from_value(hold).unwrap();
    for expected in [HoldSet::Set, HoldSet::Set] {
        assert_eq!(manage.set_hold(&hold, Uuid::from_u128(7), soon()).await.unwrap(), expected);
    }
    assert_eq!(manage.holds(soon()).await.unwrap().len(), 1);
    assert!(manage.release_hold(&hold.prefix, Uuid::new_v4(), soon()).await.unwrap());
    let plan = Plan::skip_seen_in(State::Default, SkipReason::NotInPlan);
    let unstarted = manage.find(&path("a/two"), soon()).await.unwrap().unwrap();
    let skipped =
        manage.operate(&path("a/two"), unstarted.attempt, &plan, None, soon()).await.unwrap().unwrap();
    assert_eq!(skipped.verdict, Verdict::Applied);
    let filter = ReopenFilter {
        state: State::ImportSkipped,
        reason: Some(SkipReason::TooManyTags),
        prefix: "a/".parse().unwrap(),
    };
    assert_eq!(manage.preview_reopen(&filter, soon()).await.unwrap().unwrap().matching, 1);
    assert_eq!(manage.reopen_many(&filter, None, soon()).await.unwrap().unwrap().reopened, 1);
    let removed = manage.remove(&path("a/two"), soon()).await.unwrap().unwrap();
    assert!(removed.removed);
}

/// What is shown, and what the endpoints say of themselves.
async fn read(twin: &Twin) {
    let statuses: Store<Status> = Store::new(twin.reads());
    let row = statuses.status(&path("a/one"), None, soon()).await.unwrap().found.unwrap();
    assert_eq!(row.migration_state, State::ImportDone);
    assert!(statuses.status(&path("a/none"), None, soon()).await.unwrap().found.is_none());
    let reader: ReaderStatus = twin.reader().fetch(HEALTH_PROBE.reader, soon()).await.unwrap().remove(0);
    assert!(reader.identity.read_only && !reader.is_copying);
    let writer: WriterStatus =
        twin.read_only_writer().fetch(HEALTH_PROBE.writer, soon()).await.unwrap().remove(0);
    let ReaderRule { reader_enabled, lag_is_bounded, overdue_heartbeat } = writer.rule;
    assert_eq!((reader_enabled, lag_is_bounded, overdue_heartbeat), (true, true, Some(reader.heartbeat - 1)));
    let page = HistoryPage { after: 0, limit: 3 };
    let histories: Store<History> = Store::new(twin.reads());
    let history = histories.history(&path("a/one"), page, None, soon()).await.unwrap().found.unwrap();
    assert_eq!(history.transitions.len(), 3);
    let summaries: Store<Summary> = Store::new(twin.reads());
    assert!(summaries.census(soon()).await.unwrap().found.is_some());
    assert!(summaries.progress(1, soon()).await.unwrap().found.is_some());
    assert!(summaries.checkup(soon()).await.unwrap().found.is_some());
    assert!(histories.shown_proof(&path("a/one"), soon()).await.unwrap().found.is_some());
    let lists: Store<List> = Store::new(twin.reads());
    for (state, after) in [(None, None), (Some(State::ImportDone), Some(path("a/many")))] {
        let filter = ListFilter { state, after, limit: 10, ..ListFilter::default() };
        assert!(!lists.list(&filter, soon()).await.unwrap().found.rows.is_empty());
    }
    let filter = PrefixFilter { rows: 10, ..PrefixFilter::default() };
    assert!(!lists.prefixes(&filter, soon()).await.unwrap().found.rows.is_empty());
    let filter = AttentionFilter { limit: 10, ..AttentionFilter::default() };
    assert!(!lists.attention(&filter, soon()).await.unwrap().found.rows.is_empty());
    let filter = ReportFilter { limit: 10, ..ReportFilter::default() };
    assert!(!lists.report(&filter, soon()).await.unwrap().found.rows.is_empty());
}
