//! Many repositories, while processes are killed, answers are lost, connections cut and requests refused, all drawn from a
//! seed. In the end each repository is equal, or failed with the cause that belongs to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use local::local_registry::{Distribution, Fault, FaultEffect, FaultId, Kind, MadeUp, Personality, Record};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{PART, pair::Pair};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// How many uploads a process has open at once at most: eight of each of ten repositories.
const AT_ONCE: usize = 80;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Chaos {
    /// How many repositories.
    pub repositories: usize,
    /// How many runs are killed before one goes on to the end.
    pub kills: usize,
    /// Whether requests are refused by 429: each run that meets one is slow for a minute.
    pub refusals: bool,
    /// What all is drawn from.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Repositories that are equal.
    pub equal: usize,
    /// Repositories that failed, by their cause, which is the right one.
    pub failed: BTreeMap<String, usize>,
    /// Runs that were killed; of these together with their database.
    pub kills: (usize, usize),
    /// Requests that were met by a fault.
    pub faults: u64,
    /// Requests to the source and to the target.
    pub requests: (usize, usize),
    /// Distinct blobs, and how often an upload was ended with one.
    pub blobs: (usize, usize),
    /// Blobs that were mounted.
    pub mounted: usize,
    /// Blobs that a repository was sent although another had them: the registry did not mount, or nobody knew.
    pub not_mounted: usize,
    /// Uploads left open: an answer was lost or a part cut; a process was killed.
    pub left_open: (usize, usize),
}

/// How a repository ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Equal,
    /// A layer of its first tag is missing at the source.
    Broken,
    /// The target does not let its first tag change.
    Conflict,
    /// The target has no room for its manifests.
    Quota,
    /// The target lets nobody write to it.
    Denied,
}

impl Fate {
    const fn cause(self) -> Option<&'static str> {
        match self {
            Self::Equal => None,
            Self::Broken => Some("source_broken"),
            Self::Conflict => Some("conflict"),
            Self::Quota => Some("quota"),
            Self::Denied => Some("unauthorized"),
        }
    }
}

