use serde_json::json;

use super::{ATTEMPT, Stage, accepted, changed, deadline, refused, repository, row, stands, unknown};
use crate::{
    driver::{Asked, Patience, StepStatus, ask_registry},
    endpoint::{Claim, EndpointError, scripted_server::Reply},
    migration::{Event, Plan, Settled, Step},
};

async fn ask(stage: &Stage, state: &str) -> Result<Asked, EndpointError> {
    let row = repository(state, &json!({}));
    ask_registry(&stage.store::<Claim>(), &stage.registry, row, Patience::None, deadline()).await
}

#[tokio::test]
async fn leaves_the_row_alone_where_nothing_is_to_be_recorded() {
    for (reply, standing) in [
        (accepted(), StepStatus::Running),
        (Reply::Cut, StepStatus::Unknown),
        (Reply::answer(500, ""), StepStatus::Unknown),
        (Reply::answer(409, ""), StepStatus::Unknown),
    ] {
        let stage = Stage::new([reply.clone()]).await;
        let asked = ask(&stage, "pre_importing").await.unwrap();
        assert_eq!((asked.standing, asked.row.version), (standing, 4), "{reply:?}");
        assert_eq!(stage.database.asked(), [""; 0], "{reply:?}");
        assert_eq!(stage.calls(), ["PUT pre"], "{reply:?}");
        assert_eq!(stage.server.received()[0].headers["x-request-id"], ATTEMPT);
    }
}

#[tokio::test]
async fn asks_nothing_for_a_row_that_no_step_runs_of() {
    let stage = Stage::new([accepted()]).await;
    for state in ["default", "pre_import_done", "import_aborted", "import_done"] {
        assert_eq!(ask(&stage, state).await.unwrap().standing, StepStatus::MovedOn, "{state}");
    }
    assert!(stage.calls().is_empty() && stage.database.asked().is_empty());
}

#[tokio::test]
async fn records_what_an_answer_means() {
    let native = Event::AlreadyMigrated(Settled::NativeImport);
    for (replies, event, standing) in [
        (vec![refused(409, "IMPORT_IN_PROGRESS")], Event::Adopt(Step::Final), StepStatus::Running),
        (vec![refused(425, "PRE_IMPORT_IN_PROGRESS")], Event::Adopt(Step::Pre), StepStatus::Running),
        (vec![refused(404, "NAME_UNKNOWN")], Event::AlreadyMigrated(Settled::NotFound), StepStatus::Settled),
        // A 200 is believed only once the status says so too.
        (vec![Reply::answer(200, ""), stands("native")], native, StepStatus::Settled),
        (vec![refused(400, "UNKNOWN")], Event::AbortImport { counted: true }, StepStatus::Aborted),
    ] {
        let stage = Stage::new(replies.clone()).await;
        stage.database.set("record_answer", changed("applied", &row("import_done", &json!({"version": 5}))));
        let asked = ask(&stage, "pre_importing").await.unwrap();
        assert_eq!((asked.standing, asked.row.version), (standing, 5), "{replies:?}");
        let [sent] = &stage.database.sent()[..] else { panic!("one statement is expected: {replies:?}") };
        let plan: serde_json::Value = serde_json::from_str(sent.text("plan").unwrap()).unwrap();
        assert_eq!(
            (plan, sent.text("attempt")),
            (Plan::event(event).to_json(), Some(ATTEMPT)),
            "{replies:?}"
        );
    }
}

#[tokio::test]
async fn believes_no_200_that_the_status_does_not_confirm() {
    for status in ["import_in_progress", "pre_import_failed"] {
        let stage = Stage::new([Reply::answer(200, ""), stands(status)]).await;
        assert_eq!(ask(&stage, "importing").await.unwrap().standing, StepStatus::Unknown, "{status}");
        assert_eq!((stage.calls(), stage.database.asked()), (vec!["PUT final".into(), "GET".into()], vec![]));
    }
}

#[tokio::test]
async fn lets_a_faster_notification_have_the_row() {
    for verdict in ["superseded", "refused"] {
        let stage = Stage::new([refused(429, "LIMIT")]).await;
        stage.database.set("record_answer", changed(verdict, &row("import_done", &json!({"version": 6}))));
        let asked = ask(&stage, "pre_importing").await.unwrap();
        assert_eq!((asked.standing, asked.row.version), (StepStatus::MovedOn, 6), "{verdict}");
    }
}

#[tokio::test]
async fn begins_again_with_a_pre_step_that_is_missing() {
    let stage = Stage::new([refused(424, "PRE_IMPORT_REQUIRED"), accepted()]).await;
    let begun = json!({"version": 5, "attempt": "{change}"});
    stage.database.set("record_answer", changed("applied", &row("pre_importing", &begun)));
    let asked = ask(&stage, "importing").await.unwrap();
    assert_eq!(
        (asked.standing, stage.calls()),
        (StepStatus::Running, vec!["PUT final".into(), "PUT pre".into()])
    );
    let sent = stage.database.sent();
    let ids: Vec<String> =
        stage.server.received().iter().map(|request| request.headers["x-request-id"].clone()).collect();
    assert_eq!(
        ids,
        [ATTEMPT, sent[0].text("change").unwrap()],
        "the second request has an attempt of its own"
    );
}

#[tokio::test]
async fn sends_a_lost_record_again_with_the_same_change() {
    let stage = Stage::new([refused(409, "PRE_IMPORT_IN_PROGRESS")]).await;
    stage.database.set("record_answer", unknown());
    stage.database.then("record_answer", changed("repeat", &row("pre_importing", &json!({"version": 5}))));
    let asked = ask(&stage, "pre_importing").await.unwrap();
    assert_eq!((asked.standing, asked.row.version), (StepStatus::Running, 5));
    let sent = stage.database.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].text("change"), sent[1].text("change"));
}

#[tokio::test]
async fn asks_a_registry_that_frees_a_slot_a_few_times() {
    for (patience, calls) in [(Patience::None, 1), (Patience::AfterNotification, 4)] {
        let stage = Stage::new([refused(429, "LIMIT")]).await;
        stage.database.set("record_answer", changed("applied", &row("pre_import_done", &json!({}))));
        let row = repository("importing", &json!({}));
        let asked =
            ask_registry(&stage.store::<Claim>(), &stage.registry, row, patience, deadline()).await.unwrap();
        assert_eq!((asked.standing, stage.calls().len()), (StepStatus::Postponed, calls));
    }
}
