//! The layout against Python's own output, and against a writer that works from the tree.

use proptest::prelude::*;

use super::*;
use crate::codec::json::compact::write_compact;
use crate::codec::json::{Reader, Value};

fn read(bytes: &[u8]) -> Value {
    let mut reader = Reader::new(bytes).unwrap();
    let value = reader.value(1024).unwrap();
    reader.end().unwrap();
    value
}

fn compact(value: &Value) -> String {
    let mut out = String::new();
    write_compact(value, &mut out);
    out
}

fn laid_out(value: &Value, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    python_from_compact(&compact(value), depth, &mut out);
    assert_eq!(out.len(), python_len(&compact(value), depth));
    out
}

/// The layout in the plainest way, from the tree.
fn plainly(value: &Value, depth: usize) -> String {
    let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
    let text = |text: &Text| {
        let mut out = String::from("\"");
        let mut units = Vec::new();
        for point in text.code_points() {
            match char::from_u32(point) {
                Some(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
                None => units.push(u16::try_from(point).unwrap()),
            }
        }
        for unit in units {
            match unit {
                0x22 => out += "\\\"",
                0x5c => out += "\\\\",
                0x08 => out += "\\b",
                0x0c => out += "\\f",
                0x0a => out += "\\n",
                0x0d => out += "\\r",
                0x09 => out += "\\t",
                0x20..=0x7e => out.push(char::from_u32(unit.into()).unwrap()),
                _ => out.push_str(std::str::from_utf8(&escape(unit)).unwrap()),
            }
        }
        out + "\""
    };
    let list = |open: &str, items: Vec<String>, close: &str| {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        let inner = line(depth + 1);
        format!("{open}{inner}{}{}{close}", items.join(&format!(",{inner}")), line(depth))
    };
    match value {
        Value::Array(items) => list("[", items.iter().map(|v| plainly(v, depth + 1)).collect(), "]"),
        Value::Object(members) => {
            let member = |(k, v): &(Text, Value)| format!("{}: {}", text(k), plainly(v, depth + 1));
            list("{", members.iter().map(member).collect(), "}")
        }
        Value::Str(value) => text(value),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => compact(value),
    }
}

#[test]
fn every_golden_string_is_written_and_read_as_python_does() {
    let golden = include_str!("../../../../tests/golden/python/strings.tsv");
    let mut rows = 0;
    for line in golden.lines() {
        let (hex, json) = line.split_once('\t').unwrap();
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let text = Text::from_wtf8(bytes).unwrap();
        let mut out = Vec::new();
        python_text(&text, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), json);
        assert_eq!(laid_out(&Value::Str(text.clone()), 0), json.as_bytes());
        assert_eq!(read(json.as_bytes()), Value::Str(text));
        rows += 1;
    }
    assert_eq!(rows, 24);
}

#[test]
fn every_golden_document_is_laid_out_as_it_was() {
    for document in [
        &include_bytes!("../../../../tests/golden/python/docs/empty.json")[..],
        include_bytes!("../../../../tests/golden/python/docs/full.json"),
        include_bytes!("../../../../tests/golden/python/docs/index_empty.json"),
        include_bytes!("../../../../tests/golden/python/docs/index_two.json"),
        include_bytes!("../../../../tests/golden/python/docs/title_blank.json"),
        include_bytes!("../../../../tests/golden/python/docs/unicode_title_default.json"),
    ] {
        let value = read(document);
        assert_eq!(laid_out(&value, 0), document);
        assert_eq!(plainly(&value, 0).as_bytes(), document);
    }
}

#[test]
fn an_indentation_deeper_than_the_spaces_at_hand_is_written_whole() {
    let mut out = Vec::new();
    python_from_compact("[1]", 3000, &mut out);
    assert_eq!(out.len(), 1 + (1 + 6002) + 1 + (1 + 6000) + 1);
}

#[test]
fn what_no_writer_of_canonical_text_leaves_comes_to_an_end_all_the_same() {
    for text in ["{\"a", "{\"a\\", "{\"a}", "[", "{\"a\":[1,", "\""] {
        let mut out = Vec::new();
        python_from_compact(text, 0, &mut out);
        assert_eq!(out.len(), python_len(text, 0), "{text:?}");
    }
}

fn text() -> impl Strategy<Value = Text> {
    let point = prop_oneof![
        4 => (0x20_u32..0x7f).boxed(),
        1 => (0_u32..0x100).boxed(),
        1 => (0xd780_u32..0xe080).boxed(),
        1 => (0x1_0000_u32..0x11_0000).boxed()
    ];
    proptest::collection::vec(point, 0..12).prop_map(|points| {
        let units: String = points
            .into_iter()
            .map(|point| match char::from_u32(point) {
                Some(character) => character.escape_default().to_string().replace('\'', "x"),
                None => format!("\\u{point:04x}"),
            })
            .collect();
        // Rust writes `\u{…}`; whatever JSON cannot read of it becomes plain text instead.
        let json = format!("\"{units}\"");
        match Reader::new(json.as_bytes()).unwrap().value(0) {
            Ok(Value::Str(text)) => text,
            _ => Text::from(units),
        }
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        "0|-?[1-9][0-9]{0,25}".prop_map(|digits| Value::Int(digits.into())),
        any::<f64>().prop_filter("NaN is unlike itself", |f| !f.is_nan()).prop_map(Value::Float),
        text().prop_map(Value::Str),
        ".{0,12}".prop_map(|text| Value::Str(Text::from(text))),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_survives_both_forms(value in value(), depth in 0_usize..4) {
        let indented = laid_out(&value, depth);
        prop_assert_eq!(&plainly(&value, depth), std::str::from_utf8(&indented).unwrap());
        prop_assert_eq!(&read(&indented), &value);
        prop_assert_eq!(&read(compact(&value).as_bytes()), &value);
    }
}