/// Copies them under all of that.
///
/// # Errors
/// What was not as it should be.
pub async fn copy_in_chaos(to: Personality, chaos: Chaos) -> Result<Outcome> {
    let mut random = StdRng::seed_from_u64(chaos.seed);
    let pair = Pair::start(Personality::Distribution2, to).await?;
    let fates = fill(&pair, &mut random, chaos)?;
    let mut outcome = Outcome::default();
    let mut killed = Vec::new();
    let disturbances = disturb(&pair, &mut random, chaos.refusals);
    for number in 0..chaos.kills {
        let began = Timestamp::now();
        let mut run = pair.begin(&[])?;
        let now = requests(&pair);
        let after = random.random_range(10..20 + 12 * chaos.repositories);
        // The first one is killed where it has a database already: where it has not, there is nothing to go on with.
        let with_database = number > 0 && random.random_range(0..4) == 0;
        let ended = loop {
            if run.has_ended()? {
                break true;
            }
            let asked = requests(&pair);
            if asked.0 + asked.1 >= now.0 + now.1 + after && (!with_database || run.has_database()) {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        if ended {
            // Whatever fails by chance is for the next one.
            let ended = run.ended(PATIENCE).await?;
            ensure!(matches!(ended.status, Some(0 | 2)), "{:?}: {}", ended.status, ended.output);
            continue;
        }
        run.kill(with_database)?;
        killed.push((began, Timestamp::now()));
        outcome.kills.0 += 1;
        outcome.kills.1 += usize::from(with_database);
    }
    for (of, faults) in [(&pair.source, &disturbances.0), (&pair.target, &disturbances.1)] {
        for fault in faults {
            outcome.faults += of.faults().met(*fault);
            of.faults().remove(*fault);
        }
    }
    let last = pair.begin(&[])?.ended(PATIENCE).await?;
    let any_fails = fates.values().any(|fate| fate.cause().is_some());
    ensure!(last.status == Some(if any_fails { 2 } else { 0 }), "{:?}: {}", last.status, last.output);

    check_ends(&pair, &fates, &mut outcome)?;
    outcome.requests = requests(&pair);
    check_blobs(&pair, &mut outcome)?;
    check_uploads(&pair, to, &killed, &mut outcome)?;
    Ok(outcome)
}

fn requests(pair: &Pair) -> (usize, usize) {
    let of = |registry: &Distribution| registry.traffic().count(|_| true);
    (of(&pair.source), of(&pair.target))
}

/// Repositories of a few tags each. A team's images share a layer, some of them a large one.
fn fill(pair: &Pair, random: &mut StdRng, chaos: Chaos) -> Result<BTreeMap<String, Fate>> {
    let mut fates = BTreeMap::new();
    for number in 0..chaos.repositories {
        let team = number / 10;
        let repository = format!("team-{team}/app-{number}");
        let fate = match random.random_range(0..100) {
            _ if number < 5 => [Fate::Equal, Fate::Broken, Fate::Conflict, Fate::Quota, Fate::Denied][number],
            0 => Fate::Broken,
            1 => Fate::Conflict,
            2 => Fate::Quota,
            3 => Fate::Denied,
            _ => Fate::Equal,
        };
        let base = noise(chaos.seed ^ team as u64, 6000);
        for tag in 0..random.random_range(1..4) {
            let own = noise(random.random(), random.random_range(100..9000));
            pair.composed_image(&repository, &format!("v{tag}"), &[&base, &own])?;
            if fate == Fate::Broken && tag == 0 {
                let digest = local::local_registry::digest::Digest::of(&own);
                pair.source.storage().remove_layer(&repository, &digest)?;
            }
        }
        if number % 25 == 7 {
            let layer = MadeUp { seed: chaos.seed ^ (number as u64 / 50), bytes: PART + 1_500_000 };
            pair.made_up_image(&repository, "large", layer)?;
        }
        let refused = |fault: Fault| pair.target.faults().add(fault.repository(&repository));
        match fate {
            Fate::Equal | Fate::Broken => None,
            Fate::Conflict => Some(refused(
                Fault::answer(409, "CONFLICT").method("PUT").kind(Kind::Manifest).reference("v0"),
            )),
            Fate::Quota => Some(refused(Fault::answer(507, "UNKNOWN").method("PUT").kind(Kind::Manifest))),
            Fate::Denied => {
                refused(Fault::answer(403, "DENIED").method("POST").kind(Kind::Mount));
                Some(refused(Fault::answer(403, "DENIED").method("POST").kind(Kind::UploadBegin)))
            }
        };
        fates.insert(repository, fate);
    }
    Ok(fates)
}

/// So many bytes that are the same for each seed.
#[must_use]
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    StdRng::seed_from_u64(seed).fill(&mut noise[..]);
    noise
}

/// What both registries, the source and the target, do at random until it is taken back.
pub fn disturb(pair: &Pair, random: &mut StdRng, refusals: bool) -> (Vec<FaultId>, Vec<FaultId>) {
    let mut drawn = |fault: Fault, percent| fault.chance(percent, random.random());
    // Later than the first requests: half of hardly any is too few to get on with.
    let refused = |after, times| Fault::too_many(after).skip(500).times(if refusals { times } else { 0 });
    let cut_answer = |after| Fault::new(FaultEffect::CutAnswer { after });
    let cut_request = |after| Fault::new(FaultEffect::CutRequest { after });
    let source = [
        drawn(Fault::answer(503, "UNAVAILABLE"), 1),
        drawn(Fault::lost_answer(), 1),
        drawn(refused(None, 40), 1),
        drawn(cut_answer(3000).kind(Kind::Blob), 3),
        drawn(Fault::new(FaultEffect::IgnoreRange).kind(Kind::Blob), 20),
    ];
    let target = [
        drawn(Fault::answer(500, "UNKNOWN"), 1),
        drawn(refused(None, 40), 1),
        drawn(refused(Some(1), 5), 1),
        drawn(Fault::answer(404, "BLOB_UPLOAD_UNKNOWN").kind(Kind::Upload), 2),
        drawn(Fault::lost_answer().method("POST"), 2),
        drawn(Fault::lost_answer().method("PATCH"), 5),
        drawn(Fault::lost_answer().method("PUT"), 3),
        drawn(cut_request(2000).kind(Kind::Upload).method("PUT"), 2),
        drawn(cut_request(PART / 2).method("PATCH"), 10),
        drawn(Fault::lost_answer().method("GET"), 1),
    ];
    let add = |of: &Distribution, faults: &[Fault]| {
        faults.iter().map(|fault| of.faults().add(fault.clone())).collect()
    };
    (add(&pair.source, &source), add(&pair.target, &target))
}

/// Each repository is where it belongs, and the proof says so.
fn check_ends(pair: &Pair, fates: &BTreeMap<String, Fate>, outcome: &mut Outcome) -> Result<()> {
    let (source, target) = (pair.source.storage(), pair.target.storage());
    let mut rows: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for row in pair.proof()? {
        rows.entry(row["source"].as_str().unwrap_or_default().to_owned()).or_default().push(row);
    }
    for (repository, fate) in fates {
        let said = rows.get(repository).with_context(|| format!("{repository} is not in the proof"))?;
        let wanted = source.tags(repository)?;
        let Some(cause) = fate.cause() else {
            ensure!(target.tags(repository)? == wanted, "{repository}: other tags");
            let equal = said.iter().filter(|row| row["state"] == "equal").count();
            ensure!(equal == wanted.len() && said.len() == equal, "{repository}: {said:?}");
            outcome.equal += 1;
            continue;
        };
        let failed: Vec<_> = said.iter().filter(|row| row["state"] == "failed").collect();
        ensure!(!failed.is_empty(), "{repository}, {fate:?}: {said:?}");
        ensure!(failed.iter().all(|row| row["cause"] == cause), "{repository}, {fate:?}: {said:?}");
        if matches!(fate, Fate::Broken | Fate::Conflict) {
            // The other tags have nothing to do with it.
            let mut others = wanted;
            others.remove("v0");
            ensure!(target.tags(repository)? == others, "{repository}, {fate:?}: other tags");
        }
        *outcome.failed.entry(cause.to_owned()).or_default() += 1;
    }
    Ok(())
}

/// No repository was sent a blob twice, nor one that it could have mounted.
fn check_blobs(pair: &Pair, outcome: &mut Outcome) -> Result<()> {
    let stored = pair.target.traffic().blobs_stored();
    let once: BTreeSet<_> = stored.iter().collect();
    ensure!(
        once.len() == stored.len(),
        "{} blobs were sent twice to a repository",
        stored.len() - once.len()
    );
    let records = pair.target.traffic().records();
    let mounts = records.iter().filter(|record| record.kind == Kind::Mount);
    let mut tried: BTreeSet<(&str, &str)> = BTreeSet::new();
    for mount in mounts {
        outcome.mounted += usize::from(mount.status == Some(201));
        if let (Some(repository), Some(digest)) = (&mount.repository, &mount.reference) {
            tried.insert((repository, digest));
        }
    }
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (repository, digest) in &stored {
        if known.insert(digest) {
            continue;
        }
        outcome.not_mounted += 1;
        ensure!(
            tried.contains(&(repository.as_str(), digest.as_str())),
            "{repository} was sent {digest}, which another has, and nobody asked whether it can be mounted"
        );
    }
    outcome.blobs = (known.len(), stored.len());
    Ok(())
}

/// Whatever upload is left open, there is a reason for it.
fn check_uploads(
    pair: &Pair,
    to: Personality,
    killed: &[(Timestamp, Timestamp)],
    outcome: &mut Outcome,
) -> Result<()> {
    let mut by_id: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    let mut begun_unheard = 0;
    for record in pair.target.traffic().records() {
        match (&record.kind, &record.reference) {
            (Kind::UploadBegin | Kind::Mount, _) => begun_unheard += usize::from(record.status.is_none()),
            (Kind::Upload, _) => {
                let id = record.path.rsplit('/').next().unwrap_or_default().to_owned();
                by_id.entry(id).or_default().push(record);
            }
            _ => {}
        }
    }
    let mut unexplained = Vec::new();
    for upload in pair.target.open_uploads() {
        let Some(last) = by_id.get(&upload.id).and_then(|records| records.last()) else {
            // The answer that told of it was lost, or its process was killed with it.
            if begun_unheard > 0 {
                begun_unheard -= 1;
                outcome.left_open.0 += 1;
            } else {
                outcome.left_open.1 += 1;
            }
            continue;
        };
        let records = by_id.get(&upload.id).map(Vec::as_slice).unwrap_or_default();
        let is_cut = records.iter().any(|record| record.status.is_none() && record.method != "GET");
        // The process that sent its last request was killed before the next.
        let at_a_kill = killed.iter().any(|(began, ended)| *began <= last.at && last.at <= *ended);
        if is_cut && to == Personality::Distribution2 {
            outcome.left_open.0 += 1;
        } else if at_a_kill {
            outcome.left_open.1 += 1;
        } else {
            unexplained.push(format!("{upload:?}: {records:#?}"));
        }
    }
    ensure!(unexplained.is_empty(), "uploads are left open without a reason: {}", unexplained.join("\n"));
    let most = killed.len() * AT_ONCE;
    ensure!(outcome.left_open.1 <= most, "{} uploads are left open", outcome.left_open.1);
    Ok(())
}
