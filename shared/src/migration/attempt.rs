use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Names one request to the registry to run one step. Sent as `X-Request-ID`; the registry sends it back
/// with its notification. Also the id of the change that made the attempt, so that a statement whose outcome
/// is unknown can be sent again and recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(Uuid);

impl AttemptId {
    /// Wraps an id made elsewhere: the core makes none.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads the hyphenated text that travels in `X-Request-ID`; `None` for anything else, since a proxy may
    /// have replaced the header with an id of its own making.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text.trim()).ok().map(Self)
    }

    /// A number from 800 to 1200, the same for the same id: by so much of a thousand what waits because of this change
    /// waits longer or shorter, so that many do not come back together.
    #[must_use]
    pub fn permille(self) -> u64 {
        let (random, ..) = self.0.as_fields();
        800 + u64::from(random % 401)
    }

    /// The id itself.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::AttemptId;

    #[test]
    fn reads_an_id_as_the_registry_sends_it_back_and_nothing_else() {
        let id = AttemptId::new(Uuid::from_u128(0x6f0f_2f0e_0000_4000_8000_0000_0000_0001));
        assert_eq!(AttemptId::parse(&id.to_string()), Some(id));
        assert_eq!(AttemptId::parse(&format!(" {id} ")), Some(id));
        for other in ["", "7", "made-up-by-a-proxy", &format!("{id}0")] {
            assert_eq!(AttemptId::parse(other), None, "{other:?}");
        }
        assert_eq!(id.uuid().to_string(), "6f0f2f0e-0000-4000-8000-000000000001");
    }
}
