//! Descriptors that the runtime knows nothing of.

use nexus_runtime::io::{AsyncFd, Interest, IoHandle, Readiness};
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Builder, Runtime, spawn, task};
use std::future::poll_fn;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let patient = async { timeout(PATIENCE, future).await.expect("it does not hang") };
    Runtime::new().unwrap().block_on(patient)
}

/// A pipe that does not block.
fn pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    (reader, writer)
}

fn readiness(fd: &AsyncFd<impl AsRawFd>) -> Readiness {
    IoHandle::current().readiness(fd.token()).unwrap()
}

async fn turns() {
    for _ in 0..200 {
        task::yield_now().await;
    }
}

#[test]
fn only_a_would_block_clears_readiness() {
    block_on(async {
        let (reader, mut writer) = pipe();
        let reader = AsyncFd::new(reader).unwrap();
        writer.write_all(b"hello").unwrap();
        let mut buffer = [0; 16];
        let mut guard = reader.readable().await.unwrap();
        assert_eq!(guard.ready(), Readiness::READABLE);
        let read = guard.try_io(|reader| reader.get_ref().read(&mut buffer)).unwrap();
        assert_eq!(read.unwrap(), 5);
        assert_eq!(
            readiness(&reader),
            Readiness::READABLE,
            "the read was short, which says nothing"
        );
        let error = guard.try_io(|_| Err::<(), _>(ErrorKind::InvalidData.into())).unwrap();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(readiness(&reader), Readiness::READABLE, "nor does an error");
        assert!(guard.try_io(|reader| reader.get_ref().read(&mut buffer)).is_err());
        assert_eq!(readiness(&reader), Readiness::EMPTY);
        assert!(timeout(Duration::from_millis(20), reader.readable()).await.is_err());
        writer.write_all(b"again").unwrap();
        let guard = reader.readable().await.unwrap();
        assert_eq!(guard.get_inner().read(&mut buffer).unwrap(), 5);
    });
}

#[test]
fn clearing_spares_what_was_reported_since() {
    block_on(async {
        let (reader, mut writer) = pipe();
        let reader = AsyncFd::new(reader).unwrap();
        writer.write_all(b"a").unwrap();
        let mut early = reader.readable().await.unwrap();
        assert_eq!(reader.get_ref().read(&mut [0; 8]).unwrap(), 1);
        writer.write_all(b"b").unwrap();
        turns().await;
        // The kernel has reported the second byte, and will not do so again.
        early.clear_ready();
        let mut guard = reader.readable().await.unwrap();
        assert_eq!(reader.get_ref().read(&mut [0; 8]).unwrap(), 1);
        guard.clear_ready();
        assert_eq!(readiness(&reader), Readiness::EMPTY);
    });
}

#[test]
fn a_closed_end_is_ready_for_ever() {
    block_on(async {
        let (reader, writer) = pipe();
        let reader = AsyncFd::new(reader).unwrap();
        drop(writer);
        for _ in 0..3 {
            let mut guard = reader.readable().await.unwrap();
            assert!(guard.ready().contains(Readiness::READ_CLOSED));
            guard.clear_ready();
        }
        assert_eq!(reader.get_ref().read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn interest_is_widened_when_it_is_needed() {
    block_on(async {
        let (reader, writer) = pipe();
        let writer = AsyncFd::new(writer).unwrap();
        let guard = writer.writable().await.unwrap();
        assert_eq!(guard.ready(), Readiness::WRITABLE);
        let fill = |mut writer: &PipeWriter| writer.write(&[0; 4096]);
        while writer.try_io(Interest::WRITABLE, fill).is_ok() {}
        let writing = spawn(async move { writer.async_io(Interest::WRITABLE, fill).await });
        turns().await;
        assert!(!writing.is_finished());
        let mut reader = reader;
        let mut buffer = vec![0; 1 << 20];
        assert!(reader.read(&mut buffer).unwrap() > 0);
        writing.await.unwrap().unwrap();
    });
}

#[test]
fn polls_and_tasks_are_both_woken() {
    block_on(async {
        let (reader, mut writer) = pipe();
        let reader = Rc::new(AsyncFd::with_interest(reader, Interest::READABLE).unwrap());
        let polling = spawn({
            let reader = reader.clone();
            async move {
                let guard = poll_fn(|cx| reader.poll_read_ready(cx)).await.unwrap();
                guard.ready()
            }
        });
        let awaiting = spawn({
            let reader = reader.clone();
            async move { reader.readable().await.unwrap().ready() }
        });
        turns().await;
        writer.write_all(b"x").unwrap();
        assert_eq!(polling.await.unwrap(), Readiness::READABLE);
        assert_eq!(awaiting.await.unwrap(), Readiness::READABLE);
    });
}

#[test]
fn what_was_put_in_comes_out_deregistered() {
    // One slot is enough if each is given back.
    let runtime = Builder::new().max_slots(1).build().unwrap();
    runtime.block_on(async {
        let (mut reader, mut writer) = pipe();
        for _ in 0..10 {
            let registered = AsyncFd::new(reader).unwrap();
            assert!(AsyncFd::new(writer.as_raw_fd()).is_err());
            let token = registered.token();
            reader = registered.into_inner();
            assert!(IoHandle::current().readiness(token).is_err());
            writer.write_all(b"x").unwrap();
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
            drop(AsyncFd::new(reader.as_raw_fd()).unwrap());
        }
    });
}

#[test]
fn a_regular_file_is_refused() {
    block_on(async {
        let error = AsyncFd::new(tempfile::tempfile().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let (reader, _writer) = pipe();
        let error = AsyncFd::with_interest(reader, Interest::EMPTY).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn an_eventfd_counts() {
    block_on(async {
        let flags = rustix::event::EventfdFlags::NONBLOCK | rustix::event::EventfdFlags::CLOEXEC;
        let event = AsyncFd::new(rustix::event::eventfd(0, flags).unwrap()).unwrap();
        let other = event.get_ref().try_clone().unwrap();
        let adding = std::thread::spawn(move || {
            for _ in 0..100 {
                rustix::io::write(&other, &1u64.to_ne_bytes()).unwrap();
            }
        });
        let mut sum = 0;
        while sum < 100 {
            let mut count = [0; 8];
            let read = |fd: &std::os::fd::OwnedFd| Ok(rustix::io::read(fd, &mut count)?);
            assert_eq!(event.async_io(Interest::READABLE, read).await.unwrap(), 8);
            sum += u64::from_ne_bytes(count);
        }
        assert_eq!(sum, 100);
        adding.join().unwrap();
    });
}
