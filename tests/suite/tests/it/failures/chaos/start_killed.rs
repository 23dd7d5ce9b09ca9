//! start-migration killed at each step.

use local::{
    Function,
    local_registry::{Effect, Operation, Rule, Step, When},
};
use suite::repositories;

use super::{
    BEGUN_AGAIN, WHOLE, is_migrated,
    kill::{Case, Stop, Trigger, killed_at_each, statement},
    nothing_is_held, schedules_run_until_the_end, stack, start_of,
};

const REFUSED: [&str; 6] = [
    "start_pre_import default>pre_importing",
    "start_refused pre_importing>default",
    "start_pre_import default>pre_importing",
    "finish_pre_import pre_importing>pre_import_done",
    "start_import pre_import_done>importing",
    "finish_import importing>import_done",
];

#[tokio::test(flavor = "multi_thread")]
async fn repeats_or_continues_a_start_killed_at_any_step() {
    let stack = stack(1).await;
    let stops: [(Stop, &[&str]); 4] = [
        (Stop::BeforeStatement(statement::START), &WHOLE),
        (Stop::AfterStatement(statement::START), &BEGUN_AGAIN),
        (Stop::BeforeCall(Operation::Start, Some(Step::Pre)), &BEGUN_AGAIN),
        (Stop::AfterStart(Step::Pre), &WHOLE),
    ];
    killed_at_each(&stack, Function::StartMigration, Trigger::Start, &stops).await;

    // The registry has no room, and that is still to be recorded.
    let full = Effect::Answer {
        status: 429,
        code: Some("IMPORT_RATE_LIMIT".to_owned()),
        detail: None,
        body: None,
        when: When::Before,
    };
    let stops: [(&str, Stop, &[&str]); 2] = [
        ("full/not-recorded", Stop::BeforeStatement(statement::CHANGE), &BEGUN_AGAIN),
        ("full/recorded", Stop::AfterStatement(statement::CHANGE), &REFUSED),
    ];
    for (path, stop, expected) in stops {
        repositories(&stack, &[path]).await.unwrap();
        let rule = start_of(Rule::new(full.clone()), path, Step::Pre).times(1);
        stack.registry().unwrap().rules().add(rule);
        let case = Case { function: Function::StartMigration, path, stop, trigger: Trigger::Start };
        case.kill(&stack).await;
        schedules_run_until_the_end(&stack).await;
        is_migrated(&stack, path, expected, 0).await;
    }
    nothing_is_held(&stack).await;
    stack.stop().await.unwrap();
}
