use std::fmt::{self, Write as _};

use shared::migration::Step;
use stateright::Path;

use crate::{
    Action, Flip, Model, Violation,
    model::SETTLES,
    world::{Asking, Attempt, FORMER, Keeper, Notice, Put, Repository, Stage, Task, World, path},
};

/// A path as numbered lines: what happens, how the rows then stand on the writer, and at its end which property falls.
pub(crate) fn trace(path: &Path<World, Action>, model: &Model) -> String {
    let moments = path.clone().into_vec();
    let mut text = String::new();
    for (number, pair) in (1..).zip(moments.windows(2)) {
        let [(before, Some(action)), (after, _)] = pair else { continue };
        let _ = write!(text, "{number}. {action}");
        if let (Action::Tell(notice), Some(Flip::NotificationOnReader)) = (action, model.flip) {
            let shown = before.shown[usize::from(notice.repository)].state;
            let _ = write!(text, ", by what the reader has: {shown}");
        }
        for (at, (row, was)) in (0..).zip(after.rows.iter().zip(&before.rows)) {
            if (row.state, row.attempt, row.is_held) != (was.state, was.attempt, was.is_held) {
                let attempt = row.attempt.map(|attempt| format!(", {}", Tried(attempt)));
                let held = if row.is_held { " and held" } else { "" };
                let _ = write!(text, "; {} is {}{held}{}", Name(at), row.state, attempt.unwrap_or_default());
            }
        }
        text.push_str(".\n");
    }
    let broken = moments.last().map_or(0, |(world, _)| world.broken);
    let fallen = Violation::ALL.into_iter().filter(|violation| broken >> *violation as u16 & 1 == 1);
    let fallen: Vec<&str> = fallen.map(Violation::property).collect();
    match moments.last() {
        Some((world, _)) if fallen.is_empty() => {
            let settled = model.settled(world);
            for (at, row) in (0..).zip(&settled.held.rows) {
                let held = if row.is_held { " and held" } else { "" };
                let _ = writeln!(text, "Without any more faults {} stays {}{held}.", Name(at), row.state);
            }
            if settled.begins_while_held() {
                text.push_str("On the way there a final step begins while a hold holds it.\n");
            }
            for (at, row) in (0..).zip(&settled.ended.rows).filter(|_| !settled.held.holds.is_empty()) {
                let _ = writeln!(text, "Once nothing is held {} stays {}.", Name(at), row.state);
            }
            let _ = writeln!(text, "Does not hold: {SETTLES}.");
        }
        Some(_) | None => {
            let _ = writeln!(text, "Does not hold: {}.", fallen.join("; "));
        }
    }
    text
}

/// A repository, as a trace names it.
struct Name(Repository);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", path(self.0))
    }
}

/// The final steps that a hold is about.
struct Whose(Option<Repository>);

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(repository) => write!(f, "the final step of {}", Name(repository)),
            None => f.write_str("all final steps"),
        }
    }
}

struct Tried(Attempt);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            former if former >= FORMER => f.write_str("an attempt of the former row"),
            own => write!(f, "attempt {own}"),
        }
    }
}

const fn named(step: Step) -> &'static str {
    match step {
        Step::Pre => "pre step",
        Step::Final => "final step",
    }
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the request for the {} of {} ({})",
            named(self.step),
            Name(self.repository),
            Tried(self.attempt)
        )
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the notification {} of {}", self.status, Name(self.repository))?;
        match self.attempt {
            Some(attempt) => write!(f, " ({})", Tried(attempt)),
            None => f.write_str(" (without an attempt)"),
        }
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of {} ({})", named(self.step), Name(self.repository), Tried(self.attempt))
    }
}

