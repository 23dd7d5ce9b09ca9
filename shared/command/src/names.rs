//! Which repositories go, and under which names. Pure.

use std::collections::BTreeMap;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

/// A rule that chooses repositories: `team` or `team/` means that repository and all under it; what has `*`, `?`, `[` or `{`
/// in it is a glob over the whole name, where `*` stays within one segment and `**` does not.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Prefix(String),
    Glob(Box<GlobMatcher>),
}

/// A rule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Not a pattern.
    #[error("{0:?} is neither the beginning of a name nor a glob: {1}")]
    Pattern(String, String),
    /// Not a renaming.
    #[error("{0:?} is no renaming: write FROM=TO, such as team=archive/team")]
    Rename(String),
}

impl std::str::FromStr for Pattern {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = |why: String| InvalidRule::Pattern(text.to_owned(), why);
        if !text.contains(['*', '?', '[', '{']) {
            let prefix = text.trim_end_matches('/');
            if prefix.is_empty() {
                return Err(invalid("it is empty".to_owned()));
            }
            return Ok(Self { text: text.to_owned(), kind: Kind::Prefix(prefix.to_owned()) });
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let glob = glob.map_err(|error| invalid(error.kind().to_string()))?;
        Ok(Self { text: text.to_owned(), kind: Kind::Glob(Box::new(glob.compile_matcher())) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// Whether it chooses the repository.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Prefix(prefix) => rest_under(prefix, name).is_some(),
            Kind::Glob(glob) => glob.is_match(name),
        }
    }
}

/// A renaming: a name, or all names under one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    from: String,
    to: String,
}

impl std::str::FromStr for Rename {
    type Err = InvalidRule;

    /// `FROM=TO`. An empty side means all names, or none before the rest: `=old` puts everything under `old/`.
    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule::Rename(text.to_owned());
        let (from, to) = text.split_once('=').ok_or_else(invalid)?;
        let (from, to) = (from.trim_end_matches('/'), to.trim_end_matches('/'));
        if from == to || to.contains('=') {
            return Err(invalid());
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned() })
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

/// What is left of `name` under `prefix`, by whole segments: empty for the name itself.
fn rest_under<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    if prefix.is_empty() {
        return Some(name);
    }
    let rest = name.strip_prefix(prefix)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// All rules of a run.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Only these go. None: all.
    pub only: Vec<Pattern>,
    /// These do not.
    pub exclude: Vec<Pattern>,
    /// The renaming with the longest beginning decides.
    pub rename: Vec<Rename>,
}

/// What the rules make of the source's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// What goes: the source's name, and the target's.
    pub names: Vec<(String, String)>,
    /// How many do not.
    pub excluded: usize,
}

/// The rules do not fit the source's names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A rule that chooses nothing is a slip of the pen.
    #[error("{option} {rule} fits no repository of the source")]
    FitsNothing {
        /// The option.
        option: &'static str,
        /// Its value.
        rule: String,
    },
    /// One would overwrite the other.
    #[error("{one} and {other} would both become {target}")]
    Collision {
        /// One of the source's.
        one: String,
        /// Another one.
        other: String,
        /// Their name at the target.
        target: String,
    },
    /// Nothing would be left of the name.
    #[error("nothing is left of the name {0} once it is renamed")]
    Nameless(String),
}

impl Rules {
    /// The names that are chosen one by one, where the rules choose no others.
    #[must_use]
    pub fn named(&self) -> Option<Vec<String>> {
        let one = |pattern: &Pattern| match &pattern.kind {
            Kind::Prefix(name) if !pattern.text.ends_with('/') => Some(name.clone()),
            Kind::Prefix(_) | Kind::Glob(_) => None,
        };
        let names: Option<Vec<String>> = self.only.iter().map(one).collect();
        names.filter(|names| !names.is_empty())
    }

    /// Chooses among the source's names. Each comes once, in the order of the names.
    ///
    /// # Errors
    /// [`Misfit`] where a rule fits nothing, or two repositories would become one.
    pub fn choose<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Chosen, Misfit> {
        let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
        for (option, patterns) in [("--only", &self.only), ("--exclude", &self.exclude)] {
            if let Some(idle) =
                patterns.iter().find(|pattern| !names.iter().any(|name| pattern.matches(name)))
            {
                return Err(Misfit::FitsNothing { option, rule: idle.to_string() });
            }
        }
        let mut used = vec![false; self.rename.len()];
        let mut targets: BTreeMap<String, &str> = BTreeMap::new();
        let mut chosen = Chosen::default();
        for name in names {
            if !self.goes(name) {
                chosen.excluded += 1;
                continue;
            }
            let target = self.renamed(name, &mut used).ok_or_else(|| Misfit::Nameless(name.to_owned()))?;
            if let Some(other) = targets.insert(target.clone(), name) {
                return Err(Misfit::Collision { one: other.to_owned(), other: name.to_owned(), target });
            }
            chosen.names.push((name.to_owned(), target));
        }
        match used.iter().position(|used| !used) {
            Some(idle) => {
                Err(Misfit::FitsNothing { option: "--rename", rule: self.rename[idle].to_string() })
            }
            None => Ok(chosen),
        }
    }

    /// The name at the target of a single one. None: it does not go.
    #[must_use]
    pub fn target_of(&self, name: &str) -> Option<String> {
        let goes = self.goes(name);
        goes.then(|| self.renamed(name, &mut vec![false; self.rename.len()])).flatten()
    }

