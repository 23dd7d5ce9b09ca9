//! What registries do, and what becomes of it.

use importer::Status;
use local::local_registry::{
    AbsentRepository, Fault, FaultEffect, ImmutableTags, Kind, Personality, When,
    storage::{Flavor, ImageOptions},
};
use oci::Profile;
use serde_json::json;
use shared::store::importer::TagState;

use super::{
    copies::fleet,
    scene::{Scene, complete, image},
};

#[tokio::test(flavor = "multi_thread")]
async fn outlasts_refusals_cuts_and_lost_answers() {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("seed {seed}");
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let mut scene = fleet(to).await;
        scene.tuning.patience = std::time::Duration::from_secs(60);
        let faults = [
            Fault::too_many(None),
            Fault::too_many(Some(0)),
            Fault::answer(503, "UNAVAILABLE"),
            Fault::new(FaultEffect::Cut { when: When::Before }),
            Fault::lost_answer(),
        ];
        for (number, fault) in (0..).zip(faults) {
            scene.source.faults().add(fault.clone().chance(3, seed ^ number));
            scene.target.faults().add(fault.chance(3, seed ^ number ^ 77));
        }
        let report = scene.run().await;
        assert!(complete(&report), "seed {seed}: {report:#?}");
        scene.source.faults().clear();
        scene.target.faults().clear();
        scene.assert_equal();
        assert!(scene.proof().await.iter().all(|row| row.state == TagState::Equal), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_is_success_or_a_conflict() {
    for immutable in [ImmutableTags::Yes, ImmutableTags::EvenTheSame] {
        let scene = Scene::new(Personality::Distribution3).await;
        scene.image("a", &["same"], &ImageOptions::small(1));
        scene.image("a", &["other"], &ImageOptions::small(2));
        let target = scene.target.storage();
        target.write_image("a", &["same"], &ImageOptions::small(1)).unwrap();
        let before = target.write_image("a", &["other"], &ImageOptions::small(3)).unwrap();
        scene.target.change(|settings| settings.immutable_tags = immutable);
        let report = scene.run().await;
        assert_eq!(report.repositories[0].cause.as_deref(), Some("conflict"));
        let states: Vec<(String, TagState)> =
            scene.proof().await.into_iter().map(|row| (row.tag, row.state)).collect();
        let expected = [("other".to_owned(), TagState::Failed), ("same".to_owned(), TagState::Equal)];
        assert_eq!(states, expected, "{immutable:?}");
        assert_eq!(target.tags("a").unwrap()["other"], before, "what is there stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_repository_that_fails_fails_no_other() {
    let scene = fleet(Personality::Distribution3).await;
    scene.image("hidden", &["v1"], &ImageOptions::small(70));
    scene.source.faults().add(Fault::answer(403, "DENIED").kind(Kind::Tags).repository("hidden"));
    let report = scene.run().await;
    for of in &report.repositories {
        let expected = if of.source == "hidden" { Status::Failed } else { Status::Complete };
        assert_eq!(of.status, expected, "{of:?}");
    }
    let hidden = report.repositories.iter().find(|of| of.source == "hidden").unwrap();
    assert_eq!(hidden.cause.as_deref(), Some("unauthorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_a_target_has_no_room_for() {
    let scene = Scene::new(Personality::Distribution3).await;
    scene.image("a", &["large"], &image(1, &[100, 100, 100], &["amd64"], Flavor::Oci));
    scene.image("a", &["small"], &image(2, &[100], &["amd64"], Flavor::Oci));
    scene.target.change(|settings| settings.quota.layers = Some(2));
    let report = scene.run().await;
    assert_eq!(report.repositories[0].cause.as_deref(), Some("quota"));
    let tags: Vec<String> = scene.target.storage().tags("a").unwrap().into_keys().collect();
    assert_eq!(tags, ["small"]);

    for (absent, cause) in
        [(AbsentRepository::NotFound, "not_found"), (AbsentRepository::Forbidden, "unauthorized")]
    {
        let scene = Scene::new(Personality::Distribution3).await;
        scene.image("a", &["v1"], &ImageOptions::small(1));
        scene.target.change(|settings| settings.absent_repository = absent);
        assert_eq!(scene.run().await.repositories[0].cause.as_deref(), Some(cause));
    }
}

/// A referrer of the manifest, of no bytes of its own.
fn referrer(scene: &Scene, subject: &str, kind: &str) -> (String, serde_json::Value) {
    let storage = scene.source.storage();
    let empty = storage.put_blob(b"{}").unwrap();
    storage.link_layer("a", &empty).unwrap();
    let blob = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": kind,
        "config": blob,
        "layers": [blob],
        "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": 1},
    })
    .to_string();
    let digest = scene.source.put_any_manifest("a", None, manifest.as_bytes()).unwrap().to_string();
    let listed = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": manifest.len(), "artifactType": kind,
    });
    (digest, listed)
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_referrers_of_a_source_with_a_list_of_them() {
    let mut scene = Scene::new(Personality::Distribution3).await;
    scene.clients[0].profile = Profile::Other;
    scene.source.change(|settings| settings.referrers = true);
    let subject = scene.image("a", &["v1"], &ImageOptions::small(1));
    let (signature, _) = referrer(&scene, &subject, "application/vnd.example.signature");
    let (of_signature, _) = referrer(&scene, &signature, "application/vnd.example.attestation");
    assert!(complete(&scene.run().await));
    let target = scene.target.storage();
    for (subject, referrer) in [(subject, signature.clone()), (signature, of_signature)] {
        assert!(target.has_manifest("a", &referrer.parse().unwrap()).unwrap());
        let list = &target.tags("a").unwrap()[&subject.replace(':', "-")];
        let list: serde_json::Value = serde_json::from_slice(&target.read_blob(list).unwrap()).unwrap();
        assert_eq!(list["manifests"][0]["digest"], referrer.as_str(), "{list}");
    }
    let merged = scene.proof().await.into_iter().filter(|row| row.state == TagState::Merged).count();
    assert_eq!(merged, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_a_list_of_referrers_into_one_that_is_there() {
    let scene = Scene::new(Personality::Distribution3).await;
    let subject = scene.image("a", &["v1"], &ImageOptions::small(1));
    let tag = subject.replace(':', "-");
    let index = |listed: &serde_json::Value| {
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [listed]}).to_string()
    };
    let (ours, listed) = referrer(&scene, &subject, "application/vnd.example.ours");
    scene.source.put_any_manifest("a", Some(&tag), index(&listed).as_bytes()).unwrap();
    // Somebody else has signed it at the target.
    let (theirs, listed) = {
        let other = Scene::new(Personality::Distribution3).await;
        let (theirs, listed) = referrer(&other, &subject, "application/vnd.example.theirs");
        let bytes = other.source.storage().read_blob(&theirs.parse().unwrap()).unwrap();
        scene.target.put_any_manifest("a", None, &bytes).unwrap();
        (theirs, listed)
    };
    scene.target.put_any_manifest("a", Some(&tag), index(&listed).as_bytes()).unwrap();
    assert!(complete(&scene.run().await));
    let target = scene.target.storage();
    let list: serde_json::Value =
        serde_json::from_slice(&target.read_blob(&target.tags("a").unwrap()[&tag]).unwrap()).unwrap();
    let mut named: Vec<&str> =
        list["manifests"].as_array().unwrap().iter().map(|of| of["digest"].as_str().unwrap()).collect();
    named.sort_unstable();
    let mut expected = [ours.as_str(), theirs.as_str()];
    expected.sort_unstable();
    assert_eq!(named, expected);
    let states: Vec<TagState> = scene.proof().await.into_iter().map(|row| row.state).collect();
    assert_eq!(states, [TagState::Merged, TagState::Equal]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_is_another_at_the_target_is_found() {
    let scene = Scene::new(Personality::Distribution3).await;
    let digest = scene.image("a", &["v1"], &ImageOptions::small(1));
    assert!(complete(&scene.run().await));
    let flip = |digest: &str| {
        let path = scene.target.storage().blob_path(&digest.parse().unwrap());
        let mut content = std::fs::read(&path).unwrap();
        content[20] ^= 1;
        std::fs::write(&path, content).unwrap();
    };
    let targets: Vec<oci::Name> = scene.names().into_iter().map(|(_, target)| target).collect();
    let verify = async || scene.importer_beside_others().await.verify_blobs(&targets, &|_| ()).await;
    assert_eq!(verify().await, []);
    // In a layer the plain proof does not see it.
    let layer = scene.layer_of(&digest);
    flip(&layer);
    assert!(complete(&scene.run().await));
    let broken = verify().await;
    assert_eq!(broken.len(), 1);
    assert!(broken[0].1.said.contains(&layer), "{broken:?}");
    // In a manifest it does.
    flip(&digest);
    let report = scene.run().await;
    assert_eq!(report.repositories[0].cause.as_deref(), Some("target_broken"));
}
