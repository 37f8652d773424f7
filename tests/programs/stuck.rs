//! A program whose runtime thread gets stuck in a task: `stuck idle|sleep|spin|lock`.
//!
//! Says `ready` from inside `block_on`. In `idle`, the thread only sleeps in the kernel, as a healthy one does.

use nexus_runtime::{Builder, spawn};
use std::hint::black_box;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

fn main() -> ExitCode {
    let how = std::env::args().nth(1).unwrap_or_default();
    let get_stuck: fn() = match how.as_str() {
        "idle" => || {},
        "sleep" => || std::thread::sleep(FOR_EVER),
        "spin" => || while black_box(true) {},
        "lock" => wait_for_a_lock,
        _ => {
            eprintln!("usage: stuck idle|sleep|spin|lock");
            return ExitCode::from(2);
        }
    };
    let runtime = Builder::new().name("stuck").build().expect("a runtime");
    runtime.block_on(async {
        println!("ready");
        std::io::stdout().flush().expect("somebody reads");
        let task = spawn(async move { get_stuck() });
        task.await.expect("it does not panic");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

/// On a lock that another thread holds and never gives back.
fn wait_for_a_lock() {
    static LOCK: Mutex<()> = Mutex::new(());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _held = LOCK.lock();
        tell.send(()).expect("it is waited for");
        std::thread::sleep(FOR_EVER);
    });
    told.recv().expect("the lock is taken");
    drop(LOCK.lock());
}
