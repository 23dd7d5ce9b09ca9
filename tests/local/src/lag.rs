//! `local lag`: the running stack's replica.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use local::postgres_pair::{logical, replay};
use local::{StackFile, Topology};

/// Make the running stack's reader stale, or let it catch up.
#[derive(Args)]
pub(crate) struct Lag {
    /// `pause`, `resume`, or for how many milliseconds the reader shows each commit later (0: none), which a logical
    /// replica cannot.
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Pause,
    Resume,
    Milliseconds(u64),
}

#[derive(Debug)]
struct NotALag;

impl std::error::Error for NotALag {}

impl std::fmt::Display for NotALag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected pause, resume or a number of milliseconds")
    }
}

impl FromStr for What {
    type Err = NotALag;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pause" => Ok(Self::Pause),
            "resume" => Ok(Self::Resume),
            number => number.parse().map(Self::Milliseconds).map_err(|_| NotALag),
        }
    }
}

impl Lag {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let StackFile { topology, writer_dsn: writer, reader_dsn: reader, .. } = StackFile::read()?;
        match (topology, self.what) {
            (Topology::Single, _) => {
                bail!("nothing lags in the topology single: the reader is the writer's cluster")
            }
            (Topology::ReplicaCluster, What::Pause) => logical::pause(&writer, &reader).await?,
            (Topology::ReplicaCluster, What::Resume) => logical::resume(&reader).await?,
            (Topology::ReplicaCluster, What::Milliseconds(_)) => {
                bail!("a logical replica can be paused and resumed, not delayed (standby-cluster can)")
            }
            (Topology::StandbyCluster | Topology::DirectReader, What::Pause) => {
                replay::pause(&reader).await?
            }
            (Topology::StandbyCluster | Topology::DirectReader, What::Resume) => {
                replay::resume(&reader).await?;
            }
            (Topology::StandbyCluster | Topology::DirectReader, What::Milliseconds(milliseconds)) => {
                replay::delay(&reader, Duration::from_millis(milliseconds)).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
