//! One layer that is larger than a run may live: several processes copy it, one after the other.

use std::time::Duration;

use anyhow::{Result, ensure};
use local::local_registry::{Fault, FaultEffect, HoldPoint, Kind, MadeUp, Personality, Record};

use super::{PART, pair::Pair};

/// How long a process may take.
const PATIENCE: Duration = Duration::from_secs(1800);

const REPOSITORY: &str = "giant";

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// It is asked to, as by Ctrl-C or by a budget that is used up: the part in flight is finished.
    Asked,
    /// By SIGKILL, in the middle of a part.
    Killed,
}

/// What copying it came to.
#[derive(Debug)]
pub struct Giant {
    /// The most bytes of memory that each process had.
    pub peaks: Vec<u64>,
    /// Bytes that were sent again.
    pub sent_again: u64,
    /// Uploads that were lost, so that the layer began anew.
    pub begun_anew: usize,
    /// Bytes that were read from the source above the layer's own.
    pub read_again: u64,
}

/// Copies a layer of so many bytes by one process for each of `legs` and a last one, each of them ended when another share of
/// the layer is there. Neither registry stores any of it.
///
/// # Errors
/// What was not as it should be: a finished part was sent twice, the digest is another.
pub async fn copy_giant(to: Personality, bytes: u64, seed: u64, legs: &[Leg]) -> Result<Giant> {
    let pair = Pair::start(Personality::Distribution2, to).await?;
    pair.target.change(|settings| settings.keep_at_most = Some(PART));
    // The target is recognised by uploads of its own to the first repository.
    pair.image("a-first", "v1", seed, &[500])?;
    let layer = pair.made_up_image(REPOSITORY, "v1", MadeUp { seed, bytes })?;
    let share = bytes / (legs.len() as u64 + 1) / PART;
    ensure!(share >= 2, "{bytes} bytes are too few for {} processes", legs.len() + 1);
    let mut peaks = Vec::new();
    let mut lost = 0;
    for leg in legs {
        // The target counts the requests from now on.
        let skip = u32::try_from(share)?;
        let hold = match leg {
            Leg::Killed => FaultEffect::Hold { at: HoldPoint::Body(PART / 2) },
            Leg::Asked => FaultEffect::Delay { milliseconds: 0 },
        };
        let at =
            Fault::new(hold).method("PATCH").kind(Kind::Upload).repository(REPOSITORY).skip(skip).times(1);
        let at = pair.target.faults().add(at);
        let mut run = pair.begin(&[])?;
        run.until("its share is there", PATIENCE, || pair.target.faults().met(at) > 0).await?;
        match leg {
            Leg::Asked => {
                run.interrupt()?;
                let ended = run.ended(PATIENCE).await?;
                ensure!(ended.status == Some(4), "it ended with {:?}: {}", ended.status, ended.output);
                peaks.push(ended.peak);
            }
            Leg::Killed => {
                let held = |record: &Record| {
                    record.method == "PATCH" && !record.ended && record.received >= PART / 2
                };
                let is_half = || pair.target.traffic().count(held) > 0;
                run.until("half of a part is there", PATIENCE, is_half).await?;
                peaks.push(run.kill(false)?.peak);
                lost += usize::from(to == Personality::Distribution2);
            }
        }
        pair.target.faults().cut(at);
        let cut =
            pair.target.traffic().wait_until(PATIENCE, |of| of.count(|record| !record.ended) == 0).await;
        ensure!(cut, "a request goes on");
    }
    let ended = pair.begin(&[])?.ended(PATIENCE).await?;
    ensure!(ended.status == Some(0), "the last process: {}", ended.output);
    peaks.push(ended.peak);

    let stored = pair.target.traffic().blobs_stored();
    let times = stored.iter().filter(|(_, digest)| *digest == layer.to_string()).count();
    ensure!(times == 1, "the layer was stored {times} times");
    let proof = pair.proof()?;
    ensure!(proof.len() == 2 && proof.iter().all(|row| row["state"] == "equal"), "{proof:?}");
    // Whatever was sent is in the layer, or in an upload that was lost: no finished part was sent twice.
    let open = pair.target.open_uploads();
    let in_lost: u64 = open.iter().map(|upload| upload.bytes).sum();
    ensure!(open.len() == lost, "{} uploads are left open and not {lost}: {open:?}", open.len());
    let records = pair.requests(REPOSITORY);
    let too_long = |record: &&Record| {
        record.method == "PATCH" && record.upload.is_some_and(|(from, to)| to - from > PART)
    };
    let longer: Vec<&Record> = records.iter().filter(too_long).collect();
    ensure!(longer.is_empty(), "parts are too long: {longer:#?}");
    let received: u64 =
        records.iter().filter(|record| record.kind == Kind::Upload).map(|of| of.received).sum();
    let of_layer = |of: &&Record| of.method == "PATCH" || of.stored.as_deref() == Some(&layer.to_string());
    let small: u64 =
        records.iter().filter(|of| of.kind == Kind::Upload && !of_layer(of)).map(|of| of.received).sum();
    ensure!(
        received == bytes + in_lost + small,
        "{received} bytes were sent of {bytes}, {in_lost} in lost uploads"
    );
    let reads = pair.source.traffic().records();
    let reads = reads.iter().filter(|of| of.reference.as_deref() == Some(&layer.to_string()));
    let read: u64 = reads.map(|of| of.sent).sum();
    Ok(Giant { peaks, sent_again: in_lost, begun_anew: lost, read_again: read.saturating_sub(bytes) })
}
