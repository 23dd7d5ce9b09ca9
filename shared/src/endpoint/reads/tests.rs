use std::time::Duration;

use tokio::time::{Instant, advance};

use super::{FALLBACK_BURST, ReplicaReads};
use crate::{
    endpoint::{
        EndpointError, ErrorClass, Execution, Failure, List, Purpose, PurposeRule, ReadOnlyWriter, Reader,
        ReaderConnections, Served, ServedBy, StaleScan, Statement, Status,
        health::{HEALTH_RETRY, HEALTH_TIMEOUT, HEALTH_TTL},
        scripted_transport::{Does, ScriptedTransport},
    },
    store::HEALTH_PROBE,
};

const DOWN: Failure = Failure::new(Execution::DidNotRun, ErrorClass::Unavailable);
const CUT: Failure = Failure::new(Execution::Unknown, ErrorClass::ConnectionLost);
const SLOW: Failure = Failure::new(Execution::RanAndFailed, ErrorClass::Timeout);
const MISCONFIGURED: Failure = Failure::new(Execution::DidNotRun, ErrorClass::Misconfigured);

/// The time of a caller, and the reader's share of it.
const TIME: Duration = Duration::from_secs(9);
const SHARE: Duration = Duration::from_secs(3);

struct Endpoints {
    reads: ReplicaReads,
    writer: ScriptedTransport,
    reader: ScriptedTransport,
    /// The reader's other connection.
    probed: ScriptedTransport,
}

impl Endpoints {
    /// Both are well; the rows are their versions.
    fn well() -> Self {
        let (writer, reader, probed) =
            (ScriptedTransport::default(), ScriptedTransport::default(), ScriptedTransport::default());
        let connections =
            ReaderConnections { reads: Reader::new(reader.clone()), probes: Reader::new(probed.clone()) };
        let reads = ReplicaReads::new(connections, ReadOnlyWriter::new(writer.clone()), HEALTH_PROBE);
        let endpoints = Self { reads, writer, reader, probed };
        endpoints.writer.set("rows", Does::Answers("5".to_owned()));
        endpoints.reader.set("rows", Does::Answers("4".to_owned()));
        endpoints.writer_says(true, false);
        endpoints.reader_says(7, false);
        endpoints
    }

    fn writer_says(&self, reader_enabled: bool, read_only: bool) {
        let status = serde_json::json!({
            "identity": {"server": "1", "read_only": read_only}, "reader_enabled": reader_enabled,
            "lag_is_bounded": true, "overdue_heartbeat": 7,
        });
        self.writer.set("writer_status", Does::Answers(status.to_string()));
    }

    fn reader_says(&self, heartbeat: i64, is_copying: bool) {
        let identity = serde_json::json!({"server": "2", "read_only": true});
        let status =
            serde_json::json!({"identity": identity, "heartbeat": heartbeat, "is_copying": is_copying});
        self.probed.set("reader_status", Does::Answers(status.to_string()));
    }

    /// Nobody hears from the reader, on either connection.
    fn reader_does(&self, does: &Does) {
        self.reader.set("rows", does.clone());
        self.probed.set("reader_status", does.clone());
    }

    async fn read(&self, rule: &PurposeRule) -> Result<Served<Vec<i64>>, EndpointError> {
        self.reads.fetch(rule, Statement::read("rows", "SELECT"), Instant::now() + TIME).await
    }

    /// Who served, and after how long.
    async fn served(&self, rule: &PurposeRule) -> (ServedBy, Duration) {
        let began = Instant::now();
        let served = self.read(rule).await.unwrap();
        assert_eq!(served.found, [if served.by == ServedBy::Reader { 4 } else { 5 }]);
        (served.by, began.elapsed())
    }

