//! JSON Schemas for people: what a member is called, what it may hold, and what it means.

use serde_json::Value;

use crate::docs::contract::Contract;
use crate::docs::html::{Html, code, element, join, link, markdown, markdown_inline, table, text, wrap};

/// The anchor of a schema's description.
pub(crate) fn anchor(name: &str) -> String {
    format!("schema-{name}")
}

/// What a value of the schema is, in a few words: `string`, a link to a named schema, `array of` …
pub(crate) fn kind(schema: &Value) -> Html {
    if let Some(name) = referenced(schema) {
        return link(&anchor(name), text(name));
    }
    if let Some([only]) = members_of(schema, "allOf") {
        return kind(only);
    }
    if let Some(choices) = members_of(schema, "oneOf").or_else(|| members_of(schema, "anyOf")) {
        return join(choices.iter().map(kind), " or ");
    }
    if let Some(constant) = schema.get("const") {
        return code(&constant.to_string());
    }
    if let Some(values) = members_of(schema, "enum") {
        return join(values.iter().map(|value| code(&value.to_string())), " or ");
    }
    named_type(schema)
}

/// The description of a schema: its words, and its members if it is an object.
pub(crate) fn description(contract: Contract<'_>, schema: &Value) -> Html {
    let words = markdown(schema["description"].as_str().unwrap_or_default());
    if schema.get("properties").is_some() {
        return [words, members(contract, schema)].into_iter().collect();
    }
    let facts = join([kind(schema)].into_iter().chain(constraints(schema)), ", ");
    [words, wrap("p", &[("class", "facts")], facts)].into_iter().collect()
}

/// A table of an object's members; nothing for other schemas.
pub(crate) fn members(contract: Contract<'_>, schema: &Value) -> Html {
    let Some(properties) = schema["properties"].as_object() else { return Html::default() };
    let required = |name: &str| members_of(schema, "required").is_some_and(|all| all.contains(&name.into()));
    let rows = properties.iter().map(|(name, member)| {
        let presence = if required(name) { "required" } else { "optional" };
        row(name, presence, kind(member), meaning(contract, member))
    });
    table("Members", ["Member", "Type", "Meaning"], rows.collect())
}

/// A table of parameters.
pub(crate) fn parameters<'a>(contract: Contract<'_>, parameters: impl Iterator<Item = &'a Value>) -> Html {
    let rows = parameters.map(|parameter| {
        let name = parameter["name"].as_str().unwrap_or_default();
        let place = parameter["in"].as_str().unwrap_or_default();
        let words = markdown_inline(parameter["description"].as_str().unwrap_or_default());
        let facts = join(constraints(contract.resolve(&parameter["schema"])), ", ");
        row(name, place, kind(&parameter["schema"]), sentence_and_facts(words, facts))
    });
    table("Parameters", ["Name", "Type", "Meaning"], rows.collect())
}

fn row(name: &str, note: &str, kind: Html, meaning: Html) -> Html {
    let label = [code(name), element("small", &[("class", note)], [text(note)])];
    element(
        "tr",
        &[],
        [element("th", &[("scope", "row")], label), wrap("td", &[], kind), wrap("td", &[], meaning)],
    )
}

/// The member's own words, or those of the schema it refers to.
fn meaning(contract: Contract<'_>, member: &Value) -> Html {
    let target = contract.resolve(member);
    let words = member.get("description").or_else(|| target.get("description"));
    let words = markdown_inline(words.and_then(Value::as_str).unwrap_or_default());
    // What limits a named schema is said where the name leads.
    let facts = if referenced(member).is_some() { Vec::new() } else { constraints(member) };
    sentence_and_facts(words, join(facts, ", "))
}

fn sentence_and_facts(words: Html, facts: Html) -> Html {
    if facts.is_empty() {
        return words;
    }
    [words, wrap("span", &[("class", "facts")], facts)].into_iter().collect()
}

/// What a schema says beside the type: bounds, format, default.
fn constraints(schema: &Value) -> Vec<Html> {
    let lengths = bounds(schema, "minLength", "maxLength", " characters");
    let values = bounds(schema, "minimum", "maximum", "");
    let items = bounds(schema, "minItems", "maxItems", " items");
    let default =
        schema.get("default").map(|value| [text("default "), code(&value.to_string())].into_iter().collect());
    let pattern = schema["pattern"].as_str().filter(|pattern| pattern.len() <= 40).map(code);
    [lengths, values, items, default, pattern].into_iter().flatten().collect()
}

fn bounds(schema: &Value, least: &str, most: &str, unit: &str) -> Option<Html> {
    let range = match (schema.get(least), schema.get(most)) {
        (Some(least), Some(most)) => format!("{least} to {most}{unit}"),
        (Some(least), None) if least == 1 && !unit.is_empty() => "not empty".to_owned(),
        (Some(least), None) => format!("at least {least}{unit}"),
        (None, Some(most)) => format!("at most {most}{unit}"),
        (None, None) => return None,
    };
    Some(text(range))
}

fn named_type(schema: &Value) -> Html {
    match &schema["type"] {
        Value::String(array) if array == "array" => {
            [text("array of "), kind(&schema["items"])].into_iter().collect()
        }
        Value::String(name) => text(name),
        Value::Array(names) => join(names.iter().filter_map(Value::as_str).map(text), " or "),
        _ => text("any"),
    }
}

/// The name of the schema that is referred to.
fn referenced(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn members_of<'a>(schema: &'a Value, keyword: &str) -> Option<&'a [Value]> {
    schema.get(keyword)?.as_array().map(Vec::as_slice)
}
