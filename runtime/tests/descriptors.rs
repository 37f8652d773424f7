//! A process without descriptors. In a program of its own, since the limit is the whole process's.

use nexus_runtime::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use nexus_runtime::{Builder, spawn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Opens files until there is no descriptor left.
fn exhaust() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Asks for a connection until there have been some errors, and checks that this does not spin.
async fn assert_errors_are_paced<T>(mut accept: impl AsyncFnMut() -> io::Result<T>) {
    const ERRORS: u32 = 5;
    let (began, cpu) = (Instant::now(), thread_cpu());
    for _ in 0..ERRORS {
        let mut polls = 0;
        let mut accepting = pin!(accept());
        let accepted = poll_fn(|cx| {
            polls += 1;
            accepting.as_mut().poll(cx)
        });
        let error = accepted.await.err().expect("there is no descriptor");
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        assert!(polls <= 3, "a pause takes {polls} polls");
    }
    let (took, cpu) = (began.elapsed(), thread_cpu() - cpu);
    assert!(cpu < took / 20, "{cpu:?} of CPU time in {took:?}");
}

/// A connection that waits in a listener's queue while there are no descriptors is served as soon as there is one.
async fn assert_it_recovers<T: 'static>(
    accept: impl AsyncFn() -> io::Result<T> + Clone + 'static,
    poll_accept: impl AsyncFn() -> io::Result<T>,
) -> T {
    let mut files = exhaust();
    assert_errors_are_paced(async || accept().await).await;
    assert_errors_are_paced(async || poll_accept().await).await;
    // The connection has stayed in the kernel's queue, and one free descriptor is enough to get it, although the kernel
    // has no further event to report.
    let accepting = spawn(async move { accept().await });
    files.pop();
    accepting.await.unwrap().unwrap()
}

#[test]
fn accepting_without_descriptors_is_an_error_that_passes() {
    let limit = Rlimit { current: Some(128), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    // The endpoint's thread opens and closes descriptors of its own while it starts.
    Builder::new().endpoint(false).build().unwrap().block_on(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepting, polling) = (listener.clone(), &listener);
        let (server, peer) = assert_it_recovers(
            async move || accepting.accept().await,
            async || poll_fn(|cx| polling.poll_accept(cx)).await,
        )
        .await;
        assert_eq!(peer, client.local_addr().unwrap());
        server.write_all(b"served").await.unwrap();
        let mut greeting = [0; 6];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"served");

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = Rc::new(UnixListener::bind(&path).unwrap());
        let client = UnixStream::connect(&path).await.unwrap();
        let (accepting, polling) = (listener.clone(), &listener);
        let (server, _) = assert_it_recovers(
            async move || accepting.accept().await,
            async || poll_fn(|cx| polling.poll_accept(cx)).await,
        )
        .await;
        server.write_all(b"served").await.unwrap();
        client.read_exact(&mut greeting).await.unwrap();
    });
}
