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
    /// A claim takes what is held, whether a hold still holds it or not.
    ClaimIgnoresHold,
}

impl Flip {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::NotificationOnReader,
        Self::GuardHasNoPatience,
        Self::ClaimDoesNotCount,
        Self::AnyAttemptIsOwn,
        Self::SilenceIsRefusal,
        Self::ClaimIgnoresHold,
    ];
}
