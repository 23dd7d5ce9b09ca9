//! The importer's statements: who may start, who works, who copies which blob.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};
use shared::{
    endpoint::{CopyRepository, ImportProtocol},
    migration::AttemptId,
    store::{
        Store,
        importer::{
            BlobClaim, Claimant, Holder, ImportCanceled, ImportStart, ImportStatus, ImportStep, KeptUpload,
            Lease, Progress, TagRecord, TagState,
        },
    },
};
use uuid::Uuid;

use super::bench::{Database, in_time};

struct Rows {
    database: Database,
    protocol: Store<ImportProtocol>,
    copies: Store<CopyRepository>,
}

async fn rows(capacity: u32) -> Rows {
    let database = Database::new().await;
    let protocol = Store::new(database.writer());
    let copies: Store<CopyRepository> = Store::new(database.writer());
    copies.prepare(capacity, Duration::from_secs(30), true, in_time()).await.unwrap();
    Rows { database, protocol, copies }
}

/// A plan that starts whatever is not in progress.
fn plan() -> Value {
    let mut plan: BTreeMap<&str, &str> =
        ImportStatus::ALL.iter().map(|status| (status.name(), "start")).collect();
    plan.extend([
        ("absent", "start"),
        ("pre_import_in_progress", "running"),
        ("import_in_progress", "running"),
    ]);
    json!(plan)
}

impl Rows {
    async fn start(&self, source: &str, step: ImportStep) -> String {
        self.start_as(source, step, Uuid::new_v4()).await
    }

    async fn start_as(&self, source: &str, step: ImportStep, change: Uuid) -> String {
        let start = ImportStart {
            source,
            target: source,
            step: Some(step),
            attempt: AttemptId::new(Uuid::new_v4()),
            change,
            request_id: None,
            settle_seconds: 5,
            plan: &plan(),
        };
        self.protocol.start_import(&start, in_time()).await.unwrap().verdict
    }

    async fn lease(&self, source: &str) -> Option<Lease> {
        self.copies.take_lease(source, Uuid::new_v4(), in_time()).await.unwrap()
    }

    async fn finish(&self, holder: &Holder, status: ImportStatus) -> Option<ImportStatus> {
        self.copies.finish_import(holder, status, None, None, in_time()).await.unwrap()
    }

    async fn expire(&self, source: &str) {
        let sql =
            format!("UPDATE imports SET lease_until = now() - interval '1 second' WHERE source = '{source}'");
        self.database.sql(&sql).await;
    }

