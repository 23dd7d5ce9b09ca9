//! `registry-migration run` between two registries, ended in every way and started again: tried in seconds by the tests, and
//! for long by `tests/copying.sh`.

mod chaos;
mod giant;
mod kills;
mod pair;
mod pushes;
mod real;
mod run;

pub use chaos::{Chaos, Outcome, copy_in_chaos, disturb, noise};
pub use giant::{Giant, Leg, copy_giant};
pub use kills::{Kills, NAMES, kill_at_each};
pub use pair::Pair;
pub use pushes::{Pushed, Pushes, copy_while_pushed};
pub use real::{Program, RealRegistry};
pub use run::{Ended, Run, command};

/// The size of the parts that a large blob is sent in.
pub const PART: u64 = 5 << 20;
