//! What other registries do and distribution does not, and who may do what.

use std::time::Duration;

use local_registry::digest::Digest;
use local_registry::storage::{Flavor, ImageOptions};
use local_registry::{
    AbsentRepository, Access, Credentials, ImmutableTags, Kind, Links, MadeUp, Personality,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Answer, IMAGE};
use crate::distribution_bench::{OCI_IMAGE, Site};

async fn site() -> Site {
    Site::new(Personality::Distribution3).await
}

async fn put(site: &Site, name: &str, reference: &str, manifest: &Value) -> Answer {
    let to = format!("/v2/{name}/manifests/{reference}");
    let request = site.call(Method::PUT, &to).header("content-type", OCI_IMAGE);
    site.send(request.body(manifest.to_string())).await
}

/// An image whose blobs are pushed: its manifest, and no more.
async fn image(site: &Site, name: &str, layers: usize, mark: &str) -> Value {
    let config = site.push(name, mark.as_bytes()).await;
    let layer = site.push(name, b"a layer").await;
    let layer =
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": layer, "size": 7});
    json!({
        "schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": vec![layer; layers],
        "config": {"mediaType": "application/x-unknown", "digest": config, "size": mark.len()},
    })
}

/// All pages from the first: what they list, and the links between them.
async fn walk(site: &Site, first: &str, member: &str) -> (Vec<Value>, Vec<String>) {
    let (mut all, mut links, mut next) = (Vec::new(), Vec::new(), Some(first.to_owned()));
    while let Some(to) = next.take() {
        let page = site.get(&to).await;
        page.is(200);
        all.extend(page.json()[member].as_array().unwrap().clone());
        if page.headers.contains_key("link") {
            let link = page.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
            next = Some(link.clone());
            links.push(link);
        }
    }
    (all, links)
}

#[tokio::test]
async fn lists_in_pages_by_every_kind_of_link() {
    for personality in [Personality::Distribution2, Personality::Distribution3] {
        let site = Site::new(personality).await;
        for name in ["a", "b", "c"] {
            site.registry.storage().write_image(name, &["v1"], &ImageOptions::small(2)).unwrap();
        }
        let own = site.registry.url();
        for (links, begins) in [
            (Links::Relative, "/v2/"),
            (Links::Absolute, own.as_str()),
            (Links::Cursor, "/v2/_catalog?cursor="),
        ] {
            site.registry.change(|settings| (settings.page, settings.links) = (Some(1), links.clone()));
            let (names, found) = walk(&site, "/v2/_catalog", "repositories").await;
            assert_eq!(names, ["a", "b", "c", IMAGE], "{links:?}");
            assert!(found.len() == 3 && found.iter().all(|link| link.starts_with(begins)), "{found:?}");
            let (tags, _) = walk(&site, &format!("/v2/{IMAGE}/tags/list"), "tags").await;
            assert_eq!(tags, ["latest", "v1"], "{links:?}");
        }
        site.registry.change(|settings| settings.links = Links::Elsewhere("http://example.com".to_owned()));
        let page = site.get("/v2/_catalog").await;
        assert!(page.header("link").starts_with("<http://example.com/v2/_catalog?"));
        site.registry.change(|settings| settings.unlisted = vec!["b".to_owned()]);
        site.registry.change(|settings| (settings.page, settings.links) = (None, Links::Relative));
        assert_eq!(site.get("/v2/_catalog").await.json()["repositories"], json!(["a", "c", IMAGE]));
    }
}

#[tokio::test]
async fn distribution_2_lists_tags_whole_and_unsorted() {
    let site = Site::new(Personality::Distribution2).await;
    let names: Vec<String> = (0..20).map(|number| format!("t{number:02}")).collect();
    let tags: Vec<&str> = names.iter().map(String::as_str).collect();
    site.registry.storage().write_image("many", &tags, &ImageOptions::small(3)).unwrap();
    let listed: Vec<String> =
        serde_json::from_value(site.get("/v2/many/tags/list?n=3").await.json()["tags"].clone()).unwrap();
    assert!(listed.len() == 20 && listed != names, "{listed:?}");
}

