//! What a function is told: environment and secrets.
