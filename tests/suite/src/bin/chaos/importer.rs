//! The importer as the engine: two local registries, and `registry-migration serve` between them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::Ipv4Addr,
    process::Child,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use local::{
    Function, Stack,
    local_registry::{Personality, digest::Digest},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, rngs::StdRng};
use suite::copying::{Pair, command, noise};

use crate::plan::Fate;

/// How long `serve` may take to listen, and to end in order.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two registries, and the process that copies from the one to the other.
pub(crate) struct Importer {
    pub(crate) pair: Pair,
    pub(crate) fates: BTreeMap<String, Fate>,
    port: u16,
    serving: Option<Child>,
}

impl Importer {
    /// Puts the images into the source.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub(crate) async fn fill(random: &mut StdRng, count: usize, port: u16) -> Result<Self> {
        let to = [Personality::Distribution2, Personality::Distribution3][random.random_range(0..2)];
        let pair = Pair::start(Personality::Distribution2, to).await?;
        let mut fates = BTreeMap::new();
        for number in 0..count {
            let path = format!("group{}/image{number}", number % 7);
            let fate = match random.random_range(0..100) {
                0..4 => Fate::Missing,
                4..8 => Fate::NeverDone,
                _ => Fate::Done,
            };
            let tags = if fate == Fate::Missing { 0 } else { random.random_range(1..4) };
            for tag in 0..tags {
                let layer = noise(random.random(), random.random_range(100..9000));
                pair.composed_image(&path, &format!("v{tag}"), &[&layer])?;
                if fate == Fate::NeverDone {
                    pair.source.storage().remove_layer(&path, &Digest::of(&layer))?;
                }
            }
            fates.insert(path, fate);
        }
        Ok(Self { pair, fates, port, serving: None })
    }

    /// Lets both registries fail at random.
    pub(crate) fn disturb(&self, random: &mut StdRng) {
        suite::copying::disturb(&self.pair, random, false);
    }

    /// Where the driver finds it.
    pub(crate) fn url(port: u16) -> String {
        format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
    }

    /// Starts it for that stack, and waits until it listens.
    ///
    /// # Errors
    /// When it ends instead.
    pub(crate) async fn serve(&mut self, stack: &Stack) -> Result<()> {
        let described = stack.describe().await;
        let environment = stack.environment(Function::GuardMigrations);
        let of = |name: &str| environment.get(name).cloned().unwrap_or_default();
        let folder = stack.folder();
        let (key, secret, said) =
            (folder.join("importer.pem"), folder.join("importer-secret"), folder.join("importer.txt"));
        fs::write(&key, &described.registry_token_public_key)?;
        fs::write(&secret, &described.notification_secret)?;
        let output = File::create(&said)?;
        let child = command()?
            .args(["serve", "--from", &self.pair.source.url(), "--to", &self.pair.target.url()])
            .args(["--listen", &format!("{}:{}", Ipv4Addr::LOCALHOST, self.port), "--state"])
            .arg(self.pair.state())
            .arg("--public-key")
            .arg(key)
            .args(["--audience", &of("REGISTRY_TOKEN_AUDIENCE"), "--issuer", &of("REGISTRY_TOKEN_ISSUER")])
            .args(["--notify", &described.notification_url, "--notify-secret"])
            .arg(secret)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let serving = self.serving.insert(child);
        let began = Instant::now();
        while !fs::read_to_string(&said)?.contains("Listening at") {
            ensure!(serving.try_wait()?.is_none(), "serve ended: {}", fs::read_to_string(&said)?);
            ensure!(began.elapsed() < PATIENCE, "serve does not listen: {}", fs::read_to_string(&said)?);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends it by this signal, and starts it again.
    ///
    /// # Errors
    /// When it does not end or start.
    pub(crate) async fn restart(&mut self, stack: &Stack, by: Signal) -> Result<()> {
        self.end(by).await?;
        self.serve(stack).await
    }

    /// Ends it by this signal.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn end(&mut self, by: Signal) -> Result<()> {
        let Some(mut serving) = self.serving.take() else { return Ok(()) };
        kill(Pid::from_raw(serving.id().try_into()?), by)?;
        let began = Instant::now();
        while serving.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                serving.kill()?;
                anyhow::bail!("serve does not end by {by}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whether a repository's tags are at the target, each with its digest.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn check(&self, path: &str) -> Result<()> {
        let (source, target) = (self.pair.source.storage(), self.pair.target.storage());
        let tags = source.tags(path)?;
        ensure!(target.tags(path)? == tags, "other tags at the target");
        for digest in source.revisions(path)? {
            ensure!(target.has_manifest(path, &digest)?, "no manifest {digest} at the target");
            ensure!(source.read_blob(&digest)? == target.read_blob(&digest)?, "another {digest}");
        }
        Ok(())
    }
}

impl Drop for Importer {
    fn drop(&mut self) {
        if let Some(serving) = &mut self.serving {
            let _ = serving.kill();
            let _ = serving.wait();
        }
    }
}
