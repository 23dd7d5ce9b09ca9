//! What became of everything, checked.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use local::{Stack, output::say};
use suite::{PATIENCE, primary};

use crate::{
    engine::{Engine, Notifications},
    plan::Fate,
};

/// Each repository's end, and how often the driver counted a failure of it.
const ENDS: &str = "
    SELECT c.path, c.migration_state, c.skipped_reason::integer, c.retries_count::bigint, c.version % 1048576,
        count(*) FILTER (WHERE t.event = 'abort_import'),
        count(*) FILTER (WHERE t.event = 'abort_import_uncounted'),
        count(*) FILTER (WHERE t.applied), count(*) FILTER (WHERE t.event = 'cancel')
    FROM container_repositories AS c LEFT JOIN migration_transitions AS t ON t.repository_id = c.id
    GROUP BY c.id ORDER BY c.path";

/// The reasons of what is given up at the limit of retries, and of what the registry has already.
const TOO_MANY_RETRIES: i32 = 1;
const CANCELED: i32 = 4;
const NATIVE: i32 = 6;

/// The limit of retries.
const MAX_RETRIES: i64 = 3;

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
    cut_off: i64,
    given_up_for_that: usize,
    notifications: Option<Notifications>,
    restarts: usize,
    /// Every promise that was not kept.
    pub(crate) broken: Vec<String>,
}

impl Outcome {
    /// Looks at every row, its history and its images.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn look(stack: &Stack, engine: &Engine, capacity: i32) -> Result<Self> {
        let mut broken = Vec::new();
        if let Engine::Registry(_) = engine
            && !stack.registry()?.wait_until_idle(PATIENCE).await
        {
            broken.push("the registry still imports".to_owned());
        }
        let notifications = engine.notifications(stack)?;
        let client = primary(stack).await?;
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        let (mut counted, mut uncounted, mut all_cut_off, mut given_up_for_that) = (0, 0, 0, 0);
        for row in client.query(ENDS, &[]).await? {
            let (path, state): (String, String) = (row.get(0), row.get(1));
            let (reason, retries): (Option<i32>, i64) = (row.get(2), row.get(3));
            let (version, aborts, versions): (i64, i64, i64) = (row.get(4), row.get(5), row.get(7));
            *states
                .entry(reason.map_or(state.clone(), |reason| format!("{state}, reason {reason}")))
                .or_default() += 1;
            counted += retries;
            uncounted += row.get::<_, i64>(6);
            let fate = engine.fates().get(&path).copied().unwrap_or(Fate::Done);
            let failed =
                notifications.as_ref().map(|sent| sent.failures.get(&path).copied().unwrap_or_default());
            // Where nobody counts them, each that the driver counts has happened.
            let failed = failed.map_or(Ok(retries), i64::try_from)?;
            let ends = (state.as_str(), reason);
            // Asked once more for what it has completed, the registry says that it has the repository.
            let is_done = matches!(ends, ("import_done", None | Some(NATIVE)));
            // What is started while the registry stops is cut off without a word, and canceled past its time.
            let cut_off: i64 = row.get(8);
            all_cut_off += cut_off;
            let is_given_up = matches!(ends, ("import_skipped", Some(TOO_MANY_RETRIES | CANCELED)));
            let right = match fate {
                Fate::Done => is_done && retries <= cut_off || is_given_up && cut_off >= MAX_RETRIES,
                Fate::Fails(times) => {
                    let at_most = cut_off + i64::from(times);
                    is_done && retries <= at_most || is_given_up && at_most >= MAX_RETRIES
                }
                Fate::NeverDone => is_given_up,
                Fate::Missing => ends == ("import_done", Some(5)) && retries == 0,
            };
            if right && is_given_up && fate != Fate::NeverDone {
                given_up_for_that += 1;
            }
            let mut say = |what: String| broken.push(format!("{path}, {fate:?}: {what}"));
            if !right {
                say(format!("{ends:?} with {retries} retries"));
            }
            if aborts != retries || retries > failed + cut_off {
                say(format!(
                    "{retries} retries, {aborts} counted aborts, {failed} failed imports, {cut_off} cut off"
                ));
            }
            if version != versions {
                say(format!("{version} changes after {versions} transitions"));
            }
            if matches!(fate, Fate::Done | Fate::Fails(_))
                && !is_given_up
                && let Err(error) = engine.check(stack, &path)
            {
                say(error.to_string());
            }
        }
        let overlaps: i64 = client.query_one(OVERLAPS, &[]).await?.get(0);
        if overlaps > 0 {
            broken.push(format!("slots were taken or given back twice: {overlaps} times"));
        }
        let above = "SELECT count(*) FROM migration_transitions WHERE applied AND slot > $1";
        let above: i64 = client.query_one(above, &[&capacity]).await?.get(0);
        if above > 0 {
            broken.push(format!("slots above the capacity were taken: {above} times"));
        }
        let held = "SELECT count(*) FROM migration_slots WHERE repository_id IS NOT NULL";
        let held: i64 = client.query_one(held, &[]).await?.get(0);
        if held > 0 {
            broken.push(format!("{held} slots are still held"));
        }
        let restarts = stack.functions().restarts();
        Ok(Self {
            states,
            counted,
            uncounted,
            cut_off: all_cut_off,
            given_up_for_that,
            notifications,
            restarts,
            broken,
        })
    }

    pub(crate) fn print(&self, took: Duration) -> Result<()> {
        let line = |what: &str, count: String| say(format_args!("  {what:60} {count:>6}"));
        line("processes started again", self.restarts.to_string())?;
        if let Some(notifications) = &self.notifications {
            line("notifications", notifications.sent.to_string())?;
            line("  of them lost, or without an answer", notifications.lost.to_string())?;
            line("  of them refused", notifications.refused.to_string())?;
            line("  of them of a canceled step", notifications.canceled.to_string())?;
            let failed: usize = notifications.failures.values().sum();
            line("imports that failed by themselves", failed.to_string())?;
        }
        line("retries counted", self.counted.to_string())?;
        line("aborts not counted", self.uncounted.to_string())?;
        line("cancelations by the guard, past a step's time", self.cut_off.to_string())?;
        line("repositories given up for such cancelations", self.given_up_for_that.to_string())?;
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
