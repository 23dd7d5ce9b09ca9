//! What sources do while they are read, by their journals.

use std::collections::BTreeMap;

use importer::{Status, Stop};
use local::local_registry::{
    Access, Fault, FaultEffect, HoldPoint, Kind, Links, Personality, Record,
    storage::{Flavor, ImageOptions},
};
use serde_json::{Value, json};

use super::{
    restarts::{BIG, big},
    scene::{PATIENCE, Scene, complete, image, is_blob_read},
};

fn bearer() -> Access {
    Access::Bearer { user: "reader".to_owned(), password: "hunter22".into(), anonymous_pull: false }
}

fn lists(record: &Record) -> bool {
    record.kind == Kind::Tags
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_tags_however_pages_are_linked() {
    for links in [Links::Relative, Links::Absolute, Links::Cursor] {
        let scene = Scene::between(Personality::Distribution3, Personality::Distribution3).await;
        scene.image("a", &["v1", "v2", "v3", "v4", "v5"], &ImageOptions::small(1));
        scene.source.change(|settings| (settings.page, settings.links) = (Some(2), links.clone()));
        assert!(complete(&scene.run().await), "{links:?}");
        scene.assert_equal();
        assert_eq!(scene.source.traffic().count(lists), 3 * 3, "three lists of three pages: {links:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_no_page_to_another_host() {
    let scene = Scene::between(Personality::Distribution3, Personality::Distribution3).await;
    scene.image("a", &["v1", "v2", "v3"], &ImageOptions::small(1));
    let elsewhere = Scene::new(Personality::Distribution3).await;
    let links = Links::Elsewhere(elsewhere.source.url());
    scene.source.change(|settings| (settings.page, settings.links) = (Some(2), links));
    let report = scene.run().await;
    assert_eq!(report.repositories[0].cause.as_deref(), Some("protocol"), "{report:?}");
    assert_eq!(elsewhere.source.traffic().records(), []);
    assert_eq!(scene.source.traffic().count(lists), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn renews_tokens_before_they_end_in_a_long_copy() {
    let guard = |personality| (personality, bearer());
    let mut scene =
        Scene::guarded([guard(Personality::Distribution2), guard(Personality::Distribution3)]).await;
    (scene.tuning.capacity, scene.tuning.in_flight) = (1, 1);
    // One of several parts that two repositories share, and enough small ones to outlast a token.
    for path in ["a", "b"] {
        scene.image(path, &["v1"], &image(1, &[700_000], &["amd64"], Flavor::Oci));
    }
    for seed in 2..=7 {
        scene.image("b", &[&format!("v{seed}")], &image(seed, &[500], &["amd64"], Flavor::Oci));
    }
    for registry in [&scene.source, &scene.target] {
        registry.change(|settings| (settings.token_seconds, settings.delay_milliseconds) = (2, 100));
    }
    let report = scene.run().await;
    assert!(complete(&report), "{report:#?}");
    scene.assert_equal();
    for registry in [&scene.source, &scene.target] {
        let records = registry.traffic().records();
        let mut tokens: BTreeMap<&str, usize> = BTreeMap::new();
        for record in records.iter().filter(|record| record.kind == Kind::Token) {
            *tokens.entry(&record.query).or_default() += 1;
        }
        assert!(tokens.values().any(|count| *count > 1), "more than one for the same scope: {tokens:?}");

        let refused = records.iter().filter(|record| record.status == Some(401));
        let with_a_token =
            refused.filter(|record| record.credentials == local::local_registry::Credentials::Bearer);
        assert_eq!(with_a_token.count(), 0, "none was sent that had ended");
        let passwords =
            records.iter().filter(|record| record.credentials == local::local_registry::Credentials::Basic);
        assert!(passwords.clone().count() > 0 && passwords.clone().all(|record| record.kind == Kind::Token));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asks_no_more_at_the_floor_of_what_is_left() {
    let mut scene = Scene::new(Personality::Distribution3).await;
    (scene.tuning.capacity, scene.tuning.in_flight) = (1, 1);
    scene.clients[0].limits.floor = Some(10);
    for path in ["a", "b"] {
        for seed in 1..=4 {
            scene.image(path, &[&format!("v{seed}")], &ImageOptions::small(seed));
        }
    }
    let left = |value: &str, skip| {
        let header =
            FaultEffect::Header { name: "ratelimit-remaining".to_owned(), value: Some(value.to_owned()) };
        Fault::new(header).kind(Kind::Manifest).skip(skip)
    };
    scene.source.faults().add(left("11;w=21600", 0).times(2));
    scene.source.faults().add(left("10;w=21600", 2));
    let report = scene.run().await;
    for of in &report.repositories {
        assert_eq!((of.status, of.cause.as_deref()), (Status::Failed, Some("rate_limited")), "{of:?}");
    }
    // A list, and the manifests up to the one that told it: nothing after that, of no repository.
    assert_eq!(
        scene.source.traffic().counts().values().sum::<usize>(),
        1 + 3,
        "{:?}",
        scene.source.traffic().counts()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_deleted_after_the_list_is_no_failure() {
    let scene = Scene::new(Personality::Distribution3).await;
    scene.image("a", &["stays"], &ImageOptions::small(1));
    scene.image("a", &["goes"], &ImageOptions::small(2));
    // In the final step, which has listed it.
    let hold = Fault::new(FaultEffect::Hold { at: HoldPoint::Before }).method("HEAD").reference("goes");
    let hold = scene.source.faults().add(hold);
    let (importer, names) = (scene.importer().await, scene.names());
    let run = tokio::spawn(async move { importer.run(&names, &Stop::new()).await.unwrap() });
    let asks = |record: &Record| record.method == "HEAD" && record.reference.as_deref() == Some("goes");
    assert!(scene.source.traffic().wait_until(PATIENCE, |traffic| traffic.count(asks) == 1).await);
    scene.source.storage().remove_tag("a", "goes").unwrap();
    scene.source.faults().remove(hold);
    assert!(complete(&run.await.unwrap()));
    assert_eq!(scene.source.traffic().count(asks), 1);
    let proof = scene.proof().await;
    assert_eq!(proof.iter().map(|row| row.tag.as_str()).collect::<Vec<_>>(), ["stays"]);
    scene.assert_equal_tags();
}

/// How a download goes on that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Range,
    Whole,
    WrongRange,
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_with_a_cut_download_only_where_it_ended() {
    const CUT: u64 = 1_000_000;
    for second in [Second::Range, Second::Whole, Second::WrongRange] {
        let (scene, layer) = big(Personality::Distribution3).await;
        let of_layer = |effect| Fault::new(effect).kind(Kind::Blob).reference(&layer);
        let cut = of_layer(FaultEffect::CutAnswer { after: CUT });
        // The final step tries what has failed once more.
        scene.source.faults().add(if second == Second::WrongRange { cut } else { cut.times(1) });
        let other = match second {
            Second::Range => None,
            Second::Whole => Some(FaultEffect::IgnoreRange),
            Second::WrongRange => Some(FaultEffect::Header {
                name: "content-range".to_owned(),
                value: Some(format!("bytes 7-{}/{BIG}", BIG - 1)),
            }),
        };
        if let Some(effect) = other {
            scene.source.faults().add(of_layer(effect).skip(1));
        }
        let report = scene.run().await;
        let reads: Vec<Record> = scene
            .source
            .traffic()
            .records()
            .into_iter()
            .filter(|record| is_blob_read(record) && record.reference.as_deref() == Some(&layer.to_string()))
            .collect();
        let asked: u64 =
            reads[1].range.as_ref().unwrap()["bytes=".len()..].trim_end_matches('-').parse().unwrap();
        assert!(asked > 0 && asked <= CUT, "{second:?}: {asked}");
        assert_eq!(reads[1].from, Some(if second == Second::Whole { 0 } else { asked }), "{second:?}");
        if second == Second::WrongRange {
            let repository = &report.repositories[0];
            assert_eq!(repository.cause.as_deref(), Some("source_broken"), "{repository:?}");
            assert_eq!(scene.target.traffic().blobs_stored().len(), 1, "the configuration alone");
            assert_eq!(scene.target.storage().tags("big").unwrap().len(), 0);
        } else {
            assert!(complete(&report), "{second:?}: {report:#?}");
            assert_eq!(reads.len(), 2, "{second:?}");
            assert_eq!(scene.target.traffic().blob_bytes_received(), BIG + 2, "each byte was sent once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn follows_redirects_without_credentials() {
    let guard = Access::Basic { user: "reader".to_owned(), password: "hunter22".into() };
    let scene =
        Scene::guarded([(Personality::Distribution2, guard), (Personality::Distribution3, Access::Open)])
            .await;
    scene.source.change(|settings| settings.redirect_blobs = Some(60));
    scene.image("a", &["v1"], &image(1, &[600_000, 500], &["amd64"], Flavor::Oci));
    // One address has expired before it is used, and another while it is read.
    let refused =
        FaultEffect::Answer { status: 403, code: None, headers: Vec::new(), when: Default::default() };
    scene.source.faults().add(Fault::new(refused).kind(Kind::File).times(1));
    scene
        .source
        .faults()
        .add(Fault::new(FaultEffect::CutAnswer { after: 100 }).kind(Kind::File).skip(2).times(1));
    let report = scene.run().await;
    assert!(complete(&report), "{report:#?}");
    scene.assert_equal();
    let records = scene.source.traffic().records();
    let of = |kind| records.iter().filter(move |record| record.kind == kind);
    let blobs = 3;
    assert_eq!((of(Kind::Blob).count(), of(Kind::File).count()), (blobs + 2, blobs + 2));
    assert!(of(Kind::File).all(|record| record.credentials == local::local_registry::Credentials::None));
    assert!(of(Kind::Manifest).any(|record| record.credentials == local::local_registry::Credentials::Basic));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_blob_fails_its_tag_and_is_not_sent() {
    let scene = Scene::new(Personality::Distribution3).await;
    for (tag, seed) in [("short", 1), ("whole", 2)] {
        scene.image("a", &[tag], &image(seed, &[5000], &["amd64"], Flavor::Oci));
    }
    let manifest = scene.source.storage().tags("a").unwrap()["short"].to_string();
    let layer = scene.layer_of(&manifest);
    scene
        .source
        .faults()
        .add(Fault::new(FaultEffect::Shorten { to: 1000 }).kind(Kind::Blob).reference(&layer));
    let report = scene.run().await;
    assert_eq!(report.repositories[0].cause.as_deref(), Some("source_broken"), "{report:?}");
    let tags: Vec<String> = scene.target.storage().tags("a").unwrap().into_keys().collect();
    assert_eq!(tags, ["whole"]);
    let ends =
        |record: &Record| record.method == "PUT" && record.reference.as_deref() == Some(layer.as_str());
    assert_eq!(scene.target.traffic().count(ends), 0, "nothing of it was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_repository_of_fifty_that_is_not_listed_fails_alone() {
    let scene = Scene::new(Personality::Distribution3).await;
    for number in 0..50 {
        scene.image(&format!("team/{number:02}"), &["v1"], &ImageOptions::small(number % 5));
    }
    let refused = Fault::answer(403, "DENIED").kind(Kind::Tags).repository("team/07");
    scene.source.faults().add(refused);
    let report = scene.run().await;
    let failed: Vec<(&str, Option<&str>)> = report
        .repositories
        .iter()
        .filter(|of| of.status != Status::Complete)
        .map(|of| (of.source.as_str(), of.cause.as_deref()))
        .collect();
    assert_eq!(failed, [("team/07", Some("unauthorized"))]);
    let of_it = |record: &Record| record.repository.as_deref() == Some("team/07");
    assert_eq!(scene.source.traffic().count(of_it), 1, "it is asked for once");
    assert_eq!(scene.target.traffic().count(of_it), 0);
    assert_eq!(scene.target.storage().repositories().unwrap().len(), 49);
}

/// Stores any manifest with a configuration and a layer of these types.
fn odd_image(scene: &Scene, tag: &str, change: impl FnOnce(&mut Value)) -> String {
    let storage = scene.source.storage();
    let [config, layer] = [format!("{{\"of\":\"{tag}\"}}"), format!("layer of {tag}")].map(|content| {
        let digest = storage.put_blob(content.as_bytes()).unwrap();
        storage.link_layer("a", &digest).unwrap();
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": digest, "size": content.len()})
    });
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    });
    manifest["config"]["mediaType"] = json!("application/vnd.example.configuration.v1+json");
    change(&mut manifest);
    // Odd white space, which whoever writes JSON anew would lose.
    let text = format!("{{\r\n {}  \n}}\n", &manifest.to_string()[1..manifest.to_string().len() - 1]);
    scene.source.put_any_manifest("a", Some(tag), text.as_bytes()).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_signatures_and_unknown_types_byte_for_byte() {
    for to in [Personality::Distribution2, Personality::Distribution3] {
        let scene = Scene::new(to).await;
        let subject = odd_image(&scene, "zstd", |_| ());
        odd_image(&scene, "artifact", |manifest| {
            manifest["artifactType"] = json!("application/vnd.example.unheard-of");
        });
        for kind in ["sig", "att", "sbom"] {
            odd_image(&scene, &format!("{}.{kind}", subject.replace(':', "-")), |_| ());
        }
        let report = scene.run().await;
        assert!(complete(&report), "{report:#?}");
        scene.assert_equal();
        assert_eq!(scene.target.storage().tags("a").unwrap().len(), 5);
        // Each manifest was sent by its digest and by its tag, as it was read.
        let puts = |record: &Record| record.kind == Kind::Manifest && record.method == "PUT";
        assert_eq!(scene.target.traffic().count(puts), 2 * 5);
    }
}