#[tokio::test]
async fn redirects_blobs_to_signed_files() {
    let site = Site::with(Personality::Distribution2, |config| {
        config.access = Access::Basic { user: "me".to_owned(), password: "secret".into() };
        config.settings.redirect_blobs = Some(60);
    })
    .await;
    let content = vec![1; 3000];
    let digest = site.registry.storage().put_blob(&content).unwrap();
    site.registry.storage().link_layer(IMAGE, &digest).unwrap();
    let blob =
        || site.call(Method::GET, &format!("/v2/{IMAGE}/blobs/{digest}")).basic_auth("me", Some("secret"));
    let moved = site.send(blob()).await;
    moved.is(307);
    let to = moved.header("location").to_owned();
    assert!(to.starts_with(&site.registry.files_url()) && site.registry.files_url() != site.registry.url());
    let part = site.send(site.call(Method::GET, &to).header("range", "bytes=2990-")).await;
    assert_eq!((part.status, part.text.len()), (206, 10));
    let kept = site.send(site.call(Method::GET, &to).basic_auth("me", Some("secret"))).await;
    kept.is(400);
    let forged = to.replace("X-Signature=", "X-Signature=0");
    site.send(site.call(Method::GET, &forged)).await.is(403);
    site.registry.change(|settings| settings.redirect_blobs = Some(0));
    let expired = site.send(blob()).await.header("location").to_owned();
    site.send(site.call(Method::GET, &expired)).await.is(403);
    let record = site.record(|record| record.kind == Kind::File && record.status == Some(206)).await;
    assert_eq!((record.from, record.sent, record.credentials), (Some(2990), 10, Credentials::None));
}

#[tokio::test]
async fn lets_in_who_has_a_token_for_the_scope() {
    let site = Site::with(Personality::Distribution3, |config| {
        config.access =
            Access::Bearer { user: "me".to_owned(), password: "secret".into(), anonymous_pull: true };
    })
    .await;
    let tags = format!("/v2/{IMAGE}/tags/list");
    let refused = site.get(&tags).await;
    refused.is_error(401, "UNAUTHORIZED");
    let host = site.registry.url();
    let expected =
        format!("Bearer realm=\"{host}/token\",service=\"local-registry\",scope=\"repository:{IMAGE}:pull\"");
    assert_eq!(refused.header("www-authenticate"), expected);
    let token = async |scope: &str, password: Option<&str>| {
        let mut request = site.call(Method::GET, &format!("/token?service=local-registry&{scope}"));
        if let Some(password) = password {
            request = request.basic_auth("me", Some(password));
        }
        site.send(request).await
    };
    let pull = format!("scope=repository:{IMAGE}:pull");
    let push = format!("scope=repository:{IMAGE}:pull,push");
    token(&pull, Some("wrong")).await.is(401);
    let anonymous = token(&push, None).await.json()["token"].as_str().unwrap().to_owned();
    let own = token(&push, Some("secret")).await.json()["token"].as_str().unwrap().to_owned();
    let upload = format!("/v2/{IMAGE}/blobs/uploads/");
    let asked = |method: Method, to: &str, token: &str| site.call(method, to).bearer_auth(token.to_owned());
    site.send(asked(Method::GET, &tags, &anonymous)).await.is(200);
    let denied = site.send(asked(Method::POST, &upload, &anonymous)).await;
    assert!(denied.header("www-authenticate").ends_with("error=\"insufficient_scope\""), "{denied:?}");
    site.send(asked(Method::POST, &upload, &own)).await.is(202);
    let (digest, from) = (Digest::of(b"x"), "from=another");
    let mount = site.send(asked(Method::POST, &format!("{upload}?mount={digest}&{from}"), &own)).await;
    assert!(mount.header("www-authenticate").contains("repository:another:pull\""), "{mount:?}");
    site.registry.change(|settings| settings.token_seconds = 0);
    let old = token(&pull, Some("secret")).await.json()["token"].as_str().unwrap().to_owned();
    let late = site.send(asked(Method::GET, &tags, &old)).await;
    assert!(late.header("www-authenticate").ends_with("error=\"invalid_token\""), "{late:?}");
}

