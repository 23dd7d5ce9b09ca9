//! Users push, move and delete tags while runs copy: the last run begins when they have stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use anyhow::{Result, ensure};
use local::local_registry::storage::{ImageOptions, Storage};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::Value;

use super::{
    real::{Program, RealRegistry},
    run::Run,
};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many repositories are pushed to.
const REPOSITORIES: usize = 8;

/// What users do.
#[derive(Clone, Copy, Debug)]
pub struct Pushes {
    /// How many tags they push.
    pub new: usize,
    /// How many tags they move to another image.
    pub moved: usize,
    /// How many tags they delete.
    pub deleted: usize,
    /// In which order, and where.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Pushed {
    /// How each run ended.
    pub runs: Vec<Option<i32>>,
    /// How many of what users did fell into each run, but the last.
    pub during: Vec<usize>,
    /// Tags that are equal at the end.
    pub equal: usize,
    /// Tags that the proof reports as deleted.
    pub deleted: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Act {
    New(usize, usize),
    Move(usize, usize),
    Delete(usize, usize),
}

/// Runs while users push to Debian's docker-registry, and once more when they have stopped.
///
/// # Errors
/// What differs between both registries, or between them and the proof.
pub async fn copy_while_pushed(to: Program, pushes: Pushes) -> Result<Pushed> {
    let mut random = StdRng::seed_from_u64(pushes.seed);
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let start = |program, name: &str| RealRegistry::start(program, &folder.path().join(name));
    let made = start(Program::DockerRegistry, "made")?;
    let source = start(Program::DockerRegistry, "source")?;
    let target = start(to, "target")?;
    // The images that users push: skopeo copies them from a registry of their own.
    let storage = Storage::new(folder.path().join("made"));
    let images = pushes.new + pushes.moved;
    for number in 0..images {
        let size = if number % 10 == 0 { 600_000 } else { 4000 };
        let options =
            ImageOptions { layers: vec![size, 900], ..ImageOptions::small(pushes.seed ^ number as u64) };
        storage.write_image("images", &[&format!("i{number}")], &options)?;
    }
    // Some are there before the first run.
    let acts = draw(pushes, &mut random);
    let (before, rest) = acts.split_at(pushes.new / 10);
    for act in before {
        do_it(act, &source, &made)?;
    }
    let mut run_number = 0;
    let mut begin = || {
        run_number += 1;
        let output = folder.path().join(format!("run-{run_number}.txt"));
        Run::begin(&source.url(), &target.url(), &folder.path().join("state"), output, &[])
    };
    let mut pushed = Pushed { runs: Vec::new(), during: Vec::new(), equal: 0, deleted: 0 };
    let mut run = begin()?;
    let mut during = 0;
    for act in rest {
        tokio::task::block_in_place(|| do_it(act, &source, &made))?;
        during += 1;
        if run.has_ended()? {
            end(run, &mut pushed, &[0, 2]).await?;
            pushed.during.push(std::mem::take(&mut during));
            run = begin()?;
        }
    }
    end(run, &mut pushed, &[0, 2]).await?;
    pushed.during.push(during);
    end(begin()?, &mut pushed, &[0]).await?;

    let proof = fs::read_to_string(folder.path().join("state/proof.ndjson"))?;
    compare(&acts, &source, &target, &proof, &mut pushed)?;
    Ok(pushed)
}

/// A run's end. While users push it may find that its source keeps changing.
async fn end(run: Run, pushed: &mut Pushed, expected: &[i32]) -> Result<()> {
    let ended = run.ended(PATIENCE).await?;
    let is_expected = ended.status.is_some_and(|status| expected.contains(&status));
    ensure!(is_expected, "a run ended with {:?}: {}", ended.status, ended.output);
    pushed.runs.push(ended.status);
    Ok(())
}

/// All that users do, in an order in which it can be done. A tag is deleted last of all that happens to it.
fn draw(pushes: Pushes, random: &mut StdRng) -> Vec<Act> {
    let mut tags: Vec<usize> = (0..pushes.new).collect();
    tags.shuffle(random);
    let deleted = &tags[..pushes.deleted];
    let moved = &tags[pushes.deleted..pushes.deleted + pushes.moved];
    let mut at: Vec<(u32, Act)> = Vec::new();
    for tag in 0..pushes.new {
        // The first ones are there early.
        let pushed = if tag < pushes.new / 10 { 0 } else { random.random_range(1..1_000_000) };
        at.push((pushed, Act::New(tag, tag)));
        if deleted.contains(&tag) {
            at.push((random.random_range(pushed + 1..=1_000_000), Act::Delete(tag, tag)));
        }
        if let Some(number) = moved.iter().position(|of| *of == tag) {
            at.push((random.random_range(pushed + 1..=1_000_000), Act::Move(tag, pushes.new + number)));
        }
    }
    at.sort_by_key(|(at, _)| *at);
    at.into_iter().map(|(_, act)| act).collect()
}

fn name_of(tag: usize) -> (String, String) {
    (format!("team/app-{}", tag % REPOSITORIES), format!("v{tag}"))
}

fn do_it(act: &Act, source: &RealRegistry, made: &RealRegistry) -> Result<()> {
    let (Act::New(tag, image) | Act::Move(tag, image) | Act::Delete(tag, image)) = act;
    let (repository, tag) = name_of(*tag);
    match act {
        Act::New(..) | Act::Move(..) => {
            source.push(made, ("images", &format!("i{image}")), (&repository, &tag))
        }
        Act::Delete(..) => source.delete(&repository, &tag),
    }
}

/// Both registries have the same under each tag, as skopeo reads it, and the proof says the same.
fn compare(
    acts: &[Act],
    source: &RealRegistry,
    target: &RealRegistry,
    proof: &str,
    pushed: &mut Pushed,
) -> Result<()> {
    let mut rows: BTreeMap<(String, String), Value> = BTreeMap::new();
    for line in proof.lines() {
        let row: Value = serde_json::from_str(line)?;
        let of = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.insert((of("source"), of("tag")), row);
    }
    let deleted: BTreeSet<usize> =
        acts.iter().filter_map(|act| if let Act::Delete(tag, _) = act { Some(*tag) } else { None }).collect();
    for act in acts {
        let Act::New(tag, _) = act else { continue };
        let (repository, name) = name_of(*tag);
        let row = rows.remove(&(repository.clone(), name.clone()));
        if deleted.contains(tag) {
            ensure!(source.raw(&repository, &name).is_err(), "{repository}:{name} was not deleted");
            // One that no run has seen is not in the proof.
            if let Some(row) = row {
                ensure!(row["state"] == "deleted", "{row}");
                pushed.deleted += 1;
            }
            continue;
        }
        let (there, here) = (source.raw(&repository, &name)?, target.raw(&repository, &name)?);
        ensure!(there == here, "{repository}:{name} differs");
        let row = row.unwrap_or_default();
        let digest = local::local_registry::digest::Digest::of(&there).to_string();
        ensure!(
            row["state"] == "equal" && row["source_digest"] == *digest && row["target_digest"] == *digest,
            "{repository}:{name}: {row}"
        );
        pushed.equal += 1;
    }
    ensure!(rows.is_empty(), "the proof has what nobody pushed: {rows:?}");
    Ok(())
}
