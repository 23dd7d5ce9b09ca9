//! Runs that are killed and disturbed between two registries with journals: what `tests/copying.sh` does for long.

use local::local_registry::Personality;
use suite::copying::{
    Chaos, Leg, Program, Pushes, copy_giant, copy_in_chaos, copy_while_pushed, kill_at_each,
};

fn seed() -> u64 {
    let given = std::env::var("SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

/// At least one moment of each step: the plan, before and in a part, between the last blob and its manifest, between two tags,
/// the reading back, the proof.
const MOMENTS: [usize; 7] = [0, 4, 5, 10, 13, 15, 17];

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_a_kill_in_each_step_to_distribution_3() {
    let kills = kill_at_each(Personality::Distribution3, &MOMENTS, seed()).await.unwrap();
    assert_eq!((kills.kills, kills.begun_anew, kills.sent_again), (MOMENTS.len(), 0, 0));
    assert!(kills.with_database > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn begins_only_the_part_that_was_cut_anew_on_distribution_2() {
    let kills = kill_at_each(Personality::Distribution2, &[4, 5, 8], seed()).await.unwrap();
    assert_eq!(kills.kills, 3);
    // While a blob is read a part of it may be on its way, and be cut as well.
    assert!((1..=2).contains(&kills.begun_anew), "{kills:?}");
}

/// 300 MB and no more than that, whatever the layer's size is.
const MEMORY: u64 = 76_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn copies_a_layer_by_five_processes_in_little_memory() {
    let legs = [Leg::Asked, Leg::Killed, Leg::Asked, Leg::Killed];
    let giant = copy_giant(Personality::Distribution3, 300_000_000, seed(), &legs).await.unwrap();
    assert_eq!((giant.peaks.len(), giant.sent_again, giant.begun_anew), (5, 0, 0));
    assert!(giant.peaks.iter().all(|peak| *peak < MEMORY), "{giant:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brings_each_repository_to_its_own_end_in_chaos() {
    let seed = seed();
    let to = if seed.is_multiple_of(2) { Personality::Distribution2 } else { Personality::Distribution3 };
    let outcome =
        copy_in_chaos(to, Chaos { repositories: 20, kills: 3, refusals: false, seed }).await.unwrap();
    assert_eq!(outcome.equal + outcome.failed.values().sum::<usize>(), 20);
    assert_eq!(outcome.failed.len(), 4, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_what_users_push_move_and_delete_meanwhile() {
    let pushes = Pushes { new: 40, moved: 10, deleted: 4, seed: seed() };
    let pushed = copy_while_pushed(Program::DockerRegistry, pushes).await.unwrap();
    assert_eq!(pushed.equal, 36);
    assert!(pushed.during.iter().sum::<usize>() > 40, "{pushed:?}");
}
