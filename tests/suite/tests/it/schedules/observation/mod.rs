//! How everything stands: counted, and the replica's lag measured.

pub mod emf;
mod lines;
mod summary;

use local::Stack;
use suite::{given, sql};

/// How many repositories there are in each state.
const COUNTS: [(&str, u8); 7] = [
    ("default", 4),
    ("pre_importing", 3),
    ("pre_import_done", 2),
    ("importing", 1),
    ("import_done", 5),
    ("import_aborted", 2),
    ("import_skipped", 3),
];

/// Repositories in every state, of known ages; two that are stuck, one that may be late, and what has happened
/// in the last hour.
async fn known(stack: &Stack) {
    for (state, count) in COUNTS {
        for number in 1..=count {
            given(stack, &format!("{}/{number}", state.replace('_', "-")), state, None).await.unwrap();
        }
    }
    sql(
        stack,
        "UPDATE container_repositories SET state_since = now() - split_part(path, '/', 2)::integer * interval '1 hour';
        -- In progress for longer than 300 s: two whose step is, one that waited for the registry until then.
        UPDATE container_repositories SET pre_import_started_at = now() - interval '301 seconds'
            WHERE path = 'pre-importing/1';
        UPDATE container_repositories SET import_started_at = now() - interval '900 seconds' WHERE path = 'importing/1';
        UPDATE container_repositories SET pre_import_done_at = now() - interval '2 hours',
            not_before = now() - interval '400 seconds' WHERE path = 'pre-import-done/1';
        UPDATE container_repositories SET pre_import_started_at = now() - interval '1 minute'
            WHERE path = 'pre-importing/2';
        -- One that is to wait is not late, whenever it was done.
        UPDATE container_repositories SET pre_import_done_at = now() - interval '2 hours',
            not_before = now() + interval '1 hour' WHERE path = 'pre-import-done/2';
        UPDATE container_repositories SET retries_count = 2 WHERE path IN ('import-aborted/1', 'import-skipped/1');
        UPDATE container_repositories SET retries_count = 1 WHERE path = 'import-done/1';
        UPDATE container_repositories SET skipped_reason = 1 WHERE path = 'import-skipped/1';
        UPDATE container_repositories SET plan = 'gold' WHERE path IN ('default/1', 'default/2', 'import-done/1');
        UPDATE migration_settings SET capacity = 9;
        INSERT INTO migration_brake (turn, failures, opened_at, next_start_at) VALUES
            (9, '{\"1\": \"2026-01-01T00:00:00Z\", \"7\": \"2026-01-01T00:00:01Z\"}', now() - interval '100 seconds', now());
        TRUNCATE migration_transitions;
        INSERT INTO migration_transitions
            (repository_id, version, event, from_state, to_state, cause, applied, verdict, created_at)
        SELECT c.id, n, 'test', t.from_state, t.to_state, 'test', t.applied, NULL, now() - t.age
        FROM container_repositories AS c
        CROSS JOIN (VALUES
            (1, 'default', 'pre_importing', true, interval '1000 seconds'),
            (2, 'importing', 'import_done', true, interval '900 seconds'),
            (3, 'pre_importing', 'import_skipped', true, interval '2 seconds'),
            -- No end of a migration: not a transition, nobody's end, before the last hour.
            (4, 'importing', 'importing', false, interval '1 second'),
            (5, 'default', 'import_skipped', true, interval '1 second'),
            (6, 'importing', 'import_done', true, interval '2 hours')
        ) AS t (n, from_state, to_state, applied, age)
        WHERE c.path = 'import-done/1'",
    )
    .await
    .unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
}

/// An age that has gone on since it was made.
fn about(seconds: &serde_json::Value, expected: f64) {
    let seconds = seconds.as_f64().unwrap_or_else(|| panic!("{seconds} is no age"));
    assert!((expected..expected + 600.0).contains(&seconds), "{seconds}, and not {expected}");
}
