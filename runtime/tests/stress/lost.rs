//! Wakes that are never lost, and that carry with them what was done before: threads ask tasks, and each question is
//! answered.
//!
//! The question itself is plain memory. The thread writes it while it holds the task's waker, and the task reads it in the
//! poll that the wake brings; ThreadSanitizer sees whether the one happens before the other.

use crate::exchange::Exchange;
use crate::{PATIENCE, Stress, abort};
use nexus_runtime::time::{Duration, sleep};
use nexus_runtime::{Builder, Runtime, spawn, task};
use std::cell::UnsafeCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Instant;

/// The last question.
const END: u64 = u64::MAX;

/// Belongs to whoever has the turn: the asker, while the task's waker is out of the exchange and was not fired, and the
/// task, from that wake until it leaves another waker.
#[derive(Default)]
struct Question(UnsafeCell<u64>);

// SAFETY: the turns exclude each other.
unsafe impl Sync for Question {}

impl Question {
    fn ask(&self, question: u64) {
        // SAFETY: the asker's turn.
        unsafe { *self.0.get() = question };
    }

    fn read(&self) -> u64 {
        // SAFETY: the task's turn.
        unsafe { *self.0.get() }
    }
}

/// Asks until the time is over.
fn ask(question: &Question, exchange: &Exchange, pair: usize, until: Instant) {
    for number in 1.. {
        let deadline = Instant::now() + PATIENCE;
        let waker = loop {
            if let Some(waker) = exchange.take_at(pair) {
                break waker;
            }
            if Instant::now() > deadline {
                // The task that has to answer would be waited for.
                abort(&format!("question {} of pair {pair} is not answered", number - 1));
            }
            thread::yield_now();
        };
        if Instant::now() > until {
            question.ask(END);
            return waker.wake();
        }
        question.ask(number);
        // In both ways: a waker that is dropped afterwards, or not.
        if number % 2 == 0 { waker.wake() } else { waker.wake_by_ref() }
    }
}

/// Answers all questions: each wake has its poll, and each poll its wake.
async fn answer(question: &Question, exchange: &Exchange, pair: usize) {
    let mut polls = 0;
    poll_fn(|cx| {
        let number = question.read();
        if number == END {
            return Poll::Ready(());
        }
        assert_eq!(number, polls, "the question, and the polls before");
        polls += 1;
        exchange.leave_at(pair, cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// So many tasks and threads in pairs. Where there is only one, no other wake can make up for one that is lost.
fn converse(pairs: usize, runtime: &Runtime, besides: impl Future<Output = ()> + 'static) {
    let stress = Stress::begin();
    let until = stress.until;
    let exchange = Exchange::new(pairs);
    let questions: Vec<_> = (0..pairs).map(|_| Arc::new(Question::default())).collect();
    let askers: Vec<_> = (0..pairs)
        .map(|pair| {
            let (question, exchange) = (questions[pair].clone(), exchange.clone());
            thread::spawn(move || ask(&question, &exchange, pair, until))
        })
        .collect();
    runtime.block_on(async {
        let besides = spawn(besides);
        let answerers: Vec<_> = (0..pairs)
            .map(|pair| {
                let (question, exchange) = (questions[pair].clone(), exchange.clone());
                spawn(async move { answer(&question, &exchange, pair).await })
            })
            .collect();
        for answerer in answerers {
            answerer.await.unwrap();
        }
        besides.abort();
    });
    askers.into_iter().for_each(|asker| asker.join().unwrap());
}

pub(crate) fn a_runtime_that_sleeps_hears_every_question() {
    let runtime = Builder::new().endpoint(false).build().unwrap();
    converse(1, &runtime, std::future::pending());
}

pub(crate) fn a_runtime_that_spins_hears_every_question() {
    let builder = Builder::new().endpoint(false).spin(Duration::from_micros(20));
    converse(1, &builder.build().unwrap(), std::future::pending());
}

pub(crate) fn a_runtime_that_is_busy_hears_every_question() {
    let runtime = Builder::new().endpoint(false).recorder(false).build().unwrap();
    converse(4, &runtime, async {
        loop {
            for _ in 0..100 {
                task::yield_now().await;
            }
            sleep(Duration::from_micros(50)).await;
        }
    });
}
