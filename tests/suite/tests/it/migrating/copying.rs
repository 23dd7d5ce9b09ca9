//! What is copied, and how it is proven.

use std::fs;

use local::local_registry::{
    digest::Digest,
    storage::{Flavor, ImageOptions},
};
use serde_json::Value;

use super::bench::{Bench, Ended, change_a_digest, flip_a_byte, image};

const IMAGES: [(&str, &str); 6] = [
    ("team/app", "v1"),
    ("team/app", "v2"),
    ("team/app/cache", "old"),
    ("team/docker", "v1"),
    ("other/many", "v1"),
    ("last", "v1"),
];

fn images() -> Vec<(&'static str, &'static str, ImageOptions)> {
    let mut seed = 0;
    IMAGES
        .map(|(repository, tag)| {
            seed += 1;
            let mut options = image(seed, &[100_000, 2_000]);
            if repository == "team/docker" {
                options.flavor = Flavor::Docker;
            }
            if repository == "other/many" {
                options.architectures = vec!["amd64".to_owned(), "arm64".to_owned()];
            }
            (repository, tag, options)
        })
        .to_vec()
}

/// Every tag is the same on both sides, and the proof says so.
fn assert_equal(bench: &Bench, ended: &Ended) {
    assert_eq!(ended.status, Some(0), "{}", ended.output);
    let proof = bench.proof();
    assert_eq!(proof.len(), IMAGES.len(), "{proof:?}");
    for (repository, tag) in IMAGES {
        let raw = Bench::raw(&bench.source, repository, tag);
        assert_eq!(Bench::raw(&bench.target, repository, tag), raw, "{repository}:{tag}");
        let row = &proof[&(repository.to_owned(), tag.to_owned())];
        let digest = Digest::of(&raw).to_string();
        assert_eq!(
            (&row["source_digest"], &row["target_digest"]),
            (&Value::from(digest.clone()), &Value::from(digest))
        );
        assert_eq!(row["state"], "equal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_what_skopeo_wrote_and_proves_it_equal() {
    let bench = Bench::start(&images());
    let planned = bench.run(&["--dry-run"]);
    assert_eq!(planned.status, Some(0), "{}", planned.output);
    for part in [
        "Repositories  5\n",
        "Tags          6, of which 0 are there",
        "nothing was found that cannot go",
        "cannot stop pushes",
        "distribution-2",
    ] {
        assert!(planned.output.contains(part), "{part}: {}", planned.output);
    }
    assert!(!bench.state().join("proof.ndjson").exists());

    let copied = bench.run(&[]);

    assert_equal(&bench, &copied);
    let csv = fs::read_to_string(bench.state().join("proof.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + IMAGES.len());
    assert_equal(&bench, &bench.run(&["--verify-blobs"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_a_changed_manifest_and_by_request_a_changed_layer() {
    let bench = Bench::start(&images());
    assert_equal(&bench, &bench.run(&[]));
    let raw = Bench::raw(&bench.target, "team/app", "v1");
    let manifest: Value = serde_json::from_slice(&raw).unwrap();
    let layer = bench.target.blob(manifest["layers"][0]["digest"].as_str().unwrap());
    let whole = fs::read(&layer).unwrap();

    // The plain proof reads no layers.
    flip_a_byte(&layer);
    assert_equal(&bench, &bench.run(&[]));
    let verified = bench.run(&["--verify-blobs"]);
    assert_eq!(verified.status, Some(2), "{}", verified.output);
    assert!(
        verified.output.contains(manifest["layers"][0]["digest"].as_str().unwrap()),
        "{}",
        verified.output
    );
    fs::write(layer, whole).unwrap();

    change_a_digest(&bench.target.blob(&Digest::of(&raw).to_string()));
    let proven = bench.run(&[]);
    assert_eq!(proven.status, Some(2), "{}", proven.output);
    let row = &bench.proof()[&("team/app".to_owned(), "v1".to_owned())];
    assert_eq!((&row["state"], &row["cause"]), (&"failed".into(), &"target_broken".into()), "{row}");
    assert_eq!(bench.proof()[&("team/app".to_owned(), "v2".to_owned())]["state"], "equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_no_json_fails_its_tag_alone() {
    let bench = Bench::start(&images());
    let digest = Digest::of(&Bench::raw(&bench.source, "team/app", "v1")).to_string();
    let path = bench.source.blob(&digest);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 1]).unwrap();
    let began = std::time::Instant::now();

    let ended = bench.run(&[]);

    assert_eq!(ended.status, Some(2), "{}", ended.output);
    assert!(ended.output.contains("1 cannot go"), "{}", ended.output);
    // docker-registry answers 500 for it as long as it is asked.
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
    let proof = bench.proof();
    let row = |tag: &str| &proof[&("team/app".to_owned(), tag.to_owned())];
    assert_eq!((&row("v1")["state"], &row("v1")["cause"]), (&"failed".into(), &"source_broken".into()));
    assert_eq!(row("v2")["state"], "equal");
    assert_eq!(proof.values().filter(|row| row["state"] == "equal").count(), IMAGES.len() - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_to_remove_single_tags_on_distribution_2() {
    let bench = Bench::start(&images());
    let refused = bench.run(&["--delete-removed"]);
    assert_eq!(refused.status, Some(1), "{}", refused.output);
    assert!(refused.output.contains("--delete-removed: the target (distribution-2)"), "{}", refused.output);
    assert!(
        !bench.target.storage.join("docker/registry/v2/repositories/team").join("app/_manifests").exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_only_what_is_chosen_under_the_names_given() {
    let bench = Bench::start(&images());
    let rules = [
        "--only",
        "team",
        "--exclude",
        "**/cache",
        "--rename",
        "team=archive/old",
        "--rename",
        "team/docker=docker",
    ];

    let copied = bench.run(&rules);

    assert_eq!(copied.status, Some(0), "{}", copied.output);
    assert!(copied.output.contains("Repositories  2 (3 left out)"), "{}", copied.output);
    let catalogue = fs::read_dir(bench.target.storage.join("docker/registry/v2/repositories")).unwrap();
    let mut names: Vec<String> =
        catalogue.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["archive", "docker"]);
    for (source, target, tag) in [("team/app", "archive/old/app", "v2"), ("team/docker", "docker", "v1")] {
        assert_eq!(Bench::raw(&bench.target, target, tag), Bench::raw(&bench.source, source, tag));
    }
    assert_eq!(bench.proof()[&("team/app".to_owned(), "v2".to_owned())]["target"], "archive/old/app");
}