    fn goes(&self, name: &str) -> bool {
        let wanted = self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(name));
        wanted && !self.exclude.iter().any(|pattern| pattern.matches(name))
    }

    fn renamed(&self, name: &str, used: &mut [bool]) -> Option<String> {
        let fits = self
            .rename
            .iter()
            .enumerate()
            .filter_map(|(at, rename)| Some((at, rename, rest_under(&rename.from, name)?)));
        let Some((at, rename, rest)) = fits.max_by_key(|(_, rename, _)| rename.from.len()) else {
            return Some(name.to_owned());
        };
        used[at] = true;
        match (rename.to.as_str(), rest) {
            ("", "") => None,
            ("", rest) => Some(rest.to_owned()),
            (to, "") => Some(to.to_owned()),
            (to, rest) => Some(format!("{to}/{rest}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chosen, InvalidRule, Misfit, Pattern, Rename, Rules};

    const NAMES: [&str; 6] =
        ["team/a", "team/a/cache", "team/ab", "team-dev/a", "other/x/cache", "other/x/y/cache"];

    fn rules(only: &[&str], exclude: &[&str], rename: &[&str]) -> Rules {
        Rules {
            only: only.iter().map(|text| text.parse().unwrap()).collect(),
            exclude: exclude.iter().map(|text| text.parse().unwrap()).collect(),
            rename: rename.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn sources(rules: &Rules) -> Vec<String> {
        rules.choose(NAMES).unwrap().names.into_iter().map(|(source, _)| source).collect()
    }

    fn target(rename: &[&str], name: &str) -> String {
        rules(&[], &[], rename).choose([name]).unwrap().names[0].1.clone()
    }

    #[test]
    fn chooses_by_whole_segments_and_by_globs() {
        for (only, expected) in [
            (&["team"][..], &["team/a", "team/a/cache", "team/ab"][..]),
            (&["team/"], &["team/a", "team/a/cache", "team/ab"]),
            (&["team/a"], &["team/a", "team/a/cache"]),
            (&["team*/a"], &["team-dev/a", "team/a"]),
            (&["*/*/cache"], &["other/x/cache", "team/a/cache"]),
            (&["**/cache"], &["other/x/cache", "other/x/y/cache", "team/a/cache"]),
            (&["team/{a,ab}"], &["team/a", "team/ab"]),
            (&["team/a?"], &["team/ab"]),
        ] {
            assert_eq!(sources(&rules(only, &[], &[])), expected, "{only:?}");
        }
        let kept = sources(&rules(&["team", "other"], &["**/cache"], &[]));
        assert_eq!(kept, ["team/a", "team/ab"]);
        assert_eq!(rules(&[], &["**/cache"], &[]).choose(NAMES).unwrap().excluded, 3);
    }

    #[test]
    fn takes_each_name_once_in_order() {
        let twice = rules(&[], &[], &[]).choose(["b", "a", "b"]).unwrap();
        let names = vec![("a".to_owned(), "a".to_owned()), ("b".to_owned(), "b".to_owned())];
        assert_eq!(twice, Chosen { names, excluded: 0 });
    }

    #[test]
    fn renames_by_the_longest_beginning() {
        assert_eq!(target(&["team=new"], "team/a"), "new/a");
        assert_eq!(target(&["team/a=one"], "team/a"), "one");
        assert_eq!(target(&["team/=new/"], "team/a"), "new/a");
        assert_eq!(target(&["=old"], "team/a"), "old/team/a");
        assert_eq!(target(&["team="], "team/a"), "a");
        let both = rules(&[], &[], &["team=new", "team/a=special"]);
        let names = both.choose(["team/a", "team/a/cache", "team/b", "team-dev/a"]).unwrap().names;
        let targets: Vec<&str> = names.iter().map(|(_, target)| target.as_str()).collect();
        assert_eq!(targets, ["team-dev/a", "special", "special/cache", "new/b"]);
    }

    #[test]
    fn needs_no_list_where_each_name_is_given() {
        let named = |only: &[&str]| rules(only, &[], &[]).named();
        assert_eq!(named(&["team/a", "b"]), Some(vec!["team/a".to_owned(), "b".to_owned()]));
        for only in [&[][..], &["team/"], &["team/a", "team/*"]] {
            assert_eq!(named(only), None, "{only:?}");
        }
    }

    #[test]
    fn refuses_two_repositories_under_one_name() {
        let misfit = rules(&[], &[], &["team=x", "other=x"]).choose(["team/a", "other/a"]).unwrap_err();
        let (one, other, target) = ("other/a".to_owned(), "team/a".to_owned(), "x/a".to_owned());
        assert_eq!(misfit, Misfit::Collision { one, other, target });
        let nameless = rules(&[], &[], &["team="]).choose(["team"]).unwrap_err();
        assert_eq!(nameless, Misfit::Nameless("team".to_owned()));
    }

    #[test]
    fn refuses_a_rule_that_fits_nothing() {
        for (rules, option) in [
            (rules(&["tem"], &[], &[]), "--only"),
            (rules(&[], &["tem/*"], &[]), "--exclude"),
            (rules(&[], &[], &["tem=x"]), "--rename"),
            // What it would rename is left out.
            (rules(&["other"], &[], &["team=x"]), "--rename"),
        ] {
            let misfit = rules.choose(NAMES).unwrap_err();
            assert!(matches!(misfit, Misfit::FitsNothing { option: of, .. } if of == option), "{misfit}");
        }
    }

    #[test]
    fn refuses_what_is_no_rule() {
        for text in ["", "/", "a[", "{a"] {
            assert!(matches!(text.parse::<Pattern>(), Err(InvalidRule::Pattern(..))), "{text}");
        }
        for text in ["", "a", "a=a", "a=b=c", "=", "a/=a"] {
            assert!(matches!(text.parse::<Rename>(), Err(InvalidRule::Rename(_))), "{text}");
        }
    }
}
