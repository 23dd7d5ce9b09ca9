//! What targets do while they are written, by their journals.

use std::time::Duration;

use futures::future::join_all;
use importer::{Copied, Status, Stop};
use local::local_registry::{
    Fault, FaultEffect, HoldPoint, Kind, Personality, Record, Traffic,
    storage::{Flavor, ImageOptions},
};
use oci::Name;
use shared::store::importer::{ImportStatus, ImportStep};

use super::{
    restarts::{BIG, big},
    scene::{PATIENCE, Scene, complete, image},
};

/// Every verb that a copy needs, at which side.
const VERBS: [(usize, &str, Kind); 12] = [
    (0, "GET", Kind::Tags),
    (0, "GET", Kind::Manifest),
    (0, "HEAD", Kind::Manifest),
    (0, "GET", Kind::Blob),
    (1, "GET", Kind::Tags),
    (1, "HEAD", Kind::Blob),
    (1, "POST", Kind::Mount),
    (1, "POST", Kind::UploadBegin),
    (1, "PATCH", Kind::Upload),
    (1, "PUT", Kind::Upload),
    (1, "PUT", Kind::Manifest),
    (1, "GET", Kind::Manifest),
];

#[tokio::test(flavor = "multi_thread")]
async fn tries_each_verb_once_more_after_a_429() {
    let mut scene = Scene::new(Personality::Distribution3).await;
    scene.tuning.capacity = 40;
    scene.image("base", &["v1"], &image(1, &[700], &["amd64"], Flavor::Oci));
    let cases = VERBS.into_iter().flat_map(|verb| [(verb, None), (verb, Some(1))]);
    let cases: Vec<_> =
        cases.zip(0_u64..).map(|((verb, after), number)| (format!("r{number}"), verb, after)).collect();
    let paths = cases.iter().map(|(path, ..)| path.as_str()).chain(["undisturbed"]);
    for (path, seed) in paths.zip(100..) {
        scene.image(path, &["shared"], &image(1, &[700], &["amd64"], Flavor::Oci));
        scene.image(path, &["own"], &image(seed, &[400_000], &["amd64"], Flavor::Oci));
        // Something is there, so that blobs are asked for.
        scene.target.storage().write_image(path, &["other"], &ImageOptions::small(seed)).unwrap();
    }
    let registries = [&scene.source, &scene.target];
    for (path, (side, method, kind), after) in &cases {
        let fault = Fault::too_many(*after).method(method).kind(*kind).repository(path).times(1);
        registries[*side].faults().add(fault);
    }
    scene.importer().await;
    for path in ["base", "undisturbed"] {
        assert_eq!(scene.copy(path).await, Some(ImportStatus::ImportComplete));
    }
    let all = join_all(cases.iter().map(|(path, ..)| scene.copy(path))).await;
    let of = |path: &str, (side, method, kind): (usize, &str, Kind)| -> Vec<Record> {
        let all = registries[side].traffic().records().into_iter();
        all.filter(|record| {
            record.repository.as_deref() == Some(path) && record.method == method && record.kind == kind
        })
        .collect()
    };
    for ((path, verb, after), ended) in cases.iter().zip(all) {
        assert_eq!(ended, Some(ImportStatus::ImportComplete), "{verb:?} {after:?}");
        let usual = of("undisturbed", *verb).len();
        assert!(usual > 0, "{verb:?} is never needed");
        let records = of(path, *verb);
        assert_eq!(records.len(), usual + 1, "{verb:?} {after:?}");
        let refused = records.iter().position(|record| record.status == Some(429)).unwrap();
        // Which upload was begun again nobody can tell: the last one of them.
        let again = records[refused + 1..]
            .iter()
            .rfind(|record| *record.method == *"POST" || record.reference == records[refused].reference)
            .unwrap();
        let waited = again.at.duration_since(records[refused].at).as_millis();
        assert!(waited >= after.map_or(0, |_| 1000), "{verb:?}: {waited} ms");
    }
    scene.assert_equal_to_source();
}

fn begins(record: &Record) -> bool {
    record.kind == Kind::UploadBegin
}

