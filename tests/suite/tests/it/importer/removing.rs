//! Tags that the source has no more.

use local::local_registry::{Fault, Kind, Personality, Record, storage::ImageOptions};
use shared::store::importer::TagState;

use super::scene::{Scene, complete};

fn deletes(record: &Record) -> bool {
    record.method == "DELETE"
}

/// A repository that was copied, and of which two tags are gone since. Somebody pushed another tag to the target, and
/// moved one of the two there.
async fn copied(to: Personality) -> Scene {
    let scene = Scene::new(to).await;
    scene.image("a", &["stays", "alias", "gone"], &ImageOptions::small(1));
    scene.image("a", &["moved"], &ImageOptions::small(2));
    assert!(complete(&scene.run().await));
    let (source, target) = (scene.source.storage(), scene.target.storage());
    target.write_image("a", &["theirs", "moved"], &ImageOptions::small(3)).unwrap();
    for tag in ["gone", "moved"] {
        source.remove_tag("a", tag).unwrap();
    }
    scene.target.traffic().clear();
    scene
}

async fn state(scene: &Scene, tag: &str) -> (TagState, bool) {
    let row = scene.proof().await.into_iter().find(|row| row.tag == tag).unwrap();
    (row.state, row.target_digest.is_some())
}

fn tags(scene: &Scene) -> Vec<String> {
    scene.target.storage().tags("a").unwrap().into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn removes_a_tag_only_where_it_is_asked_to_and_wrote_it() {
    let mut scene = copied(Personality::Distribution3).await;
    assert!(complete(&scene.run().await));
    assert_eq!(scene.target.traffic().count(deletes), 0, "nothing is removed unless somebody asks");
    assert_eq!(state(&scene, "gone").await, (TagState::Deleted, true), "it is reported, and still there");
    assert_eq!(tags(&scene), ["alias", "gone", "moved", "stays", "theirs"]);

    // Also what an earlier run reported.
    scene.tuning.delete_removed = true;
    assert!(complete(&scene.run().await));
    assert_eq!(tags(&scene), ["alias", "moved", "stays", "theirs"]);
    let removed: Vec<Option<String>> =
        scene.target.traffic().records().into_iter().filter(deletes).map(|record| record.reference).collect();
    assert_eq!(removed, [Some("gone".to_owned())]);
    assert_eq!(state(&scene, "gone").await, (TagState::Deleted, false));
    assert_eq!(state(&scene, "moved").await, (TagState::Deleted, true), "somebody wrote there since");
    assert_eq!(state(&scene, "stays").await, (TagState::Equal, true));
    assert!(complete(&scene.run().await));
    assert_eq!(scene.target.traffic().count(deletes), 1, "once");

    // It comes back.
    scene.image("a", &["gone"], &ImageOptions::small(1));
    assert!(complete(&scene.run().await));
    assert_eq!(state(&scene, "gone").await, (TagState::Equal, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn says_where_a_tag_cannot_be_removed_alone() {
    let mut scene = copied(Personality::Distribution2).await;
    scene.tuning.delete_removed = true;
    let report = scene.run().await;
    let repository = &report.repositories[0];
    assert!(
        repository.error.as_ref().unwrap().contains("without its manifest and all its other tags"),
        "{repository:?}"
    );
    assert_eq!(scene.target.traffic().count(deletes), 0);
    assert_eq!(state(&scene, "gone").await, (TagState::Failed, true));
    assert_eq!(state(&scene, "stays").await, (TagState::Equal, true));
    // Where the registry refuses it.
    let mut scene = copied(Personality::Distribution3).await;
    scene.tuning.delete_removed = true;
    let refused =
        scene.target.faults().add(Fault::answer(405, "UNSUPPORTED").method("DELETE").kind(Kind::Manifest));
    assert_eq!(scene.run().await.repositories[0].cause.as_deref(), Some("refused"));
    assert_eq!(state(&scene, "gone").await, (TagState::Failed, true));
    scene.target.faults().remove(refused);
    assert!(complete(&scene.run().await), "it is tried again");
    assert_eq!(tags(&scene), ["alias", "moved", "stays", "theirs"]);
}
