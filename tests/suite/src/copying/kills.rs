//! A run is killed at moments that the registries' journals name, and each time the next one goes on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use local::local_registry::{Fault, FaultEffect, HoldPoint, Kind, MadeUp, Personality};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    PART,
    pair::{Pair, layers},
};

/// How long a moment is waited for, and a run.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many bytes the layer has that takes parts: three, the last one short.
const LARGE: u64 = 2 * PART + 2_000_000;

/// The moments, in the order in which a repository comes to them.
pub const NAMES: [&str; 20] = [
    "plan: a tag of the source is read",
    "plan: the target's tags are listed",
    "pre: an upload is begun, and nobody has heard of it",
    "pre: in the middle of a small blob",
    "pre: in the middle of reading a large blob",
    "pre: in the middle of a part",
    "pre: a part is stored, and nobody has heard of it",
    "pre: in the middle of the last part",
    "pre: a large blob is stored, and nobody has heard of it",
    "pre: a blob is mounted, and nobody has heard of it",
    "pre: between the last blob and its manifest",
    "pre: a manifest is stored, and nobody has heard of it",
    "final: the source's tags are listed",
    "final: between two tags",
    "final: a tag is stored, and nobody has heard of it",
    "final: a tag is read back",
    "final: the source's tags are listed once more",
    "proof: in the middle of a small blob that is read back",
    "proof: a blob is read back, and nobody has heard of it",
    "proof: in the middle of a large blob that is read back",
];

/// What came of all kills.
#[derive(Debug)]
pub struct Kills {
    /// Each moment, whether the database was killed too, and what it cost.
    pub lines: Vec<String>,
    /// How many runs were killed.
    pub kills: usize,
    /// How many of these together with their database.
    pub with_database: usize,
    /// Uploads that a run had begun and that came to nothing, since their blobs began anew.
    pub begun_anew: usize,
    /// Bytes that were sent again.
    pub sent_again: u64,
}

enum Side {
    Source,
    Target,
}

/// What else must have happened when the run is killed.
#[derive(PartialEq)]
enum Besides {
    Nothing,
    /// All other blobs of the repository are there.
    OtherBlobs,
    /// One tag is written.
    Tag,
    /// All other blobs are there, and so many bytes of the large one are read.
    Read(u64),
}

/// Where a run is held up, to be killed there.
struct Moment {
    side: Side,
    faults: Vec<Fault>,
    besides: Besides,
    /// Uploads that stay open at the target, for each profile: distribution 2, distribution 3.
    left_open: [usize; 2],
    /// Whether what had been sent of the large blob is sent again to distribution 2.
    is_lost: bool,
    /// Whether that depends: what was read before may be stored by then, or on its way as a part, which is cut as well.
    may_be_lost: bool,
}

/// Kills a run at each of these moments, which are numbers in [`NAMES`], in their order: once in each, each time in a
/// repository of its own, some of them together with their PostgreSQL. Then the last run goes on to the end.
///
/// # Errors
/// What was not as it should be: something is not equal, was sent again, or was left open without a reason.
pub async fn kill_at_each(to: Personality, moments: &[usize], seed: u64) -> Result<Kills> {
    let mut random = StdRng::seed_from_u64(seed);
    let pair = Pair::start(Personality::Distribution2, to).await?;
    // The target is recognised by uploads of its own to the first repository.
    pair.image("a-first", "v1", seed, &[500])?;
    let mut planned = Vec::new();
    for number in moments {
        let repository = format!("moment-{number:02}");
        let images = seed.wrapping_add(1000 * (*number as u64 + 1));
        let layer = MadeUp { seed: images, bytes: LARGE };
        let digest = if is_large(*number) {
            pair.made_up_image(&repository, "v1", layer)?.to_string()
        } else {
            pair.image(&repository, "v1", images + 1, &[3000])?;
            String::new()
        };
        pair.image(&repository, "v2", images + 2, &[2000, 4000])?;
        // The others have it too.
        pair.image(&repository, "v3", seed + 1, &[5000])?;
        let moment = moment(*number, &digest, &mut random);
        planned.push((NAMES[*number], repository, moment));
    }
    let at_least_one = random.random_range(0..planned.len());
    let mut kills = Kills { lines: Vec::new(), kills: 0, with_database: 0, begun_anew: 0, sent_again: 0 };
    for (at, (name, repository, moment)) in planned.iter().enumerate() {
        let with_database = at == at_least_one || random.random_range(0..4) == 0;
        kill_once(&pair, repository, moment, with_database).await.context(*name)?;
        kills.kills += 1;
        kills.with_database += usize::from(with_database);
        kills.lines.push(format!("{name}{}", if with_database { ", with its database" } else { "" }));
    }
    let last = pair.begin(&["--capacity", "1", "--verify-blobs"])?.ended(PATIENCE).await?;
    ensure!(last.status == Some(0), "the last run: {}", last.output);
    pair.check_equal()?;
    for ((name, repository, moment), line) in planned.iter().zip(&mut kills.lines) {
        let cost = cost(&pair, to, repository, moment).context(*name)?;
        kills.begun_anew += cost.begun_anew;
        kills.sent_again += cost.sent_again;
        line.push_str(&format!(
            ": {} bytes sent again, {} uploads left open",
            cost.sent_again, cost.left_open
        ));
    }
    Ok(kills)
}

