//! `MessagePack`, read into JSON.
//!
//! Owns that any bytes end in a value or in nothing: lengths are held against what there is, and nesting has a limit. What JSON has no
//! place for is an object with one member: `base64` for bytes, `ext` and `value` for an extension.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The deepest nesting that is read.
const MAX_DEPTH: usize = 128;

/// The value that these bytes are.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self, length: usize) -> Option<u64> {
        let bytes = self.take(length)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        usize::try_from(self.number(width)?).ok()
    }

    /// A number with a sign, of so many bytes.
    fn signed(&mut self, length: usize) -> Option<i64> {
        let bits = 64 - 8 * u32::try_from(length).ok()?;
        let number = self.number(length)?;
        Some((number << bits).cast_signed() >> bits)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let tag = *self.take(1)?.first()?;
        Some(match tag {
            0x00..=0x7f => Value::from(tag),
            0x80..=0x8f => self.map(usize::from(tag & 0x0f), depth)?,
            0x90..=0x9f => self.list(usize::from(tag & 0x0f), depth)?,
            0xa0..=0xbf => self.text(usize::from(tag & 0x1f))?,
            0xc0 => Value::Null,
            0xc1 => return None,
            0xc2 | 0xc3 => Value::from(tag == 0xc3),
            0xc4..=0xc6 => {
                let length = self.length(1 << (tag - 0xc4))?;
                json!({"base64": STANDARD.encode(self.take(length)?)})
            }
            0xc7..=0xc9 => {
                let length = self.length(1 << (tag - 0xc7))?;
                self.extension(length, depth)?
            }
            0xca => Value::from(f64::from(f32::from_bits(u32::try_from(self.number(4)?).ok()?))),
            0xcb => Value::from(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => Value::from(self.number(1 << (tag - 0xcc))?),
            0xd0..=0xd3 => Value::from(self.signed(1 << (tag - 0xd0))?),
            0xd4..=0xd8 => self.extension(1 << (tag - 0xd4), depth)?,
            0xd9..=0xdb => {
                let length = self.length(1 << (tag - 0xd9))?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let length = self.length(2 << (tag - 0xdc))?;
                self.list(length, depth)?
            }
            0xde | 0xdf => {
                let length = self.length(2 << (tag - 0xde))?;
                self.map(length, depth)?
            }
            0xe0..=0xff => Value::from(i64::from(tag.cast_signed())),
        })
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        let bytes = self.take(length)?;
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => Value::from(text),
            Err(_) => json!({"text_base64": STANDARD.encode(bytes)}),
        })
    }

    fn list(&mut self, length: usize, depth: usize) -> Option<Value> {
        // Each element has a byte at least.
        let mut list = Vec::with_capacity(length.min(self.rest.len()).min(1 << 10));
        for _ in 0..length {
            list.push(self.value(depth + 1)?);
        }
        Some(Value::from(list))
    }

    fn map(&mut self, length: usize, depth: usize) -> Option<Value> {
        let mut map = Map::new();
        for _ in 0..length {
            let key = self.value(depth + 1)?;
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            map.insert(key, self.value(depth + 1)?);
        }
        Some(Value::from(map))
    }

    /// What an extension holds is mostly a value itself.
    fn extension(&mut self, length: usize, depth: usize) -> Option<Value> {
        let code = *self.take(1)?.first()?;
        let bytes = self.take(length)?;
        let mut inside = Reader { rest: bytes };
        let value = inside.value(depth + 1).filter(|_| inside.rest.is_empty());
        Some(match value {
            Some(value) => json!({"ext": code, "value": value}),
            None => json!({"ext": code, "base64": STANDARD.encode(bytes)}),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_value_is_read() {
        let bytes = [
            &[0x99][..],
            &[0x07, 0xff, 0xcd, 0x01, 0x00, 0xd1, 0xff, 0x00],
            &[0xa1, b'x', 0xc4, 0x01, 0x00, 0xc7, 0x01, 0x05, 0xc0],
            &[0x81, 0x01, 0xc3, 0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let ought =
            json!([7, -1, 256, -256, "x", {"base64": "AA=="}, {"ext": 5, "value": null}, {"1": true}, 1.5]);
        assert_eq!(read(&bytes), Some(ought));
    }

    #[test]
    fn what_is_cut_too_long_or_too_deep_is_nothing() {
        let deep = [vec![0x91; 100_000], vec![0xc0]].concat();
        for bytes in [
            &b""[..],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xdf, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xc6, 0xff, 0xff, 0xff, 0xff],
            &[0xc0, 0xc0],
            &deep,
        ] {
            assert_eq!(read(bytes), None);
        }
    }
}
