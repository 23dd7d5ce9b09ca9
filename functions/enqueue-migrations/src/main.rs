//! Fills free slots on a schedule.

use std::{process::ExitCode, sync::Arc};

use enqueue_migrations::{
    config::Config,
    handler::{Deps, handle},
};
use lambda_http::Error;
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    runtime::{Budget, process, run_rounds},
    store::Store,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("enqueue-migrations", run()).await
}

async fn run() -> Result<(), Error> {
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let deps = Arc::new(Deps {
        store: Store::new(config.writer.connect(&sdk)),
        registry: config.registry.connect(&SecretReader::new(&sdk)).await?,
    });
    let idle = Arc::clone(&deps);
    let is_idle = move |budget: Budget| {
        let deps = Arc::clone(&idle);
        async move { deps.store.is_idle(budget.deadline()).await }
    };
    let round = move |budget| handle(Arc::clone(&deps), budget);
    run_rounds(config.schedule.rounds(), round, is_idle).await
}