async fn kill_once(pair: &Pair, repository: &str, moment: &Moment, with_database: bool) -> Result<()> {
    let of = match moment.side {
        Side::Source => &pair.source,
        Side::Target => &pair.target,
    };
    let held: Vec<_> =
        moment.faults.iter().map(|fault| of.faults().add(fault.clone().repository(repository))).collect();
    let mut run = pair.begin(&["--capacity", "1", "--verify-blobs"])?;
    let blobs = layers(&pair.source.storage(), repository)?.len();
    let is_there = || {
        // One that is met may still be on its way to its moment.
        let are_there = held.iter().all(|fault| of.faults().held(*fault) > 0);
        are_there
            && match moment.besides {
                Besides::Nothing => true,
                Besides::OtherBlobs => blobs_there(pair, repository) + 1 >= blobs,
                Besides::Read(bytes) => {
                    blobs_there(pair, repository) + 1 >= blobs && reads(pair, repository).contains(&bytes)
                }
                Besides::Tag => pair.requests(repository).iter().any(|record| {
                    record.method == "PUT"
                        && record.reference.as_deref() == Some("v1")
                        && record.status == Some(201)
                }),
            }
    };
    run.until("its moment", PATIENCE, is_there).await?;
    run.kill(with_database)?;
    // The kernel has more of what was sent than the registry has taken: that is lost too.
    for fault in held {
        of.faults().cut(fault);
    }
    // What was under way is cut off before the next one begins.
    for of in [&pair.source, &pair.target] {
        let cut =
            of.traffic().wait_until(PATIENCE, |traffic| traffic.count(|record| !record.ended) == 0).await;
        ensure!(cut, "a request goes on");
    }
    Ok(())
}

/// How many blobs of a repository are stored or mounted, and known to be so.
fn blobs_there(pair: &Pair, repository: &str) -> usize {
    let is_made = |kind: Kind| matches!(kind, Kind::Upload | Kind::Mount);
    let records = pair.requests(repository);
    records.iter().filter(|record| is_made(record.kind) && record.status == Some(201)).count()
}

/// How many bytes were given of each blob that is just read from a repository of the source.
fn reads(pair: &Pair, repository: &str) -> Vec<u64> {
    let mut records = pair.source.traffic().records();
    records.retain(|record| record.kind == Kind::Blob && record.method == "GET" && !record.ended);
    records.retain(|record| record.repository.as_deref() == Some(repository));
    records.into_iter().map(|record| record.sent).collect()
}

struct Cost {
    begun_anew: usize,
    sent_again: u64,
    left_open: usize,
}