    /// What the reader was asked since the last look, over either connection.
    fn asked_of_reader(&self) -> Vec<&'static str> {
        [self.reader.asked(), self.probed.asked()].concat()
    }
}

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn the_reader_serves_and_its_health_is_asked_beside() {
    let endpoints = Endpoints::well();
    assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::Reader, AT_ONCE));
    assert_eq!((endpoints.reader.asked(), endpoints.probed.asked()), (vec!["rows"], vec!["reader_status"]));
    assert_eq!(endpoints.writer.asked(), ["writer_status"]);
    assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::Reader, AT_ONCE));
    assert_eq!((endpoints.asked_of_reader(), endpoints.writer.asked()), (vec!["rows"], vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_writer_finds_what_the_reader_cannot_for_every_purpose() {
    for rule in [&Status::RULE, &List::RULE, &StaleScan::RULE] {
        for (by, make) in [
            (
                ServedBy::WriterReaderFailed,
                &(|e: &Endpoints| e.reader_does(&Does::Fails(DOWN))) as &dyn Fn(&Endpoints),
            ),
            (ServedBy::WriterReaderFailed, &|e| e.reader_does(&Does::Fails(CUT))),
            (ServedBy::WriterReaderFailed, &|e| e.reader_does(&Does::Hangs)),
            (ServedBy::WriterReaderFailed, &|e| e.reader.set("rows", Does::Fails(SLOW))),
            (ServedBy::WriterReaderLagging, &|e| e.reader_says(6, false)),
            (ServedBy::WriterReaderLagging, &|e| e.reader_says(8, true)),
            (ServedBy::WriterReaderOff, &|e| e.writer_says(false, false)),
        ] {
            let endpoints = Endpoints::well();
            make(&endpoints);
            assert_eq!(endpoints.served(rule).await.0, by, "{}", rule.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_misconfigured_reader_is_loud_for_every_purpose() {
    for rule in [&Status::RULE, &List::RULE, &StaleScan::RULE] {
        let endpoints = Endpoints::well();
        endpoints.reader_does(&Does::Fails(MISCONFIGURED));
        for _ in 0..2 {
            assert_eq!(endpoints.read(rule).await.unwrap_err().class(), ErrorClass::Misconfigured);
        }
        assert!(!endpoints.writer.asked().contains(&"rows"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_out_is_not_asked_at_all() {
    let endpoints = Endpoints::well();
    endpoints.writer_says(false, false);
    endpoints.reader_does(&Does::Hangs);
    // Neither by a new process, nor when what it knows has grown old.
    for _ in 0..3 {
        assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::WriterReaderOff, AT_ONCE));
        assert_eq!(endpoints.asked_of_reader(), [""; 0]);
        advance(HEALTH_TTL).await;
    }
    // Not even where the writer does not say it again.
    endpoints.writer.set("writer_status", Does::Fails(DOWN));
    assert_eq!(endpoints.served(&Status::RULE).await.0, ServedBy::WriterReaderOff);
    assert_eq!(endpoints.asked_of_reader(), [""; 0]);

    endpoints.writer_says(true, false);
    endpoints.reader_does(&Does::Answers("4".to_owned()));
    endpoints.reader_says(7, false);
    advance(HEALTH_TTL).await;
    assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::Reader, AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_reader_that_is_taken_out_meanwhile() {
    let endpoints = Endpoints::well();
    assert_eq!(endpoints.served(&Status::RULE).await.0, ServedBy::Reader);
    endpoints.writer_says(false, false);
    endpoints.reader_does(&Does::Hangs);
    advance(HEALTH_TTL).await;
    let (by, waited) = endpoints.served(&Status::RULE).await;
    assert_eq!(by, ServedBy::WriterReaderOff);
    assert!(waited <= HEALTH_TIMEOUT, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn only_one_read_waits_for_a_silent_reader() {
    for does in [Does::Hangs, Does::Fails(DOWN), Does::Fails(CUT)] {
        let endpoints = Endpoints::well();
        assert_eq!(endpoints.served(&Status::RULE).await.0, ServedBy::Reader);
        endpoints.reader_does(&does);
        let (by, waited) = endpoints.served(&Status::RULE).await;
        assert_eq!(by, ServedBy::WriterReaderFailed, "{does:?}");
        assert!(waited <= SHARE, "{does:?}: {waited:?}");
        endpoints.asked_of_reader();
        for rule in [&Status::RULE, &List::RULE, &StaleScan::RULE] {
            assert_eq!(endpoints.served(rule).await, (ServedBy::WriterReaderFailed, AT_ONCE), "{does:?}");
        }
        assert_eq!(endpoints.asked_of_reader(), [""; 0], "{does:?}");

        // Then it is on trial, for no longer than it may take to say how it stands.
        advance(HEALTH_RETRY).await;
        let (by, waited) = endpoints.served(&Status::RULE).await;
        assert_eq!(by, ServedBy::WriterReaderFailed, "{does:?}");
        assert!(waited <= HEALTH_TIMEOUT, "{does:?}: {waited:?}");
        assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::WriterReaderFailed, AT_ONCE));

        endpoints.reader.set("rows", Does::Answers("4".to_owned()));
        endpoints.reader_says(7, false);
        advance(HEALTH_RETRY).await;
        for _ in 0..2 {
            assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::Reader, AT_ONCE), "{does:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tells_a_slow_list_from_a_silent_reader() {
    let endpoints = Endpoints::well();
    assert_eq!(endpoints.served(&List::RULE).await.0, ServedBy::Reader);
    // It takes too long, but the reader says how it stands: the next one is tried there again.
    endpoints.reader.set("rows", Does::Hangs);
    for _ in 0..2 {
        assert_eq!(endpoints.served(&List::RULE).await, (ServedBy::WriterReaderFailed, SHARE));
    }
    // It does not: found out beside the next list, and remembered.
    endpoints.reader_does(&Does::Hangs);
    assert_eq!(endpoints.served(&List::RULE).await.0, ServedBy::WriterReaderFailed);
    assert_eq!(endpoints.served(&List::RULE).await, (ServedBy::WriterReaderFailed, AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn rows_count_more_than_a_probe_that_did_not_come_through() {
    let endpoints = Endpoints::well();
    endpoints.probed.set("reader_status", Does::Fails(DOWN));
    for _ in 0..2 {
        assert_eq!(endpoints.served(&Status::RULE).await.0, ServedBy::Reader);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_read_does_not_hide_the_lag() {
    let endpoints = Endpoints::well();
    endpoints.reader.set("rows", Does::Hangs);
    endpoints.reader_says(6, false);
    let (by, waited) = endpoints.served(&List::RULE).await;
    assert_eq!(by, ServedBy::WriterReaderLagging);
    assert!(waited <= HEALTH_TIMEOUT, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_reader_serves_while_the_writer_is_gone() {
    for does in [Does::Hangs, Does::Fails(DOWN)] {
        let endpoints = Endpoints::well();
        endpoints.writer.set("writer_status", does.clone());
        endpoints.writer.set("rows", does.clone());
        let (by, waited) = endpoints.served(&Status::RULE).await;
        assert_eq!(by, ServedBy::Reader);
        assert!(waited <= HEALTH_TIMEOUT, "{does:?}: {waited:?}");
        assert_eq!(endpoints.served(&Status::RULE).await, (ServedBy::Reader, AT_ONCE), "{does:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_writer_has_so_many_reads_to_spare_and_no_more() {
    let endpoints = Endpoints::well();
    endpoints.reader_does(&Does::Fails(DOWN));
    let deadline = Instant::now() + HEALTH_RETRY;
    let mut served = 0;
    while let Ok(found) = endpoints.read(&Status::RULE).await {
        assert_eq!(found.by, ServedBy::WriterReaderFailed);
        served += 1;
        assert!(Instant::now() < deadline);
    }
    assert_eq!(served, FALLBACK_BURST);
    // What operators chose costs nothing of it, and neither does a caller ahead of the reader.
    endpoints.writer_says(false, false);
    advance(HEALTH_TTL).await;
    for _ in 0..3 * FALLBACK_BURST {
        assert_eq!(endpoints.served(&Status::RULE).await.0, ServedBy::WriterReaderOff);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_never_shown_less_than_it_has_seen() {
    let endpoints = Endpoints::well();
    let read = async |min_version| {
        let version = |rows: &[i64]| rows.first().copied();
        let statement = Statement::read("rows", "SELECT");
        let deadline = Instant::now() + TIME;
        endpoints.reads.fetch_at_least(&Status::RULE, statement, min_version, version, deadline).await
    };
    for (min_version, by) in [
        (None, ServedBy::Reader),
        (Some(4), ServedBy::Reader),
        (Some(5), ServedBy::WriterBehindCaller),
        // The writer has not seen it either: that is for the caller to hear.
        (Some(6), ServedBy::WriterBehindCaller),
    ] {
        assert_eq!(read(min_version).await.unwrap().by, by, "{min_version:?}");
    }
    // A writer that is none has nothing newer to show.
    endpoints.writer_says(true, true);
    advance(HEALTH_TTL).await;
    assert_eq!(read(Some(4)).await.unwrap().by, ServedBy::Reader);
    assert_eq!(read(Some(5)).await.unwrap_err().class(), ErrorClass::ReadOnly);
}
