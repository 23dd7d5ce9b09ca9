//! What a plan finds that cannot go, and what becomes of it.

use importer::{Plan, Status, Stop};
use local::local_registry::{
    Fault, Kind, Personality, Record,
    storage::{Flavor, ImageOptions},
};
use serde_json::{Value, json};
use shared::store::importer::TagState;

use super::scene::{Scene, complete, image, is_blob_read};

/// Stores a layer of that type in the source, or only its name.
fn layer(scene: &Scene, content: &str, kind: &str, is_there: bool) -> Value {
    let storage = scene.source.storage();
    let digest = storage.put_blob(content.as_bytes()).unwrap();
    if is_there {
        storage.link_layer("a", &digest).unwrap();
    } else {
        std::fs::remove_file(storage.blob_path(&digest)).unwrap();
    }
    json!({"mediaType": kind, "digest": digest, "size": content.len()})
}

fn image_of(scene: &Scene, tag: &str, layers: &[Value]) {
    let config =
        layer(scene, &format!("{{\"of\":\"{tag}\"}}"), "application/vnd.oci.image.config.v1+json", true);

    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    });
    scene.source.put_any_manifest("a", Some(tag), manifest.to_string().as_bytes()).unwrap();
}

/// Tag and cause of each problem.
fn problems(plan: &Plan) -> Vec<(&str, &str)> {
    let all = plan.repositories.iter().flat_map(|of| &of.problems);
    all.map(|of| (of.tag.as_deref().unwrap(), of.cause.as_str())).collect()
}

const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";

