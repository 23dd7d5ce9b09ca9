//! A process that ends anywhere: another goes on.

use std::{collections::BTreeSet, time::Duration};

use importer::{Copied, Stop};
use local::local_registry::{
    Fault, FaultEffect, HoldPoint, Kind, MadeUp, Personality, Record, Traffic, digest::Digest,
};
use oci::Name;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use shared::store::importer::{ImportCanceled, ImportStatus, ImportStep, TagState};

use super::{
    copies::fleet,
    scene::{PATIENCE, Scene, complete, layers},
};

/// The size of the one layer that takes many parts.
pub const BIG: u64 = 3 << 20;

/// A repository with one image whose layer takes many parts.
pub async fn big(to: Personality) -> (Scene, Digest) {
    let scene = Scene::new(to).await;
    let layer = scene.source.add_made_up_layer("big", MadeUp { seed: 7, bytes: BIG }).unwrap();
    let config = scene.source.storage().put_blob(b"{}").unwrap();
    scene.source.storage().link_layer("big", &config).unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": BIG}],
    });
    scene.source.put_any_manifest("big", Some("v1"), manifest.to_string().as_bytes()).unwrap();
    (scene, layer)
}

fn parts(record: &Record) -> bool {
    record.kind == Kind::Upload && record.method == "PATCH"
}

