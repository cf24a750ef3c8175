//! The pages that Portico shows to people, in headless Chromium: clicked through, and with an ear to the console.

mod browser;
mod console;
mod docs;
mod layout;
mod outbox;
