use super::{decode_json, keep, read_members, read_name, repair_json, without_nul};

#[test]
fn a_kept_text_has_no_nul_and_255_characters() {
    let wide = "\u{1f4a5}";
    for (text, kept) in [
        (String::new(), String::new()),
        ("a\0b".to_owned(), "a\u{fffd}b".to_owned()),
        ("\0".repeat(300), "\u{fffd}".repeat(255)),
        ("ü".repeat(255), "ü".repeat(255)),
        ("ü".repeat(256), "ü".repeat(255)),
        (wide.repeat(256), wide.repeat(255)),
        // Combining marks and controls are characters too.
        (format!("{}e\u{301}", "a".repeat(254)), format!("{}e", "a".repeat(254))),
        ("\u{1}\u{7f}\u{85}\u{feff}\u{ffff}".to_owned(), "\u{1}\u{7f}\u{85}\u{feff}\u{ffff}".to_owned()),
    ] {
        assert_eq!(keep(&text), kept, "{text:?}");
    }
    let long = format!("{}\0", "a".repeat(1000));
    assert_eq!(without_nul(long), format!("{}\u{fffd}", "a".repeat(1000)));
}

#[test]
fn a_name_is_compared_without_the_blanks_around_it() {
    for (text, name) in [
        ("gold", Some("gold")),
        (" gold ", Some("gold")),
        ("\t\u{a0}gold\u{3000}\r\n", Some("gold")),
        ("\u{feff}gold\u{200b}", Some("gold")),
        ("go ld", Some("go ld")),
        ("Gold", Some("Gold")),
        ("", None),
        (" \u{3000}\u{feff}", None),
        ("go\0ld", None),
    ] {
        assert_eq!(read_name(text).ok().as_deref(), name, "{text:?}");
    }
    assert_eq!(read_name(&"ü".repeat(255)), Ok("ü".repeat(255)), "characters, not bytes");
    assert_eq!(read_name(&format!(" {} ", "ü".repeat(255))), Ok("ü".repeat(255)));
    assert!(read_name(&"ü".repeat(256)).is_err());
}

#[test]
fn a_repaired_document_holds_only_characters() {
    for (json, repaired) in [
        (r#""plain \n \" \\ \u00fc""#, r#""plain \n \" \\ \u00fc""#),
        (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
        (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
        (r#""\u0000""#, r#""\ufffd""#),
        (r#""\\u0000""#, r#""\\u0000""#),
        (r#""\\\u0000""#, r#""\\\ufffd""#),
        (r#""a\ud83d""#, r#""a\ufffd""#),
        (r#""\ude00a""#, r#""\ufffda""#),
        (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
        (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
        (r#""\ud83d\n""#, r#""\ufffd\n""#),
        (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
        (r#"{"\udead":"\ud800"}"#, r#"{"\ufffd":"\ufffd"}"#),
        // What is no JSON stays what it is.
        (r#""\u12"#, r#""\u12"#),
        (r#""\u+123""#, r#""\u+123""#),
        ("\\ü\\", "\\ü\\"),
    ] {
        assert_eq!(repair_json(json), repaired, "{json}");
    }
}

#[test]
fn bytes_are_read_as_far_as_they_are_text() {
    for (bytes, text) in [
        (&b"{}"[..], "{}"),
        (b"\xef\xbb\xbf{}", "{}"),
        (b"\"a\xffb\"", "\"a\u{fffd}b\""),
        (b"\"\xff\\ud800\"", "\"\u{fffd}\\ufffd\""),
        // The halves of a pair as three bytes each: CESU-8.
        (b"\"\xed\xa0\xbd\"", "\"\u{fffd}\u{fffd}\u{fffd}\""),
        (b"", ""),
    ] {
        assert_eq!(decode_json(bytes), text, "{bytes:?}");
    }
}

#[test]
fn a_member_is_read_whatever_stands_beside_it() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for (json, text) in [
        (r#"{"detail":"d"}"#.to_owned(), Some("d".to_owned())),
        (r#"{"detail":"\u0000"}"#.to_owned(), Some("\u{fffd}".to_owned())),
        (r#"{"detail":7}"#.to_owned(), Some("7".to_owned())),
        (r#"{"detail":1e999}"#.to_owned(), Some("1e999".to_owned())),
        (r#"{"detail":true}"#.to_owned(), Some("true".to_owned())),
        (r#"{"detail":{"a":[1]}}"#.to_owned(), Some(r#"{"a":[1]}"#.to_owned())),
        (r#"{"detail":null}"#.to_owned(), None),
        (r#"{"detail":"first","detail":"last"}"#.to_owned(), Some("last".to_owned())),
        (r#"{"other":"d"}"#.to_owned(), None),
        (r#"{"\ud800":1,"detail":"\udc00"}"#.to_owned(), Some("\u{fffd}".to_owned())),
        (format!(r#"{{"other":{deep},"detail":{deep}}}"#), Some("[".repeat(255))),
    ] {
        let json = repair_json(&json);
        let members = read_members(&json, ["detail"]).unwrap();
        assert_eq!(members.text(0), text, "{json}");
    }
    let members =
        read_members(r#"{"a":1,"a":1,"b":1,"b":2,"c":1,"c":2,"c":3}"#, ["a", "b", "c", "d"]).unwrap();
    assert_eq!([0, 1, 2, 3].map(|place| members.is_contradicted(place)), [false, true, true, false]);
}

#[test]
fn reads_a_string_and_a_number_only_where_it_is_one() {
    let json = r#"{"a":"7","b":7.5,"c":null}"#;
    let members = read_members(json, ["a", "b", "c", "d"]).unwrap();
    assert_eq!(
        [0, 1, 2, 3, 4].map(|place| members.string(place)),
        [Some("7".to_owned()), None, None, None, None]
    );
    assert_eq!([0, 1, 2, 3, 4].map(|place| members.number(place)), [None, Some(7.5), None, None, None]);
}

#[test]
fn what_is_not_one_object_has_no_members() {
    for json in
        ["", "[]", r#"["detail"]"#, "null", "7", r#""detail""#, r#"{"detail":"d""#, "{}{}", "{detail:1}"]
    {
        assert!(read_members(json, ["detail"]).is_err(), "{json}");
    }
    let error = read_members("[]", ["detail"]).unwrap_err().to_string();
    assert!(error.contains("expected an object"), "{error}");
}
