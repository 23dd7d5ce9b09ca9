//! A hash that can be put aside and continued, by another process if need be.

use sha2::{
    Digest as _, Sha256, Sha512,
    digest::{
        array::Array,
        common::hazmat::{DeserializeStateError, SerializableState},
    },
};

use crate::{Algorithm, Digest};

/// Which version of `sha2` the middle state is written by. It is promised to be read again by the same one only.
const WRITTEN_BY: &[u8; 9] = b"sha2/0.11";

/// Computes a digest from bytes as they come.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    length: u64,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// What was put aside cannot be continued: another version wrote it. Hash again from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash was put aside by another version and must be begun anew")]
pub struct StaleState;

impl From<DeserializeStateError> for StaleState {
    fn from(_: DeserializeStateError) -> Self {
        Self
    }
}

impl Hasher {
    /// Begins.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state, length: 0 }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self.length += bytes.len() as u64;
    }

    /// How many bytes it has taken.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// What they come to.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.state {
            State::Sha256(state) => Digest::of_hash(Algorithm::Sha256, &state.finalize()),
            State::Sha512(state) => Digest::of_hash(Algorithm::Sha512, &state.finalize()),
        }
    }

    /// Puts it aside: what [`Hasher::resume`] goes on from. At most 250 bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut saved = WRITTEN_BY.to_vec();
        let (algorithm, state) = match &self.state {
            State::Sha256(state) => (1, state.serialize().to_vec()),
            State::Sha512(state) => (2, state.serialize().to_vec()),
        };
        saved.push(algorithm);
        saved.extend_from_slice(&self.length.to_be_bytes());
        saved.extend_from_slice(&state);
        saved
    }

    /// Goes on with what was put aside.
    ///
    /// # Errors
    /// [`StaleState`] where another version put it aside, or it is none of ours.
    pub fn resume(saved: &[u8]) -> Result<Self, StaleState> {
        let rest = saved.strip_prefix(WRITTEN_BY).ok_or(StaleState)?;
        let (algorithm, rest) = rest.split_first().ok_or(StaleState)?;
        let (length, state) = rest.split_first_chunk().ok_or(StaleState)?;
        let state = match algorithm {
            1 => State::Sha256(Sha256::deserialize(&Array::try_from(state).map_err(|_| StaleState)?)?),
            2 => State::Sha512(Sha512::deserialize(&Array::try_from(state).map_err(|_| StaleState)?)?),
            _ => return Err(StaleState),
        };
        Ok(Self { state, length: u64::from_be_bytes(*length) })
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Hasher, StaleState, WRITTEN_BY};
    use crate::{Algorithm, Digest};

    proptest! {
        #[test]
        fn goes_on_where_it_was_put_aside(bytes: Vec<u8>, cut in 0_usize..5000, wide: bool) {
            let algorithm = if wide { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let bytes = bytes.repeat(7);
            let (before, after) = bytes.split_at(cut.min(bytes.len()));
            let mut hasher = Hasher::new(algorithm);
            hasher.update(before);
            let saved = hasher.save();
            prop_assert!(saved.len() <= 250);
            let mut hasher = Hasher::resume(&saved).unwrap();
            prop_assert_eq!(hasher.length(), before.len() as u64);
            hasher.update(after);
            prop_assert_eq!(hasher.finish(), Digest::of(algorithm, &bytes));
        }

        #[test]
        fn survives_any_saved_bytes(bytes: Vec<u8>) {
            let _ = Hasher::resume(&bytes);
            prop_assert!(Hasher::resume(&[WRITTEN_BY.as_slice(), &bytes].concat()).is_err() || bytes.len() > 100);
        }
    }

    #[test]
    fn begins_anew_where_another_version_wrote() {
        let mut saved = Hasher::new(Algorithm::Sha256).save();
        saved[8] = b'2';
        assert_eq!(Hasher::resume(&saved).unwrap_err(), StaleState);
        assert!(Hasher::resume(&[]).is_err());
    }

    /// The state's form is promised within a minor version only.
    #[test]
    fn names_the_version_of_sha2_that_is_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        let name = String::from_utf8(WRITTEN_BY.to_vec()).unwrap();
        let (name, version) = name.split_once('/').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}.")), "{version}");
    }
}
