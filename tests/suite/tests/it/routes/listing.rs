//! Which repositories a list shows: every filter, alone and with others, and page by page.

use local::{Function, Stack, StackOptions};
use reqwest::Method;
use serde_json::Value;
use suite::{given, options, row, sql};

const STATES: [&str; 5] = ["default", "importing", "import_done", "import_aborted", "import_skipped"];
/// In the order of their bytes, which is that of no language.
const PREFIXES: [&str; 6] = ["a-b/", "a.b/", "a/", "a/b/", "a_b/", "ab/"];
const PER_KIND: usize = 3;

async fn get(stack: &Stack, query: &str) -> Value {
    let answer =
        stack.client().as_operator(Method::GET, &format!("/migrations?{query}")).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    answer.json().await.unwrap()
}

/// Follows `next` to the end. Every page is full but the last.
async fn all(stack: &Stack, query: &str, limit: usize) -> Vec<String> {
    let mut paths = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(stack, &format!("{query}&limit={limit}{after}")).await;
        assert_eq!(page["served_by"], "reader");
        let rows = page["repositories"].as_array().unwrap();
        paths.extend(rows.iter().map(|row| row["path"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => {
                assert_eq!(rows.len(), limit, "{query}");
                after = format!("&after={next}");
            }
            None => return paths,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_each_match_once_for_every_filter_and_page_size() {
    let functions = vec![Function::MigrationStatus];
    let stack = Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap();
    let mut rows = Vec::new();
    for prefix in PREFIXES {
        for state in STATES {
            for number in 0..PER_KIND {
                rows.push((format!("{prefix}{}{number}", state.replace('_', "-")), state, number));
            }
        }
    }
    // The first of each kind is two days old, the second an hour.
    let values: Vec<String> = rows.iter().map(|(path, state, _)| format!("('{path}', '{state}')")).collect();
    let insert = format!(
        "INSERT INTO container_repositories
            (path, migration_state, slot, import_started_at, import_done_at, aborted_at, aborted_in_state,
            skipped_at, skipped_reason, state_since)
        SELECT path, state, CASE WHEN state = 'importing' THEN row_number() OVER () END,
            now(), CASE WHEN state = 'import_done' THEN now() END,
            CASE WHEN state = 'import_aborted' THEN now() END,
            CASE WHEN state = 'import_aborted' THEN 'importing' END,
            CASE WHEN state = 'import_skipped' THEN now() END, CASE WHEN state = 'import_skipped' THEN 2 END,
            now() - CASE right(path, 1)
                WHEN '0' THEN interval '2 days' WHEN '1' THEN interval '1 hour' ELSE interval '0' END
        FROM (VALUES {}) AS given (path, state)",
        values.join(", ")
    );
    sql(&stack, &insert).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    rows.sort();

    for state in [None, Some("default"), Some("import_done"), Some("pre_importing")] {
        for prefix in ["", "a", "a/", "A/b", "a_b/import", "b"] {
            for (older, numbers) in
                [("", 3), ("0", 3), ("1800", 2), ("86400", 1), ("604800", 0), ("4294967295", 0)]
            {
                let wanted: Vec<&str> = rows
                    .iter()
                    .filter(|(path, in_state, number)| {
                        state.is_none_or(|state| state == *in_state)
                            && path.starts_with(&prefix.to_lowercase())
                            && *number < numbers
                    })
                    .map(|(path, ..)| path.as_str())
                    .collect();
                let mut query = format!("prefix={prefix}");
                if let Some(state) = state {
                    query += &format!("&state={state}");
                }
                if !older.is_empty() {
                    query += &format!("&older_than_seconds={older}");
                }
                // In one page; and where there is much to tell apart, in pages that end within a state's rows.
                assert_eq!(all(&stack, &query, 500).await, wanted, "{query}");
                if (2..30).contains(&wanted.len()) {
                    assert_eq!(all(&stack, &query, 2).await, wanted, "{query} in pages");
                }
            }
        }
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_state_since_when_a_step_begins_again() {
    let stack = suite::stack().await.unwrap();
    suite::repositories(&stack, &["group/image"]).await.unwrap();
    let registered = row(&stack, "group/image").await.unwrap();
    assert_eq!(registered["state_since"], registered["created_at"]);

    assert_eq!(stack.client().start("group/image").await.unwrap().status(), 202);
    suite::until_state(&stack, "group/image", "import_done").await.unwrap();
    let done = row(&stack, "group/image").await.unwrap();
    assert_eq!(done["state_since"], done["import_done_at"]);

    // The registry knows nothing of the step: the guard begins it again.
    suite::push_image(&stack.old_storage().unwrap(), "group/lost").unwrap();
    given(&stack, "group/lost", "pre_importing", Some(uuid::Uuid::new_v4())).await.unwrap();
    let hour = "UPDATE container_repositories SET state_since = now() - interval '1 hour',
        pre_import_started_at = now() - interval '1 hour', next_check_at = now() WHERE path = 'group/lost'";
    sql(&stack, hour).await.unwrap();
    let hang = local::local_registry::Effect::LoseNotification;
    stack.registry().unwrap().rules().add(local::local_registry::Rule::new(hang).repository("group/lost"));
    stack.pair().wait_until_replayed().await.unwrap();
    let before = row(&stack, "group/lost").await.unwrap();
    stack.functions().invoke_on_schedule(Function::GuardMigrations).await.unwrap();
    let after = row(&stack, "group/lost").await.unwrap();
    assert_eq!(
        (&after["migration_state"], &after["state_since"]),
        (&before["migration_state"], &before["state_since"])
    );
    assert_ne!(after["pre_import_started_at"], before["pre_import_started_at"]);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_one_result_does_not_hold_are_shown_on_more_pages() {
    let functions = vec![Function::MigrationStatus];
    let stack = Stack::start(StackOptions { functions, instances: 1, ..options() }).await.unwrap();
    // The longest path, plan and detail, in characters that JSON escapes.
    let insert = "INSERT INTO container_repositories (path, plan, detail)
            SELECT lpad(number::text, 255, 'a'), repeat(chr(1), 255), repeat(chr(1), 255)
            FROM generate_series(1000, 1499) AS number;
        INSERT INTO migration_transitions
            (repository_id, version, event, from_state, to_state, cause, applied, verdict, detail)
            SELECT c.id, 1, 'import_failed', 'importing', 'importing', 'notification', false, 'earlier_attempt',
                repeat(chr(1), 255)
            FROM container_repositories AS c, generate_series(1, 500)
            WHERE c.path LIKE '%1000'";
    sql(&stack, insert).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();

    let (mut shown, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(&stack, &format!("limit=500{after}")).await;
        assert!(page.to_string().len() < 1 << 20);
        shown.extend(page["repositories"].as_array().unwrap().iter().map(|row| row["path"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let longest = |number: usize| Value::from(format!("{}{number}", "a".repeat(251)));
    assert_eq!(shown, (1000..1500).map(longest).collect::<Vec<_>>());

    let (mut transitions, mut after) = (0, String::new());
    let url = format!("/migrations/history/{}1000?limit=500", "a".repeat(251));
    loop {
        let answer = stack.client().as_operator(Method::GET, &format!("{url}{after}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let page: Value = answer.json().await.unwrap();
        transitions += page["transitions"].as_array().unwrap().len();
        match page["next"].as_i64() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(transitions, 500);

    let own_version = row(&stack, &format!("{}1000", "a".repeat(251))).await.unwrap()["version"].clone();
    for (tags, status) in
        [(r#""1""#, 304), (r#"W/"1""#, 304), (r#""9", "1""#, 304), ("*", 304), (r#""0""#, 200)]
    {
        let request = stack
            .client()
            .as_operator(Method::GET, &url.replace("history", "status").replace("?limit=500", ""));
        let version = |tags: &str| tags.replace('1', &own_version.to_string());
        let answer = request.header("If-None-Match", version(tags)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{tags}");
    }
    stack.stop().await.unwrap();
}
