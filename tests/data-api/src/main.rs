//! The program `local-data-api`: the library behind flags or a file.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use local_data_api::{AnyArn, Cluster, Config, DataApi, Secret};
use tokio::signal::unix::{SignalKind, signal};

/// A strict local RDS Data API in front of PostgreSQL servers.
///
/// Prints one JSON line with its URL when it is ready and runs until it is told to stop (Ctrl-C, SIGTERM): then what
/// runs is cancelled and what is open is rolled back. Point an SDK at it with AWS_ENDPOINT_URL_RDS_DATA.
#[derive(Parser)]
#[command(name = "local-data-api", version)]
struct Flags {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS:PORT", env = "LOCAL_DATA_API_LISTEN")]
    listen: Option<SocketAddr>,
    /// A cluster's ARN and its PostgreSQL server; may be given several times, in the environment a line each
    #[arg(long, value_name = "ARN=HOST:PORT", value_parser = cluster, env = "LOCAL_DATA_API_CLUSTERS", value_delimiter = '\n')]
    cluster: Vec<Cluster>,
    /// A secret's ARN and the role behind it; may be given several times, in the environment a line each. Others on
    /// this machine can read a process's arguments: a real password belongs in the environment or the file
    #[arg(long, value_name = "ARN=USER:PASSWORD", value_parser = secret, env = "LOCAL_DATA_API_SECRETS",
        value_delimiter = '\n', hide_env_values = true)]
    secret: Vec<Secret>,
    /// The server and the role of every ARN and secret that is not named otherwise
    #[arg(long, value_name = "USER:PASSWORD@HOST:PORT", value_parser = any_arn, env = "LOCAL_DATA_API_ANY_ARN",
        hide_env_values = true)]
    any_arn: Option<AnyArn>,
    /// The database of a call that names none [default: the one that is called as the role is]
    #[arg(long, value_name = "NAME", env = "LOCAL_DATA_API_DEFAULT_DATABASE")]
    default_database: Option<String>,
    /// A file of authorities (PEM): speak TLS to the servers, whose certificates come from one of these
    #[arg(long, value_name = "FILE", env = "LOCAL_DATA_API_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// A file of SQL that is run before anything else, on the server of --any-arn or of the first cluster, as the
    /// first secret's role, in the default database. A server that is still starting is waited for
    #[arg(long, value_name = "FILE.sql", env = "LOCAL_DATA_API_INIT")]
    init: Option<PathBuf>,
    /// A JSON file with the same settings and the limits; the others come on top of it
    #[arg(long, value_name = "FILE", env = "LOCAL_DATA_API_CONFIG")]
    config: Option<PathBuf>,
    /// How much to log on standard error: at info a line for each call
    #[arg(long, value_name = "LEVEL", env = "LOCAL_DATA_API_LOG", default_value = "warn")]
    log: tracing::Level,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    tracing_subscriber::fmt().with_max_level(flags.log).with_writer(std::io::stderr).init();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let init = flags.init.as_deref().map(read).transpose()?;
    let server = DataApi::start(flags.config()?).await?;
    if let Some((path, sql)) = init {
        server.run_script(&sql).await.with_context(|| format!("in {}", path.display()))?;
    }
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
                let (path, text) = read(path)?;
                serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?
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
        config.any_arn = self.any_arn.or(config.any_arn);
        config.tls_ca = self.tls_ca.or(config.tls_ca);
        let some = !config.clusters.is_empty() || config.any_arn.is_some();
        anyhow::ensure!(some, "no cluster: give --cluster, --any-arn or --config");
        Ok(config)
    }
}

fn read(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path.to_owned(), text))
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

fn any_arn(text: &str) -> anyhow::Result<AnyArn> {
    const FORM: &str = "not USER:PASSWORD@HOST:PORT";
    let (user, server) = text.rsplit_once('@').context(FORM)?;
    let (username, password) = user.split_once(':').context(FORM)?;
    let (host, port) = server.rsplit_once(':').context(FORM)?;
    Ok(AnyArn {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().context("not a port")?,
        username: username.to_owned(),
        password: password.to_owned(),
    })
}
