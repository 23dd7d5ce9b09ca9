//! What is shown costs as many pages, however much there is.

use std::{sync::Arc, time::Duration};

use local::{DATABASE, READER_ARN, READER_SECRET_ARN, Stack, StackOptions};
use shared::{
    endpoint::{Reader, ReaderConnections, ReplicaReads},
    store::{AttentionFilter, HEALTH_PROBE, ListFilter, PrefixFilter, ReportFilter, Store},
};
use suite::{
    data_api,
    explained::{Explained, ExplainedReader},
    options, read_only_writer, sql,
};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn shows_a_page_at_one_price_however_much_there_is() {
    let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await.unwrap();
    let reader = || data_api(&stack, READER_ARN, READER_SECRET_ARN, DATABASE);
    let explained = Explained::new(reader());
    let transport = ExplainedReader::new(reader(), explained.clone());
    let connections = ReaderConnections::shared(Reader::new(transport));
    let reads = Arc::new(ReplicaReads::new(connections, read_only_writer(&stack), HEALTH_PROBE));
    let (lists, summaries) = (Store::new(Arc::clone(&reads)), Store::new(reads));
    let deadline = || Instant::now() + Duration::from_secs(60);

    let mut costs = Vec::new();
    for (from, to) in [(1, 3000), (3001, 30_000)] {
        // A tenth of them failed, a tenth was skipped, and each has a line in the history.
        let insert = format!(
            "WITH added AS (
                INSERT INTO container_repositories (
                    path, migration_state, aborted_at, aborted_in_state, skipped_at, skipped_reason, tags_count
                )
                SELECT 'team' || n % 50 || '/image' || n, state,
                    CASE WHEN state = 'import_aborted' THEN now() END,
                    CASE WHEN state = 'import_aborted' THEN 'importing' END,
                    CASE WHEN state = 'import_skipped' THEN now() END, CASE WHEN state = 'import_skipped' THEN 2 END, 3
                FROM generate_series({from}, {to}) AS n
                CROSS JOIN LATERAL (SELECT CASE n % 10 WHEN 0 THEN 'import_aborted' WHEN 1 THEN 'import_skipped' ELSE 'default' END)
                    AS given (state)
                RETURNING id, migration_state
            )
            INSERT INTO migration_transitions (repository_id, version, event, from_state, to_state, cause)
            SELECT id, 1, 'given', 'default', migration_state, 'test' FROM added"
        );
        sql(&stack, &insert).await.unwrap();
        sql(&stack, "VACUUM ANALYZE container_repositories").await.unwrap();
        sql(&stack, "VACUUM ANALYZE migration_transitions").await.unwrap();
        stack.pair().wait_until_replayed().await.unwrap();
        let mut pages = Vec::new();
        lists.prefixes(&PrefixFilter { rows: 300, ..PrefixFilter::default() }, deadline()).await.unwrap();
        pages.push(explained.pages());
        lists
            .attention(&AttentionFilter { limit: 300, ..AttentionFilter::default() }, deadline())
            .await
            .unwrap();
        pages.push(explained.pages());
        lists.report(&ReportFilter { limit: 300, ..ReportFilter::default() }, deadline()).await.unwrap();
        pages.push(explained.pages());
        lists.list(&ListFilter { limit: 100, ..ListFilter::default() }, deadline()).await.unwrap();
        pages.push(explained.pages());
        assert_eq!(explained.read_whole(), [""; 0], "{:#?}", explained.plan());
        // An hour has as many lines as it has, up to a limit; what is there from before costs nothing.
        summaries.progress(1, deadline()).await.unwrap();
        costs.push(pages);
        sql(&stack, "UPDATE migration_transitions SET created_at = now() - interval '2 hours'")
            .await
            .unwrap();
    }
    for (few, many) in costs[0].iter().zip(&costs[1]) {
        assert!(many < &(few * 2 + 200), "{costs:?} pages with 3,000 rows and with 30,000");
    }
    stack.stop().await.unwrap();
}
