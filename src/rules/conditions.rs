//! What somebody says that is to be erased, other than by its id.
//!
//! Owns the grammar of it, which docs/cli.md has, and what metadata meet it. Knows no store.

use std::str::FromStr;

use crate::codec::json::{Reader, Value};
use crate::error::{Error, Result};
use crate::model::{JsonObject, Text};

/// What metadata have to say: `metadata.user = "anna"`, and several of that joined by `and`.
///
/// A name behind a dot is one of letters, digits, `_` and `-`, or any other one as a JSON string; several lead into objects
/// within objects. A value is a JSON string, a number, `true`, `false` or `null`. What is equal is of the same kind:
/// `1` is neither `1.0` nor `"1"`. Nothing is looked for in arrays.
///
/// ```
/// use aral_store::Where;
/// assert!(Where::parse(r#"metadata.user = "anna" and metadata.tenant."org.id" = 7"#).is_ok());
/// let error = Where::parse("metadata.user = anna").unwrap_err();
/// assert!(error.message().contains("in double quotes"), "{error}");
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Where {
    conditions: Vec<(Vec<Text>, Value)>,
}

impl Where {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming the byte, for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rest = Rest { text, at: 0 };
        let mut conditions = Vec::new();
        loop {
            let path = rest.path()?;
            rest.expect('=')?;
            conditions.push((path, rest.value()?));
            if rest.left().is_empty() {
                return Ok(Self { conditions });
            }
            match rest.word() {
                "and" => {}
                "or" => return Err(rest.wrong("there is no `or`: erase one after the other")),
                _ => return Err(rest.wrong("behind a value stands `and`, or nothing")),
            }
        }
    }

    /// Whether metadata say all of it.
    pub(crate) fn is_met_by(&self, metadata: &JsonObject) -> bool {
        if metadata.is_empty() {
            return false;
        }
        let metadata = Value::Object(metadata.members());
        self.conditions.iter().all(|(path, value)| {
            let found = path.iter().try_fold(&metadata, |within, name| match within {
                Value::Object(members) => {
                    members.iter().find(|(key, _)| key == name).map(|(_, member)| member)
                }
                Value::Null
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Float(_)
                | Value::Str(_)
                | Value::Array(_) => None,
            });
            found == Some(value)
        })
    }
}

impl FromStr for Where {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

const NO_VALUE: &str = "a value is a string in double quotes, a number, true, false or null";

/// What is still to be read.
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    /// What there is behind the white space.
    fn left(&mut self) -> &'t str {
        let left = self.text.get(self.at..).unwrap_or_default();
        let trimmed = left.trim_start();
        self.at += left.len() - trimmed.len();
        trimmed
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::invalid(format!(
            "{reason}, at byte {} of what is to be met, which is as in: metadata.user = \"anna\" and metadata.team = 7",
            self.at
        ))
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.left().starts_with(sign) {
            self.at += sign.len_utf8();
            return Ok(());
        }
        Err(self.wrong(&format!("there must be `{sign}`")))
    }

    /// Letters, digits, `_` and `-`, if any stand here.
    fn word(&mut self) -> &'t str {
        let left = self.left();
        let end = left.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(left.len());
        let (word, _) = left.split_at(end);
        self.at += end;
        word
    }

    /// The end of the string in double quotes that stands here.
    fn string_end(&mut self) -> Result<usize> {
        let left = self.left();
        let mut is_escaped = false;
        for (at, c) in left.char_indices().skip(1) {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => return Ok(at + 1),
                _ => {}
            }
        }
        Err(self.wrong("the string that begins here has no end"))
    }

    fn path(&mut self) -> Result<Vec<Text>> {
        if self.word() != "metadata" || !self.left().starts_with('.') {
            return Err(self.wrong("a condition begins with `metadata.` and a name"));
        }
        let mut path = Vec::new();
        while self.left().starts_with('.') {
            self.at += 1;
            if self.left().starts_with('"') {
                match self.json()? {
                    Value::Str(name) => path.push(name),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Float(_)
                    | Value::Array(_)
                    | Value::Object(_) => return Err(self.wrong("this is no name")),
                }
                continue;
            }
            match self.word() {
                "" => {
                    let reason = "a name is of letters, digits, _ and -, or stands in double quotes";
                    return Err(self.wrong(reason));
                }
                name => path.push(Text::from(name)),
            }
        }
        Ok(path)
    }

    fn value(&mut self) -> Result<Value> {
        let value = self.json()?;
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(self.wrong(NO_VALUE));
        }
        Ok(value)
    }

    /// The JSON that stands here, up to its end or to white space.
    fn json(&mut self) -> Result<Value> {
        let left = self.left();
        let end = if left.starts_with('"') {
            self.string_end()?
        } else {
            left.find(char::is_whitespace).unwrap_or(left.len())
        };
        let (text, _) = left.split_at(end);
        let read = Reader::new(text.as_bytes()).and_then(|mut reader| {
            let value = reader.value(1)?;
            reader.end().map(|()| value)
        });
        let value = read.map_err(|_| self.wrong(NO_VALUE))?;
        self.at += end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_metadata_meet_is_what_they_say_and_nothing_else() {
        let metadata = JsonObject::parse(
            r#"{"user":"anna","n":1,"deep":{"a b":{"x":null}},"list":["anna"],"say \"hi\"":true,"f":1.0}"#,
        )
        .unwrap();
        for (text, is_met) in [
            (r#"metadata.user = "anna""#, true),
            (r#" metadata . user="an\u006ea" "#, true),
            (r#"metadata.user = "ann""#, false),
            ("metadata.n = 1", true),
            ("metadata.n = 1.0", false),
            ("metadata.f = 1.0", true),
            (r#"metadata.n = "1""#, false),
            (r#"metadata.deep."a b".x = null"#, true),
            ("metadata.deep.x = null", false),
            ("metadata.nothing = null", false),
            (r#"metadata.list = "anna""#, false),
            (r#"metadata."say \"hi\"" = true"#, true),
            (r#"metadata.user = "anna" and metadata.n = 1"#, true),
            (r#"metadata.user = "anna" and metadata.n = 2"#, false),
        ] {
            assert_eq!(Where::parse(text).unwrap().is_met_by(&metadata), is_met, "{text}");
        }
        assert!(!Where::parse("metadata.x = null").unwrap().is_met_by(&JsonObject::EMPTY));
    }

    #[test]
    fn what_is_not_said_in_full_is_refused_by_its_place() {
        for text in [
            "",
            "user = 1",
            "metadata = 1",
            "metadata. = 1",
            "metadata.user",
            "metadata.user =",
            "metadata.user == 1",
            "metadata.user = anna",
            "metadata.user = 'anna'",
            r#"metadata.user = "anna"#,
            r#"metadata.user = "anna" metadata.n = 1"#,
            r#"metadata.user = "anna" and"#,
            r#"metadata.user = "anna" or metadata.n = 1"#,
            "metadata.user = [1]",
            "metadata.user = {}",
            "metadata.user != 1",
            "metadatas.user = 1",
        ] {
            let error = Where::parse(text).unwrap_err();
            assert!(error.message().contains("at byte"), "{text}: {error}");
        }
    }
}
