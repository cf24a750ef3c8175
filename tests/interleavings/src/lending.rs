//! The pool of readers' connections: what it lends, one thread has at a time; and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use shuttle::thread;

use crate::explore;
use crate::pool::Pool;

/// A thing that can tell whether two threads have it, or one has it after it was dropped.
struct Lent {
    in_use: AtomicBool,
    dropped: Arc<AtomicUsize>,
}

impl Lent {
    /// Uses the thing, while others may go on.
    fn work(&self) {
        assert!(!self.in_use.swap(true, Ordering::SeqCst), "two threads have it");
        thread::yield_now();
        thread::yield_now();
        assert!(self.in_use.swap(false, Ordering::SeqCst), "two threads had it");
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        assert!(!self.in_use.load(Ordering::SeqCst), "it is dropped in use");
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn pool(size: usize, dropped: &Arc<AtomicUsize>) -> Arc<Pool<Lent>> {
    let lent = |_| Lent { in_use: AtomicBool::new(false), dropped: dropped.clone() };
    Arc::new(Pool::new((0..size).map(lent)))
}

/// More threads than things: each thing has one user at a time, and every thread gets its turn.
pub fn no_two_threads_have_one_thing() {
    explore(3000, || {
        let dropped = Arc::default();
        let pool = pool(2, &dropped);
        let threads: Vec<_> = (0..5)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        assert!(pool.with(Lent::work).is_some());
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that ends well"));
        drop(pool);
        assert_eq!(dropped.load(Ordering::SeqCst), 2);
    });
}

/// Closing waits for who is at it and lets nobody begin; all things are gone afterwards.
pub fn closing_waits_for_who_is_at_it() {
    explore(3000, || {
        let dropped = Arc::default();
        let pool = pool(2, &dropped);
        let is_closed = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (pool, is_closed) = (pool.clone(), is_closed.clone());
                thread::spawn(move || {
                    let was_closed = is_closed.load(Ordering::SeqCst);
                    let got_one = pool.with(Lent::work).is_some();
                    assert!(!(was_closed && got_one), "it lends what is closed");
                })
            })
            .collect();
        pool.close();
        assert_eq!(dropped.load(Ordering::SeqCst), 2, "closed, it still has something");
        is_closed.store(true, Ordering::SeqCst);
        threads.into_iter().for_each(|thread| thread.join().expect("a thread that ends well"));
        assert!(pool.with(Lent::work).is_none());
    });
}
