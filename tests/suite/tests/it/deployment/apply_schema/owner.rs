//! A cluster works for one stack: its roles have one stack's passwords.

use std::time::Duration;

use local::DATABASE;
use shared::store::schema::{Applied, Owner, Roles, SchemaError, scripts};

use super::bench::{Bench, in_time, roles};

const ONE: &str = "arn:aws:cloudformation:eu-central-1:123456789012:stack/production/1";
const OTHER: &str = "arn:aws:cloudformation:eu-central-1:123456789012:stack/staging/2";

async fn apply(
    bench: &Bench,
    database: &str,
    stack: &str,
    take_over_from: Option<&str>,
) -> Result<Applied, SchemaError> {
    let owner = Owner { stack: stack.to_owned(), take_over_from: take_over_from.map(str::to_owned) };
    let password = stack.rsplit('/').next().unwrap();
    let roles = Roles { owner, ..roles(password, password) };
    bench.store(database).apply(&scripts(), 0, &roles, in_time(Duration::from_secs(60))).await
}

/// Whose password the driver's role has.
async fn works_for(bench: &Bench) -> Vec<&'static str> {
    let mut working = Vec::new();
    for password in ["1", "2"] {
        if bench.login("migration_driver", password, DATABASE).await.is_ok() {
            working.push(password);
        }
    }
    working
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_another_stack_until_told_to_take_over() {
    let bench = Bench::start().await;
    bench.database("elsewhere").await;
    apply(&bench, DATABASE, ONE, None).await.unwrap();
    bench.ask_for_passwords().await;

    // The roles are the cluster's, in whichever of its databases.
    for database in [DATABASE, "elsewhere"] {
        for from in [None, Some(OTHER), Some("production")] {
            let refused = apply(&bench, database, OTHER, from).await.unwrap_err();
            assert_eq!(refused, SchemaError::Owned { stack: ONE.to_owned() }, "{database}, {from:?}");
            let words = refused.to_string();
            assert!(words.contains(&format!("belongs to the stack {ONE}")), "{words}");
            assert!(words.ends_with(&format!("deploy with TakeOverDatabaseFrom={ONE}")), "{words}");
        }
    }
    assert_eq!(works_for(&bench).await, ["1"]);
    assert_eq!(
        bench.ask("elsewhere", "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'").await,
        "0"
    );
    apply(&bench, DATABASE, ONE, None).await.unwrap();

    apply(&bench, DATABASE, OTHER, Some(ONE)).await.unwrap();
    assert_eq!(works_for(&bench).await, ["2"]);
    // Left as it was, the parameter takes nothing over again.
    apply(&bench, DATABASE, OTHER, Some(ONE)).await.unwrap();
    let refused = apply(&bench, DATABASE, ONE, None).await.unwrap_err();
    assert_eq!(refused, SchemaError::Owned { stack: OTHER.to_owned() });
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_up_what_is_its_own_alone() {
    let bench = Bench::start().await;
    let patience = in_time(Duration::from_secs(60));
    assert_eq!(bench.store(DATABASE).give_up(ONE, patience).await, Ok(false), "before there is anything");
    apply(&bench, DATABASE, ONE, None).await.unwrap();
    assert_eq!(bench.store(DATABASE).give_up(OTHER, patience).await, Ok(false));
    apply(&bench, DATABASE, OTHER, None).await.unwrap_err();
    assert_eq!(bench.store(DATABASE).give_up(ONE, patience).await, Ok(true));
    apply(&bench, DATABASE, OTHER, None).await.unwrap();
    bench.stop().await;
}
