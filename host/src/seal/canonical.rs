//! JSON in its canonical form: the same document in the same bytes, whoever wrote it down.
//!
//! No white space; the keys of an object sorted by their UTF-8 bytes; strings with the shortest escapes; numbers
//! digit by digit as they were written. It is made of the text itself, never of types: nothing that a version does
//! not know is lost. A key that stands twice in one object is refused, since readers differ about which one counts.

/// Nothing that rivet writes is nested so deep.
const DEEPEST: usize = 120;

/// An object's entries, or another value, in canonical text.
pub(super) enum Document {
    Object(Vec<(String, String)>),
    Other(String),
}

impl Document {
    /// Reads one JSON text, and nothing after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        reader.skip_space();
        let document = match reader.peek() {
            Some(b'{') => Self::Object(reader.object(0)?),
            _ => Self::Other(reader.value(0)?),
        };
        reader.skip_space();
        if reader.at == text.len() { Ok(document) } else { Err(reader.unexpected()) }
    }

    /// The canonical text, without the top-level key `but`.
    pub fn text(&self, but: Option<&str>) -> String {
        let but = but.map(quoted);
        match self {
            Self::Object(entries) => written(entries.iter().filter(|(key, _)| Some(key) != but.as_ref())),
            Self::Other(text) => text.clone(),
        }
    }

    /// The canonical text of a top-level key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let Self::Object(entries) = self else { return None };
        entries.iter().find(|(known, _)| *known == quoted(key)).map(|(_, value)| value.as_str())
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn written<'a>(entries: impl Iterator<Item = &'a (String, String)>) -> String {
    let entries: Vec<String> = entries.map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", entries.join(","))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("unexpected {found:?} at byte {}", self.at),
            None => "it ends too early".to_owned(),
        }
    }

    /// Takes `byte`, with white space before and after it.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
            self.skip_space();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<String, String> {
        if depth > DEEPEST {
            return Err("it is nested too deep".to_owned());
        }
        match self.peek() {
            Some(b'{') => Ok(written(self.object(depth)?.iter())),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            _ => self.plain(),
        }
    }

    /// The entries by their keys, sorted; keys with their quotes.
    fn object(&mut self, depth: usize) -> Result<Vec<(String, String)>, String> {
        let mut entries: Vec<(String, String, String)> = Vec::new();
        self.take(b'{');
        if !self.take(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected());
                }
                let key = self.string()?;
                if !self.take(b':') {
                    return Err(self.unexpected());
                }
                let name = serde_json::from_str(&key).map_err(|error| error.to_string())?;
                entries.push((name, key, self.value(depth + 1)?));
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.unexpected());
                }
            }
        }
        entries.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        for pair in entries.windows(2) {
            if let [(one, key, _), (other, ..)] = pair
                && one == other
            {
                return Err(format!("the key {key} stands twice"));
            }
        }
        Ok(entries.into_iter().map(|(_, key, value)| (key, value)).collect())
    }

    fn array(&mut self, depth: usize) -> Result<String, String> {
        let mut items = Vec::new();
        self.take(b'[');
        if !self.take(b']') {
            loop {
                items.push(self.value(depth + 1)?);
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.unexpected());
                }
            }
        }
        Ok(format!("[{}]", items.join(",")))
    }

    /// A string in its shortest escapes.
    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(self.unexpected()),
            }
        }
        self.at += 1;
        let raw = self.text.get(start..self.at).ok_or_else(|| self.unexpected())?;
        let text: String = serde_json::from_str(raw).map_err(|error| format!("at byte {start}: {error}"))?;
        Ok(quoted(&text))
    }

    /// A number, `true`, `false` or `null`, as it stands there.
    fn plain(&mut self) -> Result<String, String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        // Whether it is one, JSON's own reader knows.
        if word.is_empty() || serde_json::from_str::<serde_json::Value>(word).is_err() {
            return Err(self.unexpected());
        }
        self.at += end;
        Ok(word.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, String> {
        Document::parse(text).map(|document| document.text(Some("seal")))
    }

    #[test]
    fn the_same_document_has_the_same_bytes() {
        let one = canonical(
            " { \"b\" : [ 1 , 2.50e3, -0, 18446744073709551616 ],\r\n\t\"a\": {\"\\u00e9\": null, \"z\\/\": true}, \"seal\": \"x\" } ",
        );
        assert_eq!(one.unwrap(), r#"{"a":{"z/":true,"é":null},"b":[1,2.50e3,-0,18446744073709551616]}"#);
        assert_eq!(canonical("{}").unwrap(), "{}");
        assert_eq!(canonical("[ ]").unwrap(), "[]");
        assert_eq!(
            canonical("{\"a\":{\"seal\":1}}").unwrap(),
            "{\"a\":{\"seal\":1}}",
            "only the outermost is left out"
        );
        assert_eq!(canonical("\"a\\u000a\\u0001\\ud83d\\ude00\\\"\"").unwrap(), "\"a\\n\\u0001\u{1f600}\\\"\"");
    }

    #[test]
    fn what_is_no_json_or_means_two_things_is_refused() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1 2]",
            "{} {}",
            "01",
            "1.",
            "tru",
            "\"\\x\"",
            "\"a",
            "{a:1}",
            "\"\\",
            "nan",
        ] {
            assert!(canonical(text).is_err(), "{text}");
        }
        assert_eq!(canonical("{\"a\":1,\"\\u0061\":2}").unwrap_err(), "the key \"a\" stands twice");
        assert!(canonical(&"[".repeat(5000)).is_err());
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(16))]
        #[test]
        fn any_value_is_canonical_however_it_is_printed(numbers: Vec<i64>, words: Vec<String>) {
            let value = serde_json::json!({"words": words, "numbers": numbers, "deep": {"words": words}});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let text = canonical(&pretty).unwrap();
            proptest::prop_assert_eq!(&text, &canonical(&value.to_string()).unwrap());
            proptest::prop_assert_eq!(canonical(&text).unwrap(), text.clone());
            proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }
}
