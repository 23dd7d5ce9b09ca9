//! Every statement that is sent while repositories are migrated or looked at, on tables of three sizes: the pages that it
//! needs, how long it takes, whether it is compiled first, and what it reads from one end to the other.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use local::{DATABASE, READER_SECRET_ARN, Stack, StackOptions, WRITER_ARN, WRITER_SECRET_ARN, output::say};
use shared::{
    endpoint::{Reader, ReaderConnections, ReplicaReads, Writer},
    migration::{AttemptId, NotificationStatus, RepositoryPath},
    store::{AttentionFilter, HEALTH_PROBE, HistoryPage, Lease, ListFilter, PrefixFilter, Store},
};
use suite::{
    data_api,
    explained::{Explained, ExplainedReader},
    given, options, primary, read_only_writer, sql,
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::record::{Goal, record};

/// Repositories, and lines of history for each.
const LINES: usize = 10;
/// Rows are added by so many, so that one statement is never long.
const BATCH: usize = 50_000;
/// The least of so many tries counts: what was never read before is read once.
const TRIES: usize = 3;
/// What a statement may need at most on the largest tables, beside those before them.
const GROWTH: f64 = 1.3;

/// Those whose cost depends on what there is: they count, or look through a run of rows. And `settings`, a single page:
/// what a new connection reads in the catalogue outweighs it, and each statement is explained on a new one.
const WITHOUT_GOAL: [&str; 3] = ["census", "progress", "settings"];

#[derive(Clone, Debug)]
struct Cost {
    pages: u64,
    milliseconds: f64,
    compiled: bool,
    whole: Vec<String>,
    plan: Vec<String>,
}

/// Measures and prints all of them.
pub async fn statements(sizes: &[usize]) -> anyhow::Result<()> {
    let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await?;
    let mut costs: BTreeMap<&'static str, Vec<Cost>> = BTreeMap::new();
    let mut there = 0;
    for size in sizes {
        fill(&stack, there, *size).await?;
        there = *size;
        for (name, cost) in measure(&stack, *size).await? {
            if let Some(folder) = std::env::var_os("FIGURES_PLANS") {
                let file = Path::new(&folder).join(format!("{name}-{size}.txt"));
                std::fs::write(&file, cost.plan.join("\n")).with_context(|| file.display().to_string())?;
            }
            costs.entry(name).or_default().push(cost);
        }
    }
    let header: Vec<String> = sizes.iter().map(|size| format!("{size:>10}")).collect();
    say(format_args!(
        "\nPages of each statement, by repositories (each with {LINES} lines of history); the last over the one before; ms of the last; compiled; read whole"
    ))?;
    say(format_args!("  {:20}{}", "", header.join("")))?;
    for (name, costs) in &costs {
        // Some look at up to 200 rows: only where there are as many does more make a difference.
        let [.., before, last] = &costs[..] else { continue };
        let pages: Vec<String> = costs.iter().map(|cost| format!("{:>10}", cost.pages)).collect();
        let growth = last.pages as f64 / before.pages as f64;
        let goal = if WITHOUT_GOAL.contains(name) { Goal::None } else { Goal::AtMost(GROWTH) };
        say(format_args!(
            "  {name:20}{} {growth:6.2} {:9.2} ms {} {}{}",
            pages.join(""),
            last.milliseconds,
            if last.compiled { "compiled" } else { "-" },
            last.whole.join(","),
            goal.said(growth),
        ))?;
        record("pages, on the largest tables over those before them", name, "ratio", growth, goal);
        record(
            "compiled before it runs",
            name,
            "times",
            f64::from(u8::from(last.compiled)),
            Goal::AtMost(0.0),
        );
        let is_shown = matches!(*name, "census" | "progress");
        let limit = if is_shown { Goal::AtMost(50.0) } else { Goal::None };
        record("largest tables", name, "ms", last.milliseconds, limit);
    }
    stack.stop().await
}

/// Nine of ten repositories are done, one of 20 failed, one of 20 waits; each has its lines in the history.
async fn fill(stack: &Stack, from: usize, to: usize) -> anyhow::Result<()> {
    say(format_args!("Filling up to {to} repositories"))?;
    let client = primary(stack).await?;
    for begin in (from..to).step_by(BATCH) {
        let end = (begin + BATCH).min(to);
        client
            .batch_execute(&format!(
                "SET synchronous_commit = off;
                -- No foreign key is looked up for what is made up here.
                SET session_replication_role = replica;
                WITH added AS (
                    INSERT INTO container_repositories (
                        path, migration_state, version, pre_import_started_at, pre_import_done_at, import_started_at,
                        import_done_at, aborted_at, aborted_in_state, tags_count
                    )
                    SELECT 'team' || n % 500 || '/image' || n, state, {LINES},
                        CASE WHEN state <> 'default' THEN now() END, CASE WHEN state = 'import_done' THEN now() END,
                        CASE WHEN state = 'import_done' THEN now() END, CASE WHEN state = 'import_done' THEN now() END,
                        CASE WHEN state = 'import_aborted' THEN now() END,
                        CASE WHEN state = 'import_aborted' THEN 'pre_importing' END, 3
                    FROM generate_series({begin}, {end} - 1) AS n
                    CROSS JOIN LATERAL (
                        SELECT CASE n % 20 WHEN 0 THEN 'import_aborted' WHEN 1 THEN 'default' ELSE 'import_done' END
                    ) AS given (state)
                    RETURNING id, migration_state
                )
                INSERT INTO migration_transitions (
                    repository_id, version, event, from_state, to_state, cause, created_at
                )
                SELECT id, line, 'given', 'default', migration_state, 'test',
                    -- In the order of time, as they come.
                    now() - interval '90 days' + interval '1 second' * (added.id + line / 10.0)
                FROM added CROSS JOIN generate_series(1, {LINES}) AS line"
            ))
            .await?;
    }
    // What was measured on smaller tables has left rows in progress, and versions of others.
    client
        .batch_execute("DELETE FROM container_repositories WHERE migration_state LIKE '%importing'")
        .await?;
    client.batch_execute("VACUUM FULL migration_settings").await?;
    client.batch_execute("VACUUM ANALYZE").await?;
    stack.pair().wait_until_replayed().await.context("the standby")
}

async fn measure(stack: &Stack, size: usize) -> anyhow::Result<BTreeMap<&'static str, Cost>> {
    // Each as the role that sends it, all on the primary.
    let database = |secret| data_api(stack, WRITER_ARN, secret, DATABASE);
    let (written, read) =
        (Explained::new(database(WRITER_SECRET_ARN)), Explained::new(database(READER_SECRET_ARN)));
    let transport = ExplainedReader::new(database(READER_SECRET_ARN), read.clone());
    let connections = ReaderConnections::shared(Reader::new(transport));
    let reads = || Arc::new(ReplicaReads::new(connections.clone(), read_only_writer(stack), HEALTH_PROBE));
    let writer = || Writer::new(written.clone());
    let deadline = || Instant::now() + Duration::from_secs(40);
    let change = || AttemptId::new(Uuid::new_v4());
    let (claims, guard) = (Store::new(writer()), Store::new(writer()));
    let (notifications, starts, manage) = (Store::new(writer()), Store::new(writer()), Store::new(writer()));
    let (lists, summaries, statuses) = (Store::new(reads()), Store::new(reads()), Store::new(reads()));
    let (histories, scans) = (Store::new(reads()), Store::new(reads()));
    let named: RepositoryPath = "team7/image7".parse()?;
    let default: RepositoryPath =
        format!("team{}/image{}", (size / 2 / 20 * 20 + 1) % 500, size / 2 / 20 * 20 + 1).parse()?;

    let mut costs: BTreeMap<&'static str, Cost> = BTreeMap::new();
    for number in 0..TRIES {
        let path = format!("figures/{size}/image{number}");
        given(stack, &path, "pre_importing", None).await?;
        let given: RepositoryPath = path.parse()?;
        // Without rows each of them says that it was not answered as it should be: what is wanted is how it was done.
        macro_rules! cost {
            ($explained:ident, $name:literal, $asked:expr) => {
                let explained = &$explained;
                explained.forget();
                let answered = $asked.await;
                ensure!(!explained.plan().is_empty(), "{} was not explained: {:?}", $name, answered.err());
                let cost = Cost {
                    pages: explained.pages(),
                    milliseconds: explained.milliseconds(),
                    compiled: explained.was_compiled(),
                    whole: explained.read_whole(),
                    plan: explained.plan(),
                };
                let least = costs.entry($name).or_insert_with(|| cost.clone());
                if (cost.pages, cost.milliseconds) < (least.pages, least.milliseconds) {
                    *least = cost;
                }
            };
        }
        let status = NotificationStatus::PreImportComplete;
        cost!(
            written,
            "notification",
            notifications.apply_notification(&given, status, None, None, change(), deadline())
        );
        cost!(written, "claim_next", claims.claim_next(change(), deadline()));
        cost!(written, "resume_parked", claims.resume_parked(change(), deadline()));
        cost!(written, "skip_many_tags", claims.skip_many_tags(deadline()));
        cost!(written, "start", starts.start(&default, change(), deadline()));
        cost!(written, "overdue_line", guard.overdue_line(deadline()));
        cost!(
            written,
            "lease_stuck",
            guard.lease_stuck(std::slice::from_ref(&given), Lease::random(), deadline())
        );
        cost!(read, "scan_stuck", scans.scan_stuck(100, None, deadline()));
        cost!(written, "settings", manage.settings(deadline()));
        cost!(read, "status", statuses.status(&named, None, deadline()));
        let page = ListFilter { limit: 100, ..ListFilter::default() };
        cost!(read, "list", lists.list(&page, deadline()));
        cost!(
            read,
            "history",
            histories.history(&named, HistoryPage { limit: 100, ..HistoryPage::default() }, None, deadline())
        );
        cost!(
            read,
            "attention",
            lists.attention(&AttentionFilter { limit: 100, ..AttentionFilter::default() }, deadline())
        );
        cost!(
            read,
            "prefixes",
            lists.prefixes(&PrefixFilter { rows: 300, ..PrefixFilter::default() }, deadline())
        );
        cost!(read, "progress", summaries.progress(1, deadline()));
        cost!(read, "census", summaries.census(deadline()));
        sql(stack, "DELETE FROM migration_brake").await?;
    }
    Ok(costs)
}
