//! The work itself: real images, copied whole or not at all.

use std::fs;

use local_registry::Status;
use local_registry::digest::Digest;
use local_registry::storage::{
    Flavor, ImageOptions, Item, Manifest, Plan, Storage, StorageError, verify, write_sample,
};

use crate::bench::{Bench, IMAGE};

fn several_platforms(flavor: Flavor) -> ImageOptions {
    ImageOptions {
        seed: 11,
        layers: vec![64 << 10, 3 << 10],
        architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
        flavor,
    }
}

#[tokio::test]
async fn a_migrated_repository_is_the_same_byte_for_byte() {
    let bench = Bench::new().await;
    bench.old().write_image(IMAGE, &["oci"], &several_platforms(Flavor::Oci)).unwrap();
    bench.old().write_image(IMAGE, &["docker"], &several_platforms(Flavor::Docker)).unwrap();
    bench.bring_to(Status::ImportComplete).await;
    let verified = verify(&bench.old(), &bench.new_storage(), IMAGE).unwrap();
    assert_eq!(verified.tags, 4);
    // The small one: layer, config, manifest. The others, each: two of those with two layers, and an index; both
    // vendors' have the same layers and configs.
    assert_eq!(verified.digests, 3 + 6 + 3 + 3);
    assert!(verified.bytes > 4 * (64 << 10) / 2);
}

#[tokio::test]
async fn every_repository_of_a_sample_storage_can_be_migrated() {
    let bench = Bench::with(|config| config.max_concurrent_imports = 100).await;
    let sample = write_sample(&bench.old(), 5).unwrap();
    let paths = bench.old().repositories().unwrap();
    assert_eq!(paths.len(), sample.repositories + 1);
    for step in ["pre", "final"] {
        for path in &paths {
            bench.start(path, step).await.is(202);
        }
        bench.idle().await;
    }
    for path in &paths {
        verify(&bench.old(), &bench.new_storage(), path).unwrap();
    }
}

#[tokio::test]
async fn a_pre_import_copies_everything_but_the_tags() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    assert_eq!(bench.new_storage().revisions(IMAGE).unwrap(), bench.old().revisions(IMAGE).unwrap());
    assert!(bench.new_storage().tags(IMAGE).unwrap().is_empty());
    let difference = verify(&bench.old(), &bench.new_storage(), IMAGE).unwrap_err();
    assert!(matches!(difference, StorageError::Differs { .. }), "{difference}");
}

#[tokio::test]
async fn what_was_pushed_and_removed_between_the_steps_is_followed() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    let pushed = bench.old().write_image(IMAGE, &["v2", "latest"], &ImageOptions::small(2)).unwrap();
    bench.old().remove_tag(IMAGE, "v1").unwrap();
    bench.new_storage().put_tag(IMAGE, "stale", &pushed).unwrap();
    bench.run(IMAGE, "final").await;
    verify(&bench.old(), &bench.new_storage(), IMAGE).unwrap();
    let tags: Vec<String> = bench.new_storage().tags(IMAGE).unwrap().into_keys().collect();
    assert_eq!(tags, ["latest", "v2"]);
}

#[tokio::test]
async fn fails_the_import_at_a_wrong_blob_and_copies_none() {
    let bench = Bench::new().await;
    let digest = bench.old().put_blob(b"a layer").unwrap();
    let config = bench.old().put_blob(b"{}").unwrap();
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": 7}],
    });
    bench.old().put_manifest("broken", manifest.to_string().as_bytes()).unwrap();
    fs::write(bench.old().blob_path(&digest), b"a l4yer").unwrap();
    bench.run("broken", "pre").await;
    let status = bench.status("broken").await.json();
    assert_eq!(status["status"], "pre_import_failed");
    assert!(status["detail"].as_str().unwrap().contains("digest mismatch"), "{status}");
    assert_eq!(bench.new_storage().blob_size(&digest).unwrap(), None);

    fs::remove_file(bench.old().blob_path(&digest)).unwrap();
    bench.run("broken", "pre").await;
    let status = bench.status("broken").await.json();
    assert!(status["detail"].as_str().unwrap().contains("blob unknown"), "{status}");
}