#[tokio::test]
async fn asks_for_the_password_where_it_is_basic() {
    let site = Site::with(Personality::Distribution2, |config| {
        config.access = Access::Basic { user: "me".to_owned(), password: "secret".into() };
    })
    .await;
    let refused = site.get("/v2/").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Basic realm=\"basic-realm\""));
    site.send(site.call(Method::GET, "/v2/").basic_auth("me", Some("wrong"))).await.is(401);
    site.send(site.call(Method::GET, "/v2/").basic_auth("me", Some("secret"))).await.is(200);
}

#[tokio::test]
async fn keeps_an_immutable_tag() {
    let site = site().await;
    let (one, other) = (image(&site, "fixed", 1, "one").await, image(&site, "fixed", 1, "other").await);
    put(&site, "fixed", "v1", &one).await.is(201);
    site.registry.change(|settings| settings.immutable_tags = ImmutableTags::Yes);
    put(&site, "fixed", "v1", &one).await.is(201);
    put(&site, "fixed", "v1", &other).await.is_error(400, "TAG_INVALID");
    put(&site, "fixed", "v2", &other).await.is(201);
    site.registry.change(|settings| settings.immutable_tags = ImmutableTags::EvenTheSame);
    put(&site, "fixed", "v1", &one).await.is_error(400, "TAG_INVALID");
    let tags = site.registry.storage().tags("fixed").unwrap();
    assert_eq!(tags["v1"], Digest::of(one.to_string().as_bytes()));
}

#[tokio::test]
async fn refuses_what_is_above_a_quota() {
    let site = site().await;
    let manifest = image(&site, "small", 3, "config").await;
    site.registry.change(|settings| settings.quota.layers = Some(2));
    put(&site, "small", "v1", &manifest).await.is_error(403, "DENIED");
    site.registry.change(|settings| settings.quota.layers = Some(3));
    site.registry.change(|settings| settings.quota.image_bytes = Some(26));
    put(&site, "small", "v1", &manifest).await.is_error(403, "DENIED");
    site.registry.change(|settings| settings.quota.image_bytes = Some(27));
    site.registry.change(|settings| settings.quota.tags_per_manifest = Some(1));
    put(&site, "small", "v1", &manifest).await.is(201);
    put(&site, "small", "v1", &manifest).await.is(201);
    put(&site, "small", "v2", &manifest).await.is_error(403, "DENIED");
    site.registry.change(|settings| settings.quota.repositories = Some(2));
    let begin = |name: &str| site.call(Method::POST, &format!("/v2/{name}/blobs/uploads/"));
    site.send(begin("small")).await.is(202);
    site.send(begin("third")).await.is_error(403, "DENIED");
}

#[tokio::test]
async fn refuses_a_push_to_an_absent_repository() {
    let site = site().await;
    let begin = || site.call(Method::POST, "/v2/absent/blobs/uploads/");
    site.registry.change(|settings| settings.absent_repository = AbsentRepository::NotFound);
    site.send(begin()).await.is_error(404, "NAME_UNKNOWN");
    site.registry.change(|settings| settings.absent_repository = AbsentRepository::Forbidden);
    site.send(begin()).await.is_error(403, "DENIED");
    site.registry.storage().make_repository("absent").unwrap();
    site.send(begin()).await.is(202);
}

#[tokio::test]
async fn lists_referrers_where_there_is_an_api_for_them() {
    let site = site().await;
    let subject = image(&site, IMAGE, 1, "subject").await;
    put(&site, IMAGE, "subject", &subject).await.is(201);
    let digest = Digest::of(subject.to_string().as_bytes());
    let to = format!("/v2/{IMAGE}/referrers/{digest}");
    site.get(&to).await.is(404);
    site.registry.change(|settings| settings.referrers = true);
    let mut referrer = image(&site, IMAGE, 1, "referrer").await;
    referrer["artifactType"] = "application/x-signature".into();
    referrer["subject"] = json!({"mediaType": OCI_IMAGE, "digest": digest, "size": 1});
    let stored = put(&site, IMAGE, &Digest::of(referrer.to_string().as_bytes()).to_string(), &referrer).await;
    assert_eq!(stored.header("oci-subject"), digest.to_string());
    let listed = site.get(&to).await.json()["manifests"].clone();
    assert_eq!(listed[0]["artifactType"], "application/x-signature");
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let other = site.get(&format!("{to}?artifactType=application/x-other")).await;
    assert_eq!(other.json()["manifests"], json!([]));
    assert_eq!(other.header("oci-filters-applied"), "artifactType");
}

