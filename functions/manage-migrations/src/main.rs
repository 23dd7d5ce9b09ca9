//! What operators change: repositories, migrations, settings.

use std::{process::ExitCode, sync::Arc};

use lambda_http::Error;
use manage_migrations::{config::Config, deps::Deps, router::handle};
use shared::{
    config::{aws::sdk_config, from_process, secrets::SecretReader},
    runtime::{process, run_http},
    store::Store,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process("manage-migrations", run()).await
}

async fn run() -> Result<(), Error> {
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let secrets = SecretReader::new(&sdk);
    // Side by side: the request that this process is started for waits meanwhile.
    let (registry, token) = tokio::try_join!(config.registry.connect(&secrets), async {
        Ok(config.operator.load(secrets.clone()).await?)
    })?;
    let writer = config.writer.connect(&sdk);
    let deps =
        Arc::new(Deps { store: Store::new(writer.clone()), claims: Store::new(writer), registry, token });
    run_http(move |request, budget| handle(Arc::clone(&deps), request, budget)).await
}
