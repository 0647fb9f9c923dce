//! Queries: the part of `documents.runQuery` that is used here, with its rules.
//!
//! Owns filters, orders and limits over one collection, and the refusal of what needs an index that is not there by itself: "Index
//! types in Cloud Firestore" has one index for each field, and those of several fields only where somebody makes them.

use std::cmp::Ordering;

use serde_json::Value;

use super::status::{Refused, invalid};
use super::stored::{Stock, known};

/// The field that is a document's name.
const NAME: &str = "__name__";

/// What a comparison is with.
struct Filter {
    field: String,
    op: String,
    value: Value,
}

/// The operators that are known here, by their names and their numbers in the protocol.
const OPERATORS: [(&str, i64); 5] = [
    ("LESS_THAN", 1),
    ("LESS_THAN_OR_EQUAL", 2),
    ("GREATER_THAN", 3),
    ("GREATER_THAN_OR_EQUAL", 4),
    ("EQUAL", 5),
];

/// Answers a query over a collection below `parent`.
pub(crate) fn run(stock: &mut Stock, parent: &str, body: &Value) -> Result<Vec<Value>, Refused> {
    let request = known(body, &["structuredQuery", "readTime"])?;
    let query = request.get("structuredQuery").ok_or_else(|| invalid("there is no query".to_owned()))?;
    let query = known(query, &["select", "from", "where", "orderBy", "limit"])?;
    let from = query.get("from").and_then(Value::as_array).filter(|from| from.len() == 1);
    let from = known(from.map_or(&Value::Null, |from| &from[0]), &["collectionId"])?;
    let collection = from.get("collectionId").and_then(Value::as_str).unwrap_or_default();
    let filters = query.get("where").map_or(Ok(Vec::new()), filters)?;
    let orders = orders(query.get("orderBy"))?;
    check_indexes(&filters, &orders)?;
    let prefix = format!("{parent}/{collection}/");
    let mut names: Vec<String> = Vec::new();
    for (name, stored) in &stock.documents {
        let is_in_it = name.strip_prefix(&prefix).is_some_and(|id| !id.contains('/'));
        let field = |field: &str| {
            if field == NAME { Some(Value::String(name.clone())) } else { stored.fields.get(field).cloned() }
        };
        // A document without a field is in no index of it.
        let is_ordered = orders.iter().all(|(name, _)| field(name).is_some());
        if is_in_it
            && is_ordered
            && filters.iter().all(|filter| field(&filter.field).is_some_and(|v| filter.holds(&v)))
        {
            names.push(name.clone());
        }
    }
    names.sort_by(|one, other| {
        let of = |name: &String, field: &str| {
            if field == NAME {
                Value::String(name.clone())
            } else {
                stock.documents[name].fields[field].clone()
            }
        };
        let ordered = orders.iter().map(|(field, is_descending)| {
            let order = compare(&of(one, field), &of(other, field)).unwrap_or(Ordering::Equal);
            if *is_descending { order.reverse() } else { order }
        });
        ordered.fold(Ordering::Equal, Ordering::then).then_with(|| one.cmp(other))
    });
    let limit = query.get("limit").map_or(Some(usize::MAX), |limit| {
        let number = limit.as_u64().or_else(|| limit.get("value")?.as_u64());
        number.and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0)
    });
    names.truncate(limit.ok_or_else(|| invalid("limit must be greater than zero".to_owned()))?);
    let selected = query.get("select").map(|select| {
        let fields = select.get("fields").and_then(Value::as_array).cloned().unwrap_or_default();
        fields.iter().filter_map(|field| field["fieldPath"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    });
    let mut answers: Vec<Value> = names.iter().map(|name| stock.answer(name, selected.as_deref())).collect();
    if answers.is_empty() {
        // "A response with only a read time" is what there is where nothing is found.
        answers.push(serde_json::json!({ "readTime": super::stored::time(1) }));
    }
    Ok(answers)
}

fn filters(value: &Value) -> Result<Vec<Filter>, Refused> {
    if let Some(composite) = value.get("compositeFilter") {
        let is_and = matches!(composite.get("op"), Some(op) if op == "AND" || op == 1);
        if !is_and {
            return Err(invalid("this fake knows AND alone".to_owned()));
        }
        let parts = composite.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
        let parts: Result<Vec<_>, _> = parts.iter().map(filters).collect();
        return Ok(parts?.into_iter().flatten().collect());
    }
    let filter =
        value.get("fieldFilter").ok_or_else(|| invalid("this fake knows field filters alone".to_owned()))?;
    let field = filter["field"]["fieldPath"].as_str().unwrap_or_default().to_owned();
    let op = OPERATORS.iter().find(|(name, number)| filter["op"] == *name || filter["op"] == *number);
    let (op, _) = op.ok_or_else(|| invalid("this operator is not known here".to_owned()))?;
    let value =
        if field == NAME { filter["value"]["referenceValue"].clone() } else { filter["value"].clone() };
    if value.is_null() {
        return Err(invalid("__key__ filter value must be a Key".to_owned()));
    }
    Ok(vec![Filter { field, op: (*op).to_owned(), value }])
}

fn orders(value: Option<&Value>) -> Result<Vec<(String, bool)>, Refused> {
    let orders = value.and_then(Value::as_array).cloned().unwrap_or_default();
    let order = |order: &Value| {
        let order = known(order, &["field", "direction"])?;
        let field = order["field"]["fieldPath"].as_str().unwrap_or_default().to_owned();
        let direction = order.get("direction").cloned().unwrap_or_default();
        Ok((field, direction == "DESCENDING" || direction == 2))
    };
    orders.iter().map(order).collect()
}

/// Holds a query against the rules: with an inequality the first order is by its field, and several fields need an index of their own.
fn check_indexes(filters: &[Filter], orders: &[(String, bool)]) -> Result<(), Refused> {
    let unequal: Vec<&str> =
        filters.iter().filter(|filter| filter.op != "EQUAL").map(|filter| filter.field.as_str()).collect();
    if let (Some(field), Some((first, _))) = (unequal.first(), orders.first())
        && field != first
    {
        return Err(invalid("inequality filter property and first sort order must be the same".to_owned()));
    }
    let mut fields: Vec<&str> = filters.iter().map(|filter| filter.field.as_str()).collect();
    fields.extend(orders.iter().map(|(field, _)| field.as_str()));
    fields.retain(|field| *field != NAME);
    fields.sort_unstable();
    fields.dedup();
    let is_merged =
        filters.iter().all(|filter| filter.op == "EQUAL") && orders.iter().all(|(field, _)| field == NAME);
    if fields.len() > 1 && !is_merged || orders.iter().any(|(field, down)| field == NAME && *down) {
        return Err(Refused::new(400, "FAILED_PRECONDITION", "The query requires an index."));
    }
    Ok(())
}

impl Filter {
    fn holds(&self, there: &Value) -> bool {
        let Some(order) = compare(there, &self.value) else { return false };
        match self.op.as_str() {
            "LESS_THAN" => order.is_lt(),
            "LESS_THAN_OR_EQUAL" => order.is_le(),
            "GREATER_THAN" => order.is_gt(),
            "GREATER_THAN_OR_EQUAL" => order.is_ge(),
            _ => order.is_eq(),
        }
    }
}

/// The order of two values of one type; none of two of different types, of which no comparison is true.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            // Names by their parts, each by its bytes.
            Some(one.split('/').map(str::as_bytes).cmp(other.split('/').map(str::as_bytes)))
        }
        (Value::Object(one), Value::Object(other)) => {
            let ((kind, one), (other_kind, other)) = (one.iter().next()?, other.iter().next()?);
            if kind != other_kind {
                return None;
            }
            let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
            match kind.as_str() {
                "integerValue" => Some(number(one)?.cmp(&number(other)?)),
                _ => Some(one.as_str()?.as_bytes().cmp(other.as_str()?.as_bytes())),
            }
        }
        _ => None,
    }
}