/// How often each byte of the layer arrived.
fn sent(scene: &Scene) -> u64 {
    scene.target.traffic().blob_bytes_received()
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_wherever_its_process_ends() {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let scene = fleet(to).await;
        let names = scene.names();
        let mut kills = 0;
        loop {
            let importer = scene.importer().await;
            let count = |scene: &Scene| {
                scene.source.traffic().records().len() + scene.target.traffic().records().len()
            };
            let until = count(&scene) + random.random_range(10..80);
            let names = names.clone();
            let mut run = tokio::spawn(async move { importer.run(&names, &Stop::new()).await.unwrap() });
            let ended = loop {
                tokio::select! {
                    report = &mut run => break Some(report.unwrap()),
                    () = tokio::time::sleep(Duration::from_millis(1)) => if count(&scene) >= until { break None },
                }
            };
            if let Some(report) = ended {
                assert!(complete(&report), "seed {seed}: {report:#?}");
                break;
            }
            kills += 1;
            run.abort();
            let _ = run.await;
        }
        assert!(kills > 0, "seed {seed}: it was never ended");
        scene.assert_equal();
        // Whatever was ended between a blob's end and its note: it was asked for, and not sent again.
        let stored: Vec<(String, String)> = scene.target.traffic().blobs_stored();
        let distinct: BTreeSet<String> =
            layers(&scene.source.storage()).into_iter().flat_map(|(_, blobs)| blobs).collect();
        assert!(stored.len() >= distinct.len(), "seed {seed}");
        let once: BTreeSet<&(String, String)> = stored.iter().collect();
        assert_eq!(once.len(), stored.len(), "seed {seed}: no repository was sent a blob twice");
        assert!(scene.proof().await.iter().all(|row| row.state == TagState::Equal), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_goes_on_after_a_killed_process() {
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let (scene, layer) = big(to).await;
        let part = scene.tuning.part;
        // The fifth part, half of it arrived.
        let hold =
            Fault::new(FaultEffect::Hold { at: HoldPoint::Body(part / 2) }).method("PATCH").skip(4).times(1);
        let hold = scene.target.faults().add(hold);
        let importer = scene.importer().await;
        let names = scene.names();
        let run = tokio::spawn(async move { importer.run(&names, &Stop::new()).await });
        assert!(scene.target.traffic().wait_until(PATIENCE, |traffic| traffic.count(parts) == 5).await);
        run.abort();
        let _ = run.await;
        scene.target.faults().remove(hold);
        let ended = |traffic: &Traffic| traffic.count(|record| parts(record) && record.ended) == 5;
        assert!(scene.target.traffic().wait_until(PATIENCE, ended).await);
        let before = sent(&scene);

        let importer = scene.importer().await;
        let report = importer.run(&scene.names(), &Stop::new()).await.unwrap();
        assert!(complete(&report), "{report:#?}");
        let stored = scene.target.traffic().blobs_stored();
        assert_eq!(stored.iter().filter(|(_, digest)| *digest == layer.to_string()).count(), 1);
        let counters = importer.counters();
        if to == Personality::Distribution3 {
            // Each byte once, but for the part in flight.
            assert!(sent(&scene) <= BIG + 2 + part, "{} of {BIG}", sent(&scene));
            assert_eq!((counters.begun_anew, counters.gone_on), (0, 1));
            assert_eq!(scene.target.open_uploads(), []);
        } else {
            // It was lost with the part that was cut, and is counted.
            assert_eq!(counters.begun_anew, 1);
            assert_eq!(sent(&scene) - before, BIG);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_loses_no_part() {
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let (scene, _) = big(to).await;
        let big = Name::parse("big").unwrap();
        let importer = scene.importer().await;
        assert!(importer.start(&big, &big, ImportStep::Pre).await.unwrap());
        let mut workers = 0;
        loop {
            workers += 1;
            let stop = Stop::new();
            let (worker, asked) = (scene.importer_beside_others().await, stop.clone());
            let now = scene.target.traffic().count(parts);
            let copy = tokio::spawn(async move { worker.copy("big", &asked).await.unwrap() });
            let two_more = |traffic: &Traffic| copy.is_finished() || traffic.count(parts) >= now + 2;
            let _ = scene.target.traffic().wait_until(Duration::from_secs(5), two_more).await;
            stop.now();
            match copy.await.unwrap() {
                Copied::HandedBack => assert!(workers < 20),
                ended => {
                    assert_eq!(ended, Copied::Ended(ImportStatus::PreImportComplete));
                    break;
                }
            }
        }
        assert!(workers > 2, "{workers}");
        assert_eq!(sent(&scene), BIG + 2, "each byte of both blobs was sent once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelation_cuts_a_part_off_and_leaves_nothing_open() {
    let (scene, _) = big(Personality::Distribution3).await;
    let hold = Fault::new(FaultEffect::Hold { at: HoldPoint::Body(1000) }).method("PATCH").skip(2).times(1);
    scene.target.faults().add(hold);
    let big = Name::parse("big").unwrap();
    let importer = scene.importer().await;
    assert!(importer.start(&big, &big, ImportStep::Pre).await.unwrap());
    let worker = importer.clone();
    let copy = tokio::spawn(async move { worker.copy("big", &Stop::new()).await.unwrap() });
    assert!(scene.target.traffic().wait_until(PATIENCE, |traffic| traffic.count(parts) == 3).await);
    let canceled = importer.cancel("big", false).await.unwrap();
    assert_eq!(canceled, ImportCanceled::Canceled);
    let ended = tokio::time::timeout(Duration::from_secs(5), copy).await.unwrap().unwrap();
    assert_eq!(ended, Copied::Ended(ImportStatus::PreImportCanceled));
    scene.target.faults().clear();
    let none_left = async || {
        for _ in 0..500 {
            if scene.target.open_uploads().is_empty() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    };
    assert!(none_left().await, "{:?}", scene.target.open_uploads());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_writes_no_further_tag() {
    let mut scene = fleet(Personality::Distribution3).await;
    scene.tuning.lease = Duration::from_secs(2);
    scene.tuning.heartbeat = Duration::from_secs(60);
    let of = Name::parse("team/b").unwrap();
    let importer = scene.importer().await;
    assert!(importer.start(&of, &of, ImportStep::Pre).await.unwrap());
    importer.copy("team/b", &Stop::new()).await.unwrap();
    assert!(importer.start(&of, &of, ImportStep::Final).await.unwrap());
    // It freezes before its tags: the source's answer does not come.
    let hold =
        Fault::new(FaultEffect::Hold { at: HoldPoint::Before }).method("HEAD").kind(Kind::Manifest).times(1);
    let hold = scene.source.faults().add(hold);
    let first = importer.clone();
    let frozen = tokio::spawn(async move { first.copy("team/b", &Stop::new()).await });
    assert!(
        scene
            .source
            .traffic()
            .wait_until(PATIENCE, |traffic| traffic.count(|of| of.method == "HEAD") > 0)
            .await
    );
    scene.database.sql("UPDATE imports SET lease_until = now() - interval '1 second'").await;
    let second = scene.importer_beside_others().await.copy("team/b", &Stop::new()).await.unwrap();
    assert_eq!(second, Copied::Ended(ImportStatus::ImportComplete));
    let tags = |record: &Record| {
        record.method == "PUT"
            && record.kind == Kind::Manifest
            && record.reference.as_ref().is_some_and(|of| !of.starts_with("sha256:"))
    };
    let written = scene.target.traffic().count(tags);
    // The read-back came a lease later than the last write.
    let records = scene.target.traffic().records();
    let last_write = records.iter().filter(|record| tags(record)).map(|record| record.at).max().unwrap();
    let read_back = records.iter().filter(|record| record.method != "PUT" && record.kind == Kind::Manifest);
    let paused = read_back
        .map(|record| record.at)
        .filter(|at| *at > last_write)
        .min()
        .is_some_and(|at| at.duration_since(last_write).as_secs() >= 2);
    assert!(paused);
    scene.source.faults().remove(hold);
    assert_ne!(frozen.await.unwrap().ok(), Some(Copied::Ended(ImportStatus::ImportComplete)));
    assert_eq!(scene.target.traffic().count(tags), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_when_a_blob_was_ended_and_not_noted() {
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let (scene, layer) = big(to).await;
        let layer = layer.to_string();
        // It was stored, and nobody heard of it.
        let hold = Fault::new(FaultEffect::Hold { at: HoldPoint::After }).method("PUT").kind(Kind::Upload);
        let hold = scene.target.faults().add(hold.reference(&layer));
        let importer = scene.importer().await;
        let names = scene.names();
        let run = tokio::spawn(async move { importer.run(&names, &Stop::new()).await });
        let stored = |traffic: &Traffic| {
            traffic.blobs_stored().iter().filter(|(_, digest)| *digest == layer).count() == 1
        };
        assert!(scene.target.traffic().wait_until(PATIENCE, stored).await);
        run.abort();
        let _ = run.await;
        scene.target.faults().remove(hold);
        let before = sent(&scene);
        assert!(complete(&scene.run().await));
        assert_eq!(sent(&scene), before, "nothing of it is sent again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_no_upload_open_for_a_broken_blob() {
    let broken = [
        Fault::new(FaultEffect::FlipByte { at: BIG / 2 }),
        Fault::answer(404, "BLOB_UNKNOWN"),
        Fault::new(FaultEffect::Shorten { to: BIG / 2 }),
    ];
    for to in [Personality::Distribution2, Personality::Distribution3] {
        for fault in &broken {
            let (scene, layer) = big(to).await;
            scene.source.faults().add(fault.clone().method("GET").kind(Kind::Blob).reference(&layer));
            let report = scene.run().await;
            assert_eq!(report.repositories[0].cause.as_deref(), Some("source_broken"), "{report:#?}");
            assert_eq!(scene.target.open_uploads(), [], "{fault:?}");
            assert_eq!(scene.database.ask("SELECT count(*)::text FROM import_uploads").await, "0");
        }
    }
}
