use local::{
    DATABASE,
    local_data_api::{Effect, ErrorCode, Fault, When},
};
use shared::store::schema::{SchemaError, Script, scripts};

use super::bench::{Bench, apply, history};

const ONE: Script = Script { number: 1, name: "0001_one", sql: "CREATE TABLE one (a int);" };
const TWO: Script = Script { number: 2, name: "0002_two", sql: "CREATE TABLE two (a int); SELECT 1;" };

async fn refused(bench: &Bench, database: &str, scripts: &[Script]) -> String {
    let before = history(bench, database).await;
    let error = bench.apply(database, scripts).await.unwrap_err();
    assert_eq!(history(bench, database).await, before, "nothing is kept: {error}");
    assert_eq!(bench.api.open_transactions(), 0, "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_whole_what_cannot_be_applied_and_names_it() {
    let bench = Bench::start().await;
    bench.apply(DATABASE, &[ONE]).await.unwrap();

    let changed = Script { sql: "CREATE TABLE one (a int, b int);", ..ONE };
    let reason = refused(&bench, DATABASE, &[changed, TWO]).await;
    assert!(reason.starts_with("the script 0001_one is not the one that was applied"), "{reason}");

    let broken = Script { sql: "CREATE TABLE two (a int); SELECT nothing FROM nowhere; SELECT 1", ..TWO };
    let reason = refused(&bench, DATABASE, &[ONE, broken]).await;
    assert!(reason.starts_with("script 0002_two, statement 2 of 3: "), "{reason}");
    assert!(reason.contains("relation \"nowhere\" does not exist"), "{reason}");
    assert_eq!(bench.ask(DATABASE, "SELECT coalesce(to_regclass('two')::text, 'none')").await, "none");

    // What was refused before is applied once it is right.
    assert_eq!(bench.apply(DATABASE, &[ONE, TWO]).await.unwrap().applied, ["0002_two"]);

    let reason = refused(&bench, DATABASE, &[ONE]).await;
    assert!(reason.starts_with("the database is newer than this version: it has 0002_two"), "{reason}");
    let roles = super::bench::roles("driver-1", "reader-1");
    let deadline = super::bench::in_time(std::time::Duration::from_secs(60));
    let back = bench.store(DATABASE).apply(&[ONE], 2, &roles, deadline).await.unwrap();
    assert_eq!((back.applied, back.newest.as_str()), (Vec::new(), "0002_two"), "a stack that goes back");

    // Where nothing but the passwords is asked for, it matters even less how far ahead the database is.
    let again = super::bench::roles("driver-2", "reader-2");
    let back = bench.store(DATABASE).apply(&[ONE], u16::MAX, &again, deadline).await.unwrap();
    assert_eq!((back.applied, back.newest.as_str()), (Vec::new(), "0002_two"));
    bench.ask_for_passwords().await;
    bench.login("migration_driver", "driver-2", DATABASE).await.unwrap();

    bench.sql("DELETE FROM schema_versions WHERE number = 1").await;
    let reason = refused(&bench, DATABASE, &[ONE, TWO]).await;
    assert_eq!(reason, "the database has later scripts without number 1");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_somebody_made_by_hand_are_left_as_they_are() {
    let bench = Bench::start().await;
    bench.database("by_hand").await;
    let client = bench.login(local::OWNER_ROLE, "", "by_hand").await.unwrap();
    client.batch_execute("CREATE TABLE migration_slots (mine text)").await.unwrap();
    let reason = refused(&bench, "by_hand", &scripts()).await;
    assert!(reason.starts_with(&format!("script {}, statement ", scripts()[0].name)), "{reason}");
    assert!(reason.contains("already exists"), "{reason}");
    let made =
        "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(bench.ask("by_hand", made).await, "migration_slots,schema_versions");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_to_put_right_first_is_said_in_words() {
    let bench = Bench::start().await;
    let error = apply(&bench.store_of_nobody(), &scripts()).await.unwrap_err();
    assert!(matches!(error, SchemaError::Failed { .. }));
    let reason = error.to_string();
    assert!(
        reason.starts_with("creating the roles: the role of the owner's secret may not do this; "),
        "{reason}"
    );
    let reason = apply(&bench.store("elsewhere"), &scripts()).await.unwrap_err().to_string();
    assert!(reason.starts_with("beginning a transaction: there is no such database; "), "{reason}");

    let unused = Fault::new(Effect::Error { code: ErrorCode::SecretsErrorException, when: When::Before });
    bench.api.inject(unused);
    let reason = bench.apply(DATABASE, &scripts()).await.unwrap_err().to_string();
    let words = "beginning a transaction: the Data API cannot use the owner's secret: it does not exist, cannot be read, or \
                 holds no JSON with a username and a password; ";
    assert!(reason.starts_with(words), "{reason}");
    bench.api.clear_faults();
    for (code, words) in [
        (
            ErrorCode::HttpEndpointNotEnabledException,
            "there is no such cluster, or its Data API (HTTP endpoint) is not enabled; ",
        ),
        (
            ErrorCode::DatabaseNotFoundException,
            "there is no such cluster, or its Data API (HTTP endpoint) is not enabled; ",
        ),
        (ErrorCode::ForbiddenException, "the function's role may not do this; "),
    ] {
        bench.api.inject(Fault::new(Effect::Error { code, when: When::Before }));
        let reason = bench.apply(DATABASE, &scripts()).await.unwrap_err().to_string();
        assert!(reason.starts_with(&format!("beginning a transaction: {words}")), "{reason}");
        bench.api.clear_faults();
    }

    // May create roles, may not create tables here.
    bench.sql(&format!("ALTER DATABASE {DATABASE} OWNER TO postgres")).await;
    let reason = bench.apply(DATABASE, &scripts()).await.unwrap_err().to_string();
    assert!(
        reason.contains("may not do this") && reason.contains("permission denied for schema"),
        "{reason}"
    );
    bench.stop().await;
}
