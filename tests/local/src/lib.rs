//! Brings the whole local stack up with cargo lambda.
