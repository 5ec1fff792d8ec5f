//! Simulated time: futures that wait for it, and whoever lets it pass. Nothing here waits for the real one.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A clock that stands until everybody waits for it.
#[derive(Clone, Default)]
pub(super) struct Time {
    now: Rc<Cell<Duration>>,
    alarms: Rc<RefCell<Alarms>>,
}

#[derive(Default)]
struct Alarms {
    /// When, and which of `wakers`: of equal times the first one that asked comes first.
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    wakers: Vec<Option<Waker>>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Time {
    pub(super) fn now(&self) -> Duration {
        self.now.get()
    }

    pub(super) async fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        let mut place = None;
        poll_fn(|context| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            let mut alarms = self.alarms.borrow_mut();
            let waker = Some(context.waker().clone());
            match place {
                Some(place) => alarms.wakers[place] = waker,
                None => {
                    place = Some(alarms.wakers.len());
                    let at = alarms.wakers.len();
                    alarms.queue.push(Reverse((until, at)));
                    alarms.wakers.push(waker);
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// Carries the work out; whenever all of it waits, it is the next moment that somebody waits for.
    pub(super) fn pass<T>(&self, work: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut work = pin!(work);
        loop {
            if woken.0.swap(false, Ordering::Relaxed)
                && let Poll::Ready(answer) = work.as_mut().poll(&mut context)
            {
                return answer;
            }
            if !woken.0.load(Ordering::Relaxed) {
                let mut alarms = self.alarms.borrow_mut();
                let Reverse((at, place)) = alarms.queue.pop().expect("somebody waits for a time");
                self.now.set(self.now().max(at));
                let waker = alarms.wakers[place].take();
                drop(alarms);
                waker.expect("it was not woken before").wake();
            }
        }
    }
}
