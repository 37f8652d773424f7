//! A process without descriptors. In a program of its own, since the limit is the whole process's.

use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::{Builder, spawn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::rc::Rc;

/// Opens files until there is no descriptor left.
fn exhaust() -> Vec<File> {
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files
}

#[test]
fn accepting_without_descriptors_is_an_error_that_passes() {
    let limit = Rlimit { current: Some(128), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    // The endpoint's thread opens and closes descriptors of its own while it starts.
    Builder::new().endpoint(false).build().unwrap().block_on(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let mut files = exhaust();
        for _ in 0..3 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        }
        // The connection has stayed in the kernel's queue, and one free descriptor is enough to get it, although the
        // kernel has no further event to report.
        let accepting = spawn({
            let listener = listener.clone();
            async move { listener.accept().await }
        });
        files.pop();
        let (server, peer) = accepting.await.unwrap().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        server.write_all(b"served").await.unwrap();
        let mut greeting = [0; 6];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"served");
    });
}