/// What a process does in its next step.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed(asking) => {
                write!(f, "asks the registry how {} stands, before a retry", Name(asking.repository))
            }
            Self::Told(asking, _) => {
                write!(f, "goes on with {} as the registry says", Name(asking.repository))
            }
            Self::Ask(asking) if asking.is_again => write!(f, "asks once more for {asking}"),
            Self::Ask(asking) => write!(f, "asks for {asking}"),
            Self::Sent(asking) => write!(f, "has no answer about {asking}"),
            Self::Answered(asking, said) => write!(f, "has the answer about {asking}: {}", said.name()),
            Self::Accept(asking) => write!(f, "notes that the registry has accepted {asking}"),
            Self::Look(looking) => {
                write!(f, "asks the registry for the guard how {} stands", Name(looking.repository))
            }
            Self::Saw(looking, _) => write!(f, "decides for the guard on {}", Name(looking.repository)),
            Self::Cancel(looking) => {
                write!(f, "cancels the step of {} for the guard", Name(looking.repository))
            }
            Self::Canceled(looking, _) => {
                write!(f, "records for the guard the end of {}", Name(looking.repository))
            }
            Self::GiveUp(giving_up) => match giving_up.stage {
                Stage::Found => write!(f, "notes that an operator cancels {}", Name(giving_up.repository)),
                Stage::Noted => write!(f, "cancels {} for an operator", Name(giving_up.repository)),
                Stage::Stopped => write!(f, "gives up {} for an operator", Name(giving_up.repository)),
            },
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim => f.write_str("A process claims what is next"),
            Self::Resume => f.write_str("A process lets what is parked go on"),
            Self::Look(repository) | Self::LookEarly(repository) => {
                write!(f, "The guard leases {}", Name(*repository))
            }
            Self::Step(task) => write!(f, "A process {task}"),
            Self::Arrive(put) => write!(f, "The registry does {put}"),
            Self::Tell(notice) => write!(f, "The driver judges {notice}"),
            Self::Finish(repository) => write!(f, "The step of {} succeeds", Name(*repository)),
            Self::Replay => f.write_str("The reader replays what is committed"),
            Self::TakeLong(repository) => write!(f, "The step of {} is past its time", Name(*repository)),
            Self::WaitIsOver(repository) => write!(f, "The wait of {} is over", Name(*repository)),
            Self::BrakeIsOver => f.write_str("Starts are held back no longer"),
            Self::Windows(true) => f.write_str("The window for final steps opens"),
            Self::Windows(false) => f.write_str("The window for final steps closes"),
            Self::HeldForLong(repository) => write!(f, "{} has been held for long", Name(*repository)),
            Self::Release(of) => write!(f, "An operator releases {}", Whose(*of)),
            Self::Hold(hold) => match hold.keeper {
                Keeper::Operator => write!(f, "An operator holds {}", Whose(hold.of)),
                Keeper::Window { .. } => write!(f, "An operator sets a window for {}", Whose(hold.of)),
            },
            Self::ComeUp => f.write_str("The registry is up again"),
            Self::Fail(repository) => write!(f, "The step of {} fails", Name(*repository)),
            Self::Unanswered(task) => write!(f, "A process {task}, and has no answer"),
            Self::Crash(task) => write!(f, "A process dies before it {task}"),
            Self::Lose(put) => write!(f, "The network loses {put}"),
            Self::Double(put) => write!(f, "The network doubles {put}"),
            Self::Odd(put, said) => write!(f, "Something answers {put}: {}", said.name()),
            Self::LoseNotice(notice) => write!(f, "The network loses {notice}"),
            Self::DoubleNotice(notice) => write!(f, "The network doubles {notice}"),
            Self::Delay(notice) => write!(f, "The registry waits no longer for the answer to {notice}"),
            Self::Strip(notice) => write!(f, "A proxy drops the attempt of {notice}"),
            Self::Stop => f.write_str("The registry stops gracefully"),
            Self::Kill => f.write_str("The registry is killed"),
            Self::Start(repository) => write!(f, "An operator starts {}", Name(*repository)),
            Self::Cancel(repository) => write!(f, "An operator cancels {}", Name(*repository)),
            Self::CancelByForce(repository) => {
                write!(f, "An operator cancels {} by force", Name(*repository))
            }
            Self::Skip(repository) => write!(f, "An operator skips {}", Name(*repository)),
            Self::Reopen(repository) => write!(f, "An operator reopens {}", Name(*repository)),
            Self::RegisterAgain(repository) => {
                write!(f, "An operator deletes {} and registers it again", Name(*repository))
            }
            Self::Switch(true) => f.write_str("An operator switches migrations on"),
            Self::Switch(false) => f.write_str("An operator switches migrations off"),
            Self::SetCapacity(capacity) => write!(f, "An operator sets the capacity to {capacity}"),
        }
    }
}
