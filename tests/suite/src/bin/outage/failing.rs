//! Every import fails for ten seconds.

use std::time::{Duration, Instant};

use local::local_registry::{Effect, Operation, Rule};

use crate::{
    Arguments,
    figures::Figures,
    fleet::{CAPACITY, Fleet, PATIENCE},
    unreachable::tenths,
};

const NAME: &str = "every import fails for 10 s";

pub(crate) async fn measure(arguments: &Arguments, figures: &mut Figures) -> anyhow::Result<()> {
    let fleet = Fleet::start(arguments.repositories).await?;
    fleet.until_done(20).await?;
    let (given_up, started) = (fleet.given_up().await?, started(&fleet)?);
    let failing = Rule::new(Effect::Fail { error: "no space left on device".to_owned() });
    let rule = fleet.registry()?.rules().add(failing);
    tokio::time::sleep(Duration::from_secs(10)).await;
    fleet.registry()?.rules().remove(rule);
    let limit = fleet.number("SELECT circuit_breaker_failures FROM migration_settings").await?;
    let most = i64::try_from(CAPACITY)? + limit;
    figures.at_most(
        NAME,
        "starts in that time",
        i64::try_from(self::started(&fleet)? - started)?,
        most - 1,
    )?;
    let closed = until_closed(&fleet).await?;
    let running = fleet.until_running(CAPACITY).await?;
    let worst = "SELECT max(retries_count) FROM container_repositories";
    figures.at_most(NAME, "repositories given up", fleet.given_up().await? - given_up, 0)?;
    figures.at_most(NAME, "retries of the one that has most", fleet.number(worst).await?, 1)?;
    figures.note(NAME, "from the end of it until the circuit breaker closed, s", tenths(closed))?;
    let goal = Duration::from_secs(15);
    figures.within(NAME, "from then until all slots are in use", running, goal)?;
    fleet.stop().await
}

fn started(fleet: &Fleet) -> anyhow::Result<usize> {
    let requests = fleet.registry()?.journal().requests();
    let accepted = requests
        .iter()
        .filter(|request| request.operation == Operation::Start && request.answered == Some(202));
    Ok(accepted.count())
}

async fn until_closed(fleet: &Fleet) -> anyhow::Result<Option<Duration>> {
    let began = Instant::now();
    while fleet.number("SELECT count(opened_at) FROM migration_brake").await? > 0 {
        if began.elapsed() > PATIENCE {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Some(began.elapsed()))
}
