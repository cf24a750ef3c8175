//! What every implementation of a port must do, as tests that each implementation runs on itself.
//!
//! A kit is a list of named properties (`pub async fn`) and a macro that makes one test of each. A property
//! panics when it does not hold; a backend that cannot be reached fails, it is never skipped.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a property that does not hold ends its test"
)]

pub mod blobs;
pub mod store;

/// Makes a test of each property of a kit; the kits' own macros call it.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($kit:ident attribute [$attribute:meta] [$new:expr] $($property:ident)+) => {$(
        #[$attribute]
        async fn $property() {
            $crate::conformance::$kit::$property(&($new)().await).await;
        }
    )+};
    ($kit:ident block_on [$block_on:path] [$new:expr] $($property:ident)+) => {$(
        #[test]
        fn $property() {
            $block_on(async { $crate::conformance::$kit::$property(&($new)().await).await });
        }
    )+};
}

/// Asserts that a kit's macro names each property of the kit's files.
#[cfg(test)]
fn assert_lists_every_property(macro_text: &str, files: &[&str]) {
    let lines = files.iter().flat_map(|file| file.lines());
    let names = lines.filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
    for name in names {
        assert!(macro_text.lines().any(|line| line.trim() == name), "{name} is not in its kit's macro");
    }
}