#[tokio::test(flavor = "multi_thread")]
async fn begins_an_upload_anew_once_where_an_answer_was_lost() {
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let (scene, layer) = big(to).await;
        let part = scene.tuning.part;
        scene.target.faults().add(Fault::lost_answer().method("PATCH").kind(Kind::Upload).skip(2).times(1));
        let importer = scene.importer().await;
        assert!(complete(&importer.run(&scene.names(), &Stop::new()).await.unwrap()));
        scene.assert_equal_tags();
        let (sent, begun) =
            (scene.target.traffic().blob_bytes_received(), scene.target.traffic().count(begins));
        let asked = scene.target.traffic().count(|record| {
            record.method == "HEAD" && record.reference.as_deref() == Some(&layer.to_string())
        });
        if to == Personality::Distribution2 {
            // All three parts are lost with the answer; the blob is asked for before it is begun anew.
            assert_eq!((sent, begun, asked), (BIG + 2 + 3 * part, 3, 1));
            assert_eq!(importer.counters().begun_anew, 1);
        } else {
            assert_eq!((sent, begun, asked), (BIG + 2, 2, 0));
            assert_eq!((importer.counters().begun_anew, scene.target.open_uploads().len()), (0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_thrice_where_a_replica_knows_no_upload() {
    for (unknown, begun_anew) in [(2, 0), (4, 1)] {
        let (scene, _) = big(Personality::Distribution3).await;
        let fault =
            |method: &str| Fault::answer(404, "BLOB_UPLOAD_UNKNOWN").method(method).kind(Kind::Upload);
        let unknown = fault("PATCH").skip(3).times(unknown);
        scene.target.faults().add(unknown);
        let importer = scene.importer().await;
        let report = importer.run(&scene.names(), &Stop::new()).await.unwrap();
        assert!(complete(&report), "{report:#?}");
        assert_eq!(importer.counters().begun_anew, begun_anew);
        let begun = scene.target.traffic().count(begins);
        assert_eq!(begun as u64, 2 + begun_anew);
        let taken = scene.target.traffic().records();
        let taken = taken.iter().filter_map(|record| record.upload).map(|(from, to)| to - from).sum::<u64>();
        let lost = begun_anew * 3 * scene.tuning.part;
        assert_eq!(taken, BIG + 2 + lost, "no part that was stored is sent again");
    }
    // At random, behind a balancer.
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let (scene, _) = big(Personality::Distribution3).await;
    scene.target.faults().add(Fault::answer(404, "BLOB_UPLOAD_UNKNOWN").kind(Kind::Upload).chance(15, seed));
    assert!(complete(&scene.run().await), "seed {seed}");
    scene.assert_equal_tags();
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_a_blob_that_is_not_mounted_by_what_it_was_given() {
    for refused in [false, true] {
        let scene = Scene::new(Personality::Distribution3).await;
        let manifest = scene.image("a", &["v1"], &image(1, &[700], &["amd64"], Flavor::Oci));
        let layer = scene.layer_of(&manifest);
        scene.importer().await;
        // It had the layer once.
        let row = format!("INSERT INTO import_blobs VALUES ('{layer}', 'elsewhere', true, 'elsewhere')");
        scene.database.sql(&row).await;
        if refused {
            scene.target.faults().add(Fault::answer(401, "UNAUTHORIZED").kind(Kind::Mount));
        }
        assert!(complete(&scene.run().await));
        scene.assert_equal();
        let mounts = |record: &Record| record.kind == Kind::Mount;
        let status: Vec<Option<u16>> =
            scene.target.traffic().records().into_iter().filter(mounts).map(|record| record.status).collect();
        assert_eq!(status, [Some(if refused { 401 } else { 202 })]);
        // The configuration has an upload of its own; the layer has one where the mount gave none.
        assert_eq!(scene.target.traffic().count(begins), if refused { 2 } else { 1 });
        assert_eq!(scene.target.open_uploads(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_what_the_target_only_says_that_it_has() {
    for index_is_there in [true, false] {
        let scene = Scene::new(Personality::Distribution3).await;
        let options = image(1, &[500], &["amd64", "arm64"], Flavor::Oci);
        let index = scene.image("a", &["v1"], &options);
        let content = scene.source.storage().read_blob(&index.parse().unwrap()).unwrap();
        let content: serde_json::Value = serde_json::from_slice(&content).unwrap();
        let child = content["manifests"][1]["digest"].as_str().unwrap().to_owned();
        let layer = scene.layer_of(&child);
        // Somebody has copied half of it.
        let half = scene.target.storage();
        half.write_image("a", &["half"], &options).unwrap();
        half.write_image("a", &["other"], &ImageOptions::small(9)).unwrap();
        half.remove_layer("a", &layer.parse().unwrap()).unwrap();
        half.remove_manifest("a", &child.parse().unwrap()).unwrap();
        half.remove_tag("a", "half").unwrap();
        if !index_is_there {
            half.remove_manifest("a", &index.parse().unwrap()).unwrap();
        }
        let lie = Fault::new(FaultEffect::Pretend { size: 500 }).method("HEAD").kind(Kind::Manifest);
        let lie = scene.target.faults().add(lie.reference(&child));

        let report = scene.run().await;

        assert!(complete(&report), "{report:#?}");
        assert!(scene.target.faults().met(lie) > 0, "the target was not asked");
        let answers = |reference: &str| -> Vec<u16> {
            let records = scene.target.traffic().records().into_iter();
            records
                .filter(|record| record.kind == Kind::Manifest && record.method == "PUT")
                .filter(|record| record.reference.as_deref() == Some(reference))
                .filter_map(|record| record.status)
                .collect()
        };
        if index_is_there {
            // Read back before the tag is written, it is missing.
            assert_eq!((answers(&index), answers(&child)), (vec![], vec![201]));
        } else {
            // The index is refused; then what it names is sent without asking, once, and the index again.
            assert_eq!((answers(&index), answers(&child)), (vec![400, 201], vec![400, 201]));
        }
        assert_eq!(answers("v1"), [201]);
        // The layer that was missing; without asking, the configuration too.
        let stored = scene.target.traffic().blobs_stored().len();
        assert_eq!(stored, if index_is_there { 1 } else { 2 });
        let [here, there] = [scene.source.storage(), scene.target.storage()];
        for digest in here.revisions("a").unwrap() {
            assert!(there.has_manifest("a", &digest).unwrap(), "{digest}");
            assert_eq!(here.read_blob(&digest).unwrap(), there.read_blob(&digest).unwrap());
        }
        assert!(there.has_layer("a", &layer.parse().unwrap()).unwrap());
        scene.assert_equal_to_source();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_fails_what_is_above_it_alone() {
    let large = image(1, &[90_000], &["amd64"], Flavor::Oci);
    let small = image(2, &[100], &["amd64"], Flavor::Oci);
    let scene = Scene::new(Personality::Distribution3).await;
    scene.image("a", &["large"], &large);
    scene.image("a", &["small"], &small);
    scene.target.change(|settings| settings.quota.image_bytes = Some(50_000));
    assert_eq!(scene.run().await.repositories[0].cause.as_deref(), Some("quota"));
    let tags: Vec<String> = scene.target.storage().tags("a").unwrap().into_keys().collect();
    assert_eq!(tags, ["small"]);

    let mut scene = Scene::new(Personality::Distribution3).await;
    scene.tuning.in_flight = 1;
    scene.image("a", &["one", "other", "third"], &small);
    scene.target.change(|settings| settings.quota.tags_per_manifest = Some(2));
    assert_eq!(scene.run().await.repositories[0].cause.as_deref(), Some("quota"));
    assert_eq!(scene.target.storage().tags("a").unwrap().len(), 2);
    let failed: Vec<Option<String>> =
        scene.proof().await.into_iter().map(|row| row.cause).filter(Option::is_some).collect();
    assert_eq!(failed, [Some("quota".to_owned())]);

    let mut scene = Scene::new(Personality::Distribution3).await;
    scene.tuning.capacity = 1;
    scene.image("a", &["v1"], &large);
    scene.image("b", &["v1"], &small);
    scene.target.change(|settings| settings.quota.repositories = Some(1));
    let report = scene.run().await;
    let ended: Vec<(Status, Option<&str>)> =
        report.repositories.iter().map(|of| (of.status, of.cause.as_deref())).collect();
    assert_eq!(ended, [(Status::Complete, None), (Status::Failed, Some("quota"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_invoked_twice_copies_once() {
    let scene = Scene::new(Personality::Distribution3).await;
    scene.image("a", &["v1"], &image(1, &[700, 900], &["amd64"], Flavor::Oci));
    let hold =
        Fault::new(FaultEffect::Hold { at: HoldPoint::Before }).method("PUT").kind(Kind::Upload).times(1);
    let hold = scene.target.faults().add(hold);
    let (first, a) = (scene.importer().await, Name::parse("a").unwrap());
    assert!(first.start(&a, &a, ImportStep::Pre).await.unwrap());
    let worker = tokio::spawn(async move { first.copy("a", &Stop::new()).await.unwrap() });
    let held = |traffic: &Traffic| traffic.count(|record| record.method == "PUT") > 0;
    assert!(scene.target.traffic().wait_until(PATIENCE, held).await);
    let second = scene.importer_beside_others().await;
    for _ in 0..3 {
        assert_eq!(second.copy("a", &Stop::new()).await.unwrap(), Copied::NotOurs);
    }
    scene.target.faults().remove(hold);
    let ended = tokio::time::timeout(Duration::from_secs(10), worker).await.unwrap().unwrap();
    assert_eq!(ended, Copied::Ended(ImportStatus::PreImportComplete));
    assert_eq!(scene.target.traffic().blobs_stored().len(), 3);
    assert_eq!(scene.target.traffic().count(begins), 3);
    // What nobody was invoked for is found, and copied once.
    assert!(second.start(&a, &a, ImportStep::Final).await.unwrap());
    assert!(complete(&scene.run().await));
    assert_eq!(scene.target.traffic().count(begins), 3);
    scene.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_limit_of_an_action_for_all_workers() {
    let scene = Scene::new(Personality::Distribution3).await;
    for path in ["a", "b"] {
        for seed in 1..=5 {
            scene.image(path, &[&format!("v{seed}")], &ImageOptions::small(seed));
        }
    }
    let importer = scene.importer().await;
    importer.limit("target", "put-manifest", Some(10.0)).await.unwrap();
    assert!(complete(&importer.run(&scene.names(), &Stop::new()).await.unwrap()));
    scene.assert_equal();
    let puts: Vec<_> = scene
        .target
        .traffic()
        .records()
        .into_iter()
        .filter(|record| record.kind == Kind::Manifest && record.method == "PUT")
        .map(|record| record.at)
        .collect();
    assert_eq!(puts.len(), 20);
    for (first, later) in puts.iter().zip(&puts[12..]) {
        let within = later.duration_since(*first).as_millis();
        assert!(within >= 1000, "13 of them within {within} ms");
    }
}
