//! Writer and reader: selection by purpose, transports, error classes, retries.
