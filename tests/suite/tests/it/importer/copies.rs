//! Repositories copied from one registry to another, by the journals of both.

use std::{collections::BTreeSet, time::Duration};

use importer::{Copied, Status, Stop};
use local::local_registry::{
    Fault, FaultEffect, HoldPoint, Kind, Personality,
    storage::{Flavor, ImageOptions},
};
use oci::Name;
use shared::store::importer::{ImportStatus, ImportStep, TagState};

use super::scene::{PATIENCE, Scene, complete, image, is_blob_read, layers};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A few repositories: indexes and single images of both kinds, layers that several share, one blob of several parts.
pub async fn fleet(to: Personality) -> Scene {
    let scene = Scene::new(to).await;
    let big = image(1, &[4000, 700_000], &["amd64", "arm64"], Flavor::Oci);
    let shared = image(2, &[3000, 20_000, 9000], &["amd64"], Flavor::Docker);
    scene.image("team/a", &["v1", "latest"], &big);
    scene.image("team/a", &["v2"], &shared);
    scene.image("team/b", &["v1"], &shared);
    scene.image("team/b", &["v2"], &image(3, &[0, 5000], &["amd64", "arm64", "s390x"], Flavor::Docker));
    scene.image("team/c/deep", &["only"], &shared);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_each_blob_once_and_proves_each_tag() {
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let scene = fleet(to).await;
        let report = scene.run().await;
        assert!(complete(&report) && !report.stopped, "{report:#?}");
        scene.assert_equal();

        // Each distinct blob was read once and sent once, and is mounted wherever else it belongs.
        let links: usize = layers(&scene.source.storage()).iter().map(|(_, blobs)| blobs.len()).sum();
        let distinct: BTreeSet<String> =
            layers(&scene.source.storage()).into_iter().flat_map(|(_, blobs)| blobs).collect();
        assert_eq!(scene.source.traffic().count(is_blob_read), distinct.len());
        let stored: Vec<String> =
            scene.target.traffic().blobs_stored().into_iter().map(|(_, digest)| digest).collect();
        assert_eq!(
            (stored.len(), stored.iter().collect::<BTreeSet<_>>().len()),
            (distinct.len(), distinct.len())
        );
        let mounted =
            scene.target.traffic().count(|record| record.kind == Kind::Mount && record.status == Some(201));
        assert_eq!(mounted, links - distinct.len());
        assert_eq!(scene.target.open_uploads(), []);

        // No tag before all manifests; each tag and each manifest is read back.
        let manifests: usize = scene
            .names()
            .iter()
            .map(|(name, _)| scene.source.storage().revisions(name.as_str()).unwrap().len())
            .sum();
        let records = scene.target.traffic().records();
        for (name, _) in scene.names() {
            let puts: Vec<bool> = records
                .iter()
                .filter(|record| record.kind == Kind::Manifest && record.method == "PUT")
                .filter(|record| record.repository.as_deref() == Some(name.as_str()))
                .map(|record| record.reference.as_ref().is_some_and(|of| of.starts_with("sha256:")))
                .collect();
            let first_tag = puts.iter().position(|by_digest| !by_digest).unwrap();
            assert!(puts[first_tag..].iter().all(|by_digest| !by_digest), "{name:?}: {puts:?}");
        }
        let read = |method: &str| {
            scene.target.traffic().count(|record| record.kind == Kind::Manifest && record.method == method)
        };
        // `latest` leads where `v1` does: that is read by HEAD.
        assert_eq!((read("GET"), read("HEAD")), (manifests, 1));
        // In all, what the work needs and no more: lists, manifests, blobs, and each tag by HEAD before and after.
        let repositories = scene.names().len();
        let tags = 6;
        assert_eq!(
            scene.source.traffic().records().len(),
            3 * repositories + manifests + 1 + distinct.len() + 2 * tags
        );
        let parts = scene.target.traffic().count(|record| record.method == "PATCH");
        let sessions = 2 * distinct.len();
        assert_eq!(
            scene.target.traffic().records().len(),
            repositories + sessions + parts + mounted + manifests + tags + manifests + 1
        );
        let proof = scene.proof().await;
        let tags: usize = scene
            .names()
            .iter()
            .map(|(name, _)| scene.source.storage().tags(name.as_str()).unwrap().len())
            .sum();
        assert_eq!(proof.len(), tags);
        for row in &proof {
            assert_eq!(row.state, TagState::Equal, "{row:?}");
            let digest = scene.source.storage().tags(&row.source).unwrap()[&row.tag].to_string();
            assert_eq!(row.source_digest.as_deref(), Some(digest.as_str()));
            assert_eq!(row.target_digest, row.source_digest);
        }

        // Once more, with nothing changed: nothing is written, and no manifest of the source is read.
        scene.source.traffic().clear();
        scene.target.traffic().clear();
        assert!(complete(&scene.run().await));
        let writes = scene.target.traffic().count(|record| !matches!(record.method.as_str(), "GET" | "HEAD"));
        assert_eq!(writes, 0);
        let gets = scene
            .source
            .traffic()
            .count(|record| record.method == "GET" && matches!(record.kind, Kind::Manifest | Kind::Blob));
        // What the target has under a digest proves it there, and tells what it names.
        assert_eq!((gets, read("GET"), read("HEAD")), (0, manifests, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_what_was_pushed_moved_and_deleted_between_the_steps() {
    let scene = fleet(Personality::Distribution3).await;
    let (importer, stop) = (scene.importer().await, Stop::new());
    let of = name("team/a");
    assert!(importer.start(&of, &of, ImportStep::Pre).await.unwrap());
    let ended = importer.copy("team/a", &stop).await.unwrap();
    assert_eq!(ended, Copied::Ended(ImportStatus::PreImportComplete));
    assert!(
        scene.target.storage().tags("team/a").unwrap().is_empty(),
        "no tag is written before the final step"
    );

    let storage = scene.source.storage();
    scene.image("team/a", &["new"], &image(50, &[8000], &["amd64"], Flavor::Oci));
    scene.image("team/a", &["v2"], &image(51, &[8000], &["amd64"], Flavor::Oci));
    storage.remove_tag("team/a", "latest").unwrap();
    scene.source.traffic().clear();
    assert!(importer.start(&of, &of, ImportStep::Final).await.unwrap());
    let ended = importer.copy("team/a", &stop).await.unwrap();
    assert_eq!(ended, Copied::Ended(ImportStatus::ImportComplete));
    assert_eq!(storage.tags("team/a").unwrap(), scene.target.storage().tags("team/a").unwrap());
    // Only what is new was read: two images of a layer and a configuration each.
    assert_eq!(scene.source.traffic().count(is_blob_read), 4);

    // What is deleted after it was written is reported, and stays.
    storage.remove_tag("team/a", "new").unwrap();
    assert!(complete(&importer.run(&[(of.clone(), of)], &stop).await.unwrap()));
    let states: Vec<(String, TagState)> =
        scene.proof().await.into_iter().map(|row| (row.tag, row.state)).collect();
    let equal = |tag: &str| (tag.to_owned(), TagState::Equal);
    assert_eq!(states, [("new".to_owned(), TagState::Deleted), equal("v1"), equal("v2")]);
    assert!(scene.target.storage().tags("team/a").unwrap().contains_key("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_again_what_moves_while_tags_are_written() {
    for (rounds, status) in [(5, Status::Complete), (1, Status::Failed)] {
        let mut scene = Scene::new(Personality::Distribution3).await;
        scene.tuning.rounds = rounds;
        scene.image("a", &["moves"], &image(1, &[100], &["amd64"], Flavor::Oci));
        let hold =
            Fault::new(FaultEffect::Hold { at: HoldPoint::Before }).method("PUT").reference("moves").times(1);
        let hold = scene.target.faults().add(hold);
        let importer = scene.importer().await;
        let names = scene.names();
        let run = tokio::spawn(async move { importer.run(&names, &Stop::new()).await.unwrap() });
        let writes = |record: &local::local_registry::Record| {
            record.method == "PUT" && record.reference.as_deref() == Some("moves")
        };
        assert!(scene.target.traffic().wait_until(PATIENCE, |traffic| traffic.count(writes) == 1).await);
        scene.image("a", &["moves"], &image(2, &[100], &["amd64"], Flavor::Oci));
        scene.target.faults().remove(hold);
        let report = run.await.unwrap();
        assert_eq!(report.repositories[0].status, status);
        if status == Status::Complete {
            scene.assert_equal_tags();
            assert_eq!(scene.target.traffic().count(writes), 2);
        } else {
            assert_eq!(report.repositories[0].cause.as_deref(), Some("source_changing"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_image_fails_its_tags_and_no_other() {
    let scene = fleet(Personality::Distribution2).await;
    // One whose layer is gone, one whose layer has another byte, one of schema 1, an index without its child.
    let broken = |seed| image(seed, &[6000], &["amd64"], Flavor::Oci);
    for (tag, seed) in [("gone", 60), ("flipped", 61)] {
        let digest = scene.image("team/b", &[tag], &broken(seed));
        let layer = scene.layer_of(&digest);
        let path = scene.source.storage().blob_path(&layer.parse().unwrap());
        let mut content = std::fs::read(&path).unwrap();
        content[100] ^= 1;
        if tag == "gone" {
            std::fs::remove_file(&path).unwrap();
        } else {
            std::fs::write(&path, content).unwrap();
        }
    }
    let schema_1 = br#"{"schemaVersion":1,"name":"team/b","tag":"old","architecture":"amd64","fsLayers":[],"history":[]}"#;
    scene.source.put_any_manifest("team/b", Some("old"), schema_1).unwrap();
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{}","size":7}}]}}"#,
        "0".repeat(64)
    );
    scene.source.put_any_manifest("team/b", Some("half"), index.as_bytes()).unwrap();

    let importer = scene.importer().await;
    let plan = importer.plan(&scene.names(), false, &|_| ()).await.unwrap();
    let problems: Vec<(Option<String>, String)> = plan
        .repositories
        .iter()
        .flat_map(|of| &of.problems)
        .map(|problem| (problem.tag.clone(), problem.cause.to_string()))
        .collect();
    // That a blob is broken only its reading tells.
    let problem = |tag: &str, cause: &str| (Some(tag.to_owned()), cause.to_owned());
    assert_eq!(problems, [problem("half", "source_broken"), problem("old", "unsupported_media_type")]);

    let report = importer.run(&scene.names(), &Stop::new()).await.unwrap();
    let failed: Vec<&str> = report
        .repositories
        .iter()
        .filter(|of| of.status != Status::Complete)
        .map(|of| of.source.as_str())
        .collect();
    assert_eq!(failed, ["team/b"]);
    let proof = scene.proof().await;
    let causes: Vec<(&str, Option<&str>)> = proof
        .iter()
        .filter(|row| row.source == "team/b")
        .map(|row| (row.tag.as_str(), row.cause.as_deref()))
        .collect();
    let broken = Some("source_broken");
    assert_eq!(
        causes,
        [
            ("flipped", broken),
            ("gone", broken),
            ("half", broken),
            ("old", Some("unsupported_media_type")),
            ("v1", None),
            ("v2", None)
        ]
    );
    let tags: Vec<String> = scene.target.storage().tags("team/b").unwrap().into_keys().collect();
    assert_eq!(tags, ["v1", "v2"]);
    assert_eq!(scene.target.open_uploads(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_reads_each_manifest_for_the_run_too() {
    let scene = fleet(Personality::Distribution3).await;
    let importer = scene.importer().await;
    let plan = importer.plan(&scene.names(), false, &|_| ()).await.unwrap();
    let distinct: BTreeSet<String> =
        layers(&scene.source.storage()).into_iter().flat_map(|(_, blobs)| blobs).collect();
    assert_eq!((plan.totals.blobs, plan.totals.tags, plan.totals.bytes_there), (distinct.len() as u64, 6, 0));
    let reads = |scene: &Scene| {
        scene.source.traffic().count(|record| record.kind == Kind::Manifest && record.method == "GET")
    };
    let before = reads(&scene);
    let written = scene.target.traffic().count(|record| record.method != "GET");
    assert_eq!(written, 0, "a plan writes nothing");
    assert!(complete(&importer.run(&scene.names(), &Stop::new()).await.unwrap()));
    assert_eq!(reads(&scene), before);
    scene.assert_equal();
    // Into a target that has all of it, by somebody who knows nothing: no blob is asked for.
    scene.forget().await;
    scene.target.traffic().clear();
    let plan = scene.importer().await.plan(&scene.names(), false, &|_| ()).await.unwrap();
    assert_eq!(plan.totals.bytes_there, plan.totals.bytes);
    assert!(complete(&scene.run().await));
    let blobs = scene.target.traffic().count(|record| !matches!(record.kind, Kind::Manifest | Kind::Tags));
    assert_eq!(blobs, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_no_more_than_it_needs_where_all_is_there() {
    let scene = fleet(Personality::Distribution2).await;
    assert!(complete(&scene.run().await));
    let (names, storage) = (scene.names(), scene.source.storage());
    let (repositories, tags) = (names.len(), 6);
    let manifests: usize =
        names.iter().map(|(name, _)| storage.revisions(name.as_str()).unwrap().len()).sum();
    let asked = |scene: &Scene| [&scene.source, &scene.target].map(|side| side.traffic().records().len());
    let clear = |scene: &Scene| [&scene.source, &scene.target].map(|side| side.traffic().clear());

    // Nothing has changed: two lists and each tag by HEAD here, a list and each manifest there, `latest` by HEAD.
    clear(&scene);
    let importer = scene.importer().await;
    importer.plan(&names, false, &|_| ()).await.unwrap();
    assert!(complete(&importer.run(&names, &Stop::new()).await.unwrap()));
    assert_eq!(asked(&scene), [2 * repositories + tags, repositories + manifests + 1]);

    // Nothing is known: the source's manifests are read, and the target is asked for each, and proven.
    scene.forget().await;
    clear(&scene);
    let importer = scene.importer().await;
    importer.plan(&names, false, &|_| ()).await.unwrap();
    assert!(complete(&importer.run(&names, &Stop::new()).await.unwrap()));
    assert_eq!(asked(&scene), [3 * repositories + manifests + 1 + tags, repositories + 2 * manifests + 1]);
    let writes = scene.target.traffic().count(|record| !matches!(record.method.as_str(), "GET" | "HEAD"));
    assert_eq!(writes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_again_what_the_target_says_it_has_and_lacks() {
    let scene = Scene::new(Personality::Distribution3).await;
    scene.image("a", &["v1"], &image(1, &[500, 900], &["amd64", "arm64"], Flavor::Oci));
    // Something is there, so that it is asked; and whatever it is asked for it says that it has.
    scene.target.storage().write_image("a", &["other"], &ImageOptions::small(9)).unwrap();
    let children = Fault::new(FaultEffect::Pretend { size: 500 }).method("HEAD").kind(Kind::Blob);
    scene.target.faults().add(children);
    let report = scene.run().await;
    assert!(complete(&report), "{report:#?}");
    let [source, target] = [scene.source.storage(), scene.target.storage()].map(|of| of.tags("a").unwrap());
    assert_eq!(source["v1"], target["v1"]);
    assert_eq!(scene.target.storage().revisions("a").unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_others_and_mounts_what_another_copies() {
    let scene = Scene::new(Personality::Distribution3).await;
    let shared = image(1, &[40_000], &["amd64"], Flavor::Oci);
    let digest = scene.image("a", &["v1"], &shared);
    scene.image("b", &["v1"], &shared);
    scene.image("b", &["v2"], &image(2, &[100, 200, 300], &["amd64"], Flavor::Oci));
    let layer = scene.layer_of(&digest);
    let hold = Fault::new(FaultEffect::Hold { at: HoldPoint::Before }).method("PUT").kind(Kind::Upload);
    let hold = scene.target.faults().add(hold.repository("a").reference(&layer));
    let importer = scene.importer().await;
    let (first, both) = (vec![scene.names()[0].clone()], scene.names());
    let of_a = importer.clone();
    let one = tokio::spawn(async move { of_a.run(&first, &Stop::new()).await.unwrap() });
    let held = |traffic: &local::local_registry::Traffic| {
        traffic.count(|record| record.method == "PUT" && record.reference.as_deref() == Some(layer.as_str()))
            == 1
    };
    assert!(scene.target.traffic().wait_until(PATIENCE, held).await);
    let of_b = vec![both[1].clone()];
    let other = tokio::spawn(async move { importer.run(&of_b, &Stop::new()).await.unwrap() });
    // Its own four blobs, while the layer is held.
    let done = |traffic: &local::local_registry::Traffic| {
        traffic.blobs_stored().iter().filter(|(path, _)| path == "b").count() == 4
    };
    assert!(scene.target.traffic().wait_until(PATIENCE, done).await);
    scene.target.faults().remove(hold);
    assert!(complete(&one.await.unwrap()) && complete(&other.await.unwrap()));
    let sent = scene.target.traffic().blobs_stored().iter().filter(|(_, digest)| *digest == layer).count();
    assert_eq!(sent, 1);
    scene.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_take_its_own_limits_for_silence() {
    let mut scene = Scene::new(Personality::Distribution3).await;
    scene.tuning.patience = Duration::from_secs(1);
    scene.tuning.parts_in_memory = 1 << 20;
    scene.image("slow", &["v1"], &image(1, &[200_000], &["amd64"], Flavor::Oci));
    let importer = scene.importer().await;
    importer.limit("source", "bytes", Some(80_000.0)).await.unwrap();
    let began = std::time::Instant::now();
    let report = importer.run(&scene.names(), &Stop::new()).await.unwrap();
    assert!(complete(&report), "{report:#?}");
    assert!(began.elapsed() > 2 * scene.tuning.patience, "the limit held nothing back");
}
