//! What became of everything, checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use local::{
    Stack,
    local_registry::{Delivery, Status, storage::verify},
    output::say,
};
use suite::{PATIENCE, primary};

use crate::plan::{Fate, Plan};

/// Each repository's end, and how often the driver counted a failure of it.
const ENDS: &str = "
    SELECT c.path, c.migration_state, c.skipped_reason::integer, c.retries_count::bigint, c.version % 1048576,
        count(*) FILTER (WHERE t.event = 'abort_import'),
        count(*) FILTER (WHERE t.event = 'abort_import_uncounted'),
        count(*) FILTER (WHERE t.applied)
    FROM container_repositories AS c LEFT JOIN migration_transitions AS t ON t.repository_id = c.id
    GROUP BY c.id ORDER BY c.path";

/// How often a slot was taken while it was held, or given back while it was not, by the order of the history.
const OVERLAPS: &str = "
    WITH moves AS (
        SELECT id, slot, to_state IN ('pre_importing', 'pre_import_done', 'importing') AS taken
        FROM migration_transitions
        WHERE applied AND slot IS NOT NULL
            AND (from_state IN ('pre_importing', 'pre_import_done', 'importing'))
                <> (to_state IN ('pre_importing', 'pre_import_done', 'importing'))
    ),
    pairs AS (SELECT taken, lag(taken, 1, false) OVER (PARTITION BY slot ORDER BY id) AS before FROM moves)
    SELECT count(*) FROM pairs WHERE taken = before";

/// What was found.
pub(crate) struct Outcome {
    states: BTreeMap<String, usize>,
    counted: i64,
    uncounted: i64,
    failed: usize,
    sent: usize,
    lost: usize,
    refused: usize,
    restarts: usize,
    /// Every promise that was not kept.
    pub(crate) broken: Vec<String>,
}

impl Outcome {
    /// Looks at every row, its history and its images.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn look(stack: &Stack, plan: &Plan) -> Result<Self> {
        let registry = stack.registry()?;
        let mut broken = Vec::new();
        if !registry.wait_until_idle(PATIENCE).await {
            broken.push("the registry still imports".to_owned());
        }
        let sent = registry.journal().notifications();
        let mut failures: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        for record in &sent {
            if matches!(record.report.status, Status::PreImportFailed | Status::ImportFailed) {
                // Sent twice it is still one failure. Without its id it cannot be told from another.
                failures.entry(&record.report.path).or_default().insert(record.request_id.as_deref());
            }
        }
        let client = primary(stack).await?;
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        let (mut counted, mut uncounted) = (0, 0);
        for row in client.query(ENDS, &[]).await? {
            let (path, state): (String, String) = (row.get(0), row.get(1));
            let (reason, retries): (Option<i32>, i64) = (row.get(2), row.get(3));
            let (version, aborts, versions): (i64, i64, i64) = (row.get(4), row.get(5), row.get(7));
            *states
                .entry(reason.map_or(state.clone(), |reason| format!("{state}, reason {reason}")))
                .or_default() += 1;
            counted += retries;
            uncounted += row.get::<_, i64>(6);
            let fate = plan.fates.get(&path).copied().unwrap_or(Fate::Done);
            let failed = i64::try_from(failures.get(path.as_str()).map_or(0, BTreeSet::len))?;
            let ends = (state.as_str(), reason);
            let right = match fate {
                Fate::Done => ends == ("import_done", None) && retries == 0,
                Fate::Fails(times) => ends == ("import_done", None) && retries <= times.into(),
                Fate::NeverDone => ends == ("import_skipped", Some(1)),
                Fate::Missing => ends == ("import_done", Some(5)) && retries == 0,
            };
            let mut say = |what: String| broken.push(format!("{path}, {fate:?}: {what}"));
            if !right {
                say(format!("{ends:?} with {retries} retries"));
            }
            if aborts != retries || retries > failed {
                say(format!("{retries} retries, {aborts} counted aborts, {failed} failed imports"));
            }
            if version != versions {
                say(format!("{version} changes after {versions} transitions"));
            }
            if matches!(fate, Fate::Done | Fate::Fails(_))
                && let Err(error) = verify(&registry.old_storage(), &registry.new_storage(), &path)
            {
                say(error.to_string());
            }
        }
        let overlaps: i64 = client.query_one(OVERLAPS, &[]).await?.get(0);
        if overlaps > 0 {
            broken.push(format!("slots were taken or given back twice: {overlaps} times"));
        }
        let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
        let held: i64 = client.query_one(held, &[]).await?.get(0);
        if held > 0 {
            broken.push(format!("{held} slots are still held"));
        }
        let delivered =
            |wanted: fn(&Delivery) -> bool| sent.iter().filter(|sent| wanted(&sent.outcome)).count();
        Ok(Self {
            states,
            counted,
            uncounted,
            failed: failures.values().map(BTreeSet::len).sum(),
            lost: delivered(|outcome| matches!(outcome, Delivery::NotSent | Delivery::Failed { .. })),
            refused: delivered(
                |outcome| matches!(outcome, Delivery::Answered { status, .. } if *status != 200),
            ),
            sent: sent.len(),
            restarts: stack.functions().restarts(),
            broken,
        })
    }

    pub(crate) fn print(&self, took: Duration) -> Result<()> {
        let line = |what: &str, count: String| say(format_args!("  {what:60} {count:>6}"));
        line("processes started again", self.restarts.to_string())?;
        line("notifications", self.sent.to_string())?;
        line("  of them lost, or without an answer", self.lost.to_string())?;
        line("  of them refused", self.refused.to_string())?;
        line("imports that failed by themselves", self.failed.to_string())?;
        line("retries counted", self.counted.to_string())?;
        line("aborts not counted", self.uncounted.to_string())?;
        for (state, count) in &self.states {
            line(state, count.to_string())?;
        }
        line("seconds", format!("{:.1}", took.as_secs_f64()))?;
        for broken in &self.broken {
            say(format_args!("NO   {broken}"))?;
        }
        if self.broken.is_empty() {
            say("yes  each is where it belongs, and nothing was counted that was not its own failure")?;
        }
        Ok(())
    }
}
