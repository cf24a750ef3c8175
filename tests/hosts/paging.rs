//! What holds for every list in pages, to be asked of each of them.

use portico_tests::client::Client;
use serde_json::Value;

/// Follows the cursors from the first page to the last; every page but the last is full.
pub(crate) async fn walk(client: &Client, path: &str, limit: usize) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), Some(with(path, &format!("limit={limit}"))));
    while let Some(page_path) = next {
        let page = client.get(&page_path).await.expect(200).json();
        let data = page["data"].as_array().expect("a page").clone();
        assert_eq!(page["returned"], data.len());
        next =
            page["next_cursor"].as_str().map(|cursor| with(path, &format!("limit={limit}&cursor={cursor}")));
        assert!(data.len() == limit || next.is_none(), "a short page that is not the last");
        items.extend(data);
    }
    items
}

/// Pages of every size show the same items in the same order, each once; a bad `limit` and a cursor from anywhere
/// else are refused.
pub(crate) async fn expect_pages(client: &Client, path: &str, ids: &[String]) {
    assert!(ids.len() > 1, "a list of one page proves nothing");
    for limit in [1, 2, ids.len(), 100] {
        assert_eq!(ids_of(&walk(client, path, limit).await), ids, "{path} by {limit}");
    }
    for limit in ["0", "101", "-1", "1.5", "x", "", "99999999999999999999"] {
        client.get(&with(path, &format!("limit={limit}"))).await.expect_problem(400, "invalid_parameter");
    }
    let cursor = first_cursor(client, path).await;
    // Base64 of a position begins with `I` or `e`.
    let forged = format!("A{}", &cursor[1..]);
    for wrong in [forged.as_str(), "", ".", "x", "%00", "Im5vdGhpbmci", "bm90aGluZw.AAAAAAAAAAAAAAAAAAAAAA"] {
        refused(client, path, wrong).await;
    }
}

/// A cursor is refused where it was not given out.
pub(crate) async fn refused(client: &Client, path: &str, cursor: &str) {
    client.get(&with(path, &format!("cursor={cursor}"))).await.expect_problem(400, "invalid_cursor");
}

/// The cursor of a list's second page.
pub(crate) async fn first_cursor(client: &Client, path: &str) -> String {
    let page = client.get(&with(path, "limit=1")).await.expect(200).json();
    page["next_cursor"].as_str().expect("a second page").to_owned()
}

/// The ids of a list's items.
pub(crate) fn ids_of(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

/// The ids of a bare array's items.
pub(crate) fn ids_in(array: &Value) -> Vec<String> {
    ids_of(array.as_array().expect("a bare array"))
}

fn with(path: &str, query: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{query}")
}
