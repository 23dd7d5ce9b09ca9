//! `registry-migration` between two of Debian's docker-registry, whose images skopeo wrote and reads back.

mod bench;

mod authenticating;
mod copying;
mod ending;
mod enduring;
mod refusing;
mod serving;
