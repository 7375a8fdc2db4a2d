//! Lists that come from outside, of bounded length: serde's own take whatever number of elements
//! there is, however short each of them is written.

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Deserialises a list of at most `MOST` elements; what a longer one takes is bounded by that too.
///
/// # Errors
/// The deserialiser's; an error at the first element too many.
pub fn at_most<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct AtMost<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for AtMost<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }

    deserializer.deserialize_seq(AtMost::<T, MOST>(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Vec<u8>, String> {
        let mut json = serde_json::Deserializer::from_str(json);
        at_most::<_, u8, 3>(&mut json).map_err(|e| e.to_string())
    }

    #[test]
    fn one_element_too_many_is_refused() {
        assert_eq!(parse("[]"), Ok(vec![]));
        assert_eq!(parse("[1,2,3]"), Ok(vec![1, 2, 3]));
        let error = parse("[1,2,3,4,5,6]").unwrap_err();
        assert!(error.contains("invalid length 4, expected a list of at most 3"), "{error}");
        assert!(parse("[1,{}]").is_err() && parse("7").is_err());
    }
}
