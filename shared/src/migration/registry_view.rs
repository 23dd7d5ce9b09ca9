use super::RegistryStatus;

/// What the registry says of a repository when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RegistryView {
    /// It stands so.
    Says(RegistryStatus),
    /// It knows of no import of it.
    KnowsNothing,
    /// It did not say.
    NoAnswer,
}

impl RegistryView {
    /// How it stands, where the registry says so.
    #[must_use]
    pub const fn status(self) -> Option<RegistryStatus> {
        match self {
            Self::Says(status) => Some(status),
            Self::KnowsNothing | Self::NoAnswer => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RegistryStatus, RegistryView};

    #[test]
    fn tells_a_status_exactly_where_the_registry_does() {
        for &status in RegistryStatus::ALL {
            assert_eq!(RegistryView::Says(status).status(), Some(status));
        }
        assert_eq!(RegistryView::KnowsNothing.status(), None);
        assert_eq!(RegistryView::NoAnswer.status(), None);
    }
}