    async fn claim(&self, source: &str, digests: &[&str]) -> Vec<BlobClaim> {
        let digests: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
        let claimant = Claimant { source, target: source };
        let claims = self.copies.claim_blobs(claimant, &digests, in_time()).await.unwrap();
        digests.iter().map(|digest| claims[digest].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn says_first_that_there_is_no_room() {
    let rows = rows(2).await;
    assert_eq!(rows.start("a", ImportStep::Pre).await, "start");
    let change = Uuid::new_v4();
    assert_eq!(rows.start_as("b", ImportStep::Pre, change).await, "start");
    assert_eq!(rows.start_as("b", ImportStep::Pre, change).await, "repeat", "its own change");
    // Whatever the repository's own status is.
    for source in ["a", "c"] {
        assert_eq!(rows.start(source, ImportStep::Pre).await, "rate_limited");
    }
    let lease = rows.lease("a").await.unwrap();
    rows.finish(&lease.holder, ImportStatus::PreImportComplete).await;
    assert_eq!(rows.start("b", ImportStep::Pre).await, "running");
    assert_eq!(rows.start("a", ImportStep::Final).await, "start");
    assert_eq!(rows.start("c", ImportStep::Pre).await, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn never_starts_more_imports_at_once_than_slots() {
    let rows = rows(3).await;
    let names: Vec<String> = (0..24).map(|number| format!("group/{number}")).collect();
    let verdicts = join_all(names.iter().map(|name| rows.start(name, ImportStep::Pre))).await;
    assert_eq!(verdicts.iter().filter(|verdict| *verdict == "start").count(), 3, "{verdicts:?}");
    let taken = "SELECT string_agg(i.slot::text, ',' ORDER BY i.slot) FROM imports AS i
        JOIN import_slots AS s ON s.slot = i.slot AND s.source = i.source";
    assert_eq!(rows.database.ask(taken).await, "1,2,3");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_has_the_lease_until_it_runs_out() {
    let rows = rows(2).await;
    assert!(rows.lease("a").await.is_none(), "nothing is in progress");
    rows.start("a", ImportStep::Pre).await;
    let workers: Vec<Uuid> = (0..8).map(|_| Uuid::new_v4()).collect();
    let taken = join_all(workers.iter().map(|worker| rows.copies.take_lease("a", *worker, in_time()))).await;
    let mut leases: Vec<Lease> = taken.into_iter().filter_map(Result::unwrap).collect();
    let (first, others) = (leases.pop().unwrap(), leases.len());
    assert_eq!((others, first.import.lease_lost), (0, false));
    // Sent again it is the same worker's.
    assert!(rows.copies.take_lease("a", first.holder.worker, in_time()).await.unwrap().is_some());

    let progress = Progress { tags_known: 7, ..Progress::default() };
    let beat = rows.copies.heartbeat(&first.holder, &progress, true, true, in_time()).await.unwrap();
    assert_eq!((beat.status, beat.workers), (Some(ImportStatus::PreImportInProgress), 1));

    rows.expire("a").await;
    let second = rows.lease("a").await.unwrap();
    assert!(second.import.lease_lost && second.import.wrote);
    assert_eq!(second.import.progress, progress);
    // The first one has nothing to say any more.
    let beat = rows.copies.heartbeat(&first.holder, &progress, true, true, in_time()).await.unwrap();
    assert_eq!(beat.status, None);
    assert_eq!(rows.finish(&first.holder, ImportStatus::PreImportComplete).await, None);
    let tag = TagRecord {
        tag: "v1".to_owned(),
        source_digest: Some("sha256:1".to_owned()),
        target_digest: Some("sha256:1".to_owned()),
        state: TagState::Equal,
        wrote: true,
        cause: None,
        error: None,
    };
    let refused = rows.copies.keep_copied_tags(&first.holder, std::slice::from_ref(&tag), in_time()).await;
    assert!(refused.unwrap_err().to_string().contains("the lease is another's"));
    rows.copies.keep_copied_tags(&second.holder, std::slice::from_ref(&tag), in_time()).await.unwrap();
    assert_eq!(rows.copies.copied_tags("a", in_time()).await.unwrap(), [tag]);

    // Given back, it is nobody's loss.
    rows.copies.give_back(&second.holder, in_time()).await.unwrap();
    assert_eq!(rows.protocol.unattended(in_time()).await.unwrap(), ["a"]);
    let third = rows.lease("a").await.unwrap();
    assert_eq!(rows.protocol.unattended(in_time()).await.unwrap(), [""; 0]);
    let ended = rows.finish(&third.holder, ImportStatus::PreImportComplete).await;
    assert_eq!(ended, Some(ImportStatus::PreImportComplete));
    let again = rows.finish(&third.holder, ImportStatus::PreImportComplete).await;
    assert_eq!(again, ended, "sent again it finds its own end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelation_frees_the_slot_when_the_worker_ends() {
    let rows = rows(1).await;
    let cancel = async |force| rows.protocol.cancel_import("a", force, in_time()).await.unwrap();
    assert_eq!(cancel(false).await, ImportCanceled::Unknown);
    rows.start("a", ImportStep::Pre).await;
    let lease = rows.lease("a").await.unwrap();
    assert_eq!(cancel(false).await, ImportCanceled::Canceled);
    assert_eq!(rows.start("b", ImportStep::Pre).await, "rate_limited", "its worker has not noticed yet");
    let beat = rows.copies.heartbeat(&lease.holder, &Progress::default(), false, false, in_time()).await;
    assert_eq!(beat.unwrap().status, Some(ImportStatus::PreImportCanceled));
    let ended = rows.finish(&lease.holder, ImportStatus::PreImportComplete).await;
    assert_eq!(ended, Some(ImportStatus::PreImportCanceled), "it stays canceled");
    assert_eq!(rows.start("a", ImportStep::Pre).await, "not_ready", "for five seconds");
    assert_eq!(cancel(false).await, ImportCanceled::Ended { status: ImportStatus::PreImportCanceled });

    // One whose worker is dead: by whoever looks for unattended ones.
    assert_eq!(rows.start("b", ImportStep::Pre).await, "start");
    rows.lease("b").await.unwrap();
    rows.protocol.cancel_import("b", false, in_time()).await.unwrap();
    rows.expire("b").await;
    assert_eq!(rows.protocol.unattended(in_time()).await.unwrap(), [""; 0]);
    assert_eq!(rows.start("c", ImportStep::Pre).await, "start");
    // One that nobody works on: at once. What was complete is taken back by force.
    rows.protocol.cancel_import("c", false, in_time()).await.unwrap();
    rows.database.sql("UPDATE imports SET ended_at = ended_at - interval '5 seconds'").await;
    assert_eq!(rows.start("c", ImportStep::Pre).await, "start");
    let lease = rows.lease("c").await.unwrap();
    rows.finish(&lease.holder, ImportStatus::ImportComplete).await;
    assert_eq!(rows.protocol.cancel_import("c", true, in_time()).await.unwrap(), ImportCanceled::Canceled);
    let status = rows.protocol.import("c", in_time()).await.unwrap().unwrap().status;
    assert_eq!(status, ImportStatus::ImportCanceled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_copied_once_and_then_mounted() {
    use BlobClaim::{Elsewhere, Here, Mine, Mount};
    let rows = rows(3).await;
    for source in ["a", "b", "c"] {
        rows.start(source, ImportStep::Pre).await;
        rows.lease(source).await.unwrap();
    }
    assert_eq!(rows.claim("a", &["1", "2", "3"]).await, [Mine, Mine, Mine]);
    assert_eq!(rows.claim("b", &["2", "4"]).await, [Elsewhere, Mine]);
    let there = |source| Claimant { source, target: source };
    rows.copies.note_blobs(there("a"), &["1".into(), "2".into()], &["3".into()], in_time()).await.unwrap();
    let mount = || Mount { from: "a".to_owned() };
    assert_eq!(rows.claim("b", &["2", "3", "1"]).await, [mount(), Mine, mount()]);
    assert_eq!(rows.claim("a", &["1", "2", "3"]).await, [Here, Here, Elsewhere]);
    // A dead worker's are taken over, and mounted if it had stored them.
    rows.expire("b").await;
    let from_the_dead = || Mount { from: "b".to_owned() };
    assert_eq!(rows.claim("c", &["3", "4", "5"]).await, [from_the_dead(), from_the_dead(), Mine]);
    assert_eq!(rows.claim("c", &["3", "4"]).await, [Mine, Mine]);
    // Two that ask for the same at once: each blob is one's.
    let wanted: Vec<String> = (10..60).map(|number| number.to_string()).collect();
    let (up, down): (Vec<&str>, Vec<&str>) =
        (wanted.iter().map(String::as_str).collect(), wanted.iter().rev().map(String::as_str).collect());
    let (one, other) = tokio::join!(rows.claim("a", &up), rows.claim("c", &down));
    let mine = |claims: &[BlobClaim]| claims.iter().filter(|claim| **claim == Mine).count();
    assert_eq!(mine(&one) + mine(&other), wanted.len());
    // What an import leaves uncopied is nobody's.
    let lease = rows.copies.take_lease("b", Uuid::new_v4(), in_time()).await.unwrap().unwrap();
    assert_eq!(rows.claim("b", &["70"]).await, [Mine]);
    rows.finish(&lease.holder, ImportStatus::PreImportFailed).await;
    assert_eq!(rows.claim("c", &["70"]).await, [Mine]);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_a_blob_to_whoever_has_sent_parts_of_it() {
    use BlobClaim::{Elsewhere, Mine, Mount};
    let rows = rows(2).await;
    for source in ["a", "b"] {
        rows.start(source, ImportStep::Pre).await;
    }
    let lease = rows.lease("a").await.unwrap();
    assert_eq!(rows.claim("a", &["1"]).await, [Mine]);
    let upload = KeptUpload {
        digest: "1".to_owned(),
        location: "/v2/a/blobs/uploads/1".to_owned(),
        sent: 5,
        hash: "state".to_owned(),
    };
    rows.copies.keep_upload(&lease.holder, "a", &upload, in_time()).await.unwrap();
    let an_hour_ago = "UPDATE import_uploads SET updated_at = now() - interval '1 hour'";
    rows.database.sql(an_hour_ago).await;
    // All workers end, and a process begins in which another comes first.
    rows.copies.prepare(2, Duration::from_secs(30), true, in_time()).await.unwrap();
    assert_eq!(rows.claim("b", &["1"]).await, [Elsewhere]);
    assert_eq!(rows.claim("a", &["1"]).await, [Mine]);
    // Nobody goes on with it.
    rows.database.sql(an_hour_ago).await;
    assert_eq!(rows.claim("b", &["1"]).await, [Mount { from: "a".to_owned() }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_uploads_and_proof_for_the_holder_only() {
    let rows = rows(1).await;
    rows.start("a", ImportStep::Final).await;
    let lease = rows.lease("a").await.unwrap();
    let upload = |sent| KeptUpload {
        digest: "sha256:1".to_owned(),
        location: "/v2/a/blobs/uploads/1".to_owned(),
        sent,
        hash: "state".to_owned(),
    };
    for sent in [5, 10] {
        rows.copies.keep_upload(&lease.holder, "a", &upload(sent), in_time()).await.unwrap();
    }
    let stranger = Holder { worker: Uuid::new_v4(), ..lease.holder.clone() };
    rows.copies.keep_upload(&stranger, "a", &upload(15), in_time()).await.unwrap();
    assert_eq!(rows.copies.uploads("a", in_time()).await.unwrap(), [upload(10)]);
    rows.copies.end_upload("a", "sha256:1", in_time()).await.unwrap();
    assert_eq!(rows.copies.uploads("a", in_time()).await.unwrap(), []);

    // More than a page of them, in the order of their names.
    let tags: Vec<TagRecord> = (0..1200)
        .map(|number| TagRecord {
            tag: format!("v{number:04}"),
            source_digest: Some("sha256:1".to_owned()),
            target_digest: Some("sha256:1".to_owned()),
            state: TagState::Equal,
            wrote: number % 2 == 0,
            cause: None,
            error: None,
        })
        .collect();
    rows.copies.keep_copied_tags(&lease.holder, &tags, in_time()).await.unwrap();
    assert_eq!(rows.copies.copied_tags("a", in_time()).await.unwrap(), tags);
    let mut proof = rows.copies.proof("", "", in_time()).await.unwrap();
    while let Some(last) = proof.last().cloned() {
        let page = rows.copies.proof(&last.source, &last.tag, in_time()).await.unwrap();
        if page.is_empty() {
            break;
        }
        proof.extend(page);
    }
    assert!(proof.iter().map(|row| &row.tag).eq(tags.iter().map(|tag| &tag.tag)));
    // The driver's role sees none of it.
    let refused = rows.database.superuser().await;
    refused.batch_execute("SET ROLE migration_driver").await.unwrap();
    let error = refused.batch_execute("SELECT FROM imports").await.unwrap_err();
    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
}
