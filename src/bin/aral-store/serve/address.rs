//! Addresses of the viewer's pages.
//!
//! Owns how an id stands in one: in the query, where nothing is a step of a path, each byte that means something there as its
//! number. So ids with slashes, dots, controls and halves of characters come back as they were.

use aral_store::Text;

/// The parameters of a query, each decoded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Reads a query; `None` if a percent sign is not followed by a number.
    pub(super) fn read(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        });
        pairs.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The bytes of the first parameter of a name.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The same as text; one that is empty is none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.bytes(name).and_then(|value| std::str::from_utf8(value).ok()).filter(|value| !value.is_empty())
    }

    /// The same as a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// The same as the id of a message, which may hold halves of characters.
    pub(super) fn id(&self, name: &str) -> Option<Text> {
        Text::from_wtf8(self.bytes(name)?.to_vec()).ok()
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => digit(bytes.next()?)? * 16 + digit(bytes.next()?)?,
            b'+' => b' ',
            other => other,
        });
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Bytes as a parameter's value, which is safe in an attribute, too.
pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(*byte));
        } else {
            out.extend([format!("%{byte:02X}")]);
        }
    }
    out
}

/// The address of a page, with those parameters that have a value.
pub(super) fn of(path: &str, parameters: &[(&str, &[u8])]) -> String {
    let mut out = path.to_owned();
    let set = parameters.iter().filter(|(_, value)| !value.is_empty());
    for (mark, (name, value)) in std::iter::once('?').chain(std::iter::repeat('&')).zip(set) {
        out.push(mark);
        out.extend([*name, "=", &encoded(value)]);
    }
    out
}

/// The same address in an attribute, where the mark between parameters is written as a character of its own.
pub(super) fn attribute(path: &str, parameters: &[(&str, &[u8])]) -> String {
    of(path, parameters).replace('&', "&amp;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_an_id_comes_back() {
        let long = "é/".repeat(400);
        for id in ["a", "..", "../../etc/passwd", "%2e", "a b+c&d=e?f#g", "\u{0}\r\n", "а\u{202e}", &long] {
            let address = of("/c", &[("id", id.as_bytes()), ("at", b"")]);
            assert!(address.bytes().all(|byte| byte.is_ascii_graphic()), "{address}");
            let query = Query::read(address.split_once('?').unwrap().1).unwrap();
            assert_eq!((query.text("id"), query.text("at")), (Some(id), None));
        }
        let half = Text::from_wtf8(vec![0xed, 0xa0, 0x80]).unwrap();
        let query = Query::read(&format!("m={}", encoded(half.as_wtf8()))).unwrap();
        assert_eq!((query.id("m"), query.text("m")), (Some(half), None));
        assert_eq!(Query::read("a=%4"), None);
        assert_eq!(Query::read("q=a+b").unwrap().text("q"), Some("a b"));
    }
}
