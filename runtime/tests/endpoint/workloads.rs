//! What an observed process does.

use mio::Registry;
use mio::event::Source;
use nexus_protocol::Interest;
use nexus_protocol::session::Client;
use nexus_runtime::io::{IoHandle, Token};
use nexus_runtime::sync::oneshot;
use nexus_runtime::time::sleep;
use nexus_runtime::{Builder, Runtime};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

/// Runs the workload of this name.
pub(crate) fn run(name: &str) {
    match name {
        "serve" => serve_until_told(&Runtime::new().unwrap()),
        "hang" => hang(Builder::new()),
        "brief" => Runtime::new().unwrap().block_on(async {
            for _ in 0..10 {
                nexus_runtime::spawn(async {}).await.unwrap();
            }
        }),
        "fork" => fork(),
        "exec" => exec(),
        "replaced" => {
            println!("\nreplaced");
            wait_for_line();
            serve_until_told(&Runtime::new().unwrap());
        }
        "exhaust" => exhaust(),
        "pinned" => pinned(Builder::new()),
        "apart" => pinned(Builder::new().endpoint_cpus([last_cpu()])),
        "spin" => spin(),
        "crowd" => crowd(),
        "connect" => connect(),
        other => panic!("no workload {other:?}"),
    }
}

fn wait_for_line() {
    io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// Runs timers until a line, or the end, of standard input comes.
fn serve_until_told(runtime: &Runtime) {
    let told = Arc::new(AtomicBool::new(false));
    let teller = Arc::clone(&told);
    std::thread::spawn(move || {
        wait_for_line();
        teller.store(true, Ordering::Release);
    });
    runtime.block_on(async {
        while !told.load(Ordering::Acquire) {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

/// Starts an endpoint, then a child that has none until it builds a runtime of its own.
fn fork() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {});
    wait_for_line();
    // SAFETY: the child only does what a single-threaded program may: the other threads of this one hold no locks that
    // it needs, since they sleep.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Beyond this point everything that is printed is the child's.
        println!("\nchild {}", std::process::id());
        wait_for_line();
        Runtime::new().unwrap().block_on(async {
            println!("\nready");
            wait_for_line();
        });
        std::process::exit(0);
    }
    // SAFETY: the child exists, and nobody else waits for it.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    wait_for_line();
}

/// Takes every descriptor there is, until told to give some back.
fn exhaust() {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: the limit is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {});
    wait_for_line();
    let mut files = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        files.push(file);
    }
    println!("\nexhausted");
    wait_for_line();
    drop(files);
    serve_until_told(&runtime);
}

/// Starts an endpoint, then becomes another program.
fn exec() {
    Runtime::new().unwrap().block_on(async {});
    wait_for_line();
    let program = std::env::current_exe().unwrap();
    let mut command = crate::observed::command_of(&program, "replaced");
    panic!("{}", command.exec());
}

/// A runtime whose thread is in a poll until a line comes.
fn hang(builder: Builder) {
    builder.build().unwrap().block_on(async {
        println!("\nready");
        wait_for_line();
    });
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

/// The last CPU that this thread may use.
pub(crate) fn last_cpu() -> usize {
    let set = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).rfind(|&cpu| set.is_set(cpu)).unwrap()
}

/// The first CPU that this thread may use.
pub(crate) fn first_cpu() -> usize {
    let set = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).find(|&cpu| set.is_set(cpu)).unwrap()
}

/// A runtime whose thread is scheduled in a way of its own, on the first CPU only, as one does for latency.
fn pinned(builder: Builder) {
    sched_setaffinity(None, &only(first_cpu())).unwrap();
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: zero stands for the calling thread, and the parameter is only read.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameter) };
    assert_eq!(set, 0);
    hang(builder);
}

/// An endless poll on the only CPU that the whole process has.
fn spin() {
    let only = only(first_cpu());
    sched_setaffinity(Some(rustix::process::getpid()), &only).unwrap();
    sched_setaffinity(None, &only).unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let teller = Arc::clone(&told);
    std::thread::spawn(move || {
        wait_for_line();
        teller.store(true, Ordering::Release);
    });
    Runtime::new().unwrap().block_on(async {
        println!("\nready");
        while black_box(!told.load(Ordering::Acquire)) {}
    });
}

/// Tokens of [`crowd`].
pub(crate) const CROWD: usize = 100_000;

/// A source of which the kernel knows nothing, since descriptors are limited. To the runtime it is one like any other.
struct Silent;

impl Source for Silent {
    fn register(&mut self, _: &Registry, _: mio::Token, _: mio::Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: mio::Token, _: mio::Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

/// A great many tokens, and nothing to do until a line comes.
fn crowd() {
    Builder::new().board_rows(CROWD).ring_records(1 << 13).build().unwrap().block_on(async {
        let io = IoHandle::current();
        let register = |_| io.register(&mut Silent, Interest::READABLE, Waker::noop()).unwrap();
        let tokens: Vec<Token> = (0..CROWD).map(register).collect();
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            wait_for_line();
            let _ = tell.send(());
        });
        println!("\nready");
        told.await.unwrap();
        // To be looked at once more.
        wait_for_line();
        drop(tokens);
    });
}

/// Connects to the endpoint that the environment names, and says how that went.
fn connect() {
    let address = std::env::var("NEXUS_TEST_ADDRESS").unwrap();
    let connected = match address.strip_prefix('@') {
        Some(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).unwrap()),
        None => UnixStream::connect(&address),
    };
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) => return println!("\noutcome {:?}", error.kind()),
    };
    stream.set_read_timeout(Some(crate::observed::PATIENCE)).unwrap();
    match Client::new(stream) {
        Ok(_) => println!("\noutcome greeted"),
        Err(_) => println!("\noutcome hung up"),
    }
}
