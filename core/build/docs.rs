//! The contract as one page for people: no script, nothing loaded, readable on paper and by screen readers.
//!
//! The page is a sidebar and, beside it, the overview, the operations by tag (each folded), the problem codes
//! and the schemas. The invariant: every link leads to an anchor on the same page, or to `/openapi.json`.

#[path = "contract.rs"]
pub(crate) mod contract;
#[path = "html.rs"]
pub(crate) mod html;
#[path = "schema.rs"]
mod schema;

use serde_json::Value;

use contract::{Contract, Operation, members};
use html::{Html, code, element, join, link, markdown, markdown_inline, text, void, wrap};

/// Renders the whole page.
pub(crate) fn page(document: &Value, css: &str) -> String {
    let contract = Contract(document);
    let skip = element("a", &[("class", "skip"), ("href", "#content")], [text("Skip to the content")]);
    let body = element("body", &[], [skip, sidebar(contract), content(contract)]);
    let html = element("html", &[("lang", "en")], [head(contract, css), body]);
    format!("<!doctype html>\n{}\n", html.into_string())
}

fn head(contract: Contract<'_>, css: &str) -> Html {
    let title = format!("{} API", contract.text("/info/title"));
    let viewport = [("name", "viewport"), ("content", "width=device-width, initial-scale=1")];
    element(
        "head",
        &[],
        [
            void("meta", &[("charset", "utf-8")]),
            void("meta", &viewport),
            void("meta", &[("name", "color-scheme"), ("content", "light dark")]),
            void("meta", &[("name", "description"), ("content", contract.text("/info/summary"))]),
            element("title", &[], [text(title)]),
            html::style(css),
        ],
    )
}

fn sidebar(contract: Contract<'_>) -> Html {
    let brand =
        element("a", &[("class", "brand"), ("href", "#content")], [text(contract.text("/info/title"))]);
    let headings = html::headings(contract.text("/info/description"));
    let overview = headings.iter().map(|heading| entry(&html::slug(heading), text(heading)));
    let reference = [("problem-codes", "Problem codes"), ("schemas", "Schemas")]
        .map(|(anchor, label)| entry(anchor, text(label)));
    element(
        "nav",
        &[("aria-label", "Contents")],
        [
            brand,
            group("Overview", "content", overview.collect()),
            tags(contract).map(|(tag, _)| group(tag, &html::slug(tag), tag_entries(contract, tag))).collect(),
            group("Reference", "problem-codes", reference.into_iter().collect()),
        ],
    )
}

fn group(label: &str, anchor: &str, entries: Html) -> Html {
    let title = wrap("p", &[], link(anchor, text(label)));
    [title, wrap("ul", &[], entries)].into_iter().collect()
}

fn tag_entries<'a>(contract: Contract<'a>, tag: &'a str) -> Html {
    let entries = contract.operations(tag).filter(|operation| operation.twin().is_none());
    entries
        .map(|operation| {
            entry(
                operation.text("operationId"),
                [badge(operation.method), text(operation.text("summary"))].into_iter().collect(),
            )
        })
        .collect()
}

fn entry(anchor: &str, label: Html) -> Html {
    wrap("li", &[], link(anchor, label))
}

fn content(contract: Contract<'_>) -> Html {
    element(
        "main",
        &[("id", "content")],
        [
            masthead(contract),
            element("section", &[("class", "overview")], [markdown(contract.text("/info/description"))]),
            tags(contract).map(|(tag, words)| tag_section(contract, tag, words)).collect(),
            problem_codes(contract),
            schemas(contract),
        ],
    )
}

fn masthead(contract: Contract<'_>) -> Html {
    let version = format!("API {} · OpenAPI {}", contract.text("/info/version"), contract.text("/openapi"));
    let source = element("a", &[("href", "/openapi.json")], [text("openapi.json")]);
    element(
        "header",
        &[],
        [
            element("h1", &[], [text(contract.text("/info/title"))]),
            element("p", &[("class", "lead")], [text(contract.text("/info/summary"))]),
            element("p", &[("class", "facts")], [text(version), text(" · "), source]),
        ],
    )
}

fn tags(contract: Contract<'_>) -> impl Iterator<Item = (&str, &str)> {
    let tags = contract.0["tags"].as_array().into_iter().flatten();
    tags.map(|tag| {
        (tag["name"].as_str().unwrap_or_default(), tag["description"].as_str().unwrap_or_default())
    })
}

