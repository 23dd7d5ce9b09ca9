use serde_json::{Value, json};

use super::{ATTEMPT, Stage, accepted, changed, claimed, deadline, path, row};
use crate::{
    driver::{AppliedNotification, FollowUp, apply_notification, follow_up},
    endpoint::{Claim, Guard, Notification},
    migration::NotificationStatus,
};

async fn notify(stage: &Stage, verdict: &str, row: &Value) -> FollowUp {
    stage.database.set("apply_notification", changed(verdict, row));
    let (store, status) = (stage.store::<Notification>(), NotificationStatus::PreImportComplete);
    let notified = apply_notification(&store, &path(), status, None, None, deadline()).await.unwrap();
    let Some(AppliedNotification { follow_up, .. }) = notified else { panic!("the repository is known") };
    assert_eq!(stage.database.asked(), ["apply_notification"], "a notification costs one statement");
    follow_up
}

fn name(follow_up: &FollowUp) -> &'static str {
    match follow_up {
        FollowUp::None => "none",
        FollowUp::StartFinal(_) => "start_final",
        FollowUp::FillSlot => "fill_slot",
        FollowUp::CompareTags(_) => "compare_tags",
        FollowUp::Reconcile(_) => "reconcile",
    }
}

#[tokio::test]
async fn decides_by_the_row_and_the_verdict_what_is_left_to_do() {
    let own = json!({"attempt": "{change}"});
    for (verdict, state, members, expected) in [
        ("applied", "importing", &own, "start_final"),
        ("repeat", "importing", &own, "start_final"),
        ("applied", "importing", &json!({"attempt": ATTEMPT}), "none"),
        ("nothing", "importing", &own, "none"),
        ("applied", "import_done", &json!({}), "fill_slot"),
        ("applied", "import_done", &json!({"tags_check": "tags_listed"}), "compare_tags"),
        ("applied", "import_aborted", &json!({}), "fill_slot"),
        ("applied", "pre_import_done", &json!({}), "none"),
        ("already_over", "import_done", &json!({}), "none"),
        ("earlier_attempt", "importing", &json!({}), "none"),
        ("unverified", "pre_importing", &json!({}), "reconcile"),
        ("refused", "default", &json!({}), "none"),
    ] {
        let stage = Stage::new([accepted()]).await;
        let left = notify(&stage, verdict, &row(state, members)).await;
        assert_eq!(name(&left), expected, "{verdict} {state} {members}");
        assert!(stage.calls().is_empty(), "the registry is called only once it has its answer");
    }
}

#[tokio::test]
async fn gives_the_slot_of_what_is_held_on() {
    let stage = Stage::new([accepted()]).await;
    let held = json!({"held_since": "2026-01-01T00:00:00Z", "slot": null});
    let left = notify(&stage, "applied", &row("pre_import_done", &held)).await;
    assert_eq!(name(&left), "fill_slot");
}

#[tokio::test]
async fn gives_a_freed_slot_to_the_next_repository() {
    let stage = Stage::new([accepted()]).await;
    let next = json!({"path": "group/next", "attempt": "{change}"});
    stage.database.set("claim_next", claimed("started", &row("pre_importing", &next)));
    let (claims, guard) = (stage.store::<Claim>(), stage.store::<Guard>());
    follow_up(FollowUp::FillSlot, &claims, &guard, &stage.registry, deadline()).await.unwrap();
    assert_eq!((stage.calls(), stage.database.asked()), (vec!["PUT pre".to_owned()], vec!["claim_next"]));
    assert!(stage.server.received()[0].target.contains("group/next"));
}
