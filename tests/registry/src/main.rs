//! The local registry as a program of its own.

mod arguments;

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use clap::Parser;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local_registry::storage::{Storage, verify, write_sample};
use local_registry::{Distribution, DistributionConfig, Personality, Registry, SigningKeys, comparison};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use arguments::{Arguments, Command, Serve, ServeDistribution, Token};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Serve(serve) => run(serve).await,
        Command::ServeDistribution(serve) => run_distribution(serve).await,
        Command::MakeStorage { directory, repositories } => {
            let sample = write_sample(&Storage::new(&directory), repositories)?;
            say(&json!({"repositories": sample.repositories, "tags": sample.tags}))
        }
        Command::Verify { old, new } => compare(&Storage::new(old), &Storage::new(new)),
        Command::CompareDistribution { personality, url } => compare_distribution(personality, &url).await,
        Command::MakeKeys { directory } => make_keys(&directory),
        Command::Token(token) => sign(&token),
    }
}

async fn run(serve: Serve) -> anyhow::Result<()> {
    let mut ends = Ends::listen()?;
    let registry = Registry::start(serve.config()?).await?;
    say(&json!({"ready": true, "url": registry.url()}))?;
    ends.wait().await;
    registry.stop().await;
    Ok(())
}

async fn run_distribution(serve: ServeDistribution) -> anyhow::Result<()> {
    let mut ends = Ends::listen()?;
    let registry = Distribution::start(serve.config()?).await?;
    say(&json!({"ready": true, "url": registry.url(), "files_url": registry.files_url()}))?;
    ends.wait().await;
    registry.stop().await;
    Ok(())
}

/// The signals that end the program.
struct Ends {
    terminated: Signal,
    interrupted: Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Self> {
        let (terminated, interrupted) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminated: signal(terminated)?, interrupted: signal(interrupted)? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}

/// A line for each container repository of the old storage.
fn compare(old: &Storage, new: &Storage) -> anyhow::Result<()> {
    let (repositories, mut different) = (old.repositories()?, 0);
    if repositories.is_empty() {
        bail!("{} holds no container repository: there is nothing to compare", old.root().display());
    }
    for path in repositories {
        match verify(old, new, &path) {
            Ok(verified) => say(&json!({"path": path, "equal": true, "verified": verified}))?,
            Err(error) => {
                different += 1;
                say(&json!({"path": path, "equal": false, "message": error.to_string()}))?;
            }
        }
    }
    if different > 0 {
        bail!("{different} container repositories differ");
    }
    Ok(())
}

/// A line for each answer that differs.
async fn compare_distribution(personality: Personality, url: &str) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("local-registry-{}", std::process::id()));
    let ours = Distribution::start(DistributionConfig::new(personality, &folder)).await?;
    let told = async { anyhow::Ok((comparison::ask(url).await?, comparison::ask(&ours.url()).await?)) }.await;
    ours.stop().await;
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    let (real, fake) = told?;
    let differences = comparison::differences(&real, &fake);
    for line in &differences {
        say(&json!({"difference": line}))?;
    }
    say(&json!({"questions": real.len(), "differences": differences.len()}))?;
    if !differences.is_empty() {
        bail!("{} answers differ", differences.len());
    }
    Ok(())
}

fn make_keys(directory: &Path) -> anyhow::Result<()> {
    let keys = SigningKeys::generate()?;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let write = |name: &str, pem: &str| {
        let path = directory.join(name);
        std::fs::write(&path, pem).with_context(|| format!("cannot write {}", path.display()))?;
        anyhow::Ok(path)
    };
    say(&json!({
        "private": write("private.pem", keys.private_key_pem.expose_secret())?,
        "public": write("public.pem", &keys.public_key_pem)?,
        "certificate": write("certificate.pem", &keys.certificate_pem)?,
    }))
}

/// Prints a token as the driver makes them, to call the registry by hand.
fn sign(token: &Token) -> anyhow::Result<()> {
    let pem = std::fs::read(&token.private_key)
        .with_context(|| format!("the private key {}", token.private_key.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "aud": token.audience,
        "iss": token.issuer,
        "exp": now + token.valid_seconds,
        "access": [{"type": "registry", "name": "import", "actions": ["*"]}],
    });
    let signed = encode(&Header::new(Algorithm::RS256), &claims, &EncodingKey::from_rsa_pem(&pem)?)?;
    writeln!(std::io::stdout(), "{signed}")?;
    Ok(())
}

fn say(line: &serde_json::Value) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to standard output")
}