fn tag_section<'a>(contract: Contract<'a>, tag: &'a str, words: &str) -> Html {
    element(
        "section",
        &[],
        [
            element("h2", &[("id", &html::slug(tag))], [text(tag)]),
            markdown(words),
            contract.operations(tag).map(|operation| operation_card(contract, operation)).collect(),
        ],
    )
}

/// A folded operation. The anchor is inside, for a browser that is led to it unfolds what is around it.
fn operation_card<'a>(contract: Contract<'a>, operation: Operation<'a>) -> Html {
    let summary = element(
        "summary",
        &[],
        [
            badge(operation.method),
            element("h3", &[], [path(operation.path), text(" "), text(operation.text("summary"))]),
            access(operation.text("x-portico-access")),
        ],
    );
    let anchor = operation.text("operationId");
    let body = [markdown(operation.text("description")), operation_details(contract, operation)];
    element("details", &[("class", "operation")], [summary, element("div", &[("id", anchor)], body)])
}

fn operation_details<'a>(contract: Contract<'a>, operation: Operation<'a>) -> Html {
    if let Some(twin) = operation.twin() {
        let target = link(twin.text("operationId"), text(twin.text("summary")));
        return element("p", &[], [text("Parameters, body and answers: see "), target, text(".")]);
    }
    let parameters: Vec<_> = operation.parameters().map(|parameter| contract.resolve(parameter)).collect();
    let body = contract.resolve(&operation.value["requestBody"]);
    [
        part("Parameters", !parameters.is_empty(), || {
            schema::parameters(contract, parameters.iter().copied())
        }),
        part("Body", body.is_object(), || request_body(contract, body)),
        part("Answers", true, || answers(contract, &operation.value["responses"])),
    ]
    .into_iter()
    .collect()
}

fn part(title: &str, present: bool, content: impl FnOnce() -> Html) -> Html {
    if !present {
        return Html::default();
    }
    [element("h4", &[], [text(title)]), content()].into_iter().collect()
}

fn request_body<'a>(contract: Contract<'a>, body: &'a Value) -> Html {
    let types = members(&body["content"]).map(|(media_type, media)| {
        let members = schema::members(contract, contract.resolve(&media["schema"]));
        [wrap("p", &[("class", "facts")], code(media_type)), members, examples(contract, media)]
            .into_iter()
            .collect()
    });
    types.collect()
}

/// The answers that succeed or have a shape of their own in full, and the problems as a table.
fn answers<'a>(contract: Contract<'a>, responses: &'a Value) -> Html {
    let all = members(responses).map(|(status, response)| (status.as_str(), contract.resolve(response)));
    let (problems, others): (Vec<_>, Vec<_>) = all.partition(|(_, response)| is_problem(response));
    let others = others.into_iter().map(|(status, response)| answer(contract, status, response));
    others.chain([problem_table(&problems)]).collect()
}

fn answer<'a>(contract: Contract<'a>, status: &str, response: &'a Value) -> Html {
    let media = members(&response["content"]).map(|(media_type, media)| {
        let kind = [code(media_type), text(" "), schema::kind(&media["schema"])];
        [element("p", &[("class", "facts")], kind), examples(contract, media)].into_iter().collect()
    });
    let names = join(members(&response["headers"]).map(|(name, _)| code(name)), " ");
    element(
        "div",
        &[("class", "answer")],
        [
            element(
                "p",
                &[],
                [status_badge(status), text(response["description"].as_str().unwrap_or_default())],
            ),
            media.collect(),
            element("p", &[("class", "facts")], [text("Headers "), names]),
        ],
    )
}

fn problem_table(problems: &[(&str, &Value)]) -> Html {
    let rows = problems.iter().map(|(status, response)| {
        let codes = problem_code_values(response).map(|code| link(&problem_anchor(code), self::code(code)));
        let words = markdown_inline(response["description"].as_str().unwrap_or_default());
        element(
            "tr",
            &[],
            [
                element("th", &[("scope", "row")], [status_badge(status)]),
                wrap("td", &[], words),
                element("td", &[("class", "codes")], [join(codes, " ")]),
            ],
        )
    });
    let caption = element(
        "caption",
        &[],
        [link("problem-codes", text("Problems")), text(", "), code("application/problem+json")],
    );
    html::scrolling(
        "Problems",
        element("table", &[("class", "problems")], [caption, wrap("tbody", &[], rows.collect())]),
    )
}

