use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use serde_json::Value;
use tracing::{Dispatch, subscriber::DefaultGuard};

use super::LogLevel;

/// While there is but one subscriber in the process, `tracing` decides for good whether a place in the code is
/// worth asking about by what the thread that comes by first listens to: nothing, in a test without a log.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// The log of the current thread while this lives, for tests.
pub(crate) struct Capture {
    written: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Capture {
    pub(crate) fn begin(function: &'static str, level: LogLevel) -> Self {
        LazyLock::force(&SECOND);
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer(Arc::clone(&written));
        let subscriber = super::subscriber(function, level, move || writer.clone());
        Self { written, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }

    /// The lines as JSON; fails on a line that is none.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line whose message is `message`.
    pub(crate) fn line(&self, message: &str) -> Value {
        let lines = self.lines();
        let mut found = lines.iter().filter(|line| line["message"] == message);
        let line = found.next().unwrap_or_else(|| panic!("no line {message:?} in {lines:#?}"));
        assert!(found.next().is_none(), "two lines {message:?}");
        line.clone()
    }
}
