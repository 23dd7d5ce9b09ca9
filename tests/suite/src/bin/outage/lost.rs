//! Starts, promotions and notifications are lost, while the guard's reader is out in one way after another.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use local::{
    Topology,
    local_registry::{Effect, Operation, Rule, Step, When},
    postgres_pair::proxy::Way,
};
use suite::{heartbeat_of_an_hour_ago, repositories, sql};

use crate::{
    figures::Figures,
    fleet::{Fleet, PATIENCE, USUAL},
};

/// A repair that takes longer has missed its goal.
const GOAL: Duration = Duration::from_secs(30);
/// A step that is longer than steps usually are.
const LONG: Duration = Duration::from_secs(20);

/// What is lost of a repository.
#[derive(Clone, Copy)]
enum Loss {
    Start,
    Promotion,
    Notification(Step),
    NotificationOfLongStep,
}

const LOSSES: [(&str, Loss); 5] = [
    ("a start's answer", Loss::Start),
    ("a promotion's answer", Loss::Promotion),
    ("a pre step's notification", Loss::Notification(Step::Pre)),
    ("a final step's notification", Loss::Notification(Step::Final)),
    ("a longer step's notification", Loss::NotificationOfLongStep),
];

impl Loss {
    fn rules(self) -> Vec<Rule> {
        let never_arrives =
            || Rule::new(Effect::Cut { when: When::Before }).operation(Operation::Start).times(1);
        let lost = |step| Rule::new(Effect::LoseNotification).step(step).times(1);
        match self {
            Self::Start => vec![never_arrives().step(Step::Pre)],
            Self::Promotion => vec![never_arrives().step(Step::Final)],
            Self::Notification(step) => vec![lost(step)],
            Self::NotificationOfLongStep => {
                let milliseconds = u64::try_from(LONG.as_millis()).unwrap_or(u64::MAX);
                let slow = Rule::new(Effect::Slow { milliseconds }).step(Step::Pre).times(1);
                vec![lost(Step::Pre), slow]
            }
        }
    }

    /// What a repository does next, once it is repaired: an event of its history, the how manieth.
    fn repaired_by(self) -> &'static str {
        match self {
            Self::Start => "finish_pre_import",
            Self::Promotion | Self::Notification(Step::Final) => "finish_import",
            Self::Notification(Step::Pre) | Self::NotificationOfLongStep => "finish_pre_import",
        }
    }

    /// After which event of its history it was lost.
    fn lost_after(self) -> &'static str {
        match self {
            Self::Start | Self::Notification(Step::Pre) | Self::NotificationOfLongStep => "start_pre_import",
            Self::Promotion | Self::Notification(Step::Final) => "start_import",
        }
    }

    /// How long after that it may stay so: a step's own time is not the driver's.
    fn goal(self) -> Duration {
        match self {
            Self::NotificationOfLongStep => GOAL + LONG.max(USUAL),
            Self::Start | Self::Promotion | Self::Notification(_) => GOAL,
        }
    }
}

/// How the reader is out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    Paused,
    Down,
    Hanging,
    PastBound,
    KeptConnectionsSilent,
}

pub(crate) async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let fleet = Fleet::stand_up(Topology::DirectReader, Duration::from_millis(200)).await?;
    for (number, (out, name)) in [
        (Out::Paused, "reader paused"),
        (Out::Down, "reader down"),
        (Out::Hanging, "reader hanging"),
        (Out::PastBound, "reader past its bound"),
        (Out::KeptConnectionsSilent, "kept connections silent"),
    ]
    .into_iter()
    .enumerate()
    {
        let proxies = fleet.stack.proxies()?;
        match out {
            Out::Paused => fleet.stack.pair().pause_replay().await?,
            Out::Down => proxies.reader.go(Way::Down).await?,
            Out::Hanging => proxies.reader.go(Way::Silent).await?,
            Out::PastBound => {
                fleet.stack.pair().pause_replay().await?;
                heartbeat_of_an_hour_ago(&fleet.stack).await?;
            }
            Out::KeptConnectionsSilent => {}
        }
        repair(&fleet, name, number, out == Out::KeptConnectionsSilent, figures).await?;
        proxies.reader.go(Way::Open).await?;
        fleet.stack.pair().resume_replay().await?;
        fleet.stack.pair().wait_until_replayed().await?;
    }
    fleet.stop().await
}

/// The reader is a second cluster that has none of its tables yet.
pub(crate) async fn measure_copying(figures: &mut Figures) -> anyhow::Result<()> {
    let fleet = Fleet::stand_up(Topology::ReplicaCluster, Duration::from_millis(200)).await?;
    fleet.stack.pair().pause_replay().await?;
    let reader = fleet.stack.pair().reader().connect().await?;
    reader.batch_execute("UPDATE pg_subscription_rel SET srsubstate = 'd'").await?;
    repair(&fleet, "second cluster still copies", 9, false, figures).await?;
    fleet.stop().await
}

/// Loses one of each kind, and measures how long each stays lost.
async fn repair(
    fleet: &Fleet,
    name: &str,
    number: usize,
    silent: bool,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    sql(&fleet.stack, "UPDATE migration_settings SET enabled = false").await?;
    let path = |kind: usize| format!("lost{number}/image{kind}");
    for (kind, (_, loss)) in LOSSES.into_iter().enumerate() {
        for rule in loss.rules() {
            fleet.registry()?.rules().add(rule.repository(&path(kind)));
        }
    }
    let paths: Vec<String> = (0..LOSSES.len()).map(path).collect();
    repositories(&fleet.stack, &paths.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    sql(&fleet.stack, "UPDATE migration_settings SET enabled = true").await?;
    if silent {
        until_lost(fleet, &paths).await?;
        let proxies = fleet.stack.proxies()?;
        for proxy in [Some(&proxies.reader), Some(&proxies.data_api), proxies.registry.as_ref()] {
            proxy.context("no proxy stands before the registry")?.forget();
        }
    }
    for (kind, (what, loss)) in LOSSES.into_iter().enumerate() {
        let took = took(fleet, &path(kind), loss).await?;
        figures.within(name, &format!("until {what} is made good"), took, loss.goal())?;
    }
    Ok(())
}

/// Waits until all of them have been started.
async fn until_lost(fleet: &Fleet, paths: &[String]) -> anyhow::Result<()> {
    let began = Instant::now();
    let query = "SELECT count(*) = 0 FROM container_repositories WHERE path = ANY ($1) AND migration_state = 'default'";
    while !fleet.database.query_one(query, &[&paths]).await?.get::<_, bool>(0) {
        ensure!(began.elapsed() < PATIENCE, "they are not started");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// How long it was, by the history, from the step's beginning until it was known to be over.
async fn took(fleet: &Fleet, path: &str, loss: Loss) -> anyhow::Result<Option<Duration>> {
    let query = "SELECT extract(epoch FROM
            min(t.created_at) FILTER (WHERE t.applied AND t.event = $3)
            - min(t.created_at) FILTER (WHERE t.applied AND t.event = $2))::float8
        FROM migration_transitions AS t JOIN container_repositories AS c ON c.id = t.repository_id WHERE c.path = $1";
    let began = Instant::now();
    loop {
        let row = fleet.database.query_one(query, &[&path, &loss.lost_after(), &loss.repaired_by()]).await?;
        if let Some(seconds) = row.get::<_, Option<f64>>(0) {
            return Ok(Some(Duration::from_secs_f64(seconds.max(0.0))));
        }
        if began.elapsed() > PATIENCE {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
