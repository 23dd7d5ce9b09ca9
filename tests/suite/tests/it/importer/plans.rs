//! What the importer's statements cost beside a million blobs and tags: pages, which do not depend on how busy the machine is.

use std::time::Duration;

use shared::{
    endpoint::{CopyRepository, ImportProtocol, Writer},
    migration::AttemptId,
    store::{
        Store,
        importer::{
            Claimant, Holder, ImportStart, ImportStatus, ImportStep, KeptUpload, Progress, TagRecord,
            TagState,
        },
    },
};
use uuid::Uuid;

use super::bench::{Database, in_time};
use suite::explained::Explained;

/// A million blobs, a million tags, 20,000 repositories, nine of them in progress, 5,000 uploads. They come in the order of their
/// names, which is quick, and are not logged: nobody needs them afterwards.
const MANY: &str = "
    ALTER TABLE import_blobs SET UNLOGGED;
    ALTER TABLE import_tags SET UNLOGGED;
    INSERT INTO imports (source, target, status, attempt, change, ended_at)
    SELECT path, path, 'import_complete', gen_random_uuid(), gen_random_uuid(), now()
    FROM (SELECT 'team/' || lpad(n::text, 5, '0') AS path FROM generate_series(1, 20000) AS n) AS paths;
    UPDATE imports SET status = 'import_in_progress', ended_at = NULL, slot = split_part(source, '/', 2)::integer,
        worker = attempt, lease_until = now() + interval '1 hour'
    WHERE source < 'team/00010';
    UPDATE import_slots AS s SET source = i.source FROM imports AS i WHERE i.slot = s.slot;
    INSERT INTO import_blobs (digest, target, there, source)
    SELECT 'sha256:' || lpad(to_hex(n), 64, '0'), path, n % 100000 > 0, path
    FROM generate_series(1, 1000000) AS n, LATERAL (SELECT 'team/' || lpad((n % 20000 + 1)::text, 5, '0') AS path) AS paths;
    INSERT INTO import_tags (source, tag, source_digest, target_digest, state, attempt)
    SELECT 'team/' || lpad((n / 50 + 1)::text, 5, '0'), 'v' || lpad((n % 50)::text, 2, '0'), 'sha256:' || n, 'sha256:' || n, 'equal',
        '00000000-0000-0000-0000-000000000000'
    FROM generate_series(0, 999999) AS n;
    INSERT INTO import_uploads (target, digest, location, sent, hash)
    SELECT 'team/' || lpad(n::text, 5, '0'), 'sha256:' || n, 'https://registry.example/', 1, '' FROM generate_series(1, 5000) AS n;
    ANALYZE imports, import_blobs, import_tags, import_uploads, import_slots;
";

fn record(number: usize) -> TagRecord {
    TagRecord {
        tag: format!("new-{number}"),
        source_digest: Some("sha256:0".to_owned()),
        target_digest: Some("sha256:0".to_owned()),
        state: TagState::Equal,
        wrote: true,
        cause: None,
        error: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_few_pages_beside_a_million_blobs_and_tags() {
    let database = Database::new().await;
    let prepared: Store<CopyRepository> = Store::new(database.writer());
    prepared.prepare(10, Duration::from_secs(30), true, in_time()).await.unwrap();
    database.sql(MANY).await;
    let explained = Explained::new(database.connection());
    let copies: Store<CopyRepository> = Store::new(Writer::new(explained.clone()));
    let protocol: Store<ImportProtocol> = Store::new(Writer::new(explained.clone()));
    let worker: Uuid =
        database.ask("SELECT worker::text FROM imports WHERE source = 'team/00001'").await.parse().unwrap();
    let holder = Holder { source: "team/00001".to_owned(), attempt: worker, worker };
    let claimant = Claimant { source: "team/00001", target: "team/00001" };
    let mut costs: Vec<(&str, u64, u64)> = Vec::new();
    // Whoever sends a statement to be explained is given no rows.
    macro_rules! cost {
        ($name:literal, $most:literal, $statement:expr) => {
            let _ = $statement.await;
            costs.push(($name, explained.pages(), $most));
        };
    }
    let change = Uuid::new_v4();
    let plan = importer::start_plan(ImportStep::Pre);
    let start = ImportStart {
        source: "team/new",
        target: "team/new",
        step: Some(ImportStep::Pre),
        attempt: AttemptId::new(change),
        change,
        request_id: Some("request"),
        settle_seconds: 5,
        plan: &plan,
    };
    // Some that nobody has, and more that others have.
    let known = "SELECT string_agg(digest, ',') FROM (SELECT digest FROM import_blobs WHERE there LIMIT 400) AS known";
    let known = database.ask(known).await;
    let unknown = (0..100).map(|number| format!("sha256:{}", format!("{number:08x}").repeat(8)));
    let all: Vec<String> = unknown.chain(known.split(',').map(str::to_owned)).collect();
    let blobs = |count: usize| all[..count].to_vec();
    let kept =
        KeptUpload { digest: "sha256:0".to_owned(), location: "x".to_owned(), sent: 1, hash: String::new() };
    let tags: Vec<TagRecord> = (0..500).map(record).collect();
    cost!("start", 60, protocol.start_import(&start, in_time()));
    cost!("status", 8, protocol.import("team/00777", in_time()));
    cost!("unattended", 30, protocol.unattended(in_time()));
    cost!("due notices", 20, protocol.due_notices(in_time()));
    cost!("take a lease", 20, copies.take_lease("team/00002", Uuid::new_v4(), in_time()));
    cost!("heartbeat", 60, copies.heartbeat(&holder, &Progress::default(), true, true, in_time()));
    cost!("claim a blob", 60, copies.claim_blobs(claimant, &blobs(1), in_time()));
    cost!("claim 500 blobs", 7_000, copies.claim_blobs(claimant, &blobs(500), in_time()));
    cost!("note a blob", 40, copies.note_blobs(claimant, &blobs(1), &[], in_time()));
    cost!("keep an upload", 40, copies.keep_upload(&holder, "team/00001", &kept, in_time()));
    cost!("end an upload", 20, copies.end_upload("team/00001", "sha256:0", in_time()));
    cost!("uploads", 20, copies.uploads("team/04000", in_time()));
    cost!("keep a tag", 40, copies.keep_copied_tags(&holder, &tags[..1], in_time()));
    cost!("keep 500 tags", 6_000, copies.keep_copied_tags(&holder, &tags, in_time()));
    cost!("tags of a repository", 120, copies.copied_tags("team/00777", in_time()));
    cost!("a page of the proof", 3_500, copies.proof("team/00777", "", in_time()));
    cost!("a page of progress", 600, copies.imports("team/00777", in_time()));
    cost!("finish", 80, copies.finish_import(&holder, ImportStatus::ImportComplete, None, None, in_time()));
    cost!("cancel", 60, protocol.cancel_import("team/00003", false, in_time()));
    let above: Vec<_> = costs.iter().filter(|(_, pages, most)| pages > most).collect();
    assert!(above.is_empty(), "above their bounds: {above:?} of {costs:?}");
}
