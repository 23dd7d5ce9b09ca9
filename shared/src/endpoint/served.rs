use serde::Serialize;

/// Which endpoint an answer came from, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServedBy {
    /// The reader, as usual.
    Reader,
    /// The writer, because the reader had not replayed what the caller had already seen.
    #[serde(rename = "writer_behind_floor")]
    WriterBehindCaller,
    /// The writer, because the reader lagged past the operators' bound.
    WriterReaderLagging,
    /// The writer, because the reader could not serve.
    WriterReaderFailed,
    /// The writer, because operators have taken the reader out.
    WriterReaderOff,
}

/// What was found, and who found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<T> {
    /// What there is.
    pub found: T,
    /// Where it came from.
    pub by: ServedBy,
}

impl<T> Served<T> {
    /// The same, seen otherwise.
    pub fn map<U>(self, see: impl FnOnce(T) -> U) -> Served<U> {
        Served { found: see(self.found), by: self.by }
    }
}
