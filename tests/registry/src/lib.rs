//! A local container registry that speaks the import protocol.
