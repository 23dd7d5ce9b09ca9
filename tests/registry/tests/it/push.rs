//! Users push while their repository is migrated, except during the final import.

use local_registry::digest::Digest;
use local_registry::storage::{ImageOptions, verify};
use local_registry::{Point, Status};
use reqwest::Method;
use serde_json::json;

use crate::bench::{Answer, Bench, IMAGE};

async fn push_blob(bench: &Bench, name: &str, content: &'static [u8]) -> Digest {
    let digest = Digest::of(content);
    let begun = bench.send(bench.call(Method::POST, &format!("/v2/{name}/blobs/uploads/"))).await;
    begun.is(202);
    let (first, rest) = content.split_at(content.len() / 2);
    let location = begun.header("location").to_owned();
    let appended = bench.send(bench.call(Method::PATCH, &location).body(first)).await;
    appended.is(202);
    assert_eq!(appended.header("range"), format!("0-{}", first.len() - 1));
    let location = format!("{}?digest={digest}", appended.header("location"));
    let completed = bench.send(bench.call(Method::PUT, &location).body(rest)).await;
    completed.is(201);
    assert_eq!(completed.header("docker-content-digest"), digest.to_string());
    digest
}

async fn push(bench: &Bench, name: &str, tag: &str) -> Answer {
    let config = push_blob(bench, name, b"{\"architecture\":\"amd64\"}").await;
    let layer = push_blob(bench, name, b"a layer of some length").await;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 24},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 22}],
    });
    let put = bench.call(Method::PUT, &format!("/v2/{name}/manifests/{tag}")).body(manifest.to_string());
    bench.send(put).await
}

#[tokio::test]
async fn a_push_between_the_steps_is_migrated() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    push(&bench, IMAGE, "pushed").await.is(201);
    assert!(bench.old().tags(IMAGE).unwrap().contains_key("pushed"));
    bench.run(IMAGE, "final").await;
    assert_eq!(verify(&bench.old(), &bench.new_storage(), IMAGE).unwrap().tags, 3);
}

#[tokio::test]
async fn while_a_pre_import_runs_users_push() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportInProgress).await;
    push(&bench, IMAGE, "pushed").await.is(201);
}

#[tokio::test]
async fn refuses_writes_but_no_reads_during_a_final_import() {
    let bench = Bench::new().await;
    bench.run(IMAGE, "pre").await;
    let upload = bench.send(bench.call(Method::POST, &format!("/v2/{IMAGE}/blobs/uploads/"))).await;
    let rule = bench.hold(Point::Work);
    bench.start(IMAGE, "final").await.is(202);
    let digest = bench.old().tags(IMAGE).unwrap()["v1"].clone();
    for (method, path) in [
        (Method::POST, format!("/v2/{IMAGE}/blobs/uploads/")),
        (Method::PATCH, upload.header("location").to_owned()),
        (Method::PUT, format!("{}?digest={digest}", upload.header("location"))),
        (Method::PUT, format!("/v2/{IMAGE}/manifests/v9")),
        (Method::DELETE, format!("/v2/{IMAGE}/manifests/{digest}")),
    ] {
        bench.send(bench.call(method, &path)).await.is_error(503, "UNAVAILABLE");
    }
    bench.get(&format!("/v2/{IMAGE}/manifests/v1")).await.is(200);
    push(&bench, "another", "v1").await.is(201);
    bench.registry.rules().remove(rule);
    bench.reaches(IMAGE, Status::ImportComplete).await;
    push(&bench, IMAGE, "after").await.is(201);
    assert!(bench.new_storage().tags(IMAGE).unwrap().contains_key("after"));
}

#[tokio::test]
async fn what_is_new_is_pushed_to_the_new_storage_and_is_native() {
    let bench = Bench::new().await;
    push(&bench, "born/new", "v1").await.is(201);
    assert!(!bench.old().holds("born/new"));
    assert_eq!(bench.status("born/new").await.json()["status"], "native");
}

#[tokio::test]
async fn a_manifest_is_taken_only_with_what_it_names() {
    let bench = Bench::new().await;
    let missing = Digest::of(b"missing");
    let manifest = json!({"schemaVersion": 2, "config": {"mediaType": "x", "digest": missing, "size": 7}});
    let put = |body: String| bench.call(Method::PUT, &format!("/v2/{IMAGE}/manifests/v2")).body(body);
    bench.send(put(manifest.to_string())).await.is_error(404, "MANIFEST_BLOB_UNKNOWN");
    bench.send(put("{}".to_owned())).await.is_error(400, "MANIFEST_INVALID");
    let by_digest = bench.call(Method::PUT, &format!("/v2/{IMAGE}/manifests/{missing}")).body("{}");
    bench.send(by_digest).await.is_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn refuses_and_forgets_a_blob_unlike_its_digest() {
    let bench = Bench::new().await;
    let begun = bench.send(bench.call(Method::POST, &format!("/v2/{IMAGE}/blobs/uploads/"))).await;
    let digest = Digest::of(b"announced");
    let location = format!("{}?digest={digest}", begun.header("location"));
    bench.send(bench.call(Method::PUT, &location).body("sent")).await.is_error(400, "DIGEST_INVALID");
    assert_eq!(bench.old().blob_size(&digest).unwrap(), None);
    bench
        .send(bench.call(Method::PUT, &location).body("announced"))
        .await
        .is_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let bench = Bench::new().await;
    bench.old().write_image("other", &["v1"], &ImageOptions::small(9)).unwrap();
    let manifest = bench.get(&format!("/v2/{IMAGE}/manifests/v1")).await.json();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let mount =
        |from: &str| bench.call(Method::POST, &format!("/v2/other/blobs/uploads/?mount={layer}&from={from}"));
    bench.send(mount("not/there")).await.is(202);
    bench.send(mount("../..")).await.is(202);
    bench.send(mount(IMAGE)).await.is(201);
    bench.get(&format!("/v2/other/blobs/{layer}")).await.is(200);
}

#[tokio::test]
async fn a_removed_manifest_takes_its_tags_with_it() {
    let bench = Bench::new().await;
    let digest = bench.old().tags(IMAGE).unwrap()["v1"].clone();
    let path = format!("/v2/{IMAGE}/manifests/{digest}");
    bench.send(bench.call(Method::DELETE, &path)).await.is(202);
    bench.get(&path).await.is_error(404, "MANIFEST_UNKNOWN");
    assert!(bench.old().tags(IMAGE).unwrap().is_empty());
}
