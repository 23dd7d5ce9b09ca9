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
    /// The newest mark that is older than the operators' bound, by the writer's clock. None: there is no bound, or
    /// no mark has come to that age.
    pub due_mark: Option<i64>,
}

impl ReaderRule {
    /// Whether a reader that has `mark` is past the bound. Marks are compared and no clocks: it lacks something that
    /// was on the writer for longer than the bound.
    #[must_use]
    pub fn is_past_bound(&self, mark: i64) -> bool {
        self.due_mark.is_some_and(|due| mark < due)
    }
}

/// How the writer stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Standing {
    /// Which server it is.
    pub identity: Identity,
    /// When the reader may be asked.
    #[serde(flatten)]
    pub rule: ReaderRule,
}

/// How the reader stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// Which server it is.
    pub identity: Identity,
    /// The newest mark that it has.
    pub mark: i64,
}

#[cfg(test)]
mod tests {
    use super::{Identity, ReaderRule, Relation};

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
    fn a_reader_is_past_the_bound_exactly_when_it_lacks_a_mark_that_is_due() {
        let past = |due_mark, mark| ReaderRule { reader_enabled: true, due_mark }.is_past_bound(mark);
        assert_eq!([6, 7, 8].map(|mark| past(Some(7), mark)), [true, false, false]);
        assert_eq!([0, i64::MAX].map(|mark| past(None, mark)), [false, false], "nothing is known");
    }
}
