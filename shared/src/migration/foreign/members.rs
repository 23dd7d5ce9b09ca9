use std::fmt;

use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{json::text_of, keep};

/// Some members of a foreign JSON object, however the rest of it looks: of any type, any depth, given twice.
#[derive(Clone, Debug)]
pub struct Members<'a, const N: usize> {
    values: [Option<&'a RawValue>; N],
    contradicted: [bool; N],
}

/// Reads the members of the object in `json` that have one of `names`. Of a member that is given more than once the
/// last one counts. `json` is best what [`decode_json`](super::decode_json) made.
///
/// # Errors
/// When `json` is not one JSON object.
pub fn read_members<'a, const N: usize>(
    json: &'a str,
    names: [&'static str; N],
) -> Result<Members<'a, N>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let members = deserializer.deserialize_map(Wanted(names))?;
    deserializer.end()?;
    Ok(members)
}

impl<const N: usize> Members<'_, N> {
    /// The member with this place among the names, where it is a string.
    #[must_use]
    pub fn string(&self, place: usize) -> Option<String> {
        let value = self.values.get(place).copied().flatten()?;
        if value.get().starts_with('"') { text_of(value) } else { None }
    }

    /// The member with this place among the names, where it is a number.
    #[must_use]
    pub fn number(&self, place: usize) -> Option<f64> {
        serde_json::from_str(self.values.get(place).copied().flatten()?.get()).ok()
    }

    /// What the member says, of whatever type it is, as it can be kept. None where there is none, or null.
    #[must_use]
    pub fn text(&self, place: usize) -> Option<String> {
        self.values.get(place).copied().flatten().and_then(text_of).map(|text| keep(&text))
    }

    /// Whether the member is given more than once, with different values.
    #[must_use]
    pub fn is_contradicted(&self, place: usize) -> bool {
        self.contradicted.get(place).copied().unwrap_or(false)
    }
}

struct Wanted<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for Wanted<N> {
    type Value = Members<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members { values: [None; N], contradicted: [false; N] };
        while let Some(name) = map.next_key::<String>()? {
            let Some(place) = self.0.iter().position(|wanted| *wanted == name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            let before = members.values[place].replace(value);
            members.contradicted[place] |= before.is_some_and(|before| before.get() != value.get());
        }
        Ok(members)
    }
}
