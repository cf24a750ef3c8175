//! The pool that hashes: everybody is answered, be it that it is busy, and it ends when it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use portico_core::auth::password::{HashOutcome, HashParams, HashWork, Password};
use portico_core::ports::hasher::Hasher;
use portico_core::secret::Secret;
use shuttle::future::block_on;
use shuttle::thread;

use crate::explore;
use crate::hasher::HashPool;

fn work() -> HashWork {
    let password = Password::new(Secret::new("correct horse"));
    HashWork::Hash { password, salt: [1; 16], params: HashParams { memory_kib: 8, passes: 1, lanes: 1 } }
}

/// Every caller gets an outcome or is told that it is busy, as many at least as there is room for get theirs, and work
/// can be given again afterwards. The pool's threads end with it, or this would not.
pub fn everybody_is_answered() {
    explore(250, || {
        let pool = Arc::new(HashPool::with_bounds(2, 1).expect("threads"));
        let served = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (pool, served) = (pool.clone(), served.clone());
                thread::spawn(move || match block_on(pool.run(work())) {
                    Ok(HashOutcome::Hashed(_)) => _ = served.fetch_add(1, Ordering::SeqCst),
                    Ok(other) => panic!("{other:?}"),
                    Err(busy) => assert!(busy.retry_after_seconds > 0),
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that ends well"));
        assert!(served.load(Ordering::SeqCst) > 0, "nobody was served");
        assert!(block_on(pool.run(work())).is_ok(), "idle, it is busy");
    });
}

/// A caller who goes away costs the others nothing but the place that it has.
pub fn callers_who_go_away_hold_nobody_up() {
    explore(250, || {
        let pool = Arc::new(HashPool::with_bounds(1, 3).expect("threads"));
        let leaver = {
            let pool = pool.clone();
            // Polled once, then dropped.
            thread::spawn(move || drop(pool.run(work()).now_or_never()))
        };
        let stayer = {
            let pool = pool.clone();
            thread::spawn(move || assert!(block_on(pool.run(work())).is_ok(), "there was room"))
        };
        for thread in [leaver, stayer] {
            thread.join().expect("a thread that ends well");
        }
    });
}