#[tokio::test]
async fn serves_a_layer_that_is_made_up() {
    let site = site().await;
    let made_up = MadeUp { seed: 5, bytes: 3 << 20 };
    let digest = site.registry.add_made_up_layer(IMAGE, made_up).unwrap();
    let blob = format!("/v2/{IMAGE}/blobs/{digest}");
    let head = site.send(site.call(Method::HEAD, &blob)).await;
    assert_eq!(head.header("content-length"), (3_u64 << 20).to_string());
    let whole = site.call(Method::GET, &blob).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(Digest::of(&whole), digest);
    let part = site.call(Method::GET, &blob).header("range", "bytes=1048570-1048600").send().await.unwrap();
    assert_eq!(part.bytes().await.unwrap(), whole[1_048_570..=1_048_600]);
    let stored = std::fs::read_dir(site.folder.path()).unwrap().count();
    assert_eq!(stored, 2, "its folder and the list of what is not kept");
    assert!(site.registry.storage().blob_size(&digest).unwrap().is_none());
}

#[tokio::test]
async fn keeps_of_a_large_blob_its_digest_and_size() {
    let site = site().await;
    site.registry.change(|settings| settings.keep_at_most = Some(1000));
    let small = site.push(IMAGE, &[1; 1000]).await;
    let made_up = MadeUp { seed: 9, bytes: 100_000 };
    let digest = site.registry.know_made_up(made_up).unwrap();
    let to = format!("/v2/{IMAGE}/blobs/{digest}");
    site.get(&to).await.is_error(404, "BLOB_UNKNOWN");
    let large = site.push(IMAGE, &[2; 5000]).await;
    let storage = site.registry.storage();
    assert_eq!(storage.blob_size(&small).unwrap(), Some(1000));
    assert_eq!(storage.blob_size(&large).unwrap(), None);
    let head = site.send(site.call(Method::HEAD, &format!("/v2/{IMAGE}/blobs/{large}"))).await;
    assert_eq!((head.status, head.header("content-length")), (200, "5000"));
    let mut manifest = image(&site, IMAGE, 1, "large").await;
    manifest["layers"][0]["digest"] = json!(large);
    put(&site, IMAGE, "large", &manifest).await.is(201);
    let wrong = format!("{}&digest={}", site.begin(IMAGE).await, Digest::of(b"wrong"));
    site.send(site.call(Method::PUT, &wrong).body(vec![2; 5000])).await.is_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn stores_any_bytes_as_a_manifest() {
    let site = site().await;
    let schema_1 = br#"{"schemaVersion":1,"name":"old","tag":"v1","fsLayers":[]}"#;
    let digest = site.registry.put_any_manifest("old", Some("v1"), schema_1).unwrap();
    let read = site.get("/v2/old/manifests/v1").await;
    assert_eq!(read.header("content-type"), "application/vnd.docker.distribution.manifest.v1+prettyjws");
    assert_eq!(
        (read.text.as_bytes(), read.header("docker-content-digest")),
        (&schema_1[..], &*digest.to_string())
    );
}

#[tokio::test]
async fn answers_later_by_so_much() {
    let site = site().await;
    site.registry.change(|settings| settings.delay_milliseconds = 60);
    let begun = std::time::Instant::now();
    site.get("/v2/").await.is(200);
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn goes_on_after_a_restart() {
    let site = Site::new(Personality::Distribution2).await;
    let first = site.begin(IMAGE).await;
    let part = site.send(site.call(Method::PATCH, &first).body("0123456789")).await;
    let before = site.registry.url();
    site.registry.restart().await.unwrap();
    assert_eq!(site.registry.url(), before);
    let end = format!("{}&digest={}", part.header("location"), Digest::of(b"0123456789"));
    site.send(site.call(Method::PUT, &end)).await.is(201);
    assert_eq!(site.registry.traffic().count(|record| record.method == "PATCH"), 1);
}

#[tokio::test]
async fn counts_requests_and_bytes() {
    let site = site().await;
    let digest = site.push("pushed", &[4; 1234]).await;
    site.get(&format!("/v2/pushed/blobs/{digest}")).await.is(200);
    let again = site.begin("pushed").await;
    site.send(site.call(Method::PATCH, &again).body(vec![0; 66])).await.is(202);
    let traffic = site.registry.traffic();
    let counts = traffic.counts();
    let expected = [("GET blob", 1), ("PATCH upload", 1), ("POST upload_begin", 2), ("PUT upload", 1)];
    for (what, count) in expected {
        assert_eq!(counts.get(what), Some(&count), "{counts:?}");
    }
    assert_eq!(traffic.blobs_stored(), [("pushed".to_owned(), digest.to_string())]);
    assert_eq!((traffic.blob_bytes_received(), traffic.blob_bytes_read()), (1300, 1234));
    let open = site.registry.open_uploads();
    assert_eq!((open.len(), open[0].repository.as_str(), open[0].bytes), (1, "pushed", 66));
    traffic.clear();
    assert!(traffic.records().is_empty());
}

#[tokio::test]
async fn is_told_from_another_process_what_to_do() {
    let site = site().await;
    let fault = json!({"method": "GET", "kind": "tags", "times": 1,
        "effect": {"kind": "answer", "status": 429, "headers": [["retry-after", "2"]]}});
    let added = site.send(site.call(Method::POST, "/-/faults").json(&fault)).await;
    added.is(200);
    let tags = format!("/v2/{IMAGE}/tags/list");
    assert_eq!(site.get(&tags).await.header("retry-after"), "2");
    let listed = site.get("/-/faults").await.json();
    assert_eq!((&listed[0]["id"], &listed[0]["met"]), (&added.json()["id"], &json!(1)));
    let id = added.json()["id"].as_u64().unwrap();
    site.send(site.call(Method::DELETE, &format!("/-/faults/{id}"))).await.is(204);
    assert_eq!(site.get("/-/faults").await.json(), json!([]));
    site.send(site.call(Method::PUT, "/-/settings").json(&json!({"page": 1}))).await.is(204);
    assert_eq!(site.get(&tags).await.json()["tags"], json!(["latest"]));
    assert_eq!(site.get("/-/settings").await.json()["page"], 1);
    let journal = site.get("/-/journal").await.json();
    assert_eq!((&journal[0]["kind"], &journal[0]["status"]), (&json!("tags"), &json!(429)));
    assert_eq!(site.get("/-/counts").await.json(), json!({"GET tags": 2}));
    let made_up =
        site.send(site.call(Method::POST, "/-/made-up/a/b").json(&json!({"seed": 1, "bytes": 9}))).await;
    let digest = made_up.json()["digest"].as_str().unwrap().to_owned();
    assert_eq!(site.get(&format!("/v2/a/b/blobs/{digest}")).await.text.len(), 9);
    site.begin("a/b").await;
    assert_eq!(site.get("/-/uploads").await.json()[0]["repository"], "a/b");
    site.send(site.call(Method::POST, "/-/faults").json(&json!({"effect": {"kind": "none"}}))).await.is(400);
}

#[tokio::test]
async fn answers_an_image_of_two_platforms_as_it_lies_there() {
    let site = site().await;
    let architectures = vec!["amd64".to_owned(), "arm64".to_owned()];
    let options = ImageOptions { architectures, flavor: Flavor::Docker, ..ImageOptions::small(4) };
    let digest = site.registry.storage().write_image(IMAGE, &["two"], &options).unwrap();
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let to = format!("/v2/{IMAGE}/manifests/two");
    let read = site.send(site.call(Method::GET, &to).header("accept", list)).await;
    assert_eq!((read.header("content-type"), Digest::of(read.text.as_bytes())), (list, digest));
}
