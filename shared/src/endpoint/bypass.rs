use super::EndpointError;

/// Why the writer is asked instead of the reader.
#[derive(Clone, Debug)]
pub(super) enum BypassReason {
    /// Operators have taken the reader out.
    ReaderOff,
    /// The reader lags past its bound.
    ReaderLagging,
    /// The reader cannot serve, or could not a moment ago.
    ReaderFailed(EndpointError),
    /// The reader has not replayed what the caller has seen.
    BehindCaller,
}
