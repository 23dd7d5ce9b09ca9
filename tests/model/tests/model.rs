//! The model, explored: what must hold holds, and the checker finds each decision that is turned round.

use std::{collections::BTreeSet, env, fs};

use protocol_model::{Explored, Flip, Model, Violation};

/// In shared/README.md, around the shortest trace of the fault that the project is about.
const MARKS: [&str; 2] = ["<!-- trace -->", "<!-- /trace -->"];

/// So many worlds one repository has, at least.
const WORLDS_OF_ONE: usize = 50_000;

/// So many worlds it has with an operator, who also holds its final step.
const WORLDS_OF_ONE_OPERATED: usize = 100_000;

/// So many steps of two repositories meet the rest; `tests/model.sh` makes more.
const STEPS: usize = 600_000;

/// So many worlds they lead to, at least.
const WORLDS_OF_TWO: usize = 100_000;

fn assert_holds(explored: &Explored) {
    for (property, trace) in &explored.fallen {
        println!("{property}\n{trace}");
    }
    let fallen: Vec<&str> = explored.fallen.iter().map(|(property, _)| *property).collect();
    assert_eq!(fallen, Vec::<&str>::new());
}

/// The shortest way to where a property falls, with one decision turned round.
fn falls(model: Model, flip: Flip, violation: Violation) -> String {
    let explored = model.flipped(flip).explore(1, None);
    let fallen = explored.fallen.iter().find(|(property, _)| *property == violation.property());
    let Some((property, trace)) = fallen else { panic!("{flip:?}: {explored:?}") };
    println!("{flip:?}: {property}\n{trace}");
    trace.clone()
}

#[test]
fn holds_in_every_world_and_meets_each_kind_of_event() {
    let mut one = Model::new(1, 2, 0);
    one.repositories = 1;
    let one = one.explore(1, None);
    assert_holds(&one);
    assert!(one.is_whole && one.worlds > WORLDS_OF_ONE, "{one:?}");
    let mut missed: BTreeSet<&str> = one.missed.into_iter().collect();
    let mut operated = Model::new(1, 1, 1);
    operated.repositories = 1;
    let operated = operated.explore(1, None);
    assert_holds(&operated);
    assert!(operated.is_whole && operated.worlds > WORLDS_OF_ONE_OPERATED, "{operated:?}");
    missed.retain(|what| operated.missed.contains(what));
    for capacity in [1, 2] {
        let two = Model::new(capacity, 1, 1).explore(1, Some(STEPS));
        assert_holds(&two);
        assert!(two.worlds > WORLDS_OF_TWO, "{two:?}");
        missed.retain(|what| two.missed.contains(what));
    }
    assert_eq!(missed, BTreeSet::new(), "each kind of event is met");
}

#[test]
fn finds_a_notification_that_is_judged_by_the_reader() {
    let trace = falls(Model::new(1, 0, 0), Flip::NotificationOnReader, Violation::RefusedNotification);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/README.md");
    let readme = fs::read_to_string(path).unwrap();
    let [begin, end] = MARKS;
    let (head, rest) = readme.split_once(begin).expect("the mark before the trace");
    let (shown, tail) = rest.split_once(end).expect("the mark behind the trace");
    let trace = format!("\n{trace}");
    if env::var_os("UPDATE_README").is_some() {
        fs::write(path, [head, begin, &trace, end, tail].concat()).unwrap();
    } else {
        assert_eq!(shown, trace, "shared/README.md is stale: run this test with UPDATE_README=1");
    }
}

#[test]
fn finds_a_guard_without_patience() {
    falls(Model::new(1, 1, 0), Flip::GuardHasNoPatience, Violation::AbortedHealthy);
}

#[test]
fn finds_a_claim_that_does_not_count() {
    falls(Model::new(2, 1, 2), Flip::ClaimDoesNotCount, Violation::OverCapacity);
}

#[test]
fn finds_an_attempt_of_a_former_row_that_is_believed() {
    falls(Model::new(1, 0, 2), Flip::AnyAttemptIsOwn, Violation::ChangedByFormerRow);
}

#[test]
fn finds_a_silence_that_is_taken_for_a_refusal() {
    let mut model = Model::new(1, 1, 0);
    model.max_retries = 1;
    falls(model, Flip::SilenceIsRefusal, Violation::GaveUpTooSoon);
}

#[test]
fn finds_a_claim_that_ignores_a_hold() {
    falls(Model::new(1, 0, 1), Flip::ClaimIgnoresHold, Violation::BegunWhileHeld);
}
