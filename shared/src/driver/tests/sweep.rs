use serde_json::{Value, json};

use super::{Stage, accepted, changed, claimed, deadline, refused, row, unknown};
use crate::{
    driver::{Sweep, Why, sweep},
    endpoint::{Claim, EndpointError, scripted_server::Reply, scripted_transport::Does},
};

async fn run(stage: &Stage) -> Result<Sweep, EndpointError> {
    sweep(&stage.store::<Claim>(), &stage.registry, deadline()).await
}

/// A registry that says that it is there, and then replies so.
async fn stage(replies: &[Reply]) -> Stage {
    let stage = Stage::new([&[Reply::answer(200, "")], replies].concat()).await;
    stage.database.set("resume_parked", claimed("none_due", &Value::Null));
    stage.database.set("skip_many_tags", Does::Answers("0".to_owned()));
    stage.database.set("claim_next", claimed("none_due", &Value::Null));
    stage
}

#[tokio::test]
async fn claims_nothing_for_a_registry_that_does_not_answer() {
    for reply in [Reply::Cut, Reply::answer(503, ""), Reply::answer(404, "<html>")] {
        let stage = Stage::new([reply.clone()]).await;
        assert_eq!(run(&stage).await.unwrap().ended, Why::RegistryUnavailable, "{reply:?}");
        assert!(stage.database.asked().is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn resumes_parked_rows_before_it_claims() {
    let stage = stage(&[accepted()]).await;
    stage.database.set("resume_parked", claimed("started", &row("importing", &json!({}))));
    stage.database.then("resume_parked", claimed("none_due", &Value::Null));
    stage.database.set("claim_next", claimed("started", &row("pre_importing", &json!({}))));
    stage.database.then("claim_next", claimed("none_due", &Value::Null));
    let swept = run(&stage).await.unwrap();
    assert_eq!(swept, Sweep { resumed: 1, held: 0, started: 1, skipped: 0, ended: Why::NoneDue });
    assert_eq!(stage.calls(), ["GET", "PUT final", "PUT pre"]);
    let asked = ["resume_parked", "resume_parked", "skip_many_tags", "claim_next", "claim_next"];
    assert_eq!(stage.database.asked(), asked);
}

#[tokio::test]
async fn turns_one_repository_away_where_there_is_no_room() {
    let stage = stage(&[refused(429, "LIMIT")]).await;
    stage.database.set("claim_next", claimed("started", &row("pre_importing", &json!({}))));
    stage.database.set("record_answer", changed("applied", &row("default", &json!({}))));
    let swept = run(&stage).await.unwrap();
    assert_eq!((swept.started, swept.ended), (0, Why::RegistryUnavailable));
    assert_eq!(stage.database.asked(), ["resume_parked", "skip_many_tags", "claim_next", "record_answer"]);
}

#[tokio::test]
async fn claims_again_once_a_slot_is_free_that_was_settled() {
    let stage = stage(&[refused(404, "NAME_UNKNOWN"), accepted()]).await;
    stage.database.set("claim_next", claimed("started", &row("pre_importing", &json!({}))));
    stage.database.then("claim_next", claimed("started", &row("pre_importing", &json!({}))));
    stage.database.then("claim_next", claimed("no_slot", &Value::Null));
    stage.database.set("record_answer", changed("applied", &row("import_done", &json!({}))));
    let swept = run(&stage).await.unwrap();
    assert_eq!((swept.started, swept.ended), (1, Why::NoSlot));
}

#[tokio::test]
async fn skips_in_batches_until_one_is_not_full() {
    let stage = stage(&[accepted()]).await;
    stage.database.set("skip_many_tags", Does::Answers("500".to_owned()));
    stage.database.then("skip_many_tags", Does::Answers("3".to_owned()));
    assert_eq!(run(&stage).await.unwrap().skipped, 503);
}

#[tokio::test]
async fn sends_a_lost_claim_again_with_the_same_attempt() {
    let stage = stage(&[accepted()]).await;
    stage.database.set("claim_next", unknown());
    stage
        .database
        .then("claim_next", claimed("repeat", &row("pre_importing", &json!({"attempt": "{change}"}))));
    stage.database.then("claim_next", claimed("none_due", &Value::Null));
    assert_eq!(run(&stage).await.unwrap().started, 1);
    let sent = stage.database.sent();
    let claims: Vec<_> = sent.iter().filter(|sent| sent.name == "claim_next").collect();
    assert_eq!((claims.len(), claims[0].text("change")), (3, claims[1].text("change")));
    assert_eq!(stage.server.received()[1].headers["x-request-id"], claims[0].text("change").unwrap());
}

#[tokio::test]
async fn lets_what_is_held_give_its_slot_back() {
    let stage = stage(&[]).await;
    stage.database.set("resume_parked", claimed("to_be_held", &row("pre_import_done", &json!({}))));
    stage.database.then("resume_parked", claimed("none_due", &Value::Null));
    let held = json!({"held_since": "2026-01-01T00:00:00Z", "slot": null});
    stage.database.set("hold_parked", changed("applied", &row("pre_import_done", &held)));
    let swept = run(&stage).await.unwrap();
    assert_eq!((swept.held, swept.resumed), (1, 0));
    let asked = ["resume_parked", "hold_parked", "resume_parked", "skip_many_tags", "claim_next"];
    assert_eq!(stage.database.asked(), asked);
}
