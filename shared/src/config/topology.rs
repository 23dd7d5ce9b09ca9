use std::{fmt::Display, str::FromStr};

use super::Environment;

/// What the two endpoints are. The Data API runs everything on the writer of the cluster that the call names, reads too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One cluster behind the Data API: the reader is the writer. Nothing lags, nothing is offloaded.
    Single,
    /// The reader is reached over TCP: Aurora's `cluster-ro` endpoint or an RDS Proxy's read-only endpoint.
    DirectReader,
    /// The reader is a second cluster behind the Data API, fed by logical replication.
    ReplicaCluster,
}

impl Topology {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Single, Self::DirectReader, Self::ReplicaCluster];

    /// Its name in `TOPOLOGY`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::DirectReader => "direct-reader",
            Self::ReplicaCluster => "replica-cluster",
        }
    }
}

/// The text names no topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be single, direct-reader or replica-cluster")]
pub struct UnknownTopology;

impl FromStr for Topology {
    type Err = UnknownTopology;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|topology| topology.name() == text).ok_or(UnknownTopology)
    }
}

/// A variable that only some topologies use.
#[derive(Clone, Copy, Debug)]
pub struct TopologyVariable {
    name: &'static str,
    used_with: &'static [Topology],
    check: fn(&mut Environment<'_>, &'static str),
}

impl TopologyVariable {
    /// The variable `name`, which is a `T`, and the topologies that use it.
    #[must_use]
    pub const fn new<T: FromStr<Err: Display>>(name: &'static str, used_with: &'static [Topology]) -> Self {
        Self { name, used_with, check: check::<T> }
    }
}

fn check<T: FromStr<Err: Display>>(environment: &mut Environment<'_>, name: &'static str) {
    let _: Option<Option<T>> = environment.optional(name);
}

impl Topology {
    /// Reads `TOPOLOGY`, and refuses what is set of `variables` and not used with it. What cannot be read is refused
    /// whatever the topology is.
    pub fn read(environment: &mut Environment<'_>, variables: &[TopologyVariable]) -> Option<Self> {
        for variable in variables {
            (variable.check)(environment, variable.name);
        }
        // Without a topology nobody knows what should be there.
        let topology: Self = environment.required("TOPOLOGY")?;
        for variable in variables.iter().filter(|variable| !variable.used_with.contains(&topology)) {
            environment.refuse_unused(variable.name, &format!("TOPOLOGY={}", topology.name()));
        }
        Some(topology)
    }
}
