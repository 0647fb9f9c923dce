//! A JSON object as a value: what `metadata` and `data` hold.
//!
//! Owns the promise that the text inside is one JSON object in the canonical compact form. Reading and
//! writing that form is the codec's; the constructors that need it are declared there.

use std::fmt;
use std::sync::Arc;

/// Any JSON object, with everything Python's `json` can hold.
///
/// Integers keep all their digits, `NaN` and `Infinity` stay, lone surrogates stay, and keys stay in the
/// order they came in. Inside it is the object's text in a canonical compact form: no white space,
/// strings in UTF-8 with `\uXXXX` only where a character has no other form, numbers as Python prints
/// them. Two objects are equal when these texts are.
///
/// ```
/// use aral_store::JsonObject;
/// let object = JsonObject::parse(r#"{ "n": 1E5, "big": 12345678901234567890123 }"#)?;
/// assert_eq!(object.as_json(), r#"{"n":100000.0,"big":12345678901234567890123}"#);
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonObject(Option<Arc<str>>);

impl JsonObject {
    /// The object without members, `{}`.
    pub const EMPTY: Self = Self(None);

    /// The object's text in the canonical compact form. It is JSON as Python reads it: `NaN`, `Infinity`
    /// and `-Infinity` may appear.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.as_deref().unwrap_or("{}")
    }

    /// Whether the object has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes text that the codec has brought into the canonical form.
    pub(crate) fn from_canonical(text: &str) -> Self {
        debug_assert!(text.starts_with('{') && text.ends_with('}'), "not an object: {text:.20}");
        if text == "{}" { Self::EMPTY } else { Self(Some(text.into())) }
    }
}

impl Default for JsonObject {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Display for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonObject({})", self.as_json())
    }
}
