//! The program `local-data-api`: the library behind flags or a file.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use local_data_api::{Cluster, Config, DataApi, Secret};
use tokio::signal::unix::{SignalKind, signal};

/// A strict local RDS Data API in front of PostgreSQL servers.
///
/// Prints one JSON line with its URL when it is ready and runs until it is told to stop (Ctrl-C, SIGTERM).
/// Point an SDK at it with AWS_ENDPOINT_URL_RDS_DATA.
#[derive(Parser)]
#[command(name = "local-data-api", version)]
struct Flags {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// A cluster's ARN and its PostgreSQL server; may be given several times
    #[arg(long, value_name = "ARN=HOST:PORT", value_parser = cluster)]
    cluster: Vec<Cluster>,
    /// A secret's ARN and the role behind it; may be given several times. Others on this machine can read a
    /// process's arguments: a real password belongs in the file
    #[arg(long, value_name = "ARN=USER:PASSWORD", value_parser = secret)]
    secret: Vec<Secret>,
    /// The database of a call that names none [default: postgres]
    #[arg(long, value_name = "NAME")]
    default_database: Option<String>,
    /// A JSON file with the same settings and the limits; flags come on top of it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much to log on standard error
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: tracing::Level,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    tracing_subscriber::fmt().with_max_level(flags.log).with_writer(std::io::stderr).init();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let server = DataApi::start(flags.config()?).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "ready": true, "url": server.url() }))?;
    out.flush()?;

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.stop().await;
    Ok(())
}

impl Flags {
    fn config(self) -> anyhow::Result<Config> {
        let mut config: Config = match &self.config {
            None => Config::default(),
            Some(path) => {
                let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))?
            }
        };
        config.clusters.extend(self.cluster);
        config.secrets.extend(self.secret);
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(database) = self.default_database {
            config.default_database = Some(database);
        }
        anyhow::ensure!(!config.clusters.is_empty(), "no cluster: give --cluster or --config");
        Ok(config)
    }
}

fn cluster(text: &str) -> anyhow::Result<Cluster> {
    let (arn, server) = text.split_once('=').context("not ARN=HOST:PORT")?;
    let (host, port) = server.rsplit_once(':').context("not ARN=HOST:PORT")?;
    Ok(Cluster::new(arn, host.trim_matches(['[', ']']), port.parse().context("not a port")?))
}

fn secret(text: &str) -> anyhow::Result<Secret> {
    let (arn, user) = text.split_once('=').context("not ARN=USER:PASSWORD")?;
    let (username, password) = user.split_once(':').context("not ARN=USER:PASSWORD")?;
    Ok(Secret { arn: arn.to_owned(), username: username.to_owned(), password: password.to_owned() })
}
