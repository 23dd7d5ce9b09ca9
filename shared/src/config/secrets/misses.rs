use std::{collections::VecDeque, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};

use crate::freshness::FetchedAt;

/// How long a value that the store did not know is refused without asking again.
const WRONG_FOR: Duration = Duration::from_secs(10);

/// How many values are remembered. The oldest makes room.
const MOST: usize = 64;

/// Values that somebody presented and the store did not know, each by its hash: a value may be a secret, of something
/// else or of tomorrow.
#[derive(Debug, Default)]
pub(super) struct Misses(VecDeque<(Hash, FetchedAt)>);

type Hash = [u8; 32];

impl Misses {
    /// Whether the store did not know the value a moment ago.
    pub(super) fn knows(&self, presented: &[u8]) -> bool {
        let hash = hash(presented);
        self.0.iter().any(|(known, at)| *known == hash && !at.is_older_than(WRONG_FOR))
    }

    /// Remembers that the store does not know the value.
    pub(super) fn remember(&mut self, presented: &[u8]) {
        let hash = hash(presented);
        self.0.retain(|(known, _)| *known != hash);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((hash, FetchedAt::now()));
    }
}

fn hash(presented: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, presented).as_ref());
    hash
}

#[cfg(test)]
impl Misses {
    pub(super) fn shift(&mut self, shifted: impl Fn(FetchedAt) -> FetchedAt) {
        for (_, at) in &mut self.0 {
            *at = shifted(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Misses, WRONG_FOR};

    #[tokio::test(start_paused = true)]
    async fn remembers_a_wrong_value_for_a_while() {
        let mut misses = Misses::default();
        misses.remember(b"wrong");
        assert_eq!([&b"wrong"[..], b"other", b""].map(|value| misses.knows(value)), [true, false, false]);
        tokio::time::advance(WRONG_FOR).await;
        assert!(!misses.knows(b"wrong"));
        misses.remember(b"wrong");
        misses.shift(|at| at.frozen_for(WRONG_FOR));
        assert!(!misses.knows(b"wrong"), "by the wall clock too");
    }

    #[test]
    fn forgets_the_oldest_of_too_many_wrong_values() {
        let mut misses = Misses::default();
        let value = |number: usize| number.to_string().into_bytes();
        for number in 0..=MOST {
            misses.remember(&value(number));
        }
        misses.remember(&value(MOST));
        assert_eq!([0, 1, MOST].map(|number| misses.knows(&value(number))), [false, true, true]);
        assert_eq!(misses.0.len(), MOST);
    }
}
