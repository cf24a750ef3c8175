//! Lists in pages: `limit` and `cursor` in, `{data, returned, next_cursor?}` out.

use serde::Serialize;

use super::request::Request;
use super::{cursor, reply};
use crate::error::Error;
use crate::ports::store::Position;
use crate::secret::SecretKey;

/// The page size unless the client asks for another.
pub const DEFAULT_LIMIT: usize = 50;
/// The largest page.
pub const MAX_LIMIT: usize = 100;

/// The page that a client asks for.
#[derive(Debug)]
pub struct PageRequest {
    /// At most so many items, 1 to 100.
    pub limit: usize,
    /// The client's cursor, unread.
    pub cursor: Option<String>,
    /// Whether the client asked for pages at all. Lists that the older API returns as a bare array stay bare
    /// arrays otherwise.
    pub asked: bool,
}

impl PageRequest {
    /// Reads `limit` and `cursor`.
    ///
    /// # Errors
    /// 400 `invalid_parameter` for a limit that is no number from 1 to 100.
    pub fn of(request: &Request) -> Result<Self, Error> {
        let limit = request.query("limit").map(|text| parse_limit(&text)).transpose()?;
        let cursor = request.query("cursor").map(std::borrow::Cow::into_owned);
        let asked = limit.is_some() || cursor.is_some();
        Ok(Self { limit: limit.unwrap_or(DEFAULT_LIMIT), cursor, asked })
    }

    /// The position that the cursor holds, for a list named by `scope`.
    ///
    /// # Errors
    /// 400 `invalid_cursor`.
    pub fn position(&self, key: &SecretKey, scope: &str) -> Result<Option<Position>, Error> {
        self.cursor.as_deref().map(|text| cursor::open(key, scope, text)).transpose()
    }
}

fn parse_limit(text: &str) -> Result<usize, Error> {
    text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
        Error::bad_request("invalid_parameter", format!("`limit` must be a number from 1 to {MAX_LIMIT}"))
    })
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct Envelope<T> {
    data: Vec<T>,
    returned: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl<T: Serialize> Envelope<T> {
    /// A page, with the cursor of the next if there is one.
    #[must_use]
    pub fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { returned: data.len(), data, next_cursor }
    }
}

/// Answers a short list that is wholly in memory, in the order of its ids: a bare array, or a page of it if the
/// client asked for pages.
///
/// # Errors
/// 400 as [`PageRequest::position`].
pub fn reply_list<T: Serialize>(
    request: &PageRequest,
    key: &SecretKey,
    scope: &str,
    mut items: Vec<T>,
    id_of: impl Fn(&T) -> &str,
) -> Result<reply::Reply, Error> {
    items.sort_unstable_by(|one, other| id_of(one).cmp(id_of(other)));
    if !request.asked {
        return reply::ok(&items);
    }
    let after: Option<String> =
        request.cursor.as_deref().map(|text| cursor::open(key, scope, text)).transpose()?;
    let start = after.map_or(0, |after| items.partition_point(|item| id_of(item) <= after.as_str()));
    let mut page = items.split_off(start);
    let more = page.len() > request.limit;
    page.truncate(request.limit);
    let next = if more { page.last().and_then(|item| cursor::seal(key, scope, &id_of(item))) } else { None };
    reply::ok(&Envelope::new(page, next))
}
