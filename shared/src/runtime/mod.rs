//! Runs a handler on Lambda, and work after its answer.