/// What stands as `detail` in the status of a repository whose manifest was made this way.
async fn detail_of(break_it: impl FnOnce(&Storage, &Digest)) -> (String, String) {
    let bench = Bench::new().await;
    let digest = bench.old().tags(IMAGE).unwrap().remove("v1").unwrap();
    break_it(&bench.old(), &digest);
    bench.run(IMAGE, "pre").await;
    let status = bench.status(IMAGE).await.json();
    let text = |name: &str| status[name].as_str().unwrap().to_owned();
    (text("status"), text("detail"))
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_fails_the_pre_step() {
    let missing = |old: &Storage, digest: &Digest| fs::remove_file(old.blob_path(digest)).unwrap();
    let replaced = |old: &Storage, digest: &Digest| fs::write(old.blob_path(digest), b"{}").unwrap();
    let no_manifest = |old: &Storage, _: &Digest| {
        let digest = old.put_blob(b"no manifest").unwrap();
        old.link_manifest(IMAGE, &digest).unwrap();
        old.put_tag(IMAGE, "broken", &digest).unwrap();
    };
    for (status, detail) in
        [detail_of(missing).await, detail_of(replaced).await, detail_of(no_manifest).await]
    {
        assert_eq!(status, "pre_import_failed");
        assert!(detail.starts_with("pre importing tagged manifests: "), "{detail}");
    }
}

/// The config of the image that a tag names.
fn config_of(storage: &Storage, tag: &str) -> Digest {
    let digest = storage.tags(IMAGE).unwrap().remove(tag).unwrap();
    Manifest::parse(&storage.read_blob(&digest).unwrap()).unwrap().config.unwrap()
}

#[tokio::test]
async fn an_image_without_its_config_is_left_out_silently() {
    let bench = Bench::new().await;
    let (old, new) = (bench.old(), bench.new_storage());
    let whole = old.write_image(IMAGE, &["whole"], &ImageOptions::small(2)).unwrap();
    fs::remove_file(old.blob_path(&config_of(&old, "v1"))).unwrap();
    bench.run(IMAGE, "pre").await;
    bench.run(IMAGE, "final").await;
    let received = bench.receiver.received();
    let told: Vec<_> = received.iter().map(|told| (told.status(), &told.body["detail"])).collect();
    assert_eq!(
        told,
        [
            ("pre_import_complete", &"pre import completed successfully".into()),
            ("import_complete", &"final import completed successfully".into()),
        ]
    );
    assert_eq!(old.tags(IMAGE).unwrap().len(), 3);
    assert_eq!(new.tags(IMAGE).unwrap().into_iter().collect::<Vec<_>>(), [("whole".to_owned(), whole)]);
    verify(&old, &new, IMAGE).unwrap_err();
}

#[tokio::test]
async fn an_index_arrives_without_the_image_that_lacks_its_config() {
    let bench = Bench::new().await;
    let (old, new) = (bench.old(), bench.new_storage());
    let index = old.write_image(IMAGE, &["index"], &several_platforms(Flavor::Oci)).unwrap();
    let children = Manifest::parse(&old.read_blob(&index).unwrap()).unwrap().manifests;
    let first = Manifest::parse(&old.read_blob(&children[0].digest).unwrap()).unwrap();
    fs::remove_file(old.blob_path(&first.config.unwrap())).unwrap();
    bench.bring_to(Status::ImportComplete).await;
    assert_eq!(new.tags(IMAGE).unwrap().remove("index"), Some(index));
    assert!(!new.has_manifest(IMAGE, &children[0].digest).unwrap());
    assert!(new.has_manifest(IMAGE, &children[1].digest).unwrap());
}

#[tokio::test]
async fn a_new_storage_that_was_tampered_with_is_found_out() {
    let bench = Bench::new().await;
    bench.bring_to(Status::ImportComplete).await;
    let (old, new) = (bench.old(), bench.new_storage());
    let Item::Layer(layer) = Plan::of(&old, IMAGE).unwrap().items.remove(0) else { panic!("no layer") };
    let content = fs::read(new.blob_path(&layer)).unwrap();
    let mut changed = content.clone();
    changed[20] ^= 1;
    fs::write(new.blob_path(&layer), &changed).unwrap();
    assert!(verify(&old, &new, IMAGE).is_err());
    fs::write(new.blob_path(&layer), &content).unwrap();
    verify(&old, &new, IMAGE).unwrap();
    // The same damage on both sides is no proof either.
    fs::write(new.blob_path(&layer), &changed).unwrap();
    fs::write(old.blob_path(&layer), &changed).unwrap();
    assert!(verify(&old, &new, IMAGE).is_err());
    fs::write(new.blob_path(&layer), &content).unwrap();
    fs::write(old.blob_path(&layer), &content).unwrap();
    new.remove_tag(IMAGE, "v1").unwrap();
    assert!(verify(&old, &new, IMAGE).is_err());
}

#[tokio::test]
async fn the_same_options_give_the_same_image_anywhere() {
    let (one, other) = (Bench::new().await, Bench::new().await);
    let options = several_platforms(Flavor::Oci);
    let first = one.old().write_image("a", &["x"], &options).unwrap();
    assert_eq!(other.old().write_image("b", &["y"], &options).unwrap(), first);
}

#[tokio::test]
async fn a_path_that_is_no_name_reaches_no_folder() {
    let bench = Bench::new().await;
    for path in ["../../etc", "a/../b", "", "/etc"] {
        assert!(matches!(bench.old().tags(path), Err(StorageError::InvalidName(_))), "{path}");
        assert!(!bench.old().holds(path));
    }
    let digest = bench.old().put_blob(b"x").unwrap();
    assert!(matches!(bench.old().put_tag(IMAGE, "../x", &digest), Err(StorageError::InvalidName(_))));
}

#[tokio::test]
async fn two_repositories_with_the_same_layers_are_imported_at_once() {
    let bench = Bench::with(|config| config.max_concurrent_imports = 100).await;
    let options = several_platforms(Flavor::Oci);
    let paths: Vec<String> = (0..8).map(|number| format!("shared/{number}")).collect();
    for path in &paths {
        bench.old().write_image(path, &["v1"], &options).unwrap();
    }
    for step in ["pre", "final"] {
        for path in &paths {
            bench.start(path, step).await.is(202);
        }
        bench.idle().await;
    }
    for path in &paths {
        verify(&bench.old(), &bench.new_storage(), path).unwrap();
    }
}
