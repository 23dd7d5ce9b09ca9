//! What users see: `/v2/`.

use local_registry::storage::{Flavor, ImageOptions};
use local_registry::{Point, Status};
use reqwest::Method;
use serde_json::json;

use crate::bench::{Bench, IMAGE};

#[tokio::test]
async fn the_catalogue_is_listed_page_by_page() {
    let bench = Bench::with(|config| config.migration_mode = false).await;
    bench.old().write_image("a", &["v1"], &ImageOptions::small(5)).unwrap();
    bench.old().write_image("z", &["v1"], &ImageOptions::small(6)).unwrap();
    let all = bench.get("/v2/_catalog").await;
    assert_eq!(all.json(), json!({"repositories": ["a", IMAGE, "z"]}));
    assert!(all.headers.get("link").is_none());
    let first = bench.get("/v2/_catalog?n=2").await;
    assert_eq!(first.json(), json!({"repositories": ["a", IMAGE]}));
    let link = first.header("link").to_owned();
    assert_eq!(link, "</v2/_catalog?last=group%2Fproject%2Fimage&n=2>; rel=\"next\"");
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second = bench.get(next).await;
    assert_eq!(second.json(), json!({"repositories": ["z"]}));
    assert!(second.headers.get("link").is_none());
    for wrong in ["0", "-1", "many", "1001"] {
        bench.get(&format!("/v2/_catalog?n={wrong}")).await.is_error(400, "PAGINATION_NUMBER_INVALID");
    }
}

#[tokio::test]
async fn lists_only_the_new_storage_in_migration_mode() {
    let bench = Bench::with(|config| config.migration_mode = false).await;
    let listed = async |bench: &Bench| bench.get("/v2/_catalog").await.json()["repositories"].clone();
    assert_eq!(listed(&bench).await, json!([IMAGE]));
    bench.registry.set_migration_mode(true);
    assert_eq!(listed(&bench).await, json!([]));
    bench.get(&format!("/v2/{IMAGE}/tags/list")).await.is(200);
    bench.new_storage().write_image("born/new", &["v1"], &ImageOptions::small(5)).unwrap();
    assert_eq!(listed(&bench).await, json!(["born/new"]));
    bench.bring_to(Status::ImportComplete).await;
    assert_eq!(listed(&bench).await, json!(["born/new", IMAGE]));
}

#[tokio::test]
async fn serves_the_old_storage_alone_before_migration_mode() {
    let bench = Bench::with(|config| config.migration_mode = false).await;
    bench.new_storage().write_image("born/new", &["v1"], &ImageOptions::small(5)).unwrap();
    bench.get("/v2/born/new/tags/list").await.is_error(404, "NAME_UNKNOWN");
    bench.get(&format!("/v2/{IMAGE}/manifests/v1")).await.is(200);
    bench.get("/gitlab/v1/").await.is(404);
    bench.start(IMAGE, "pre").await.is(404);
    let config = b"{}";
    let digest = local_registry::digest::Digest::of(config);
    let upload = format!("/v2/pushed/blobs/uploads/?digest={digest}");
    bench.send(bench.call(Method::POST, &upload).body(config.to_vec())).await.is(201);
    assert!(bench.old().has_layer("pushed", &digest).unwrap());
    bench.registry.set_migration_mode(true);
    bench.get("/gitlab/v1/").await.is(200);
    bench.run(IMAGE, "pre").await;
}

