//! Two hundred kills at any moment of a write load: what was acknowledged is there after each, and no rule of the store is
//! broken. Also kills of a server that starts, migrates, or is asked to stop, and of commands.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use portico::blobs::dir::DirBlobs;
use portico::store::sqlite::{DATABASE, DatabaseError, Listing, SqliteStore};
use portico_core::outbox::model::{Entry, Task};
use portico_core::ports::store::{Item, Store};
use portico_core::schema::{OUTBOX, USERS};
use portico_tests::client::PASSWORD;
use portico_tests::invariants;
use portico_tests::process::{Folder, Server};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::load::{Account, Book, Dice, lock, work};
use crate::support::{clock, entropy, number};

const CLIENTS: usize = 8;
/// How often the rules of the store are held against all of it.
const CHECK_EVERY: u64 = 20;
/// The longest that the load goes on before a kill, in milliseconds.
const LOAD_MS: u64 = 250;
/// How long an entry of the outbox that was taken up and then lost its server waits for its next try, and some.
const REDELIVERED: Duration = Duration::from_secs(75);
const ADMIN: [(&str, &str); 3] =
    [("ADMIN_EMAIL", "root@example.com"), ("ADMIN_PASSWORD", PASSWORD), ("LOG_LEVEL", "error")];

#[tokio::test(flavor = "multi_thread")]
async fn r2_what_was_acknowledged_survives_two_hundred_kills() {
    let (seed, kills) = (number("CRASH_SEED", 1), number("CRASH_KILLS", 200));
    println!("CRASH_SEED={seed} CRASH_KILLS={kills}");
    let dice = Dice::new(seed);
    let folder = Folder::new();
    let books: Vec<Book> = (0..CLIENTS).map(|_| Book::default()).collect();
    let mut server = folder.serve(&ADMIN).await;
    let admin = sign_in_as_admin(&server).await;
    let began = Instant::now();
    for kill in 1..=kills {
        let mut tasks = JoinSet::new();
        for (client, book) in books.iter().enumerate() {
            let (prefix, own) = (format!("c{client}"), Dice::new(seed + 1000 * kill + client as u64));
            tasks.spawn(work(server.port, prefix, admin.clone(), Arc::clone(book), own));
        }
        sleep(Duration::from_millis(1 + dice.below(LOAD_MS))).await;
        if dice.below(5) == 0 {
            // While it stops as it was asked to.
            server.signal("TERM").await;
            sleep(Duration::from_millis(dice.below(30))).await;
        }
        server.signal("KILL").await;
        server.child.wait().await.unwrap();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap_or_else(|error| panic!("kill {kill} of seed {seed}: {error}: {}", server.log()));
        }
        assert_eq!(server.log(), "", "kill {kill} of seed {seed}");
        if kill % CHECK_EVERY == 0 {
            hold_to_the_rules(&folder.path("data")).await;
        }
        server = folder.serve(&ADMIN).await;
        join_all(books.iter().map(|book| verify_last(server.port, book))).await;
    }
    println!("{kills} kills within {:?}", began.elapsed());
    let accounts: Vec<Account> = books.iter().flat_map(|book| lock(book).clone()).collect();
    let acts: usize = accounts.iter().map(|account| account.acts).sum();
    let uploads: usize = accounts.iter().map(|account| account.files.len()).sum();
    println!("{} accounts, {acts} acts, {uploads} files left", accounts.len());
    assert!(acts as u64 > kills * 10 && uploads as u64 > kills / 2, "too little was asked for");
    // Everything once more, as it is at the very end.
    for some in accounts.clone().chunks_mut(CLIENTS) {
        join_all(some.iter_mut().map(|account| account.verify(server.port))).await;
    }
    let data = folder.path("data");
    all_mail_leaves(&data).await;
    assert_eq!(server.stop().await, "");
    hold_to_the_rules(&data).await;
    count_mail(&data.join("outbox"), &accounts);
    println!("all within {:?}", began.elapsed());
}

async fn sign_in_as_admin(server: &Server) -> String {
    let login = json!({ "username": "admin", "password": PASSWORD });
    let (code, auth) = server.post("/v1/sessions/login", &login).await.unwrap();
    assert_eq!(code, 200, "{auth}");
    auth["access_token"].as_str().unwrap().to_owned()
}

/// Verifies the account that was in use, and the one before it, which may have ended in this round.
async fn verify_last(port: u16, book: &Book) {
    let from = lock(book).len().saturating_sub(2);
    let mut last: Vec<Account> = lock(book)[from..].to_vec();
    join_all(last.iter_mut().map(|account| account.verify(port))).await;
    lock(book).splice(from.., last);
}

/// Holds everything in a data directory that nobody uses against the rules of the store.
pub async fn hold_to_the_rules(data: &Path) {
    let store = SqliteStore::open(data, clock(), entropy()).unwrap();
    let blobs = DirBlobs::open(data.join("files")).unwrap();
    let mut wrong = invariants::check(&store, Some(&blobs)).await;
    let mut rows: Vec<Item> = Vec::new();
    let listing = Listing::open(&data.join(DATABASE)).unwrap();
    let each = listing.each(&USERS, |row| {
        rows.push(row);
        Ok::<_, DatabaseError>(())
    });
    each.unwrap();
    assert!(!rows.is_empty());
    wrong.extend(invariants::check_rows(&store as &dyn Store, rows).await);
    store.close().await.unwrap();
    portico::store::sqlite::check(data).unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Waits until no e-mail is owed to anybody.
async fn all_mail_leaves(data: &Path) {
    let began = Instant::now();
    loop {
        let mut owed = 0;
        let listing = Listing::open(&data.join(DATABASE)).unwrap();
        let count = |entry: Entry| {
            owed += usize::from(matches!(entry.task, Task::Mail { .. }));
            Ok::<_, DatabaseError>(())
        };
        listing.each(&OUTBOX, count).unwrap();
        if owed == 0 {
            return println!("all mail left within {:?}", began.elapsed());
        }
        assert!(began.elapsed() < REDELIVERED, "{owed} e-mails do not leave");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Every promised e-mail left, and none that was not.
fn count_mail(outbox: &Path, accounts: &[Account]) {
    let mut sent: HashMap<(String, bool), usize> = HashMap::new();
    for entry in fs::read_dir(outbox).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "eml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (to, subject) = (field("To: ").to_owned(), field("Subject: ").to_owned());
        assert!(text.trim_end().ends_with("--"), "{} breaks off", path.display());
        *sent.entry((to, subject == "Your password was changed")).or_default() += 1;
    }
    for account in accounts.iter().filter(|account| !account.id.is_empty()) {
        let count = |notice| {
            sent.get(&(format!("{}@example.com", account.username), notice)).copied().unwrap_or_default()
        };
        let (least, most) = account.notices;
        assert!((least..=most).contains(&count(true)), "{account:?} was told {} times", count(true));
        assert_eq!(count(false), 1, "{account:?} was welcomed otherwise");
    }
}
