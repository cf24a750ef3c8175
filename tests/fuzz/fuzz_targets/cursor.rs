//! Cursors of pages: none is taken but those that were given, and only where they belong.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use portico_core::http::cursor::{open, seal};
use portico_core::secret::SecretKey;

#[derive(Debug, Arbitrary)]
struct Input<'input> {
    scope: &'input str,
    other_scope: &'input str,
    position: Vec<&'input str>,
    /// What somebody makes up.
    forged: &'input str,
    /// Where a cursor is changed, and how.
    at: u16,
    by: u8,
}

fuzz_target!(|input: Input<'_>| {
    let (key, other_key) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
    let cursor = seal(&key, input.scope, &input.position).expect("texts can be sealed");
    assert_eq!(open::<Vec<String>>(&key, input.scope, &cursor).ok(), Some(owned(&input.position)));
    assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{cursor}");
    refuse(&other_key, input.scope, &cursor);
    if input.other_scope != input.scope {
        refuse(&key, input.other_scope, &cursor);
    }
    // The fuzzer sees what tags are compared with, and learns them: what it makes must be just what the server makes.
    if let Ok(position) = open::<Vec<String>>(&key, input.scope, input.forged) {
        assert_eq!(seal(&key, input.scope, &position).as_deref(), Some(input.forged));
    }
    let mut changed = cursor.clone().into_bytes();
    let at = usize::from(input.at) % changed.len();
    changed[at] ^= input.by;
    match String::from_utf8(changed) {
        Ok(changed) if changed != cursor => refuse(&key, input.scope, &changed),
        _ => {}
    }
    refuse(&key, input.scope, &cursor[..at]);
});

fn refuse(key: &SecretKey, scope: &str, cursor: &str) {
    let error = open::<Vec<String>>(key, scope, cursor).expect_err("a cursor that was never given is taken");
    assert_eq!((error.status.as_u16(), error.code), (400, "invalid_cursor"));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
