use serde::Deserialize;

/// Which server an endpoint leads to, as it says itself. Two answers of one server are equal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// Aurora's name for the instance; elsewhere the cluster's system identifier with the server's start.
    pub server: String,
    /// It is in recovery, or read-only for everybody.
    pub read_only: bool,
}

/// What two endpoints are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Two servers, and the writer can be written to.
    Distinct,
    /// One server: nothing lags and nothing is offloaded. So it is in the topology `single`, and so `cluster-ro`
    /// is where there is no replica.
    Collapsed,
    /// The writer cannot be written to: the two are swapped, or a failover is under way.
    Inverted,
}

impl Relation {
    /// The relation of a writer and a reader.
    #[must_use]
    pub fn of(writer: &Identity, reader: &Identity) -> Self {
        if writer.read_only {
            Self::Inverted
        } else if writer.server == reader.server {
            Self::Collapsed
        } else {
            Self::Distinct
        }
    }
}

/// How the writer stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Standing {
    /// Which server it is.
    pub identity: Identity,
    /// The operators' switch: whether the reader may be asked.
    pub reader_enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::{Identity, Relation};

    #[test]
    fn two_endpoints_are_distinct_collapsed_or_inverted() {
        let server = |name: &str, read_only| Identity { server: name.to_owned(), read_only };
        let (one, other) = (server("1", false), server("2", true));
        assert_eq!(Relation::of(&one, &other), Relation::Distinct);
        assert_eq!(Relation::of(&one, &server("2", false)), Relation::Distinct, "a logical replica");
        assert_eq!(Relation::of(&one, &one), Relation::Collapsed);
        assert_eq!(Relation::of(&other, &one), Relation::Inverted);
        assert_eq!(Relation::of(&other, &other), Relation::Inverted);
    }
}
