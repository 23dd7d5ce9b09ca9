use serde_json::{Value, json};

use super::{Stage, accepted, changed, claimed, deadline, refused, row};
use crate::{
    driver::{Filled, Patience, Why, fill_slot},
    endpoint::{Claim, scripted_server::Reply},
};

async fn fill(stage: &Stage) -> Filled {
    fill_slot(&stage.store::<Claim>(), &stage.registry, Patience::None, deadline()).await.unwrap()
}

#[tokio::test]
async fn gives_the_slot_on_until_one_runs() {
    let stage = Stage::new([refused(404, "NAME_UNKNOWN"), refused(400, "UNKNOWN"), accepted()]).await;
    stage.database.set("claim_next", claimed("started", &row("pre_importing", &json!({}))));
    stage.database.set("record_answer", changed("applied", &row("import_done", &json!({}))));
    assert_eq!(fill(&stage).await, Filled::Running);
    assert_eq!(stage.calls(), ["PUT pre"; 3]);
    let asked = ["claim_next", "record_answer", "claim_next", "record_answer", "claim_next"];
    assert_eq!(stage.database.asked(), asked);
}

#[tokio::test]
async fn leaves_the_slot_empty_and_says_why() {
    for (verdict, why) in [
        ("none_due", Why::NoneDue),
        ("no_slot", Why::NoSlot),
        ("slot_waits", Why::SlotWaits),
        ("disabled", Why::Disabled),
    ] {
        let stage = Stage::new([accepted()]).await;
        stage.database.set("claim_next", claimed(verdict, &Value::Null));
        assert_eq!(fill(&stage).await, Filled::Empty(why), "{verdict}");
        assert!(stage.calls().is_empty(), "{verdict}");
    }
}

#[tokio::test]
async fn ends_with_a_registry_that_would_start_no_other() {
    for reply in [refused(429, "LIMIT"), refused(403, "DENIED"), Reply::answer(404, "<html>")] {
        let stage = Stage::new([reply.clone()]).await;
        stage.database.set("claim_next", claimed("started", &row("pre_importing", &json!({}))));
        stage.database.set("record_answer", changed("applied", &row("default", &json!({}))));
        assert_eq!(fill(&stage).await, Filled::Empty(Why::RegistryUnavailable), "{reply:?}");
        assert_eq!(stage.calls(), ["PUT pre"], "{reply:?}");
    }
}

#[tokio::test]
async fn claims_again_where_others_are_faster() {
    let stage = Stage::new([accepted()]).await;
    stage.database.set("claim_next", claimed("passed_over", &Value::Null));
    stage.database.then("claim_next", claimed("started", &row("pre_importing", &json!({}))));
    assert_eq!((fill(&stage).await, stage.database.asked().len()), (Filled::Running, 2));
}
