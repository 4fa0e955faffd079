//! Work that goes on beside a task: a future on another executor, whose result the task's loop
//! takes when it has been woken.
//!
//! 1. [`Background::spawn`] starts the future. The loop goes on, or waits for its signal.
//! 2. When the future has ended, in whatever way, the signal is posted; from then on
//!    [`Background::is_done`] is true.
//! 3. [`Background::take`] gives the result, or nothing if the future panicked.
//!
//! Invariant: the signal is posted after `is_done` has become true, so a loop that looks, finds
//! nothing and waits is woken.
//!
//! Dropping it lets the future go on.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::runtime::Handle;

use crate::Signal;

/// A result under way. See the module documentation.
#[derive(Debug)]
pub struct Background<T>(Arc<State<T>>);

#[derive(Debug)]
struct State<T> {
    result: Mutex<Option<T>>,
    ended: AtomicBool,
}

/// Tells that the future has ended, also if it panicked or its executor was shut down.
struct End<T> {
    state: Arc<State<T>>,
    signal: Signal,
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        self.state.ended.store(true, SeqCst);
        self.signal.post();
    }
}

impl<T: Send + 'static> Background<T> {
    /// Runs `future` on `executor`, and posts `signal` at its end.
    pub fn spawn<F>(executor: &Handle, signal: &Signal, future: F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let state = Arc::new(State { result: Mutex::new(None), ended: AtomicBool::new(false) });
        let end = End { state: state.clone(), signal: signal.clone() };
        executor.spawn(async move {
            let end = end;
            let result = future.await;
            *end.state.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        });
        Self(state)
    }

    /// True once it has ended.
    pub fn is_done(&self) -> bool {
        self.0.ended.load(SeqCst)
    }

    /// The result: `None` if it has not ended, was taken, or panicked.
    pub fn take(&mut self) -> Option<T> {
        self.0.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_told_and_the_result_taken_once() {
        let (executor, signal) = (Handle::current(), Signal::new());
        let mut work = Background::spawn(&executor, &signal, async { 7 });
        assert!(!work.is_done());
        signal.wait().await;
        assert!(work.is_done());
        assert_eq!((work.take(), work.take()), (Some(7), None));
    }

    #[tokio::test]
    async fn a_panic_ends_it_without_result() {
        let (executor, signal) = (Handle::current(), Signal::new());
        let mut work = Background::<u8>::spawn(&executor, &signal, async { panic!("expected") });
        signal.wait().await;
        assert!(work.is_done());
        assert_eq!(work.take(), None);
    }
}
