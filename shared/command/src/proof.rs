//! The proof as files: a row for every tag, as NDJSON for programs and as CSV for people.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// The file for programs.
pub const NDJSON: &str = "proof.ndjson";
/// The file for people.
pub const CSV: &str = "proof.csv";

/// A row: one tag of one repository, or a repository that has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The repository at the source.
    pub source: String,
    /// The repository at the target.
    pub target: String,
    /// The tag. Empty: the row is about the whole repository.
    pub tag: String,
    /// `equal`, `merged` (a list of referrers of which the target has more), `failed`, `deleted` (the source has it no
    /// more), `unconfirmed` (an earlier run found it equal, and this one did not come to it); of a whole repository `empty`, `failed` or `pending`.
    pub state: String,
    /// What the source's tag meant at its last list.
    pub source_digest: Option<String>,
    /// What the target's tag means, read back.
    pub target_digest: Option<String>,
    /// When it was read back, or found to have failed.
    pub checked_at: Option<String>,
    /// Why it failed, in a word.
    pub cause: Option<String>,
    /// Why it failed, in the registry's words.
    pub error: Option<String>,
}

/// Writes rows in both forms.
pub struct Writer {
    ndjson: BufWriter<File>,
    csv: csv::Writer<File>,
}

impl Writer {
    /// One that writes into these files.
    #[must_use]
    pub fn new(ndjson: File, csv: File) -> Self {
        let csv = csv::WriterBuilder::new().from_writer(csv);
        Self { ndjson: BufWriter::new(ndjson), csv }
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub fn write(&mut self, row: &Row) -> io::Result<()> {
        serde_json::to_writer(&mut self.ndjson, row)?;
        self.ndjson.write_all(b"\n")?;
        self.csv.serialize(for_people(row)).map_err(io::Error::other)
    }

    /// Has all of it on the disk.
    ///
    /// # Errors
    /// When the disk takes it not.
    pub fn finish(mut self) -> io::Result<()> {
        self.ndjson.flush()?;
        self.csv.flush()?;
        self.ndjson.get_ref().sync_all()?;
        self.csv.get_ref().sync_all()
    }
}

/// A text that others wrote, for a table: it may begin like a formula, and a spreadsheet would obey it.
pub fn no_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn for_people(row: &Row) -> Row {
    Row { error: row.error.as_deref().map(no_formula), ..row.clone() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Row, Writer};

    fn row(error: Option<&str>) -> Row {
        Row {
            source: "team/a".to_owned(),
            target: "new/a".to_owned(),
            tag: "v1".to_owned(),
            state: "equal".to_owned(),
            source_digest: Some("sha256:00".to_owned()),
            target_digest: None,
            checked_at: Some("2026-01-01T00:00:00Z".to_owned()),
            cause: None,
            error: error.map(str::to_owned),
        }
    }

    fn written(rows: &[Row]) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let (ndjson, csv) = (folder.path().join("n"), folder.path().join("c"));
        let mut writer = Writer::new(fs::File::create(&ndjson).unwrap(), fs::File::create(&csv).unwrap());
        rows.iter().for_each(|row| writer.write(row).unwrap());
        writer.finish().unwrap();
        (fs::read_to_string(ndjson).unwrap(), fs::read_to_string(csv).unwrap())
    }

    #[test]
    fn writes_a_line_for_each_tag_in_both_forms() {
        let (ndjson, csv) = written(&[row(None), row(Some("a \"b\",\nc"))]);
        let lines: Vec<serde_json::Value> =
            ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["source_digest"], "sha256:00");
        assert_eq!(lines[0]["target_digest"], serde_json::Value::Null);
        assert_eq!(lines[1]["error"], "a \"b\",\nc");
        let header = "source,target,tag,state,source_digest,target_digest,checked_at,cause,error\n";
        let first = "team/a,new/a,v1,equal,sha256:00,,2026-01-01T00:00:00Z,,\n";
        assert_eq!(csv, format!("{header}{first}{}", first.replace(",,\n", ",,\"a \"\"b\"\",\nc\"\n")));
    }

    #[test]
    fn gives_no_formula_to_a_spreadsheet() {
        for text in ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1"] {
            let (ndjson, csv) = written(&[row(Some(text))]);
            let line: serde_json::Value = serde_json::from_str(&ndjson).unwrap();
            assert_eq!(line["error"], text);
            assert!(!csv.contains(&format!(",{text}")), "{csv}");
            assert!(csv.contains(&format!("'{text}")), "{csv}");
        }
    }
}
