use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

/// Reads a whole number however it is written: JSON knows one kind of number, so 3.0 is 3. None for null.
///
/// # Errors
/// For what is no number, no whole one, or outside the type.
pub fn whole<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: WholeNumber,
    D: Deserializer<'de>,
{
    Option::<Whole<T>>::deserialize(deserializer).map(|read| read.map(|Whole(number)| number))
}

/// A type of whole numbers, with its limits.
pub trait WholeNumber: TryFrom<i64> + fmt::Display {
    /// The least of them.
    const LEAST: Self;
    /// The greatest.
    const MOST: Self;
}

impl WholeNumber for i32 {
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

impl WholeNumber for i64 {
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

struct Whole<T>(T);

struct AWhole<T>(PhantomData<T>);

impl<'de, T: WholeNumber> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AWhole(PhantomData)).map(Self)
    }
}

impl<T: WholeNumber> Visitor<'_> for AWhole<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {} to {}", T::LEAST, T::MOST)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        let fits = i64::try_from(number).ok().and_then(|number| T::try_from(number).ok());
        fits.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        // Far above this a whole number has no float of its own, and which one was meant is not known.
        const EXACT: f64 = 1e15;
        let whole = (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64);
        let fits = whole.and_then(|number| T::try_from(number).ok());
        fits.ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::whole;

    #[derive(Deserialize)]
    struct Given {
        #[serde(default, deserialize_with = "whole")]
        small: Option<i32>,
        #[serde(default, deserialize_with = "whole")]
        large: Option<i64>,
    }

    #[test]
    fn a_whole_number_is_read_however_it_is_written() {
        for (written, small, large) in [
            ("3", Some(3), Some(3)),
            ("3.0", Some(3), Some(3)),
            ("3e2", Some(300), Some(300)),
            ("-0.0", Some(0), Some(0)),
            ("-2147483648.0", Some(i32::MIN), Some(i64::from(i32::MIN))),
            ("2147483648.0", None, Some(2_147_483_648)),
            ("2147483648", None, Some(2_147_483_648)),
            ("1e15", None, Some(1_000_000_000_000_000)),
            ("9007199254740993.0", None, None),
            ("9223372036854775807", None, Some(i64::MAX)),
            ("9223372036854775808", None, None),
            ("3.5", None, None),
            ("1e300", None, None),
            ("\"3\"", None, None),
            ("true", None, None),
            ("[3]", None, None),
        ] {
            let read = |json: String| serde_json::from_str::<Given>(&json);
            let of = read(format!(r#"{{"small":{written}}}"#));
            assert_eq!(of.ok().and_then(|given| given.small), small, "{written}");
            let of = read(format!(r#"{{"large":{written}}}"#));
            assert_eq!(of.ok().and_then(|given| given.large), large, "{written}");
        }
        let none: Given = serde_json::from_str(r#"{"small":null}"#).unwrap();
        assert_eq!((none.small, none.large), (None, None));
        let error = serde_json::from_str::<Given>(r#"{"small":3.5}"#).err().unwrap().to_string();
        assert!(error.contains("a whole number from -2147483648 to 2147483647"), "{error}");
    }
}
