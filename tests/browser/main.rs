//! The pages that Portico shows to people, clicked through in headless Chromium with an ear to the console.

mod browser;
mod console;
mod docs;
mod layout;
mod outbox;
