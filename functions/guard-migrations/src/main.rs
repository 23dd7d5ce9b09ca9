//! Reconciles what seems stuck with the registry, on a schedule.

use std::{process::ExitCode, sync::Arc};

use direct_endpoint::connect_reads;
use guard_migrations::{config::Config, handler::handle};
use lambda_http::Error;
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    driver::Guardian,
    runtime::{Budget, process, run_rounds},
    store::{Lease, Store},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("guard-migrations", run()).await
}

async fn run() -> Result<(), Error> {
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let secrets = SecretReader::new(&sdk);
    let writer = config.writer.connect(&sdk);
    let guardian = Arc::new(Guardian {
        scan: Store::new(connect_reads(&config.reader, &config.writer.address(), &sdk, &secrets)?),
        store: Store::new(writer.clone()),
        claims: Store::new(writer),
        registry: config.registry.connect(&secrets).await?,
        lease: Lease::random(),
    });
    let idle = Arc::clone(&guardian);
    let is_idle = move |budget: Budget| {
        let guardian = Arc::clone(&idle);
        async move { guardian.store.is_idle(budget.deadline()).await }
    };
    let round = move |budget| handle(Arc::clone(&guardian), budget);
    run_rounds(config.schedule.rounds(), round, is_idle).await
}
