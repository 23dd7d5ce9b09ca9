use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::migration::{
    Brake, ContainerRepository, Held, HoldNow, RegistryView, Settings, State, Step, state::named,
};

named! {
    /// What a repository waits for.
    Next, "next" {
        /// The registry's notification.
        Notification = "notification",
        /// The guard, which asks the registry.
        Guard = "guard",
        /// The schedule, which starts what is due, or a slot that is freed before.
        Sweep = "sweep",
        /// The end of its own wait.
        Time = "time",
        /// A free slot.
        Slot = "slot",
        /// What holds starts back to end: the registry's stop, its want of room, or the circuit breaker.
        Brake = "brake",
        /// The hold on its final step to end: its window to open, or an operator to release it.
        Hold = "hold",
        /// The kill switch.
        Switch = "switch",
        /// Other settings: these leave it out.
        Settings = "settings",
        /// Its skip by the schedule.
        Skip = "skip",
        /// An operator, who may reopen it.
        Operator = "operator",
        /// Nothing: its migration is done.
        Nothing = "nothing",
    }
}

/// What an explanation is made of, as the writer has it at one moment.
#[derive(Clone, Debug, Deserialize)]
pub struct Surroundings {
    /// The row.
    pub row: ContainerRepository,
    /// The settings.
    pub settings: Settings,
    /// The database's clock.
    pub now: Timestamp,
    /// When the guard looks next. None: in its next round.
    pub next_check_at: Option<Timestamp>,
    /// How many slots within the capacity are empty.
    pub empty_slots: i32,
    /// When the first of them may be filled.
    pub slot_at: Option<Timestamp>,
    /// What holds starts back.
    pub held: Option<Held>,
    /// The hold on its final step.
    pub hold: Option<HoldNow>,
    /// The last change of it that an operator with a name has made.
    pub acted: Option<Acted>,
}

/// What an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Acted {
    /// Who, as they named themselves.
    pub operator: String,
    /// The event's name.
    pub event: String,
    /// When.
    pub at: Timestamp,
}

/// What happens next to a repository, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What it waits for first.
    pub next: Next,
    /// Not before.
    pub at: Option<Timestamp>,
    /// All of it, in words.
    pub text: String,
}

impl Explanation {
    fn new(next: Next, at: Option<Timestamp>, text: impl Into<String>) -> Self {
        Self { next, at, text: text.into() }
    }
}

/// Says what happens next to a repository, of which the registry says `view`, and that its running step has finished
/// nothing for `idle` (None: it does not say).
#[must_use]
pub fn explanation(around: &Surroundings, view: RegistryView, idle: Option<Duration>) -> Explanation {
    let mut explanation = explain(around, view, idle);
    if let Some(Acted { operator, event, at }) = &around.acted {
        explanation.text.push_str(&format!("; an operator's last change: {event} by {operator} at {at}"));
    }
    explanation
}

fn explain(around: &Surroundings, view: RegistryView, idle: Option<Duration>) -> Explanation {
    let row = &around.row;
    match row.migration_state {
        State::Default | State::ImportAborted => waiting(around),
        State::PreImporting => running(around, Step::Pre, row.pre_import_started_at, view, idle),
        State::Importing => running(around, Step::Final, row.import_started_at, view, idle),
        State::PreImportDone if row.is_held() => held(around),
        State::PreImportDone => parked(around),
        State::ImportDone => Explanation::new(Next::Nothing, None, "done"),
        State::ImportSkipped => {
            let reason = row.skipped_reason.map_or("unknown", super::super::SkipReason::name);
            let text = format!("given up ({reason}); nothing happens unless an operator reopens it");
            Explanation::new(Next::Operator, None, text)
        }
    }
}

