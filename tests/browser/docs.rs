//! `/docs`: the contract as a page.

use portico_tests::client::Client;
use serde_json::{Value, json};

use crate::browser::{Browser, browse};
use crate::layout::{LARGE, SMALL, assert_legible};

/// Of the links on the page: how many stay on it, which of them lead nowhere, and which leave it.
const LINKS: &str = "
    const links = [...document.querySelectorAll('a')].map(link => link.getAttribute('href'));
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    return {
        inside: links.filter(link => link.startsWith('#')).length,
        astray: links.filter(link => link.startsWith('#') && !ids.includes(link.slice(1))),
        outside: [...new Set(links.filter(link => !link.startsWith('#')))],
        twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    }";

/// Where the element that the address names is seen: nothing if it is not, or out of sight.
const TARGET: &str = "
    const target = document.querySelector(':target');
    const top = target && target.checkVisibility() ? target.getBoundingClientRect().top : NaN;
    return top >= -1 && top < innerHeight ? target.id : null";

struct Operation {
    id: String,
    statuses: Vec<String>,
}

/// What the published contract describes, but for the second names of an operation, which refer to the first.
async fn operations(client: &Client) -> Vec<Operation> {
    let contract = client.get("/openapi.json").await.expect(200).json();
    let paths = contract["paths"].as_object().expect("paths").values();
    let described = paths.flat_map(|path| path.as_object().expect("a path").values());
    let operation = |value: &Value| {
        let id = value["operationId"].as_str()?.to_owned();
        Some(Operation { id, statuses: value["responses"].as_object()?.keys().cloned().collect() })
    };
    described.filter_map(operation).collect()
}

/// What a person reads in an operation; null while it is folded.
async fn shown(browser: &Browser, id: &str) -> Value {
    let script = format!(
        "const body = document.getElementById('{id}'); return body.checkVisibility() ? body.innerText : null"
    );
    browser.evaluate(&script).await
}

#[tokio::test]
async fn every_link_leads_somewhere() {
    browse(async |browser| {
        browser.open("/docs").await;
        assert_eq!(browser.title().await, "Portico API");
        let links = browser.evaluate(LINKS).await;
        assert!(links["inside"].as_u64() > Some(200), "{links}");
        assert_eq!((&links["astray"], &links["twice"]), (&json!([]), &json!([])), "{links}");
        assert_eq!(links["outside"], json!(["/openapi.json"]));
        browser.client().get("/openapi.json").await.expect(200);
        assert_eq!(browser.foreign_requests().await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn each_entry_of_the_contents_unfolds_what_it_names() {
    browse(async |browser| {
        browser.open("/docs").await;
        let entries = browser.find_all("nav li a").await;
        assert!(entries.len() > 40, "{}", entries.len());
        for entry in entries {
            let anchor = entry.attr("href").await.expect("an attribute").expect("a link");
            entry.click().await.unwrap_or_else(|error| panic!("{anchor}: {error}"));
            assert_eq!(browser.evaluate(TARGET).await, json!(anchor[1..]));
        }
    })
    .await;
}

#[tokio::test]
async fn each_operation_unfolds() {
    browse(async |browser| {
        browser.open("/docs").await;
        for Operation { id, statuses } in operations(browser.client()).await {
            assert_eq!(shown(browser, &id).await, Value::Null, "{id} begins folded");
            let summary = browser.find(&format!("details:has(> #{id}) > summary")).await;
            summary.click().await.expect("a summary in sight");
            let text = shown(browser, &id).await;
            let text = text.as_str().unwrap_or_else(|| panic!("{id} stays folded"));
            let refers = text.contains("Parameters, body and answers: see ");
            for status in statuses.iter().filter(|_| !refers) {
                assert!(text.contains(status.as_str()), "{id} answers {status}:\n{text}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_operation_shows_its_members_an_example_and_its_problems() {
    browse(async |browser| {
        browser.open("/docs").await;
        browser.click("details:has(> #register_user) > summary").await;
        let text = browser.text("#register_user").await;
        for part in ["BODY", "ANSWERS", "Example", "\"username\": \"", "201", "username_taken", "409"] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        browser.click("#register_user a[href='#problem-username_taken']").await;
        assert_eq!(browser.evaluate(TARGET).await, json!("problem-username_taken"));
        browser.click("details:has(> #register_user) > summary").await;
        assert_eq!(shown(browser, "register_user").await, Value::Null, "it is folded again");
        browser.click("details:has(> #register_user) > summary").await;
        let shape = browser.find("#register_user a[href='#schema-Auth']").await;
        shape.click().await.expect("a link");
        assert_eq!(browser.evaluate(TARGET).await, json!("schema-Auth"));
        assert!(browser.text("#schema-Auth").await.contains("access_token"));
    })
    .await;
}

#[tokio::test]
async fn it_is_legible_by_day_and_night_on_any_screen() {
    browse(async |browser| {
        for (scheme, width) in [("light", LARGE), ("dark", LARGE), ("light", SMALL), ("dark", SMALL)] {
            unfolded(browser, scheme, width).await;
            assert_legible(browser, scheme, width).await;
        }
    })
    .await;
}

async fn unfolded(browser: &Browser, scheme: &str, width: u32) {
    browser.prefer(scheme, width).await;
    browser.open("/docs").await;
    browser.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true").await;
}