fn problem_codes(contract: Contract<'_>) -> Html {
    let rows = members(&contract.0["x-portico-problem-codes"]).map(|(name, problem)| {
        let statuses = problem["status"].as_array().into_iter().flatten();
        element(
            "tr",
            &[("id", &problem_anchor(name))],
            [
                element("th", &[("scope", "row")], [code(name)]),
                wrap("td", &[], join(statuses.map(|status| status_badge(&status.to_string())), " ")),
                wrap("td", &[], markdown_inline(problem["meaning"].as_str().unwrap_or_default())),
            ],
        )
    });
    element(
        "section",
        &[],
        [
            element("h2", &[("id", "problem-codes")], [text("Problem codes")]),
            markdown("The `code` of a problem is stable; decide by it."),
            html::table("Problem codes", ["Code", "Status", "Meaning"], rows.collect()),
        ],
    )
}

fn schemas(contract: Contract<'_>) -> Html {
    let all = contract.shared_schemas().map(|(name, value)| {
        let summary = element("summary", &[], [element("h3", &[], [text(name)])]);
        let anchor = schema::anchor(name);
        let body = element("div", &[("id", &anchor)], [schema::description(contract, value)]);
        element("details", &[("class", "schema")], [summary, body])
    });
    element(
        "section",
        &[],
        [
            element("h2", &[("id", "schemas")], [text("Schemas")]),
            markdown("The shapes that the operations share."),
            all.collect(),
        ],
    )
}

fn examples<'a>(contract: Contract<'a>, media: &'a Value) -> Html {
    let single = media.get("example").map(|value| example("Example", value));
    let alone = members(&media["examples"]).count() == 1;
    let named = members(&media["examples"]).map(|(name, named)| {
        let named = contract.resolve(named);
        let name = if alone { "Example" } else { name };
        example(named["summary"].as_str().unwrap_or(name), &named["value"])
    });
    single.into_iter().chain(named).collect()
}

fn example(label: &str, value: &Value) -> Html {
    let json = wrap("code", &[], json(value, 0));
    let block = element("pre", &[("tabindex", "0"), ("aria-label", label)], [json]);
    element("figure", &[], [element("figcaption", &[], [text(label)]), block])
}

/// JSON on several lines, its keys, strings and other values marked up.
fn json(value: &Value, depth: usize) -> Html {
    match value {
        Value::Object(all) if !all.is_empty() => {
            let lines = all.iter().map(|(key, member)| {
                let key = element("b", &[], [text(Value::from(key.as_str()).to_string())]);
                [key, text(": "), json(member, depth + 1)].into_iter().collect()
            });
            bracketed("{", lines, "}", depth)
        }
        Value::Array(all) if !all.is_empty() => {
            bracketed("[", all.iter().map(|item| json(item, depth + 1)), "]", depth)
        }
        Value::String(_) => element("i", &[], [text(value.to_string())]),
        other => text(other.to_string()),
    }
}

fn bracketed(open: &str, lines: impl Iterator<Item = Html>, close: &str, depth: usize) -> Html {
    let indent = |depth: usize| format!("\n{}", "  ".repeat(depth));
    let inside = join(lines, &format!(",{}", indent(depth + 1)));
    [text(open), text(indent(depth + 1)), inside, text(indent(depth)), text(close)].into_iter().collect()
}

fn badge(method: &str) -> Html {
    element("span", &[("class", &format!("method {method}"))], [text(method.to_uppercase())])
}

fn status_badge(status: &str) -> Html {
    let class = format!("status s{}", status.chars().next().unwrap_or_default());
    element("span", &[("class", &class)], [text(status)])
}

/// A path whose slashes may break a line.
fn path(path: &str) -> Html {
    let pieces = path.split_inclusive('/').map(text);
    let broken = pieces.flat_map(|piece| [piece, void("wbr", &[])]);
    wrap("code", &[("class", "path")], broken.collect())
}

fn access(kind: &str) -> Html {
    let words = match kind {
        "public" => "public",
        "user" => "signed in",
        "self_or_admin" => "self or Admin",
        "owner_or_admin" => "owner or Admin",
        other => other,
    };
    element("span", &[("class", &format!("access {kind}"))], [text(words)])
}

fn is_problem(response: &Value) -> bool {
    response["content"].get("application/problem+json").is_some()
}

fn problem_code_values(response: &Value) -> impl Iterator<Item = &str> {
    let schema = &response["content"]["application/problem+json"]["schema"];
    schema["properties"]["code"]["enum"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn problem_anchor(code: &str) -> String {
    format!("problem-{code}")
}
