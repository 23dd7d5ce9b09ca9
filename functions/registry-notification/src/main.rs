//! Receives the registry's notifications.

fn main() {}
