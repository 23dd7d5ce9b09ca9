//! The registry is not there for two minutes, in three ways.

use std::time::{Duration, Instant};

use anyhow::Context;
use local::{
    local_registry::{Effect, Rule, When},
    postgres_pair::proxy::Way,
};

use crate::{
    Arguments, Scenario,
    figures::Figures,
    fleet::{CAPACITY, Fleet, PATIENCE},
};

pub(crate) async fn measure(
    scenario: Scenario,
    arguments: &Arguments,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let fleet = Fleet::start(arguments.repositories).await?;
    fleet.until_done(20).await?;
    let (given_up, retries) = (fleet.given_up().await?, fleet.retries().await?);
    let proxy = fleet.stack.proxies()?.registry.as_ref().context("no proxy stands before the registry")?;
    let page = |status: u16, body: &str| {
        let body = Some(format!("<html><h1>{body}</h1></html>"));
        Effect::Answer { status, code: None, detail: None, body, when: When::Before }
    };
    let effect = match scenario {
        Scenario::BadGateway => Some(page(502, "502 Bad Gateway")),
        Scenario::ForeignPage => Some(page(200, "We will be back soon")),
        _ => None,
    };
    let rules = fleet.registry()?.rules();
    let rule = effect.map(|effect| rules.add(Rule::new(effect)));
    if rule.is_none() {
        proxy.go(Way::Down).await?;
    }
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let asked = fleet.registry()?.journal().requests().len();
    match rule {
        Some(rule) => drop(rules.remove(rule)),
        None => proxy.go(Way::Open).await?,
    }
    let over = Instant::now();
    let answered =
        fleet.registry()?.journal().wait_until(PATIENCE, |journal| journal.requests().len() > asked).await;
    let first = answered.then(|| over.elapsed());
    let running = fleet.until_running(CAPACITY).await?;
    let name = match scenario {
        Scenario::BadGateway => "registry answers 502",
        Scenario::ForeignPage => "registry is a foreign page",
        _ => "registry is down",
    };
    figures.at_most(name, "repositories given up", fleet.given_up().await? - given_up, 0)?;
    figures.at_most(name, "retries counted", fleet.retries().await? - retries, 0)?;
    figures.note(name, "first answer after its return, s", tenths(first))?;
    figures.within(
        name,
        "from the first answer until all slots are in use",
        running,
        Duration::from_secs(15),
    )?;
    fleet.stop().await
}

pub(crate) fn tenths(time: Option<Duration>) -> String {
    time.map_or("never".to_owned(), |time| format!("{:.1}", time.as_secs_f64()))
}
