//! SNS's answers, as the edge reads them: a message is handed over only if SNS says so, and given up only if it refuses.
#![no_main]

use std::sync::Arc;

use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use portico_core::memory::restless_clock::RestlessClock;
use portico_core::ports::sms::{Sms, SmsSender};
use portico_core::sns::SnsSms;
use portico_edge::aws::sns::FetchClient;
use portico_fuzz::script::find;
use portico_fuzz::service::{account, replies};

fuzz_target!(|text: &[u8]| {
    let replies = replies(text);
    let said_so = replies
        .iter()
        .flatten()
        .any(|reply| reply.status().is_success() && find(reply.body(), b"PublishResponse").is_some());
    let refused = replies.iter().flatten().any(|reply| find(reply.body(), b"Code").is_some());
    let client = Arc::new(FetchClient::new(account(replies)));
    let sender = SnsSms::new(client, Arc::new(RestlessClock::default()), None);
    let sms = Sms { id: "1".to_owned(), to: "+4915123456789".to_owned(), text: "canary".to_owned() };
    match block_on(sender.send(&sms)) {
        Ok(()) => assert!(said_so, "handed over, and SNS never said so"),
        Err(error) => assert!(refused || error.retry, "given up without a refusal: {}", error.detail),
    }
});
