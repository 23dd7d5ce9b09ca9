//! Receives the registry's notifications.

use std::{process::ExitCode, sync::Arc};

use lambda_http::Error;
use registry_notification::{
    config::Config,
    handler::{Deps, handle},
};
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    runtime::{process, run_http},
    store::Store,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("registry-notification", run()).await
}

async fn run() -> Result<(), Error> {
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let secrets = SecretReader::new(&sdk);
    let writer = config.writer.connect(&sdk);
    let deps = Arc::new(Deps {
        notifications: Store::new(writer.clone()),
        claims: Store::new(writer.clone()),
        guard: Store::new(writer),
        // A notification is recorded without the key that the registry is called with.
        registry: config.registry.connect_later(&secrets)?,
        secret: config.notification.load(secrets).await?,
    });
    run_http(move |request, budget| handle(Arc::clone(&deps), request, budget)).await
}
