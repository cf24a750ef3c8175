//! The contract as the page reads it: operations by tag, references followed, names that are linked to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// An OpenAPI document whose references all lead somewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract<'a>(pub(crate) &'a Value);

/// One operation, with the path it stands under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) item: &'a Value,
    pub(crate) value: &'a Value,
}

impl<'a> Contract<'a> {
    /// The value itself, or what its `$ref` refers to.
    pub(crate) fn resolve(self, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        target.and_then(|pointer| self.0.pointer(pointer)).map_or(value, |found| self.resolve(found))
    }

    /// A text of the document, by its JSON Pointer; empty if there is none.
    pub(crate) fn text(self, pointer: &str) -> &'a str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The operations of a tag, in the document's order.
    pub(crate) fn operations(self, tag: &'a str) -> impl Iterator<Item = Operation<'a>> {
        members(&self.0["paths"]).flat_map(operations_of).filter(move |operation| operation.tag() == tag)
    }

    /// The named schemas that something other than a request's body refers to, in the document's order.
    pub(crate) fn shared_schemas(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let mut names = BTreeSet::new();
        collect_references(self.0, &mut names);
        members(&self.0["components"]["schemas"]).filter(move |(name, _)| names.contains(name.as_str()))
    }
}

impl<'a> Operation<'a> {
    /// A text of the operation.
    pub(crate) fn text(self, member: &str) -> &'a str {
        self.value[member].as_str().unwrap_or_default()
    }

    /// The parameters of the path and of the operation.
    pub(crate) fn parameters(self) -> impl Iterator<Item = &'a Value> {
        [self.item, self.value].into_iter().filter_map(|value| value["parameters"].as_array()).flatten()
    }

    /// The `PUT` on the same path that this `PATCH` is the same as.
    pub(crate) fn twin(self) -> Option<Self> {
        let twin = Self { method: "put", value: self.item.get("put")?, ..self };
        let same = |member: &str| twin.value[member] == self.value[member];
        (self.method == "patch" && same("requestBody") && same("responses")).then_some(twin)
    }

    fn tag(self) -> &'a str {
        self.value["tags"][0].as_str().unwrap_or_default()
    }
}

/// The members of an object; none of anything else.
pub(crate) fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn operations_of<'a>((path, item): (&'a String, &'a Value)) -> impl Iterator<Item = Operation<'a>> {
    let methods = members(item).filter(|(method, _)| *method != "parameters");
    methods.map(move |(method, value)| Operation { method, path, item, value })
}

/// Collects the names of schemas that are referred to outside of requests' bodies, which the page shows in place.
fn collect_references<'a>(value: &'a Value, names: &mut BTreeSet<&'a str>) {
    let reference = value["$ref"].as_str().and_then(|pointer| pointer.strip_prefix("#/components/schemas/"));
    names.extend(reference);
    for (key, member) in members(value) {
        if !key.starts_with("requestBod") {
            collect_references(member, names);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        collect_references(item, names);
    }
}