#[tokio::test]
async fn tags_are_listed_page_by_page() {
    let bench = Bench::new().await;
    let path = format!("/v2/{IMAGE}/tags/list");
    assert_eq!(bench.get(&path).await.json(), json!({"name": IMAGE, "tags": ["latest", "v1"]}));
    let first = bench.get(&format!("{path}?n=1")).await;
    assert_eq!(first.json()["tags"], json!(["latest"]));
    assert_eq!(first.header("link"), format!("<{path}?last=latest&n=1>; rel=\"next\""));
    assert_eq!(bench.get(&format!("{path}?n=1&last=latest")).await.json()["tags"], json!(["v1"]));
    bench.get("/v2/not/there/tags/list").await.is_error(404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn an_image_is_pulled_by_tag_and_by_digest() {
    let bench = Bench::new().await;
    let options = ImageOptions {
        architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
        flavor: Flavor::Docker,
        ..ImageOptions::small(8)
    };
    let digest = bench.old().write_image(IMAGE, &["several"], &options).unwrap();
    let index = bench.get(&format!("/v2/{IMAGE}/manifests/several")).await;
    index.is(200);
    assert_eq!(index.header("content-type"), "application/vnd.docker.distribution.manifest.list.v2+json");
    assert_eq!(index.header("docker-content-digest"), digest.to_string());
    assert_eq!(local_registry::digest::Digest::of(index.text.as_bytes()), digest);
    let child = index.json()["manifests"][1]["digest"].as_str().unwrap().to_owned();
    let manifest = bench.get(&format!("/v2/{IMAGE}/manifests/{child}")).await;
    assert_eq!(manifest.header("content-type"), "application/vnd.docker.distribution.manifest.v2+json");
    let config = manifest.json()["config"].clone();
    let blob = bench.get(&format!("/v2/{IMAGE}/blobs/{}", config["digest"].as_str().unwrap())).await;
    assert_eq!(blob.json()["architecture"], "arm64");
    assert_eq!(blob.text.len() as u64, config["size"].as_u64().unwrap());

    let head = bench.send(bench.call(Method::HEAD, &format!("/v2/{IMAGE}/manifests/several"))).await;
    head.is(200);
    assert_eq!(head.header("content-length"), index.text.len().to_string());
    assert_eq!(head.text, "");
}

#[tokio::test]
async fn what_is_not_there_is_told_by_its_code() {
    let bench = Bench::new().await;
    let nothing = local_registry::digest::Digest::of(b"nothing");
    bench.get(&format!("/v2/{IMAGE}/manifests/none")).await.is_error(404, "MANIFEST_UNKNOWN");
    bench.get(&format!("/v2/{IMAGE}/manifests/{nothing}")).await.is_error(404, "MANIFEST_UNKNOWN");
    bench.get(&format!("/v2/{IMAGE}/blobs/{nothing}")).await.is_error(404, "BLOB_UNKNOWN");
    bench.get(&format!("/v2/{IMAGE}/blobs/sha256:x")).await.is_error(400, "DIGEST_INVALID");
    bench.get("/v2/not/there/manifests/v1").await.is_error(404, "NAME_UNKNOWN");
    bench.get("/v2/").await.is(200);
    bench.get("/elsewhere").await.is(404);
}

#[tokio::test]
async fn a_blob_of_another_repository_is_not_served() {
    let bench = Bench::new().await;
    let manifest = bench.get(&format!("/v2/{IMAGE}/manifests/v1")).await.json();
    let config = manifest["config"]["digest"].as_str().unwrap();
    bench.old().write_image("other", &["v1"], &ImageOptions::small(9)).unwrap();
    bench.get(&format!("/v2/other/blobs/{config}")).await.is_error(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn serves_the_old_storage_until_the_import_is_complete() {
    let bench = Bench::new().await;
    let path = format!("/v2/{IMAGE}/tags/list");
    bench.bring_to(Status::PreImportComplete).await;
    bench.old().write_image(IMAGE, &["late"], &ImageOptions::small(10)).unwrap();
    assert_eq!(bench.get(&path).await.json()["tags"], json!(["late", "latest", "v1"]));
    let rule = bench.hold(Point::Work);
    bench.start(IMAGE, "final").await.is(202);
    assert_eq!(bench.get(&path).await.json()["tags"], json!(["late", "latest", "v1"]));
    bench.registry.rules().remove(rule);
    bench.reaches(IMAGE, Status::ImportComplete).await;
    bench.old().remove_tag(IMAGE, "late").unwrap();
    assert_eq!(bench.get(&path).await.json()["tags"], json!(["late", "latest", "v1"]));
}

#[tokio::test]
async fn a_native_repository_is_served_by_the_new_storage() {
    let bench = Bench::new().await;
    bench.new_storage().write_image("born/new", &["v9"], &ImageOptions::small(5)).unwrap();
    assert_eq!(bench.get("/v2/born/new/tags/list").await.json()["tags"], json!(["v9"]));
    bench.get("/v2/born/new/manifests/v9").await.is(200);
}
