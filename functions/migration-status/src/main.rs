//! Shows how migrations stand, from the reader.

use std::{process::ExitCode, sync::Arc};

use direct_endpoint::connect_reads;
use lambda_http::Error;
use migration_status::{config::Config, deps::Deps, router::handle};
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    runtime::{process, run_http},
    store::Store,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("migration-status", run()).await
}

async fn run() -> Result<(), Error> {
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let secrets = SecretReader::new(&sdk);
    let reads = connect_reads(&config.reader, &config.writer, &sdk, &secrets)?;
    let deps = Arc::new(Deps {
        statuses: Store::new(Arc::clone(&reads)),
        histories: Store::new(Arc::clone(&reads)),
        lists: Store::new(Arc::clone(&reads)),
        summaries: Store::new(reads),
        token: config.operator.load(secrets).await?,
    });
    run_http(move |request, budget| handle(Arc::clone(&deps), request, budget)).await
}
