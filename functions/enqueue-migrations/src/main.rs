//! Fills free slots on a schedule.

fn main() {}
