use serde_json::{Value, json};

use super::{ATTEMPT, Stage, accepted, changed, claimed, deadline, path, row, stands};
use crate::{
    driver::reconcile,
    endpoint::{Claim, Guard, scripted_server::Reply, scripted_transport::Does},
};

/// A leased row whose pre step was started at ten, looked at at `now`.
fn leased(now: &str) -> Value {
    let members = json!({"pre_import_started_at": "2026-11-26T10:00:00Z", "slot": 1});
    json!({
        "row": row("pre_importing", &members), "now": now, "is_held": false, "asked_again_at": null, "asked_again": false,
        "earlier_attempt": false,
        "settings": {
            "enabled": true, "max_step_duration_seconds": 60, "pre_import_timeout_seconds": 600,
            "import_timeout_seconds": 600, "pre_import_seconds_per_tag": 1.0,
        },
    })
}

const IN_TIME: &str = "2026-11-26T10:05:00Z";
const PAST: &str = "2026-11-26T10:30:00Z";

async fn look_after(now: &str, replies: &[Reply]) -> (Vec<String>, Vec<&'static str>) {
    let stage = Stage::new(replies.to_vec()).await;
    stage.database.set("lease_stuck", Does::Answers(leased(now).to_string()));
    stage.database.set("release_stuck", Does::Answers(json!(path()).to_string()));
    stage.database.set("note", Does::Answers(r#""noted""#.to_owned()));
    stage.database.set("record_decision", changed("applied", &row("import_aborted", &json!({"version": 5}))));
    stage.database.set("claim_next", claimed("none_due", &Value::Null));
    let (guard, claims) = (stage.store::<Guard>(), stage.store::<Claim>());
    reconcile(&guard, &claims, &stage.registry, &path(), deadline()).await.unwrap();
    (stage.calls(), stage.database.asked())
}

#[tokio::test]
async fn leaves_a_step_that_runs_and_has_time() {
    let (calls, asked) = look_after(IN_TIME, &[stands("pre_import_in_progress")]).await;
    assert_eq!((calls, asked), (vec!["GET".to_owned()], vec!["lease_stuck", "release_stuck"]));
}

#[tokio::test]
async fn comes_again_where_the_registry_does_not_say() {
    for reply in [Reply::Cut, Reply::answer(500, ""), Reply::answer(404, "<html>")] {
        let (calls, asked) = look_after(PAST, std::slice::from_ref(&reply)).await;
        assert_eq!(
            (calls, asked),
            (vec!["GET".to_owned()], vec!["lease_stuck", "release_stuck"]),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn notes_a_cancelation_before_it_asks_for_it() {
    let (calls, asked) = look_after(PAST, &[stands("pre_import_in_progress"), accepted()]).await;
    assert_eq!(calls, ["GET", "DELETE"]);
    assert_eq!(asked[..3], ["lease_stuck", "note", "record_decision"]);
}

#[tokio::test]
async fn records_nothing_where_a_cancelation_was_not_answered() {
    let (calls, asked) = look_after(PAST, &[stands("pre_import_in_progress"), Reply::Cut]).await;
    assert_eq!((calls.len(), asked), (2, vec!["lease_stuck", "note", "release_stuck"]));
}

#[tokio::test]
async fn records_a_lost_failure_and_fills_the_slot() {
    let (calls, asked) = look_after(IN_TIME, &[stands("pre_import_failed")]).await;
    assert_eq!(
        (calls, asked),
        (vec!["GET".to_owned()], vec!["lease_stuck", "record_decision", "claim_next"])
    );
}

#[tokio::test]
async fn starts_the_final_step_after_a_lost_pre_step() {
    let stage = Stage::new([stands("pre_import_complete"), accepted()]).await;
    stage.database.set("lease_stuck", Does::Answers(leased(IN_TIME).to_string()));
    stage
        .database
        .set("record_decision", changed("applied", &row("importing", &json!({"attempt": "{change}"}))));
    let (guard, claims) = (stage.store::<Guard>(), stage.store::<Claim>());
    reconcile(&guard, &claims, &stage.registry, &path(), deadline()).await.unwrap();
    assert_eq!(stage.calls(), ["GET", "PUT final"]);
    let sent = stage.database.sent();
    let [_, recorded] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(recorded.text("attempt"), Some(ATTEMPT));
    assert_eq!(stage.server.received()[1].headers["x-request-id"], recorded.text("change").unwrap());
}
