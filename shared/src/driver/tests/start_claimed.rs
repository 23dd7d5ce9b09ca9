use serde_json::json;

use super::{ATTEMPT, Stage, accepted, changed, deadline, repository, row, stands};
use crate::{
    driver::{Asked, Patience, StepStatus, start_claimed},
    endpoint::{Claim, scripted_server::Reply},
};

/// Begins a row that was aborted before, with a registry that replies so.
async fn retry(stage: &Stage) -> Asked {
    let row = repository("pre_importing", &json!({"resume_state": "import_aborted"}));
    start_claimed(&stage.store::<Claim>(), &stage.registry, row, Patience::None, deadline()).await.unwrap()
}

#[tokio::test]
async fn asks_for_a_step_at_once_where_nothing_was_aborted() {
    let stage = Stage::new([accepted()]).await;
    let row = repository("pre_importing", &json!({"resume_state": "default"}));
    let asked = start_claimed(&stage.store::<Claim>(), &stage.registry, row, Patience::None, deadline())
        .await
        .unwrap();
    assert_eq!((asked.standing, stage.calls()), (StepStatus::Running, vec!["PUT pre".to_owned()]));
}

#[tokio::test]
async fn adopts_what_runs_still_instead_of_starting_it() {
    let stage = Stage::new([stands("pre_import_in_progress")]).await;
    stage.database.set("record_answer", changed("applied", &row("pre_importing", &json!({"version": 5}))));
    let asked = retry(&stage).await;
    assert_eq!((asked.standing, asked.row.version), (StepStatus::Running, 5));
    assert_eq!((stage.calls(), stage.database.asked()), (vec!["GET".to_owned()], vec!["record_answer"]));
}

#[tokio::test]
async fn starts_what_the_registry_does_not_have_running() {
    for reply in [stands("pre_import_failed"), Reply::answer(404, ""), Reply::Cut] {
        let stage = Stage::new([reply.clone(), accepted()]).await;
        assert_eq!(retry(&stage).await.standing, StepStatus::Running, "{reply:?}");
        assert_eq!(stage.calls(), ["GET", "PUT pre"], "{reply:?}");
        assert_eq!(stage.server.received()[1].headers["x-request-id"], ATTEMPT);
        assert!(stage.database.asked().is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn goes_on_with_the_final_step_after_a_pre_step_that_is_done() {
    let stage = Stage::new([stands("pre_import_complete"), accepted()]).await;
    stage
        .database
        .set("record_answer", changed("applied", &row("importing", &json!({"attempt": "{change}"}))));
    assert_eq!(retry(&stage).await.standing, StepStatus::Running);
    assert_eq!(stage.calls(), ["GET", "PUT final"]);
}
