//! Status reads that name what their caller has seen, against a row that changes all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use local::Stack;
use reqwest::Method;
use serde_json::Value;

use crate::primary;

/// The row.
const PATH: &str = "group/changing";

/// What became of some reads.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// How many there were. None of them showed less than its caller had seen.
    pub all: usize,
    /// How many of them the reader answered.
    pub by_the_reader: usize,
}

/// Makes `reads` reads, `callers` at once, each naming the newest version that is committed when it is made.
///
/// # Errors
/// When one of them is answered with something older, or not at all.
pub async fn read_with_positions(stack: &Stack, reads: usize, callers: usize) -> anyhow::Result<Reads> {
    let client = primary(stack).await?;
    let insert = "INSERT INTO container_repositories (path) VALUES ($1) ON CONFLICT (path) DO NOTHING";
    client.execute(insert, &[&PATH]).await?;
    let change = "UPDATE container_repositories SET version = version + 1 WHERE path = $1 RETURNING version";
    let newest = Arc::new(AtomicI64::new(client.query_one(change, &[&PATH]).await?.get(0)));
    let done = Arc::new(AtomicBool::new(false));
    let changing = tokio::spawn({
        let (newest, done) = (Arc::clone(&newest), Arc::clone(&done));
        async move {
            while !done.load(Ordering::Relaxed) {
                newest.store(client.query_one(change, &[&PATH]).await?.get(0), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        }
    });
    let mut reading = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (newest, caller) = (Arc::clone(&newest), stack.client());
        reading.spawn(async move {
            let mut by_the_reader = 0;
            for _ in 0..reads / callers {
                let seen = newest.load(Ordering::SeqCst);
                let url = format!("/migrations/status/{PATH}?min_version={seen}");
                let body: Value = caller.as_operator(Method::GET, &url).send().await?.json().await?;
                let shown = body["version"].as_i64().with_context(|| format!("{body}"))?;
                ensure!(shown >= seen, "version {shown} was shown to a caller who had seen {seen}: {body}");
                by_the_reader += usize::from(body["served_by"] == "reader");
            }
            anyhow::Ok(by_the_reader)
        });
    }
    let mut all = Reads { all: reads / callers * callers, by_the_reader: 0 };
    while let Some(read) = reading.join_next().await {
        all.by_the_reader += read??;
    }
    done.store(true, Ordering::Relaxed);
    changing.await??;
    Ok(all)
}
