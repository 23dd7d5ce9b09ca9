//! The store on the real database against the pure core: whatever happens, in whatever order, rows, slots and
//! history are what the core says without a database.

mod compare;
mod database;
mod steps;
mod world;

use std::{cell::RefCell, collections::BTreeSet};

use local::{Stack, StackOptions};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use shared::migration::{Event, Situation, State};
use suite::options;
use tokio::runtime::Handle;

use self::{database::Play, steps::sequence};

/// How many sequences are tried; `MODEL_SEQUENCES` tries more.
const SEQUENCES: u32 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn database_and_core_agree_on_every_sequence_of_events() {
    let stack = Stack::start(StackOptions { functions: vec![], ..options() }).await.unwrap();
    let sequences = std::env::var("MODEL_SEQUENCES").map_or(SEQUENCES, |text| text.parse().unwrap());
    let config =
        Config { cases: sequences, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    // The same sequences every time.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let play = Play::new(&stack).await;
    let met = RefCell::new(BTreeSet::new());
    let here = Handle::current();

    let tried = tokio::task::block_in_place(|| {
        runner.run(&sequence(), |happenings| {
            let played = here.block_on(play.all(&happenings));
            met.borrow_mut().extend(played.map_err(|error| TestCaseError::fail(format!("{error:#}")))?);
            Ok(())
        })
    });

    tried.unwrap();
    let met = met.into_inner();
    for event in Event::ALL {
        assert!(met.iter().any(|(_, met)| met == event.name()), "no sequence has {event}: {met:?}");
    }
    for situation in Situation::all() {
        let leaves = |(from, _): &(String, String)| *from == situation.key();
        match (situation.state, situation.origin) {
            // Only an answer that comes too late aborts what has not begun.
            (State::ImportAborted, Some(State::Default)) => {}
            (State::ImportDone, _) => {
                let events: BTreeSet<_> =
                    met.iter().filter(|met| leaves(met)).map(|(_, event)| event).collect();
                assert_eq!(events.into_iter().collect::<Vec<_>>(), ["reopen"], "{met:?}");
            }
            _ => assert!(met.iter().any(leaves), "no sequence leaves {}: {met:?}", situation.key()),
        }
    }
    stack.stop().await.unwrap();
}
