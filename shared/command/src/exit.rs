//! How a run ends. Pure.

/// What a run's exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All that was asked for is at the target, and proven.
    Done,
    /// Wrong usage.
    Usage,
    /// Something could not be copied, or is not equal.
    Loss,
    /// A registry or the state directory cannot be used.
    Unusable,
    /// Ended before it was done.
    Unfinished,
}

impl Exit {
    /// The status for the system.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 1,
            Self::Loss => 2,
            Self::Unusable => 3,
            Self::Unfinished => 4,
        }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Repositories that were asked for.
    pub repositories: u64,
    /// Of these, complete.
    pub complete: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Tags that are equal, each read back.
    pub equal: u64,
    /// Tags that are not.
    pub unequal: u64,
    /// What the inventory or the reading of blobs found wrong.
    pub problems: u64,
    /// Somebody ended it.
    pub stopped: bool,
}

impl Tally {
    /// How it ends: never [`Exit::Done`] with a loss, nor with anything left to do.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if self.failed > 0 || self.unequal > 0 || self.problems > 0 {
            Exit::Loss
        } else if self.stopped || self.complete < self.repositories {
            Exit::Unfinished
        } else {
            Exit::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Tally};

    #[test]
    fn ends_with_0_only_where_all_is_there_and_proven() {
        let done = Tally { repositories: 3, complete: 3, equal: 9, ..Tally::default() };
        assert_eq!(done.exit(), Exit::Done);
        for (tally, exit) in [
            (Tally { complete: 2, failed: 1, ..done }, Exit::Loss),
            (Tally { equal: 8, unequal: 1, ..done }, Exit::Loss),
            (Tally { problems: 1, ..done }, Exit::Loss),
            (Tally { problems: 1, stopped: true, ..done }, Exit::Loss),
            (Tally { stopped: true, ..done }, Exit::Unfinished),
            (Tally { complete: 2, ..done }, Exit::Unfinished),
            (Tally { complete: 2, stopped: true, ..done }, Exit::Unfinished),
        ] {
            assert_eq!(tally.exit(), exit, "{tally:?}");
        }
        let all = [Exit::Done, Exit::Usage, Exit::Loss, Exit::Unusable, Exit::Unfinished];
        assert_eq!(all.map(Exit::status), [0, 1, 2, 3, 4]);
        for status in all.map(Exit::status) {
            let row = format!("\n| {status} | ");
            assert!(include_str!("../README.md").contains(&row), "the handbook lacks {status}");
        }
    }
}
