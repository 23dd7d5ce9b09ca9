//! Shows how migrations stand, from the reader.

fn main() {}
