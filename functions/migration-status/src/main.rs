//! Shows how migrations stand, from the reader.

use std::{process::ExitCode, sync::Arc};

use direct_endpoint::connect_reader;
use lambda_http::Error;
use migration_status::{
    config::Config,
    handler::{Deps, handle},
};
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    driver::Reading,
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
    let reader = connect_reader(&config.reader, &sdk, &secrets)?;
    let deps = Arc::new(Deps {
        statuses: Store::new(reader.clone()),
        histories: Store::new(reader.clone()),
        lists: Store::new(reader.clone()),
        summaries: Store::new(reader.clone()),
        reading: Reading::new(reader, config.writer.connect_with_the_role_of(&config.reader, &sdk)),
        token: config.operator.load(secrets).await?,
    });
    run_http(move |request, budget| handle(Arc::clone(&deps), request, budget)).await
}
