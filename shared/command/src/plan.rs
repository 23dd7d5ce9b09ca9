//! The plan as people read it. Pure.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount};
use serde::Serialize;

use crate::forecast::in_words;

/// How many problems are shown; the file has them all.
const SHOWN: usize = 20;

/// One registry, as the plan names it.
#[derive(Clone, Debug, Serialize)]
pub struct SideView {
    /// Its address.
    pub url: String,
    /// What it is taken for.
    pub kind: String,
    /// As whom it is spoken to.
    pub login: String,
    /// Who hands out tokens for it.
    pub token_realm: Option<String>,
    /// What it is spared.
    pub limits: String,
}

/// What cannot go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProblemView {
    /// The repository.
    pub repository: String,
    /// The tag, where it is one.
    pub tag: Option<String>,
    /// Why, in a word.
    pub cause: String,
    /// Why, in the registry's words.
    pub said: String,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    /// The source.
    pub from: SideView,
    /// The target.
    pub to: SideView,
    /// Repositories that go.
    pub repositories: u64,
    /// Repositories that the rules leave out.
    pub excluded: u64,
    /// Tags.
    pub tags: u64,
    /// Of these, at the target already.
    pub tags_there: u64,
    /// Manifests.
    pub manifests: u64,
    /// Of these, at the target already.
    pub manifests_there: u64,
    /// Distinct blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, at the target already.
    pub bytes_there: u64,
    /// What cannot go, and why.
    pub problems: Vec<ProblemView>,
    /// How long it will take.
    pub forecast_seconds: u64,
    /// What that is based on.
    pub forecast_basis: String,
}

/// The plan in lines.
#[must_use]
pub fn text(plan: &PlanView) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, plan);
    text
}

fn write(text: &mut String, plan: &PlanView) -> std::fmt::Result {
    for (word, side) in [("From", &plan.from), ("To", &plan.to)] {
        writeln!(text, "{word:<14}{} ({})", side.url, side.kind)?;
        writeln!(text, "{:<14}as {}", "", side.login)?;
        if let Some(realm) = &side.token_realm {
            writeln!(text, "{:<14}tokens come from {realm}, which gets these credentials", "")?;
        }
        writeln!(text, "{:<14}limits: {}", "", side.limits)?;
    }
    let excluded = match plan.excluded {
        0 => String::new(),
        excluded => format!(" ({} left out)", HumanCount(excluded)),
    };
    writeln!(text, "{:<14}{}{excluded}", "Repositories", HumanCount(plan.repositories))?;
    for (word, all, there) in
        [("Tags", plan.tags, plan.tags_there), ("Manifests", plan.manifests, plan.manifests_there)]
    {
        writeln!(text, "{word:<14}{}, of which {} are there", HumanCount(all), HumanCount(there))?;
    }
    writeln!(
        text,
        "{:<14}{} distinct, {}, of which {} are there",
        "Blobs",
        HumanCount(plan.blobs),
        DecimalBytes(plan.bytes),
        DecimalBytes(plan.bytes_there)
    )?;
    if plan.problems.is_empty() {
        writeln!(text, "{:<14}nothing was found that cannot go", "Problems")?;
    } else {
        writeln!(text, "{:<14}{} cannot go:", "Problems", HumanCount(plan.problems.len() as u64))?;
    }
    for problem in plan.problems.iter().take(SHOWN) {
        let tag = problem.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        writeln!(text, "{:<14}{}{tag}  {}: {}", "", problem.repository, problem.cause, problem.said)?;
    }
    if plan.problems.len() > SHOWN {
        writeln!(text, "{:<14}and {} more, in plan.json", "", plan.problems.len() - SHOWN)?;
    }
    let time = in_words(Duration::from_secs(plan.forecast_seconds));
    writeln!(text, "{:<14}about {time} ({})", "Time", plan.forecast_basis)?;
    write!(
        text,
        "The source stays open: this cannot stop pushes there. What is pushed after a repository's last list is not copied; the \
         proof names the time of each comparison. Nothing is deleted at the source."
    )
}

#[cfg(test)]
mod tests {
    use super::{PlanView, ProblemView, SideView, text};

    fn side(url: &str, realm: Option<&str>) -> SideView {
        SideView {
            url: url.to_owned(),
            kind: "distribution 2".to_owned(),
            login: "nobody".to_owned(),
            token_realm: realm.map(str::to_owned),
            limits: "none".to_owned(),
        }
    }

    fn plan(problems: usize) -> PlanView {
        let problem = |number: usize| ProblemView {
            repository: format!("team/{number}"),
            tag: Some("old".to_owned()),
            cause: "unsupported_media_type".to_owned(),
            said: "schema 1".to_owned(),
        };
        PlanView {
            from: side("https://old.example/", Some("https://auth.example/token")),
            to: side("https://new.example/", None),
            repositories: 40,
            excluded: 3,
            tags: 1_624,
            tags_there: 0,
            manifests: 868,
            manifests_there: 12,
            blobs: 1_887,
            bytes: 1_012_000_000,
            bytes_there: 1_000,
            problems: (0..problems).map(problem).collect(),
            forecast_seconds: 40,
            forecast_basis: "at 50 MB/s".to_owned(),
        }
    }

    #[test]
    fn tells_all_that_an_operator_decides_by() {
        let told = text(&plan(1));
        for part in [
            "From          https://old.example/ (distribution 2)",
            "tokens come from https://auth.example/token",
            "Repositories  40 (3 left out)",
            "Tags          1,624, of which 0 are there",
            "Blobs         1,887 distinct, 1.01 GB, of which 1.00 kB are there",
            "team/0:old  unsupported_media_type: schema 1",
            "Time          about 40 s (at 50 MB/s)",
            "cannot stop pushes",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn shows_twenty_problems_and_counts_the_rest() {
        let told = text(&plan(25));
        assert!(told.contains("25 cannot go") && told.contains("and 5 more, in plan.json"), "{told}");
        assert!(told.contains("team/19:old") && !told.contains("team/20:old"), "{told}");
        assert!(text(&plan(0)).contains("nothing was found that cannot go"));
    }
}
