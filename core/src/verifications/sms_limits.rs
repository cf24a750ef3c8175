//! How often SMS are sent, and where to: each costs money, and numbers can be made to earn it (SMS pumping).
//!
//! Counted in the store, so that every instance counts alike: by number, by account, by client address, and in all.

use std::net::IpAddr;

use phonelib::{PhoneNumber, PhoneNumberType};
use serde::{Deserialize, Serialize};

use crate::App;
use crate::auth::mac;
use crate::error::Error;
use crate::http::client_addr::source_key;
use crate::ports::store::{Condition, Key, Write};
use crate::ports::store_ext::{StoreExt, Stored, put};
use crate::schema::COUNTERS;
use crate::text::Phone;
use crate::time::Timestamp;
use crate::validate::{Invalid, InvalidCode};
use crate::verifications::model::COOL_DOWN_SECONDS;
use base16ct::lower::encode_string as hex;

/// Messages a day to one number, and from one account.
const DAILY_PER_RECIPIENT: u32 = 5;
/// Messages a day asked for from one address.
const DAILY_PER_ADDRESS: u32 = 20;
/// The longest pause between two messages, in seconds.
const LONGEST_PAUSE_SECONDS: i64 = 60 * 60;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Messages sent within a day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sent {
    counter_id: String,
    count: u32,
    last_at: Timestamp,
    expires_at: i64,
}

/// What is counted, and how many there may be.
struct Limit {
    key: Key,
    most: u32,
    pauses: bool,
}

/// Refuses numbers that no SMS may go to: premium ranges, and countries not on the list (`SMS_COUNTRIES`).
///
/// # Errors
/// [`Invalid`] with `not_allowed`.
pub fn check_number(app: &App, phone: &Phone) -> Result<(), Invalid> {
    let refused =
        || Invalid::new(InvalidCode::NotAllowed, "no SMS is sent to this kind of number or country");
    let number = PhoneNumber::parse(phone.as_str()).ok_or_else(refused)?;
    let costly = matches!(number.phone_type(), PhoneNumberType::PremiumRate | PhoneNumberType::SharedCost);
    let listed = &app.settings.sms_countries;
    // "001" stands for numbers of no country, such as satellite phones.
    let country = number.country().code;
    let allowed =
        if listed.is_empty() { country != "001" } else { listed.iter().any(|code| code == country) };
    if costly || !allowed { Err(refused()) } else { Ok(()) }
}

/// Takes one message from every budget concerned; the writes go into the transaction that promises the message.
///
/// # Errors
/// 429 `too_soon` or `too_many_attempts`, 503 `sms_budget_spent`; the store's.
pub async fn take(app: &App, phone: &Phone, user_id: &str, addr: IpAddr) -> Result<Vec<Write>, Error> {
    let now = app.now();
    let limits = limits(app, phone, user_id, addr, now);
    let store = &*app.ports.store;
    let counts =
        futures::future::try_join_all(limits.iter().map(|limit| store.find::<Sent>(&limit.key))).await?;
    let [.., total] = limits.as_slice() else { return Ok(Vec::new()) };
    let mut writes = Vec::with_capacity(limits.len());
    for (limit, stored) in limits.iter().zip(counts) {
        let sent = stored.as_ref().map(|stored| stored.value.clone()).filter(|sent| !sent.is_ahead(now));
        let sent = sent.unwrap_or_default();
        if std::ptr::eq(limit, total) && sent.count >= limit.most {
            return Err(budget_spent(limit.most));
        }
        check(&sent, limit, now)?;
        let when = stored.as_ref().map_or(Condition::Absent, Stored::unchanged);
        writes.push(put(limit.key.clone(), &sent.and_one(limit, now), when)?);
    }
    Ok(writes)
}

/// The limits, the one on all messages last.
fn limits(app: &App, phone: &Phone, user_id: &str, addr: IpAddr, now: Timestamp) -> [Limit; 4] {
    let key = |kind: &str, of: &str| {
        let tag = mac::tag(&app.server_keys.counters, &[b"sms", kind.as_bytes(), of.as_bytes()]);
        Key::new(&COUNTERS, format!("sms-{kind}#{}", hex(&tag[..16])))
    };
    [
        Limit { key: key("number", phone.as_str()), most: DAILY_PER_RECIPIENT, pauses: true },
        Limit { key: key("account", user_id), most: DAILY_PER_RECIPIENT, pauses: true },
        Limit { key: key("address", &source_key(addr)), most: DAILY_PER_ADDRESS, pauses: false },
        Limit {
            key: Key::new(&COUNTERS, format!("sms-day#{}", now.date())),
            most: app.settings.sms_daily_limit,
            pauses: false,
        },
    ]
}

fn check(sent: &Sent, limit: &Limit, now: Timestamp) -> Result<(), Error> {
    if sent.count >= limit.most {
        let wait = sent.expires_at.saturating_sub(now.as_seconds()).max(1).unsigned_abs();
        return Err(Error::too_many("too_many_attempts", "no more messages today: try again tomorrow", wait));
    }
    if limit.pauses && sent.count > 0 {
        let pause =
            COOL_DOWN_SECONDS.saturating_mul(1 << (sent.count - 1).min(16)).min(LONGEST_PAUSE_SECONDS);
        let wait = sent.last_at.plus_seconds(pause).as_millis().saturating_sub(now.as_millis());
        if (1..=LONGEST_PAUSE_SECONDS * 1000).contains(&wait) {
            let wait = wait.unsigned_abs().div_ceil(1000);
            return Err(Error::too_many(
                "too_soon",
                "a code was sent just now: wait before asking for another",
                wait,
            ));
        }
    }
    Ok(())
}

fn budget_spent(limit: u32) -> Error {
    metrics::counter!("portico_sms_refused_by_budget_total").increment(1);
    tracing::error!(limit, "the daily SMS budget (SMS_DAILY_LIMIT) is spent; no more are sent today");
    Error::unavailable("sms_budget_spent", "no SMS can be sent at present: try again tomorrow", 3600)
}

impl Sent {
    /// Whether it was counted before the clock was set back.
    fn is_ahead(&self, now: Timestamp) -> bool {
        self.last_at.is_ahead(now)
    }

    fn and_one(self, limit: &Limit, now: Timestamp) -> Self {
        let begins = self.count == 0;
        Self {
            counter_id: limit.key.hash.clone(),
            count: self.count.saturating_add(1),
            last_at: now,
            expires_at: if begins { now.plus_seconds(DAY_SECONDS).as_seconds() } else { self.expires_at },
        }
    }
}
