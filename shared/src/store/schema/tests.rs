use std::path::Path;

use super::{
    SCRIPTS, SchemaError, Script,
    history::{History, Recorded},
    newest, number, scripts,
    split::statements,
};

#[test]
fn splits_at_semicolons_and_drops_comments() {
    let script = "-- The first; of two.\nCREATE TABLE a (b text); /* no; */\n;\n  SELECT 1 -- the end;\n;\n";
    assert_eq!(statements(script), ["CREATE TABLE a (b text)", "SELECT 1"]);
}

#[test]
fn semicolons_inside_of_anything_separate_nothing() {
    for one in [
        "SELECT ';', 'it''s;', \";\", \"a\"\";\"",
        r"SELECT E'\';', E'\\', e';'",
        "SELECT '\\', 1",
        "DO $$ BEGIN PERFORM 1; PERFORM 2; END $$",
        "DO $a$ BEGIN EXECUTE $b$ SELECT $$;$$; $b$; END $a$",
        "SELECT 1 /* ; /* ; */ ; */ + 2",
        "SELECT 1 -- ;\n + 2",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)",
        "SELECT a$b$, $1, naïve FROM größe",
    ] {
        assert_eq!(statements(&format!("{one};SELECT 2;")), [one, "SELECT 2"]);
        assert_eq!(statements(one), [one], "without a semicolon at its end");
    }
}

#[test]
fn a_text_that_never_ends_is_one_statement() {
    for script in ["SELECT ';", "SELECT \";", "DO $x$ ; $y$", "SELECT 1 /* ;", "SELECT E'\\", "SELECT $"] {
        assert_eq!(statements(script).len(), 1, "{script}");
    }
    assert_eq!(statements("; -- nothing\n"), Vec::<&str>::new());
}

#[test]
fn every_script_of_the_folder_is_listed_in_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/schema");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> =
        files.filter_map(|file| file.strip_suffix(".sql").map(str::to_owned)).collect();
    there.sort();
    assert_eq!(SCRIPTS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), there);
    for script in scripts() {
        assert_eq!(number(script.name), Some(script.number), "{}", script.name);
    }
    assert_eq!(newest(), there.last().unwrap());
}

#[test]
fn every_statement_keeps_to_what_the_data_api_takes() {
    for script in scripts() {
        let statements = script.statements();
        assert!(!statements.is_empty(), "{}", script.name);
        for statement in statements {
            assert!(statement.chars().count() <= 65_536, "{}: too long", script.name);
            assert!(!statement.starts_with("--"), "{statement}");
            // A colon and a name are a parameter; a cast is none. Not even in a comment, to be sure.
            let without_casts = statement.replace("::", "");
            let mut names = without_casts.split(':').skip(1).filter_map(|rest| rest.chars().next());
            assert!(
                !names.any(|first| first == '_' || first.is_alphabetic()),
                "{}: {statement}",
                script.name
            );
        }
    }
}

#[test]
fn makes_rows_in_the_first_script_only() {
    for script in &scripts()[1..] {
        for statement in script.statements() {
            let verb = statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            assert!(
                ["ALTER", "ANALYZE", "CREATE", "DROP", "GRANT", "COMMENT"].contains(&verb.as_str()),
                "{statement}"
            );
        }
    }
}

/// The first script that was written for databases that are in use.
const IN_USE: u16 = 6;