fn running(
    around: &Surroundings,
    step: Step,
    started: Option<Timestamp>,
    view: RegistryView,
    idle: Option<Duration>,
) -> Explanation {
    let Surroundings { row, settings, now, .. } = around;
    let started = started.unwrap_or(*now);
    let canceled = after(started, settings.steps.timeout(step, row.tags_count));
    let asked = around.next_check_at.filter(|at| at > now).unwrap_or(*now);
    let guard = if asked == *now {
        "the guard asks the registry in its next round".to_owned()
    } else {
        format!("the guard asks the registry after {asked}")
    };
    match view {
        RegistryView::Says(status) if status.running_step() == Some(step) => {
            let still = match idle {
                None => String::new(),
                Some(idle) => format!(
                    " if it has finished nothing for more than {} s by then (now: for {} s)",
                    settings.steps.usual().as_secs(),
                    idle.as_secs()
                ),
            };
            let text = format!(
                "the registry runs the {step} step and will notify; {guard}, and cancels the step after {canceled}{still}"
            );
            Explanation::new(Next::Notification, Some(asked), text)
        }
        RegistryView::Says(status) => {
            let text = format!(
                "the registry says {status}: its notification is on its way or was lost; {guard} and goes on from there"
            );
            Explanation::new(Next::Guard, Some(asked), text)
        }
        RegistryView::KnowsNothing => {
            let text = format!(
                "the registry knows of no import: the request is on its way or was lost; {guard} and sends it again"
            );
            Explanation::new(Next::Guard, Some(asked), text)
        }
        RegistryView::NoAnswer => {
            let text =
                format!("waits for the registry's notification; the registry does not answer now; {guard}");
            Explanation::new(Next::Notification, Some(asked), text)
        }
    }
}

fn parked(around: &Surroundings) -> Explanation {
    let Surroundings { row, settings, now, .. } = around;
    if !settings.enabled {
        let text = "the pre step is done; goes on with the final step once migrations are switched on";
        return Explanation::new(Next::Switch, row.not_before, text);
    }
    if let Some(hold) = &around.hold {
        let text = format!("the pre step is done; the next sweep gives its slot back, since {}", holds(hold));
        return Explanation::new(Next::Hold, hold.opens_at, text);
    }
    match (row.not_before.filter(|at| at > now), around.held) {
        (Some(at), _) => {
            let text = format!("the pre step is done; goes on with the final step, not before {at}");
            Explanation::new(Next::Time, Some(at), text)
        }
        (None, Some(held)) => {
            let text = format!("the pre step is done; goes on with the final step once {}", ended(held));
            Explanation::new(Next::Brake, Some(held.until), text)
        }
        (None, None) => Explanation::new(
            Next::Sweep,
            None,
            "the pre step is done; the next sweep goes on with the final step",
        ),
    }
}

/// A row that waits for its final step without a slot.
fn held(around: &Surroundings) -> Explanation {
    let since = around.row.held_since.unwrap_or(around.now);
    if let Some(hold) = &around.hold {
        let text = format!("the pre step is done; waits without a slot since {since}, since {}", holds(hold));
        return Explanation::new(Next::Hold, hold.opens_at, text);
    }
    let again = around.row.held_since.min(around.row.pre_import_done_at).is_some_and(|done| {
        let limit = u64::try_from(around.settings.repeat_pre_import_after_seconds).unwrap_or(0);
        limit > 0 && after(done, Duration::from_secs(limit)) <= around.now
    });
    let step =
        if again { "with the pre step once more, since that is long ago" } else { "with the final step" };
    let mut obstacles = Vec::new();
    if !around.settings.enabled {
        obstacles.push(Explanation::new(Next::Switch, None, "migrations are switched off"));
    }
    obstacles.extend(no_room(around));
    let (next, at) = obstacles.first().map_or((Next::Sweep, None), |first| (first.next, first.at));
    let mut text =
        format!("the pre step is done and nothing holds it any more; goes on {step} in the next free slot");
    for obstacle in obstacles {
        text.push_str("; ");
        text.push_str(&obstacle.text);
    }
    Explanation::new(next, at, text)
}

