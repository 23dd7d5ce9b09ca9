//! Counts, and measures the lag of the replica, on a schedule.

use std::{process::ExitCode, sync::Arc};

use direct_endpoint::connect_reader;
use lambda_http::Error;
use observe_migrations::{
    config::Config,
    handler::{Deps, handle},
};
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    driver::Observer,
    endpoint::Endpoints,
    runtime::{process, run_schedule},
    store::Store,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("observe-migrations", run()).await
}

async fn run() -> Result<(), Error> {
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let reader = connect_reader(&config.reader, &sdk, &SecretReader::new(&sdk))?;
    let endpoints = Endpoints { writer: config.writer.connect(&sdk), reader };
    let observer = Observer { store: Store::new(endpoints) };
    let deps = Arc::new(Deps { observer, namespace: config.namespace });
    run_schedule(move |_event, budget| handle(Arc::clone(&deps), budget)).await
}