#[test]
fn keeps_nobody_from_a_table_that_has_rows() {
    for script in scripts().iter().filter(|script| script.number >= IN_USE && !script.stands_alone()) {
        let statements: Vec<String> = script
            .statements()
            .iter()
            .map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let made: Vec<&str> = statements
            .iter()
            .filter_map(|statement| statement.strip_prefix("CREATE TABLE ")?.split(' ').next())
            .collect();
        let all_validate = statements.iter().all(|statement| statement.contains(" VALIDATE CONSTRAINT "));
        for statement in &statements {
            let words: Vec<&str> = statement.split([' ', ';']).collect();
            let table = |after: &str| {
                let at = words.iter().position(|word| *word == after);
                at.and_then(|at| words.get(at + 1)).is_some_and(|table| made.contains(table))
            };
            let name = script.name;
            if statement.starts_with("CREATE INDEX") || statement.starts_with("CREATE UNIQUE INDEX") {
                assert!(table("ON"), "{name}: {statement}: CONCURRENTLY, in a script of its own");
            }
            if !statement.starts_with("ALTER TABLE") || table("TABLE") {
                continue;
            }
            if statement.contains("ADD CONSTRAINT") {
                assert!(
                    statement.ends_with("NOT VALID"),
                    "{name}: {statement}: NOT VALID, to be validated later"
                );
            }
            if statement.contains("VALIDATE CONSTRAINT") {
                assert!(all_validate, "{name}: {statement}: in a script of its own");
            }
            for reads_or_writes_all in
                ["SET NOT NULL", " TYPE ", "GENERATED", "UNIQUE", "PRIMARY KEY", "REFERENCES", "SET LOGGED"]
            {
                assert!(!statement.contains(reads_or_writes_all), "{name}: {statement}");
            }
            let default =
                statement.split_once("ADD COLUMN").and_then(|(_, column)| column.split_once("DEFAULT"));
            assert!(
                !default.is_some_and(|(_, value)| value.contains('(')),
                "{name}: {statement}: no constant"
            );
        }
    }
}

#[test]
fn knows_a_script_that_is_an_index() {
    let script = |sql| Script { number: 1, name: "0001_a", sql };
    let index = script("-- Why.\nCREATE INDEX CONCURRENTLY a_b ON public.a (b);").index().unwrap();
    assert_eq!((index.name, index.create), ("a_b", "CREATE INDEX CONCURRENTLY a_b ON public.a (b)"));
    for sql in ["CREATE INDEX a_b ON a (b)", "SELECT 1; CREATE INDEX CONCURRENTLY a_b ON a (b)"] {
        assert_eq!(script(sql).index(), None, "{sql}");
    }
}

#[test]
fn a_name_that_is_no_scripts_has_no_number() {
    assert_eq!(number("0012_more"), Some(12));
    for name in ["", "more", "12_more", "0012", "0012_", "x012_more"] {
        assert_eq!(number(name), None, "{name}");
    }
}

fn pending<'a>(
    recorded: &[Recorded],
    scripts: &'a [Script],
    newer_is_known: u16,
) -> Result<&'a [Script], SchemaError> {
    History::of(recorded, scripts, newer_is_known).map(|history| history.pending)
}

const THREE: [Script; 3] = [
    Script { number: 1, name: "0001_a", sql: "SELECT 1" },
    Script { number: 2, name: "0002_b", sql: "SELECT 2" },
    Script { number: 3, name: "0003_c", sql: "SELECT 3" },
];

fn recorded(scripts: &[Script]) -> Vec<Recorded> {
    let of = |script: &Script| Recorded {
        number: script.number,
        name: script.name.to_owned(),
        checksum: script.checksum(),
    };
    scripts.iter().map(of).collect()
}

#[test]
fn what_was_not_applied_is_left_to_do() {
    for applied in 0..=3 {
        assert_eq!(pending(&recorded(&THREE[..applied]), &THREE, 0), Ok(&THREE[applied..]));
    }
}

#[test]
fn a_script_that_differs_from_what_was_applied_is_named() {
    let changed = [THREE[0], Script { sql: "SELECT 22", ..THREE[1] }];
    assert_eq!(pending(&recorded(&changed), &THREE, 0), Err(SchemaError::Changed { name: "0002_b" }));
    let renamed = [Script { name: "0001_x", ..THREE[0] }];
    assert_eq!(pending(&recorded(&renamed), &THREE, 0), Err(SchemaError::Changed { name: "0001_a" }));
}

#[test]
fn a_database_that_is_ahead_is_refused_unless_that_is_known() {
    let applied = recorded(&THREE);
    let newer = SchemaError::Newer { name: "0002_b".to_owned(), newest: "0001_a" };
    assert_eq!(pending(&applied, &THREE[..1], 0), Err(newer));
    let newer = SchemaError::Newer { name: "0003_c".to_owned(), newest: "0001_a" };
    assert_eq!(pending(&applied, &THREE[..1], 2), Err(newer));
    assert_eq!(pending(&applied, &THREE[..1], 3), Ok(&[][..]));
}

#[test]
fn a_hole_in_what_was_applied_is_refused() {
    assert_eq!(pending(&recorded(&THREE[1..]), &THREE, 0), Err(SchemaError::Gap { number: 1 }));
}
