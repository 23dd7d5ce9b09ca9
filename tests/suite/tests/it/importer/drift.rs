//! What differs again after the end.

use importer::{Comparison, Difference};
use local::local_registry::{Fault, Kind, Personality, Record, storage::ImageOptions};

use super::scene::{Scene, complete};

async fn compare(scene: &Scene) -> Comparison {
    scene.importer_beside_others().await.compare(&scene.names(), &|| ()).await.unwrap()
}

fn differences(comparison: &Comparison) -> Vec<(&str, Difference)> {
    comparison.drift.iter().map(|drift| (drift.tag.as_str(), drift.difference)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_was_pushed_moved_and_deleted_after_the_end() {
    let scene = Scene::new(Personality::Distribution3).await;
    scene.image("a", &["stays", "moves", "goes"], &ImageOptions::small(1));
    scene.image("b", &["lost"], &ImageOptions::small(2));
    assert!(complete(&scene.run().await));
    let equal = compare(&scene).await;
    assert_eq!((equal.compared, equal.tags, equal.unfinished), (2, 4, 0));
    assert_eq!((equal.drift, equal.problems), (Vec::new(), Vec::new()));

    scene.image("a", &["new", "moves"], &ImageOptions::small(3));
    scene.source.storage().remove_tag("a", "goes").unwrap();
    scene.target.storage().remove_tag("b", "lost").unwrap();
    // Somebody else's tag at the target is none of ours.
    scene.target.storage().write_image("a", &["theirs"], &ImageOptions::small(4)).unwrap();
    scene.image("c", &["v1"], &ImageOptions::small(5));
    for registry in [&scene.source, &scene.target] {
        registry.traffic().clear();
    }
    let found = compare(&scene).await;
    assert_eq!(
        differences(&found),
        [
            ("goes", Difference::Deleted),
            ("moves", Difference::Moved),
            ("new", Difference::Missing),
            ("lost", Difference::Missing)
        ]
    );
    assert_eq!((found.compared, found.unfinished), (2, 1));
    for registry in [&scene.source, &scene.target] {
        let by_list_or_head = |record: &Record| record.kind == Kind::Tags || record.method == "HEAD";
        assert!(
            registry.traffic().records().iter().all(by_list_or_head),
            "nothing is read whole, nothing written"
        );
    }

    // Copied again, it is equal again, but for what the source has no more.
    assert!(complete(&scene.run().await));
    assert_eq!(differences(&compare(&scene).await), [("goes", Difference::Deleted)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_cannot_be_compared() {
    let scene = Scene::new(Personality::Distribution3).await;
    for path in ["a", "b"] {
        scene.image(path, &["v1"], &ImageOptions::small(1));
    }
    assert!(complete(&scene.run().await));
    scene.target.faults().add(Fault::answer(403, "DENIED").kind(Kind::Manifest).repository("a"));
    let found = compare(&scene).await;
    let problems: Vec<(&str, String)> =
        found.problems.iter().map(|(source, problem)| (source.as_str(), problem.cause.to_string())).collect();
    assert_eq!(problems, [("a", "unauthorized".to_owned())]);
    assert_eq!((found.tags, found.drift), (1, Vec::new()));
}
