//! What comes next, decided without I/O.

use std::collections::BTreeMap;

use oci::{Digest, Tag};
use serde_json::{Value, json};
use shared::store::importer::{ImportStatus, ImportStep};

/// The plan of a start: for each status the verdict, and for `absent` that of a repository that was never asked for.
/// The names are those of the import protocol's answers.
#[must_use]
pub fn start_plan(step: ImportStep) -> Value {
    use ImportStatus as Is;
    let verdict = |status: ImportStatus| match (step, status) {
        (_, Is::PreImportInProgress) => "pre_import_in_progress",
        (_, Is::ImportInProgress) => "import_in_progress",
        (_, Is::ImportComplete) => "complete",
        (ImportStep::Final, Is::PreImportFailed) => "pre_import_failed",
        (ImportStep::Final, Is::PreImportCanceled) => "pre_import_canceled",
        (ImportStep::Final, Is::PreImportComplete | Is::ImportFailed | Is::ImportCanceled)
        | (
            ImportStep::Pre,
            Is::PreImportComplete
            | Is::PreImportFailed
            | Is::PreImportCanceled
            | Is::ImportFailed
            | Is::ImportCanceled,
        ) => "start",
    };
    let mut plan: BTreeMap<&str, &str> =
        ImportStatus::ALL.iter().map(|status| (status.name(), verdict(*status))).collect();
    plan.insert(
        "absent",
        match step {
            ImportStep::Pre => "start",
            ImportStep::Final => "pre_import_required",
        },
    );
    json!(plan)
}

/// What a run does next with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Starts a step, which is then copied.
    Start(ImportStep),
    /// Copies what is in progress.
    Copy,
    /// Takes its end back, so that the final step looks once more at what is new.
    LookAgain,
    /// Nothing: it has ended.
    End,
}

/// What a run does next. `ended_here`: a step of this run has ended before; what an earlier run left as ended is looked at
/// again.
pub(crate) const fn next(status: Option<ImportStatus>, ended_here: bool) -> Next {
    use ImportStatus as Is;
    match status {
        Some(Is::PreImportInProgress | Is::ImportInProgress) => Next::Copy,
        Some(Is::PreImportComplete) => Next::Start(ImportStep::Final),
        Some(_) if ended_here => Next::End,
        Some(Is::ImportComplete) => Next::LookAgain,
        // The blobs and manifests were there already: the final step copies whatever is missing.
        Some(Is::ImportFailed | Is::ImportCanceled) => Next::Start(ImportStep::Final),
        None | Some(Is::PreImportFailed | Is::PreImportCanceled) => Next::Start(ImportStep::Pre),
    }
}

/// Which tags lead elsewhere now than they did, or are new, and which are gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) changed: BTreeMap<Tag, Digest>,
    pub(crate) gone: Vec<Tag>,
}

impl Moved {
    pub(crate) fn between(before: &BTreeMap<Tag, Digest>, after: &BTreeMap<Tag, Digest>) -> Self {
        Self {
            changed: after
                .iter()
                .filter(|(tag, digest)| before.get(*tag) != Some(*digest))
                .map(|(tag, digest)| (tag.clone(), digest.clone()))
                .collect(),
            gone: before.keys().filter(|tag| !after.contains_key(*tag)).cloned().collect(),
        }
    }

    pub(crate) fn nothing(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use oci::{Algorithm, Digest, Tag};
    use shared::store::importer::{ImportStatus, ImportStep};

    use super::{Moved, Next, next, start_plan};

    #[test]
    fn starts_exactly_what_the_protocol_lets_start() {
        let pre = start_plan(ImportStep::Pre);
        let last = start_plan(ImportStep::Final);
        let expected = [
            ("absent", "start", "pre_import_required"),
            ("pre_import_in_progress", "pre_import_in_progress", "pre_import_in_progress"),
            ("pre_import_complete", "start", "start"),
            ("pre_import_failed", "start", "pre_import_failed"),
            ("pre_import_canceled", "start", "pre_import_canceled"),
            ("import_in_progress", "import_in_progress", "import_in_progress"),
            ("import_complete", "complete", "complete"),
            ("import_failed", "start", "start"),
            ("import_canceled", "start", "start"),
        ];
        for (status, for_pre, for_final) in expected {
            assert_eq!(
                (pre[status].as_str(), last[status].as_str()),
                (Some(for_pre), Some(for_final)),
                "{status}"
            );
        }
    }

    #[test]
    fn a_run_takes_each_repository_to_its_end_once() {
        use ImportStatus as Is;
        let cases = [
            (None, Next::Start(ImportStep::Pre), Next::Start(ImportStep::Pre)),
            (Some(Is::PreImportInProgress), Next::Copy, Next::Copy),
            (Some(Is::PreImportComplete), Next::Start(ImportStep::Final), Next::Start(ImportStep::Final)),
            (Some(Is::PreImportFailed), Next::Start(ImportStep::Pre), Next::End),
            (Some(Is::PreImportCanceled), Next::Start(ImportStep::Pre), Next::End),
            (Some(Is::ImportInProgress), Next::Copy, Next::Copy),
            (Some(Is::ImportComplete), Next::LookAgain, Next::End),
            (Some(Is::ImportFailed), Next::Start(ImportStep::Final), Next::End),
            (Some(Is::ImportCanceled), Next::Start(ImportStep::Final), Next::End),
        ];
        for (status, first, later) in cases {
            assert_eq!((next(status, false), next(status, true)), (first, later), "{status:?}");
        }
    }

    #[test]
    fn sees_new_moved_and_deleted_tags() {
        let at = |tags: &[(&str, &str)]| -> BTreeMap<Tag, Digest> {
            let digest = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
            tags.iter().map(|(tag, to)| (Tag::parse(tag).unwrap(), digest(to))).collect()
        };
        let before = at(&[("kept", "1"), ("moved", "1"), ("gone", "1")]);
        let after = at(&[("kept", "1"), ("moved", "2"), ("new", "3")]);
        let moved = Moved::between(&before, &after);
        assert_eq!(moved.changed, at(&[("moved", "2"), ("new", "3")]));
        assert_eq!(moved.gone, [Tag::parse("gone").unwrap()]);
        assert!(Moved::between(&after, &after).nothing());
    }
}
