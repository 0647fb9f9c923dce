//! A JSON value as Python holds it, and the building of objects.
//!
//! Owns the rule for repeated keys: the last value wins, at the place of the first.

use std::collections::HashMap;

use crate::model::Text;

/// Objects of up to this many members are searched one by one, larger ones through a table.
const SMALL_OBJECT: usize = 16;

/// Any JSON value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of any size, as its canonical decimal text.
    Int(Box<str>),
    /// Anything with a point or an exponent, `NaN` and the infinities.
    Float(f64),
    /// A string.
    Str(Text),
    /// An array.
    Array(Vec<Value>),
    /// An object, its members in order, no key twice.
    Object(Vec<(Text, Value)>),
}

impl Value {
    /// What the value is called in an error.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Str(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Whether Python takes the value for false.
    pub(crate) fn is_falsy(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(text) => **text == *"0",
            Self::Float(value) => *value == 0.0,
            Self::Str(text) => text.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Object(members) => members.is_empty(),
        }
    }
}

/// An object under construction, with values of any type.
#[derive(Debug)]
pub(crate) struct Members<V> {
    list: Vec<(Text, V)>,
    // Built when the object outgrows `SMALL_OBJECT`; a hostile object must not take quadratic time.
    index: Option<HashMap<Text, usize>>,
}

impl<V> Members<V> {
    /// An object without members.
    pub(crate) fn new() -> Self {
        Self { list: Vec::new(), index: None }
    }

    /// Adds a member, or replaces the value of the one with this key where it stands.
    pub(crate) fn insert(&mut self, key: Text, value: V) {
        if let Some(place) = self.find(&key)
            && let Some((_, old)) = self.list.get_mut(place)
        {
            *old = value;
            return;
        }
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.list.len());
        }
        self.list.push((key, value));
        if self.index.is_none() && self.list.len() > SMALL_OBJECT {
            let places = self.list.iter().enumerate().map(|(place, (key, _))| (key.clone(), place));
            self.index = Some(places.collect());
        }
    }

    /// The members in order.
    pub(crate) fn into_list(self) -> Vec<(Text, V)> {
        self.list
    }

    /// The place of the member with this key.
    pub(crate) fn find(&self, key: &Text) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.list.iter().position(|(other, _)| other == key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_wins_at_the_place_of_the_first_key() {
        for size in [2, SMALL_OBJECT, SMALL_OBJECT + 1, SMALL_OBJECT + 2, 1000] {
            let mut members = Members::new();
            for round in 0..2 {
                for key in 0..size {
                    members.insert(Text::from(format!("k{key}")), (round, key));
                }
            }
            let list = members.into_list();
            assert_eq!(list.len(), size);
            for (place, (key, value)) in list.into_iter().enumerate() {
                assert_eq!((key, value), (Text::from(format!("k{place}")), (1, place)));
            }
        }
    }
}