/// What a kill has cost, which must be what its moment explains.
fn cost(pair: &Pair, to: Personality, repository: &str, moment: &Moment) -> Result<Cost> {
    let mut open = pair.target.open_uploads();
    open.retain(|upload| upload.repository == repository);
    let to_distribution_2 = to == Personality::Distribution2;
    // One whose part was cut, or stored and not heard of: the next process was told that it is no more.
    let is_of_a_part = |id: &str| {
        let mut records = pair.requests(repository);
        records.retain(|record| record.path.ends_with(id));
        records.iter().any(|record| record.method == "PATCH")
            && records.iter().any(|record| record.status == Some(404))
    };
    let was_lost =
        moment.may_be_lost && to_distribution_2 && open.iter().any(|upload| is_of_a_part(&upload.id));
    let expected = moment.left_open[usize::from(!to_distribution_2)] + usize::from(was_lost);
    ensure!(open.len() == expected, "{} uploads are left open and not {expected}: {open:?}", open.len());
    let (sent, stored) = pair.sent_and_stored(repository)?;
    // Whatever was sent is stored, or in an upload that came to nothing: no byte was sent twice into one.
    let lost: u64 = open.iter().map(|upload| upload.bytes).sum();
    ensure!(sent == stored + lost, "{sent} bytes were sent, {stored} are stored, {lost} are lost");
    let is_lost = moment.is_lost && to_distribution_2;
    ensure!(lost >= PART || !is_lost, "{lost} bytes were lost");
    ensure!(lost < 10_000 || is_lost || was_lost, "{lost} bytes were sent again");
    Ok(Cost { begun_anew: open.len(), sent_again: lost, left_open: open.len() })
}

fn is_large(number: usize) -> bool {
    matches!(number, 4..=8 | 19)
}

/// What holds a run up at a moment. `layer` is the repository's large one.
fn moment(number: usize, layer: &str, random: &mut StdRng) -> Moment {
    let hold = |at| Fault::new(FaultEffect::Hold { at }).times(1);
    let some = random.random_range(1..PART);
    let anywhere = random.random_range(1..LARGE);
    let (source, target) = (Side::Source, Side::Target);
    let (before, after) = (HoldPoint::Before, HoldPoint::After);
    let tags = || hold(before).method("GET").kind(Kind::Tags);
    let (side, fault) = match number {
        0 => (source, hold(before).method("GET").kind(Kind::Manifest).reference("v1")),
        1 => (target, tags()),
        2 => (target, hold(after).method("POST").kind(Kind::UploadBegin)),
        3 => (target, hold(HoldPoint::Body(1 + some % 100)).method("PUT").kind(Kind::Upload)),
        // Each reading: the plan reads the beginning too.
        4 => (
            source,
            Fault::new(FaultEffect::Hold { at: HoldPoint::Body(anywhere) })
                .method("GET")
                .kind(Kind::Blob)
                .reference(layer),
        ),
        5 => (target, hold(HoldPoint::Body(some)).method("PATCH").skip(1)),
        6 => (target, hold(after).method("PATCH").skip(1)),
        7 => (
            target,
            hold(HoldPoint::Body(some % 2_000_000)).method("PUT").kind(Kind::Upload).reference(layer),
        ),
        8 => (target, hold(after).method("PUT").kind(Kind::Upload).reference(layer)),
        9 => (target, hold(after).method("POST").kind(Kind::Mount)),
        10 => (target, hold(before).method("PUT").kind(Kind::Manifest)),
        11 => (target, hold(after).method("PUT").kind(Kind::Manifest)),
        12 => (source, tags().skip(1)),
        13 => (target, hold(before).method("PUT").kind(Kind::Manifest).reference("v2")),
        14 => (target, hold(after).method("PUT").kind(Kind::Manifest).reference("v1")),
        15 => (target, hold(before).method("GET").kind(Kind::Manifest).reference("v1")),
        16 => (source, tags().skip(2)),
        17 => (target, hold(HoldPoint::Body(1 + some % 100)).method("GET").kind(Kind::Blob)),
        18 => (target, hold(after).method("GET").kind(Kind::Blob)),
        _ => (target, hold(HoldPoint::Body(anywhere)).method("GET").kind(Kind::Blob).reference(layer)),
    };
    let mut faults = vec![fault];
    let besides = match number {
        4 => Besides::Read(anywhere),
        2..=9 => Besides::OtherBlobs,
        13 => {
            faults.push(hold(before).method("PUT").kind(Kind::Manifest).reference("v3"));
            Besides::Tag
        }
        _ => Besides::Nothing,
    };
    let left_open = match number {
        2 | 3 => [1, 1],
        5..=7 => [1, 0],
        _ => [0, 0],
    };
    Moment { side, faults, besides, left_open, is_lost: matches!(number, 5..=7), may_be_lost: number == 4 }
}
