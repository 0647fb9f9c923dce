//! Numbers as Python writes them.
//!
//! Owns the layout of floats. The digits come from `zmij`, which, like Python, picks the shortest that read
//! back to the same value and breaks ties to even; the standard library breaks some ties differently.

/// Decimal points beyond this many digits are written with an exponent; so does Python's `repr`.
const MAX_POINT: i64 = 16;
/// Decimal points before this many leading zeros are written with an exponent.
const MIN_POINT: i64 = -3;

/// The canonical text of an integer: only `-0` has two forms.
pub(super) fn canonical_int(text: &str) -> &str {
    if text == "-0" { "0" } else { text }
}

/// Appends a float as Python's `repr` and `json` write it.
pub(super) fn write_float(value: f64, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    if value.is_infinite() {
        return out.push_str("Infinity");
    }
    if value == 0.0 {
        return out.push_str("0.0");
    }
    let mut buffer = zmij::Buffer::new();
    let (digits, point) = decompose(buffer.format_finite(value.abs()));
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    if !(MIN_POINT..=MAX_POINT).contains(&point) {
        write_scientific(&digits, point - 1, out);
    } else if point <= 0 {
        out.push_str("0.");
        push_zeros(-point, out);
        out.push_str(&digits);
    } else if point >= count {
        out.push_str(&digits);
        push_zeros(point - count, out);
        out.push_str(".0");
    } else {
        let (whole, fraction) =
            usize::try_from(point).ok().and_then(|at| digits.split_at_checked(at)).unwrap_or((&digits, "0"));
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    }
}

fn write_scientific(digits: &str, exponent: i64, out: &mut String) {
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out.push_str(if exponent < 0 { "e-" } else { "e+" });
    if exponent.abs() < 10 {
        out.push('0');
    }
    out.push_str(&exponent.abs().to_string());
}

fn push_zeros(count: i64, out: &mut String) {
    out.extend((0..count).map(|_| '0'));
}

/// The significant digits of a positive decimal, and where its point stands: the value is `0.digits` times
/// ten to that power.
fn decompose(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let leading = all.len() - significant.len();
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let places = i64::try_from(whole.len()).unwrap_or(0) - i64::try_from(leading).unwrap_or(0);
    (significant.trim_end_matches('0').to_owned(), exponent + places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(value: f64) -> String {
        let mut out = String::new();
        write_float(value, &mut out);
        out
    }

    #[test]
    fn every_golden_float_is_written_as_python_writes_it() {
        let golden = include_str!("../../../tests/golden/python/floats.tsv");
        let mut rows = 0;
        for line in golden.lines() {
            let (bits, text) = line.split_once('\t').unwrap();
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(show(value), text, "bits {bits}");
            rows += 1;
        }
        assert_eq!(rows, 2229);
    }

    #[test]
    fn the_edges_of_the_layout_are_those_of_python() {
        for (value, text) in [
            (1e16, "1e+16"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (0.0001, "0.0001"),
            (0.000_099_9, "9.99e-05"),
            (-0.0, "-0.0"),
            (1.5e300, "1.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (f64::from_bits(0x430e_1c6d_958d_7b72), "1059438285926254.2"),
        ] {
            assert_eq!(show(value), text);
        }
    }

    #[test]
    fn minus_zero_is_the_only_integer_with_two_forms() {
        assert_eq!(canonical_int("-0"), "0");
        assert_eq!(canonical_int("-10"), "-10");
    }
}