#[tokio::test(flavor = "multi_thread")]
async fn copies_a_foreign_layer_that_the_source_has() {
    let scene = Scene::new(Personality::Distribution3).await;
    let there = layer(&scene, "kept here all the same", FOREIGN, true);
    let mut elsewhere = layer(&scene, "kept elsewhere", FOREIGN, false);
    elsewhere["urls"] = json!([format!("{}/layer", scene.target.url())]);
    image_of(&scene, "here", std::slice::from_ref(&there));
    image_of(&scene, "elsewhere", &[elsewhere]);
    image_of(&scene, "plain", &[layer(&scene, "plain", "application/vnd.oci.image.layer.v1.tar", true)]);
    let importer = scene.importer().await;
    let plan = importer.plan(&scene.names(), false, &|_| ()).await.unwrap();
    assert_eq!(problems(&plan), [("elsewhere", "unsupported_media_type")]);

    let report = importer.run(&scene.names(), &Stop::new()).await.unwrap();
    let repository = &report.repositories[0];
    assert_eq!(
        (repository.status, repository.cause.as_deref()),
        (Status::Failed, Some("unsupported_media_type"))
    );
    assert!(repository.error.as_ref().unwrap().contains("kept elsewhere"), "{repository:?}");
    let [here, plain] = ["here", "plain"].map(|tag| scene.source.storage().tags("a").unwrap()[tag].clone());
    let there_now = scene.target.storage().tags("a").unwrap();
    assert_eq!((there_now.len(), &there_now["here"], &there_now["plain"]), (2, &here, &plain));
    let stored = scene.target.traffic().blobs_stored();
    assert!(stored.iter().any(|(_, digest)| there["digest"] == digest.as_str()), "{stored:?}");
    // Nobody is sent to the address that the layer names.
    let at_address = |record: &Record| record.kind == Kind::Other;
    assert_eq!(scene.target.traffic().count(at_address), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_each_blob_that_the_source_lacks_before_a_run() {
    let scene = Scene::new(Personality::Distribution2).await;
    let whole = image(1, &[4000], &["amd64"], Flavor::Oci);
    for path in ["a", "b"] {
        scene.image(path, &["whole"], &whole);
        scene.image(path, &["gone"], &image(2, &[5000], &["amd64"], Flavor::Oci));
    }
    scene.image("b", &["short"], &image(3, &[6000], &["amd64", "arm64"], Flavor::Docker));
    scene.image("b", &["old"], &ImageOptions::small(4));
    let storage = scene.source.storage();
    let gone = scene.layer_of(&storage.tags("a").unwrap()["gone"].to_string());
    std::fs::remove_file(storage.blob_path(&gone.parse().unwrap())).unwrap();
    let list: Value =
        serde_json::from_slice(&storage.read_blob(&storage.tags("b").unwrap()["short"]).unwrap()).unwrap();
    let short = scene.layer_of(list["manifests"][0]["digest"].as_str().unwrap());
    std::fs::write(storage.blob_path(&short.parse().unwrap()), "short").unwrap();
    let schema_1 =
        br#"{"schemaVersion":1,"name":"b","tag":"old","architecture":"amd64","fsLayers":[],"history":[]}"#;
    scene.source.put_any_manifest("b", Some("old"), schema_1).unwrap();

    let importer = scene.importer().await;
    let plan = importer.plan(&scene.names(), true, &|_| ()).await.unwrap();
    let found = problems(&plan);
    assert_eq!(
        found,
        [
            ("gone", "source_broken"),
            ("gone", "source_broken"),
            ("old", "unsupported_media_type"),
            ("short", "source_broken")
        ]
    );
    let heads = |record: &Record| record.kind == Kind::Blob && record.method == "HEAD";
    // Layer and configuration of `whole`, the configuration of `gone`, two of each of `short`: once; what is missing for each.
    assert_eq!(scene.source.traffic().count(heads), 2 + 1 + 4 + 2);
    assert_eq!(scene.source.traffic().count(is_blob_read), 0);
    assert_eq!(scene.target.traffic().count(|record| record.method != "GET"), 0);
    // A run asks for none: it finds out when it reads them. The same tags fail.
    scene.source.traffic().clear();
    let report = scene.run().await;
    assert!(report.repositories.iter().all(|of| of.status == Status::Failed), "{report:#?}");
    assert_eq!(scene.source.traffic().count(heads), 0);
    let mut failed: Vec<(String, String)> = Vec::new();
    for row in scene.proof().await.into_iter().filter(|row| row.state == TagState::Failed) {
        failed.push((row.tag, row.cause.unwrap()));
    }
    let planned: Vec<(String, String)> =
        found.into_iter().map(|(tag, cause)| (tag.to_owned(), cause.to_owned())).collect();
    assert_eq!(failed, planned);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_a_registry_cannot_read_fails_its_tag() {
    for side in ["source", "target"] {
        let mut scene = Scene::new(Personality::Distribution2).await;
        for client in &mut scene.clients {
            client.retries.first = std::time::Duration::from_millis(10);
            client.retries.longest = std::time::Duration::from_millis(50);
        }
        for (tag, seed) in [("v1", 1), ("v2", 2), ("v3", 3)] {
            scene.image("a", &[tag], &ImageOptions::small(seed));
        }
        let (registry, cause) = match side {
            "source" => (&scene.source, "source_broken"),
            _ => (&scene.target, "target_broken"),
        };
        if side == "target" {
            assert!(complete(&scene.run().await));
        }
        // What lies there is no JSON any more: docker-registry answers 500 to whoever reads it.
        let digest = scene.source.storage().tags("a").unwrap()["v2"].to_string();
        let unreadable = Fault::answer(500, "UNKNOWN").kind(Kind::Manifest);
        let reads = [("GET", "v2"), ("GET", &digest), ("HEAD", "v2"), ("HEAD", &digest)];
        let faults =
            reads.map(|(method, of)| registry.faults().add(unreadable.clone().method(method).reference(of)));
        let report = scene.run().await;
        assert_eq!(report.repositories[0].cause.as_deref(), Some(cause), "{side}: {report:#?}");
        // Four times each, and no more.
        let asked: u64 = faults.iter().map(|fault| registry.faults().met(*fault)).sum();
        assert!(asked > 0 && asked.is_multiple_of(4), "{side}: asked {asked} times");
        let states: Vec<TagState> = scene.proof().await.into_iter().map(|row| row.state).collect();
        assert_eq!(states, [TagState::Equal, TagState::Failed, TagState::Equal], "{side}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_ill_fails_no_single_tag() {
    let mut scene = Scene::new(Personality::Distribution2).await;
    // Each question is asked to its end in time.
    scene.clients[0].retries.first = std::time::Duration::from_millis(10);
    scene.clients[0].retries.longest = std::time::Duration::from_millis(50);
    scene.image("a", &["v1"], &ImageOptions::small(1));
    scene.source.faults().add(Fault::answer(500, "UNKNOWN").skip(1));
    let report = scene.run().await;
    assert_eq!(report.repositories[0].cause.as_deref(), Some("unavailable"), "{report:#?}");
    assert_eq!(scene.proof().await, []);
    scene.source.faults().clear();
    assert!(complete(&scene.run().await));
}
