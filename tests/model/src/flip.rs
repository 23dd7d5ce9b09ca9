/// One decision that is turned round, to show that the checker would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flip {
    /// A notification is judged by what the reader has.
    NotificationOnReader,
    /// The guard cancels what runs, however long it has run.
    GuardHasNoPatience,
    /// A claim takes a slot by its number, and does not count.
    ClaimDoesNotCount,
    /// An attempt that never was the row's is taken for the row's own.
    AnyAttemptIsOwn,
    /// An answer that never came is taken for a refusal of the repository.
    SilenceIsRefusal,
}

impl Flip {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::NotificationOnReader,
        Self::GuardHasNoPatience,
        Self::ClaimDoesNotCount,
        Self::AnyAttemptIsOwn,
        Self::SilenceIsRefusal,
    ];
}