/// What a hold says, in words.
fn holds(hold: &HoldNow) -> String {
    let whose = match hold.prefix.as_str() {
        "" => "every final step is held".to_owned(),
        prefix => format!("final steps of {prefix} are held"),
    };
    match hold.opens_at {
        Some(at) => format!("{whose} until {at}"),
        None => format!("{whose} until an operator releases them"),
    }
}

/// A row that holds no slot: what stands between it and its start, the most lasting first.
fn waiting(around: &Surroundings) -> Explanation {
    let Surroundings { row, settings, now, .. } = around;
    let mut obstacles: Vec<Explanation> = left_out(around);
    let over =
        settings.max_tags_count > 0 && row.tags_count.is_some_and(|tags| tags > settings.max_tags_count);
    if over && row.migration_state == State::Default && obstacles.is_empty() {
        let text = format!("has more than {} tags: the next sweep skips it", settings.max_tags_count);
        obstacles.push(Explanation::new(Next::Skip, None, text));
    }
    if !settings.enabled {
        obstacles.push(Explanation::new(Next::Switch, None, "migrations are switched off"));
    }
    if let Some(at) = row.not_before.filter(|at| at > now) {
        obstacles.push(Explanation::new(Next::Time, Some(at), format!("not before {at}")));
    }
    obstacles.extend(no_room(around));
    let verb = if row.migration_state == State::Default { "started" } else { "retried" };
    let Some(first) = obstacles.first() else {
        let text = format!(
            "{verb} by the next sweep or in the next slot that is freed, after what is due before it"
        );
        return Explanation::new(Next::Sweep, None, text);
    };
    let (next, at) = (first.next, first.at);
    let texts: Vec<&str> = obstacles.iter().map(|obstacle| obstacle.text.as_str()).collect();
    Explanation::new(next, at, format!("{verb} when nothing stands in its way: {}", texts.join("; ")))
}

/// What keeps every row from its start now.
fn no_room(around: &Surroundings) -> Vec<Explanation> {
    let mut obstacles = Vec::new();
    if let Some(held) = around.held {
        let text = format!("waits until {}", ended(held));
        obstacles.push(Explanation::new(Next::Brake, Some(held.until), text));
    }
    if around.empty_slots == 0 {
        let text = format!("every slot within the capacity of {} is taken", around.settings.capacity);
        obstacles.push(Explanation::new(Next::Slot, None, text));
    } else if let Some(at) = around.slot_at.filter(|at| *at > around.now) {
        obstacles.push(Explanation::new(Next::Slot, Some(at), format!("free slots stay empty until {at}")));
    }
    obstacles
}

/// The end of what holds starts back, in words.
fn ended(Held { by, until }: Held) -> String {
    match by {
        Brake::RegistryStopped => {
            format!("the registry's restart is over: nothing is started before {until}")
        }
        Brake::BreakerOpen => format!(
            "the circuit breaker closes, which too many failures in a row have opened: one start is tried after {until}, \
             and then every 15 seconds"
        ),
        Brake::RegistryFull => {
            format!("the registry, which had no room, ends an import, or is asked again after {until}")
        }
    }
}

/// Why the settings leave the row out.
fn left_out(around: &Surroundings) -> Vec<Explanation> {
    let Surroundings { row, settings, .. } = around;
    let mut reasons = Vec::new();
    if let Some(before) = settings.created_before.filter(|before| row.created_at >= *before) {
        reasons.push(format!("only repositories registered before {before} are eligible"));
    }
    let targets = &settings.target_plans;
    if !targets.is_empty() && row.plan.as_ref().is_none_or(|plan| !targets.contains(plan)) {
        reasons.push(format!("its plan is not among {}", targets.join(", ")));
    }
    let root = row.path.root_namespace();
    if settings.denied_root_namespaces.iter().any(|denied| denied == root) {
        reasons.push(format!("its root namespace {root} is denied"));
    }
    reasons.into_iter().map(|text| Explanation::new(Next::Settings, None, text)).collect()
}

