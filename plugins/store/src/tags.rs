//! Tags that new objects bear: S3 and Azure take them in a header of the same form.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, request};
use rivet_sdk::{Error, Result};

use crate::pending::encoded;

/// The most tags that either store takes.
const MOST: usize = 10;
/// The longest key, in characters.
const LONGEST_KEY: usize = 128;
/// The longest value, in characters.
const LONGEST_VALUE: usize = 256;

/// The tags of every object that a destination makes.
#[derive(Debug, Clone, Default)]
pub struct Tags(Option<HeaderValue>);

impl Tags {
    /// Refuses what no store would take.
    pub fn new(tags: &BTreeMap<String, String>) -> Result<Self> {
        let wrong = |what: String| Err(Error::config(format!("`tags`: {what}")).with_hint("shorten or remove some"));
        if tags.len() > MOST {
            return wrong(format!("{} are given, and a store takes {MOST}", tags.len()));
        }
        for (key, value) in tags {
            if key.is_empty() || key.chars().count() > LONGEST_KEY {
                return wrong(format!("a key has 1 to {LONGEST_KEY} characters, and `{key}` has not"));
            }
            if value.chars().count() > LONGEST_VALUE {
                return wrong(format!("the value of `{key}` has more than {LONGEST_VALUE} characters"));
            }
        }
        let pairs: Vec<String> =
            tags.iter().map(|(key, value)| format!("{}={}", encoded(key, false), encoded(value, false))).collect();
        let header = match pairs.is_empty() {
            true => None,
            false => Some(
                HeaderValue::try_from(pairs.join("&"))
                    .map_err(|error| Error::internal("`tags` make no header").with_source(&error))?,
            ),
        };
        Ok(Self(header))
    }

    /// Adds them to a request that makes an object.
    pub fn add(&self, name: HeaderName, head: &mut request::Parts) {
        if let Some(value) = &self.0 {
            head.headers.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_query_and_have_limits() {
        let tags = |pairs: &[(&str, &str)]| {
            Tags::new(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let (mut head, ()) = http::Request::new(()).into_parts();
        tags(&[]).unwrap().add(HeaderName::from_static("x"), &mut head);
        assert!(head.headers.is_empty());
        tags(&[("team", "data & co"), ("größe", "")]).unwrap().add(HeaderName::from_static("x"), &mut head);
        assert_eq!(head.headers["x"], "gr%C3%B6%C3%9Fe=&team=data%20%26%20co");
        assert!(tags(&[("", "x")]).is_err() && tags(&[("x", &"y".repeat(257))]).is_err());
        let many: BTreeMap<String, String> = (0..11).map(|number| (number.to_string(), String::new())).collect();
        assert!(Tags::new(&many).unwrap_err().message().contains("11"));
    }
}
