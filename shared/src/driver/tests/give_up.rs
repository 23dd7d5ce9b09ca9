use serde_json::{Value, json};

use super::{Stage, accepted, changed, deadline, path, refused, row, stands};
use crate::{
    driver::{GaveUp, GiveUp, give_up},
    endpoint::{Manage, scripted_server::Reply, scripted_transport::Does},
    migration::SkipReason,
};

const CANCEL: GiveUp = GiveUp::Cancel { force: false };

async fn stage(found: &Value, replies: &[Reply]) -> Stage {
    let stage = Stage::new(replies.to_vec()).await;
    stage.database.set("find", Does::Answers(found.to_string()));
    stage.database.set("note", Does::Answers(r#""noted""#.to_owned()));
    stage.database.set("operate", changed("applied", &row("import_skipped", &json!({"version": 9}))));
    stage
}

async fn run(stage: &Stage, how: GiveUp) -> GaveUp {
    give_up(&stage.store::<Manage>(), &stage.registry, &path(), how, deadline()).await.unwrap()
}

#[tokio::test]
async fn cancels_at_the_registry_before_it_skips() {
    let stage = stage(&row("importing", &json!({})), &[accepted()]).await;
    let GaveUp::Skipped { row, freed_slot } = run(&stage, CANCEL).await else { panic!("it is canceled") };
    assert_eq!((row.version, freed_slot), (9, true));
    assert_eq!(
        (stage.calls(), stage.database.asked()),
        (vec!["DELETE".to_owned()], vec!["find", "note", "operate"])
    );
}

#[tokio::test]
async fn changes_nothing_where_the_registry_did_not_cancel() {
    for (reply, name) in [
        (Reply::Cut, "no_answer"),
        (Reply::answer(500, ""), "no_answer"),
        (refused(403, "DENIED"), "refused"),
        (Reply::answer(404, ""), "nothing_to_cancel"),
        (refused(400, "IMPORT_CANNOT_BE_CANCELED"), "nothing_to_cancel"),
    ] {
        let stage = stage(&row("pre_importing", &json!({})), std::slice::from_ref(&reply)).await;
        assert_eq!(run(&stage, CANCEL).await.name(), name, "{reply:?}");
        assert_eq!(stage.database.asked(), ["find", "note"], "{reply:?}");
    }
}

#[tokio::test]
async fn asks_no_registry_about_a_row_at_rest() {
    let skip = GiveUp::Skip(SkipReason::NotInPlan);
    for (state, how, name) in [
        ("default", skip, "skipped"),
        ("import_aborted", skip, "skipped"),
        ("pre_import_done", CANCEL, "skipped"),
        ("default", CANCEL, "wrong_state"),
        ("import_done", skip, "wrong_state"),
        ("import_skipped", skip, "wrong_state"),
    ] {
        let stage = stage(&row(state, &json!({})), &[stands("native")]).await;
        assert_eq!(run(&stage, how).await.name(), name, "{state} {how:?}");
        assert!(stage.calls().is_empty(), "{state} {how:?}");
    }
}

#[tokio::test]
async fn looks_again_at_a_row_that_moved_on() {
    let stage = stage(&row("pre_importing", &json!({})), &[accepted()]).await;
    stage.database.then("find", Does::Answers(row("import_aborted", &json!({"version": 5})).to_string()));
    stage.database.set("operate", changed("superseded", &row("import_aborted", &json!({"version": 5}))));
    stage.database.then("operate", changed("applied", &row("import_skipped", &json!({"version": 6}))));
    let GaveUp::Skipped { row, freed_slot } = run(&stage, CANCEL).await else {
        panic!("it is given up at rest")
    };
    assert_eq!((row.version, freed_slot), (6, false));
}
