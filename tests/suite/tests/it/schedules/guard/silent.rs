//! Every connection that the guard keeps has gone silent without a sign, as behind a NAT gateway that has forgotten them.

use std::time::{Duration, Instant};

use local::{
    Function, Stack, StackOptions, Topology,
    local_registry::{Effect, Rule, Status, Step},
};
use suite::{PATIENCE, options, repositories, row, sql, state, until};

use super::{found, guard, just, retries, start};

/// What is repaired later has missed its goal.
const GOAL: Duration = Duration::from_secs(30);

fn forget_connections(stack: &Stack) {
    let proxies = stack.proxies().unwrap();
    for proxy in [&proxies.reader, &proxies.data_api, proxies.registry.as_ref().unwrap()] {
        proxy.forget();
    }
}

async fn set(stack: &Stack, path: &str, columns: &str) {
    sql(stack, &format!("UPDATE container_repositories SET {columns} WHERE path = '{path}'")).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn repairs_and_compares_over_silent_connections() {
    let functions = vec![Function::StartMigration, Function::RegistryNotification, Function::GuardMigrations];
    let topology = Topology::DirectReader;
    let stack = StackOptions { topology, functions, instances: 1, proxies: true, ..options() };
    let stack = Stack::start(stack).await.unwrap();
    let registry = stack.registry().unwrap();
    registry.rules().add(Rule::new(Effect::LoseNotification).step(Step::Final));
    let [first, image] = ["group/first", "group/image"];
    repositories(&stack, &[first, image]).await.unwrap();
    for path in [first, image] {
        start(&stack, path).await;
        assert!(registry.wait_for_status(path, Status::ImportComplete, PATIENCE).await);
    }
    let listed = || async { Ok(row(&stack, image).await?["tags_check"] == "tags_listed") };
    until("its tags are kept", listed).await.unwrap();
    let due = "next_check_at = now() - interval '1 second'";
    let later = "next_check_at = now() + interval '1 hour'";

    // From then on it keeps a connection to each side.
    set(&stack, image, later).await;
    set(&stack, first, due).await;
    assert_eq!(found(&guard(&stack).await), just("finished", 1));
    set(&stack, image, due).await;
    forget_connections(&stack);
    let began = Instant::now();
    let repaired = || async {
        let round = guard(&stack).await;
        let unanswered = round["unanswered"].as_u64().unwrap();
        assert_eq!(found(&round).get("finished").copied().unwrap_or_default() + unanswered, 1, "{round}");
        set(&stack, image, due).await;
        Ok(state(&stack, image).await? == "import_done")
    };
    until("it is found done", repaired).await.unwrap();
    assert!(began.elapsed() < GOAL, "{:?}", began.elapsed());
    assert_eq!(retries(&stack, image).await, 0);

    // Where nothing is stuck, that is the first the guard asks the writer for.
    set(&stack, image, "import_done_at = now() - interval '1 minute'").await;
    assert_eq!(row(&stack, image).await.unwrap()["tags_check"], "tags_listed");
    forget_connections(&stack);
    let began = Instant::now();
    guard(&stack).await;
    assert!(began.elapsed() < GOAL / 2, "{:?}", began.elapsed());
    // The registry may have been asked over a silent one: a minute later it is asked again.
    let compared = || async {
        sql(&stack, "UPDATE migration_tag_lists SET next_check_at = next_check_at - interval '1 minute'")
            .await?;
        guard(&stack).await;
        Ok(row(&stack, image).await?["tags_check"] == "tags_complete")
    };
    until("its tags are compared", compared).await.unwrap();
    stack.stop().await.unwrap();
}
