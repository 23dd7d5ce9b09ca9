//! Request parsing, authentication, error bodies.