fn after(start: Timestamp, time: Duration) -> Timestamp {
    start.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Explanation, Next, Surroundings, explanation};
    use crate::migration::{RegistryStatus, RegistryView};

    const NOW: &str = "2026-01-01T12:00:00Z";

    /// A repository in `state`, otherwise without anything in its way.
    fn around(state: &str, change: impl FnOnce(&mut Value)) -> Surroundings {
        let mut value = json!({
            "row": {
                "path": "group/image", "migration_state": state, "version": 2, "retries_count": 0, "priority": 0,
                "created_at": "2025-01-01T00:00:00Z", "state_since": "2025-01-01T00:00:00Z", "pre_import_started_at": "2026-01-01T11:59:00Z",
                "import_started_at": "2026-01-01T11:59:30Z", "tags_count": 7, "plan": "free",
            },
            "settings": {
                "version": 1, "enabled": true, "reader_enabled": true, "reader_lag_bound_seconds": 60, "verify_tags": true,
                "capacity": 2, "waiting_time_seconds": 0, "max_tags_count": 0,
                "max_retries": 3, "retry_backoff_seconds": 30, "circuit_breaker_failures": 10, "repeat_pre_import_after_seconds": 86400, "max_step_duration_seconds": 300, "pre_import_timeout_seconds": 1800,
                "import_timeout_seconds": 600, "pre_import_seconds_per_tag": 0.5, "created_before": null,
                "target_plans": [], "denied_root_namespaces": [],
            },
            "now": NOW, "next_check_at": null, "empty_slots": 1, "slot_at": null, "held": null, "hold": null, "acted": null,
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn of(state: &str, change: impl FnOnce(&mut Value)) -> Explanation {
        explanation(&around(state, change), RegistryView::KnowsNothing, None)
    }

    #[test]
    fn a_running_step_is_awaited_and_the_guards_times_are_told() {
        let view = RegistryView::Says(RegistryStatus::PreImportInProgress);
        let looked = around("pre_importing", |value| value["next_check_at"] = json!("2026-01-01T12:10:00Z"));
        let explained = explanation(&looked, view, None);
        assert_eq!(
            (explained.next, explained.at),
            (Next::Notification, Some("2026-01-01T12:10:00Z".parse().unwrap()))
        );
        assert!(
            explained.text.contains("the guard asks the registry after 2026-01-01T12:10:00Z"),
            "{}",
            explained.text
        );
        assert!(explained.text.contains("cancels the step after 2026-01-01T12:29:00Z"), "{}", explained.text);
        for due in [json!(null), json!("2026-01-01T11:59:00Z"), json!(NOW)] {
            let due = explanation(&around("pre_importing", |value| value["next_check_at"] = due), view, None);
            assert_eq!(due.at, Some(NOW.parse().unwrap()), "the step's length does not matter");
            assert!(due.text.contains("asks the registry in its next round"), "{}", due.text);
        }
    }

    #[test]
    fn tells_that_a_step_is_canceled_only_if_it_stands_still() {
        let view = RegistryView::Says(RegistryStatus::PreImportInProgress);
        let explained = explanation(
            &around("pre_importing", |_| {}),
            view,
            Some(std::time::Duration::from_millis(7_900)),
        );
        let expected = "cancels the step after 2026-01-01T12:29:00Z if it has finished nothing for more than 300 s \
                        by then (now: for 7 s)";
        assert!(explained.text.ends_with(expected), "{}", explained.text);
    }

    #[test]
    fn what_the_registry_says_otherwise_is_the_guards_to_settle() {
        for view in [
            RegistryView::KnowsNothing,
            RegistryView::Says(RegistryStatus::ImportComplete),
            RegistryView::Says(RegistryStatus::PreImportInProgress),
        ] {
            assert_eq!(explanation(&around("importing", |_| {}), view, None).next, Next::Guard, "{view:?}");
        }
        let silent = explanation(&around("importing", |_| {}), RegistryView::NoAnswer, None);
        assert_eq!(silent.next, Next::Notification);
        assert!(silent.text.contains("does not answer"), "{}", silent.text);
    }

    #[test]
    fn repeats_the_pre_import_past_its_limit_unless_there_is_none() {
        let again = "with the pre step once more";
        for (limit, is_repeated) in [(3599, true), (3600, true), (3601, false), (0, false)] {
            let released = of("pre_import_done", |value| {
                value["row"]["held_since"] = json!("2026-01-01T11:00:00Z");
                value["row"]["pre_import_done_at"] = json!("2026-01-01T11:30:00Z");
                value["settings"]["repeat_pre_import_after_seconds"] = json!(limit);
            });
            assert_eq!(released.text.contains(again), is_repeated, "{limit}: {}", released.text);
        }
    }

    #[test]
    fn names_every_obstacle_and_the_most_lasting_first() {
        assert_eq!(of("default", |_| {}).next, Next::Sweep);
        assert_eq!(of("import_aborted", |_| {}).text.split(' ').next(), Some("retried"));
        let mut expected = vec![];
        let mut nexts = Vec::new();
        type Obstacle = fn(&mut Value);
        let steps: [(Next, Obstacle); 6] = [
            (Next::Slot, |value| value["empty_slots"] = json!(0)),
            (Next::Brake, |value| {
                value["held"] = json!({"by": "registry_full", "until": "2026-01-01T12:00:30Z"});
            }),
            (Next::Time, |value| value["row"]["not_before"] = json!("2026-01-01T12:01:00Z")),
            (Next::Switch, |value| value["settings"]["enabled"] = json!(false)),
            (Next::Skip, |value| value["settings"]["max_tags_count"] = json!(6)),
            (Next::Settings, |value| value["settings"]["denied_root_namespaces"] = json!(["group"])),
        ];
        for count in 1..=steps.len() {
            let explanation =
                of("default", |value| steps[..count].iter().for_each(|(_, change)| change(value)));
            expected.push(steps[count - 1].0);
            nexts.push(explanation.next);
            assert!(explanation.text.contains("every slot"), "{}", explanation.text);
        }
        assert_eq!(nexts, expected);
    }

    #[test]
    fn tells_of_a_skip_only_past_the_most_tags() {
        for (most, next) in [(0, Next::Sweep), (6, Next::Skip), (7, Next::Sweep)] {
            let explained = of("default", |value| value["settings"]["max_tags_count"] = json!(most));
            assert_eq!(explained.next, next, "{most}: {}", explained.text);
        }
    }

    #[test]
    fn tells_what_holds_starts_back_and_until_when() {
        for (by, sentence) in [
            ("registry_stopped", "restart is over"),
            ("breaker_open", "circuit breaker closes"),
            ("registry_full", "had no room"),
        ] {
            let held = |value: &mut Value| value["held"] = json!({"by": by, "until": "2026-01-01T12:00:30Z"});
            for state in ["default", "import_aborted", "pre_import_done"] {
                let explanation = of(state, held);
                assert_eq!(explanation.next, Next::Brake, "{state} {by}");
                assert_eq!(explanation.at, Some("2026-01-01T12:00:30Z".parse().unwrap()));
                assert!(explanation.text.contains(sentence), "{}", explanation.text);
            }
            // What runs already is not held back.
            assert_eq!(of("importing", held).next, Next::Guard);
        }
    }

    #[test]
    fn tells_by_which_hold_the_final_step_waits() {
        let held = |change: fn(&mut Value)| {
            of("pre_import_done", |value| {
                value["row"]["held_since"] = json!("2026-01-01T11:30:00Z");
                value["row"]["pre_import_done_at"] = json!("2026-01-01T11:30:00Z");
                value["row"]["not_before"] = json!("9000-01-01T00:00:00Z");
                value["hold"] = json!({"prefix": "group", "opens_at": null});
                change(value);
            })
        };
        let explained = held(|_| {});
        assert_eq!((explained.next, explained.at), (Next::Hold, None));
        assert!(
            explained.text.contains("final steps of group are held until an operator"),
            "{}",
            explained.text
        );
        let explained = held(|value| {
            value["hold"] = json!({"prefix": "", "opens_at": "2026-01-01T21:00:00Z"});
        });
        assert_eq!(
            (explained.next, explained.at),
            (Next::Hold, Some("2026-01-01T21:00:00Z".parse().unwrap()))
        );
        assert!(
            explained.text.contains("every final step is held until 2026-01-01T21"),
            "{}",
            explained.text
        );
        // Released: by the next claim, with the pre step first where it has been done for long.
        let explained = held(|value| value["hold"] = json!(null));
        assert_eq!((explained.next, explained.at), (Next::Sweep, None));
        assert!(explained.text.contains("goes on with the final step"), "{}", explained.text);
        let explained = held(|value| {
            value["hold"] = json!(null);
            value["settings"]["repeat_pre_import_after_seconds"] = json!(1800);
            value["empty_slots"] = json!(0);
        });
        assert_eq!(explained.next, Next::Slot);
        assert!(explained.text.contains("with the pre step once more"), "{}", explained.text);
        let parked =
            of("pre_import_done", |value| value["hold"] = json!({"prefix": "group", "opens_at": null}));
        assert_eq!(parked.next, Next::Hold);
        assert!(parked.text.contains("gives its slot back"), "{}", parked.text);
    }

    #[test]
    fn tells_which_operator_changed_it_last() {
        let explained = of("import_skipped", |value| {
            value["acted"] = json!({"operator": "jo", "event": "skip_import", "at": "2026-01-01T11:00:00Z"});
        });
        assert!(explained.text.ends_with("skip_import by jo at 2026-01-01T11:00:00Z"), "{}", explained.text);
    }

    #[test]
    fn each_setting_that_leaves_a_row_out_is_named() {
        let explained = of("default", |value| {
            value["settings"]["created_before"] = json!("2025-01-01T00:00:00Z");
            value["settings"]["target_plans"] = json!(["gold"]);
            value["settings"]["denied_root_namespaces"] = json!(["group"]);
        });
        assert_eq!(explained.next, Next::Settings);
        for part in ["registered before 2025-01-01T00:00:00Z", "not among gold", "namespace group is denied"]
        {
            assert!(explained.text.contains(part), "{}", explained.text);
        }
    }

    #[test]
    fn a_wait_that_is_over_is_no_obstacle() {
        let over = |value: &mut Value| value["row"]["not_before"] = json!(NOW);
        assert_eq!(of("default", over).next, Next::Sweep);
        assert_eq!(of("pre_import_done", over).next, Next::Sweep);
        let later = |value: &mut Value| value["row"]["not_before"] = json!("2026-01-01T12:00:01Z");
        assert_eq!(of("pre_import_done", later).next, Next::Time);
        assert_eq!(of("default", |value| value["slot_at"] = json!(NOW)).next, Next::Sweep);
        assert_eq!(of("default", |value| value["slot_at"] = json!("2026-01-01T12:00:01Z")).next, Next::Slot);
    }

    #[test]
    fn explains_what_parked_and_ended_rows_wait_for() {
        assert_eq!(
            of("pre_import_done", |value| value["settings"]["enabled"] = json!(false)).next,
            Next::Switch
        );
        assert_eq!(of("import_done", |_| {}).next, Next::Nothing);
        let skipped = of("import_skipped", |value| value["row"]["skipped_reason"] = json!(4));
        assert_eq!(skipped.next, Next::Operator);
        assert!(skipped.text.contains("migration_canceled"), "{}", skipped.text);
    }
}
