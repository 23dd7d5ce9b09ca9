//! An hour without a registry, or with one that has no room, turned up: each of its rounds is run at once, and then
//! every time that the driver has set is moved back by the ten seconds that lie between two rounds.

use local::{
    Function, Stack, StackOptions,
    local_registry::{Effect, Rule, When},
    postgres_pair::proxy::Way,
};
use suite::{options, primary, repositories, sql};

use crate::{Arguments, Scenario, figures::Figures};

/// Moves the driver's times back by the distance of two rounds.
const TEN_SECONDS: &str = "DO $$
    DECLARE
        moved text;
        of text;
    BEGIN
        FOR of, moved IN
            SELECT table_name, string_agg(format('%1$I = %1$I - interval ''10 s''', column_name), ', ')
            FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'
                AND table_name IN ('container_repositories', 'migration_brake', 'migration_slots')
            GROUP BY table_name
        LOOP
            EXECUTE format('UPDATE %I SET %s', of, moved);
        END LOOP;
    END $$";

pub(crate) async fn measure(
    scenario: Scenario,
    arguments: &Arguments,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let functions =
        vec![Function::RegistryNotification, Function::EnqueueMigrations, Function::GuardMigrations];
    let stack = Stack::start(StackOptions { functions, proxies: true, capacity: 10, ..options() }).await?;
    let paths: Vec<String> =
        (0..arguments.repositories).map(|number| format!("fleet/image{number:03}")).collect();
    repositories(&stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let (name, goal) = if scenario == Scenario::HourFull {
        let full = Effect::Answer {
            status: 429,
            code: Some("IMPORT_RATE_LIMIT".to_owned()),
            detail: None,
            body: None,
            when: When::Before,
        };
        stack.registry()?.rules().add(Rule::new(full).operation(local::local_registry::Operation::Start));
        ("an hour of 429", 250)
    } else {
        if let Some(proxy) = &stack.proxies()?.registry {
            proxy.go(Way::Down).await?;
        }
        ("an hour without registry", 0)
    };
    for _ in 0..arguments.rounds {
        for function in [Function::EnqueueMigrations, Function::GuardMigrations] {
            stack.functions().invoke_on_schedule(function).await?;
        }
        sql(&stack, TEN_SECONDS).await?;
    }
    let client = primary(&stack).await?;
    let rows = client.query_one("SELECT count(*) FROM migration_transitions", &[]).await?.get(0);
    let goal = goal * i64::from(arguments.rounds) / 360;
    figures.at_most(name, "rows added to the history", rows, goal)?;
    let kept = client.query_one("SELECT coalesce(sum(retries_count), 0) FROM container_repositories", &[]);
    figures.at_most(name, "retries counted", kept.await?.get(0), 0)?;
    stack.stop().await
}
