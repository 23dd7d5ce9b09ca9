//! What a claim costs the database, counted in pages.

use std::time::Duration;

use local::{DATABASE, Stack, StackOptions, WRITER_ARN, WRITER_SECRET_ARN};
use shared::{endpoint::Writer, migration::AttemptId, store::Store};
use suite::{data_api, explained::Explained, options, primary, sql};
use tokio::time::Instant;
use uuid::Uuid;

/// A claim may look at so many pages. With a thousand to a million repositories it takes 102 to 157, by the figures. It took
/// 785 when it fetched each of its 200 candidates.
const PAGES: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn claims_at_one_price_however_many_wait() {
    let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await.unwrap();
    let explained = Explained::new(data_api(&stack, WRITER_ARN, WRITER_SECRET_ARN, DATABASE));
    let store = Store::new(Writer::new(explained.clone()));
    let mut costs = Vec::new();
    for (from, to) in [(1, 1000), (1001, 30_000)] {
        // What is next in turn stands on as many pages as it can.
        let insert = format!(
            "INSERT INTO container_repositories (path, migration_state, aborted_at, aborted_in_state, created_at)
            SELECT 'team' || n % 50 || '/image' || n, state,
                CASE WHEN state = 'import_aborted' THEN now() END,
                CASE WHEN state = 'import_aborted' THEN 'pre_importing' END,
                now() - interval '1 second' * (n * 7919 % 30011)
            FROM generate_series({from}, {to}) AS n
            CROSS JOIN LATERAL (SELECT CASE WHEN n % 2 = 0 THEN 'import_aborted' ELSE 'default' END) AS given (state)"
        );
        sql(&stack, &insert).await.unwrap();
        sql(&stack, "VACUUM ANALYZE container_repositories").await.unwrap();
        // Without rows it says that it was not answered as it should be: what is wanted is how it was done.
        let _ =
            store.claim_next(AttemptId::new(Uuid::new_v4()), Instant::now() + Duration::from_secs(60)).await;
        costs.push(explained.pages());
    }
    let [few, many] = costs[..] else { panic!("{costs:?}") };
    assert!(few <= PAGES && many <= PAGES, "{costs:?} pages where 1,000 wait, and 30,000");
    let taken = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
    let taken: i64 = primary(&stack).await.unwrap().query_one(taken, &[]).await.unwrap().get(0);
    assert_eq!(taken, 2, "each claim takes one");
    stack.stop().await.unwrap();
}
