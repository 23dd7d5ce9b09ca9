use std::time::Duration;

use local::DATABASE;
use shared::store::schema::{Roles, scripts};

use super::bench::{Bench, in_time, roles};

async fn apply(bench: &Bench, user: &str) -> Result<(), String> {
    let roles = Roles { iam_user: Some(user.to_owned()), ..roles("driver-1", "reader-1") };
    let until = in_time(Duration::from_secs(60));
    bench
        .store(DATABASE)
        .apply(&scripts(), 0, &roles, until)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn makes_one_read_only_role_for_tokens() {
    let bench = Bench::start().await;
    let reason = apply(&bench, "reader_iam").await.unwrap_err();
    assert!(
        reason.starts_with("letting the role read by IAM tokens: the cluster knows no IAM authentication; "),
        "{reason}"
    );
    let made = "SELECT count(*)::text FROM pg_roles WHERE rolname LIKE '%reader%'";
    assert_eq!(bench.ask(DATABASE, made).await, "0", "nothing is kept");

    // As a cluster's master user may.
    bench
        .sql(&format!("CREATE ROLE rds_iam; GRANT rds_iam TO {} WITH ADMIN OPTION", local::OWNER_ROLE))
        .await;
    for user in ["nobody", local::OWNER_ROLE, "postgres"] {
        let reason = apply(&bench, user).await.unwrap_err();
        assert!(
            reason.contains(&format!("the role {user} is there already and is not one that only reads")),
            "{reason}"
        );
    }
    for _ in 0..2 {
        apply(&bench, "reader_iam").await.unwrap();
    }
    let member =
        "SELECT string_agg(roleid::regrole::text, ',' ORDER BY roleid::regrole::text) FROM pg_auth_members
        WHERE member = 'reader_iam'::regrole";
    assert_eq!(bench.ask(DATABASE, member).await, "migration_reader,rds_iam");
    let mine = bench.login("reader_iam", "", DATABASE).await.unwrap();
    mine.batch_execute("SELECT count(*) FROM container_repositories").await.unwrap();
    mine.batch_execute("DELETE FROM container_repositories").await.unwrap_err();
    bench.ask_for_passwords().await;
    bench.login("migration_reader", "reader-1", DATABASE).await.unwrap();
    bench.stop().await;
}
