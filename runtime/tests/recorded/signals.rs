//! Signals of the operating system.

use crate::observed::observe;
use nexus_protocol::event::{Cause, Operation, OperationResult, SourceKind, Subject, Verdict};
use nexus_protocol::{Direction, Event};
use nexus_runtime::signal::{SignalKind, signal};
use nexus_runtime::{Runtime, task};

const NAMES: [&str; 3] = ["one", "two", "three"];

pub(crate) fn three_who_listen() {
    Runtime::new().unwrap().block_on(async {
        let waiting = NAMES.map(|name| {
            task::Builder::new().name(name).spawn(async {
                let mut hangups = signal(SignalKind::hangup()).unwrap();
                hangups.recv().await.unwrap();
                hangups.recv().await.unwrap();
            })
        });
        for _ in 0..2 {
            for _ in 0..5 {
                task::yield_now().await;
            }
            // SAFETY: sends a signal to this thread, which listens to it.
            assert_eq!(unsafe { libc::raise(libc::SIGHUP) }, 0);
            // Until the loop has asked the kernel.
            nexus_runtime::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        for task in waiting {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_signal_is_an_event_of_a_token_and_its_arrival_progress() {
    let observed = &observe("signals")[0];
    let claimed = observed.events().filter_map(|event| match *event {
        Event::TokenClaimed { token, kind: SourceKind::Signal, .. } => Some(token),
        _ => None,
    });
    let claimed: Vec<_> = claimed.collect();
    let [token] = claimed[..] else { panic!("one for all listeners: {claimed:?}") };
    for name in NAMES {
        let task = observed.task(name);
        let operations = observed.events().filter_map(|event| match *event {
            Event::Operation {
                operation: Operation::Signal, subject, result, task: by, ..
            } if by == Some(task) && subject == Subject::Token(token) => Some(result),
            _ => None,
        });
        let (not_ready, done) = (OperationResult::NotReady, OperationResult::Done(0));
        assert_eq!(operations.collect::<Vec<_>>(), [not_ready, done, not_ready, done]);
        let verdicts: Vec<_> = observed.polls(task).iter().map(|poll| poll.verdict).collect();
        assert_eq!(verdicts, [Verdict::Progress; 3]);
        let by_token = |cause: &&Cause| matches!(cause, Cause::Io { token: by, direction: Direction::Readable, .. } if *by == token);
        assert_eq!(observed.wakes(task).iter().filter(by_token).count(), 2);
    }
    let released =
        |event: &Event| matches!(event, Event::TokenReleased { token: of, .. } if *of == token);
    assert!(observed.events().any(released), "with the last listener");
}
