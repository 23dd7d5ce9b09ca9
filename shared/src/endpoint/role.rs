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

/// When the reader may be asked, as the writer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ReaderRule {
    /// The operators' switch.
    pub reader_enabled: bool,
    /// Operators have set a bound to the reader's lag.
    pub lag_is_bounded: bool,
    /// The newest heartbeat that is older than the bound, by the writer's clock. Where operators set none, hints have
    /// one all the same. None: no heartbeat has come to that age.
    pub overdue_heartbeat: Option<i64>,
}

/// How the writer stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct WriterStatus {
    /// Which server it is.
    pub identity: Identity,
    /// When the reader may be asked.
    #[serde(flatten)]
    pub rule: ReaderRule,
}

/// How the reader stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReaderStatus {
    /// Which server it is.
    pub identity: Identity,
    /// The newest heartbeat that it has replayed.
    pub heartbeat: i64,
    /// It is a second cluster that still copies its tables: what it has is not old, but not all there.
    pub is_copying: bool,
}

/// How far the reader is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReaderLag {
    /// Not too far, or nobody knows.
    #[default]
    Fresh,
    /// It lacks something that was on the writer for longer than the bound.
    Overdue,
    /// It still copies its tables.
    Copying,
}

impl ReaderLag {
    /// The lag of a reader. Heartbeats are compared and no clocks.
    #[must_use]
    pub fn of(rule: ReaderRule, reader: &ReaderStatus) -> Self {
        if reader.is_copying {
            Self::Copying
        } else if rule.overdue_heartbeat.is_some_and(|overdue| reader.heartbeat < overdue) {
            Self::Overdue
        } else {
            Self::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, ReaderLag, ReaderRule, ReaderStatus, Relation};

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

    #[test]
    fn a_reader_lags_exactly_while_it_lacks_an_overdue_heartbeat() {
        let lag = |overdue_heartbeat, heartbeat, is_copying| {
            let rule = ReaderRule { reader_enabled: true, lag_is_bounded: true, overdue_heartbeat };
            let identity = Identity { server: "2".to_owned(), read_only: true };
            ReaderLag::of(rule, &ReaderStatus { identity, heartbeat, is_copying })
        };
        assert_eq!(
            [6, 7, 8].map(|heartbeat| lag(Some(7), heartbeat, false)),
            [ReaderLag::Overdue, ReaderLag::Fresh, ReaderLag::Fresh]
        );
        assert_eq!([0, i64::MAX].map(|heartbeat| lag(None, heartbeat, false)), [ReaderLag::Fresh; 2]);
        // What is missing is missing, however new the rest is.
        assert_eq!([Some(7), None].map(|overdue| lag(overdue, 8, true)), [ReaderLag::Copying; 2]);
    }
}
