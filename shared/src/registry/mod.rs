//! The registry client: token, calls, answers interpreted.
