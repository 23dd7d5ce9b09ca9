use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::migration::foreign::{decode_json, keep};

/// How many entries that are no names are kept, to be shown.
const SHOWN: usize = 100;

/// What stands in one page of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub names: Vec<String>,
    pub no_names: u32,
    pub first_no_names: Vec<String>,
}

/// Reads the list that is `member` of an answer's JSON object; None: it has no such list. One entry after the other, so that a list of what is
/// no name does not cost more memory than its text.
pub(super) fn read_names(body: &[u8], member: &str) -> Option<Names> {
    // A name that is no text leaves the others what they are.
    let text = decode_json(body);
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let names = deserializer.deserialize_map(Object(member)).ok()?;
    deserializer.end().ok()?;
    names
}

/// An object with a list in the member of this name.
struct Object<'a>(&'a str);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Option<Names>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a list in {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                found = Some(map.next_value_seed(List)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The list itself; some registries say null where there is none.
struct List;

impl<'de> DeserializeSeed<'de> for List {
    type Value = Names;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Names, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_unit<E>(self) -> Result<Names, E> {
        Ok(Names::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Names, A::Error> {
        let mut read = Names::default();
        while let Some(entry) = entries.next_element::<Value>()? {
            match entry {
                Value::String(name) => read.names.push(name),
                other => {
                    read.no_names = read.no_names.saturating_add(1);
                    if read.first_no_names.len() < SHOWN {
                        read.first_no_names.push(keep(&other.to_string()));
                    }
                }
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, read_names};

    fn read(body: &str) -> Option<Names> {
        read_names(body.as_bytes(), "tags")
    }

    #[test]
    fn keeps_the_names_beside_entries_that_are_none() {
        let read = read(r#"{"name":"x","tags":["a",1,null,["b"],{"c":"d"},"e"],"more":[1]}"#).unwrap();
        assert_eq!(read.names, ["a", "e"]);
        assert_eq!(read.no_names, 4);
        assert_eq!(read.first_no_names, ["1", "null", r#"["b"]"#, r#"{"c":"d"}"#]);
        let broken = read_names(b"{\"tags\":[\"a\xff\",\"\\ud800\",\"b\"]}", "tags").unwrap();
        assert_eq!(broken.names, ["a\u{fffd}", "\u{fffd}", "b"]);
    }

    #[test]
    fn takes_null_for_an_empty_list_and_nothing_else() {
        for body in [r#"{"tags":null}"#, r#"{"tags":[]}"#] {
            assert_eq!(read(body), Some(Names::default()), "{body}");
        }
        for body in
            ["", "null", "[]", r#"[["a"]]"#, "{}", r#"{"tags":"a"}"#, r#"{"tags":{}}"#, r#"{"tags":[]} x"#]
        {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn counts_more_entries_than_it_keeps() {
        let body = format!(r#"{{"tags":[{}1]}}"#, "1,".repeat(999));
        let read = read(&body).unwrap();
        assert_eq!((read.no_names, read.first_no_names.len()), (1000, 100));
    }
}
