//! TCP: connecting, accepting, transferring, closing, sharing one stream.

use nexus_runtime::io::{IoHandle, Readiness};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Builder, Runtime, spawn, task};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A connection, as seen from both ends.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = spawn(async move { listener.accept().await.unwrap().0 });
    let client = TcpStream::connect(address).await.unwrap();
    (client, accepting.await.unwrap())
}

#[test]
fn bytes_go_both_ways() {
    block_on(async {
        let (client, server) = connection().await;
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        client.write_all(b"ping").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 4);
        server.write_all(&buffer[..4]).await.unwrap();
        client.read_exact(&mut buffer[..4]).await.unwrap();
        assert_eq!(&buffer[..4], b"ping");
    });
}

#[test]
fn an_end_of_file_that_comes_with_data_is_not_lost() {
    block_on(async {
        let (client, server) = connection().await;
        client.write_all(b"last words").await.unwrap();
        drop(client);
        // Let the kernel report data and end of file together.
        for _ in 0..100 {
            task::yield_now().await;
        }
        let mut buffer = [0; 64];
        assert_eq!(server.read(&mut buffer).await.unwrap(), 10);
        let readiness = IoHandle::current().readiness(server.token()).unwrap();
        assert!(readiness.contains(Readiness::READABLE | Readiness::READ_CLOSED), "{readiness}");
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0, "it stays closed");
    });
}

#[test]
fn read_exact_says_that_the_end_came_early() {
    block_on(async {
        let (client, server) = connection().await;
        client.write_all(b"abc").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let error = server.read_exact(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}

#[test]
fn large_transfers_wait_for_the_slower_side() {
    const BYTES: usize = 8 << 20;
    block_on(async {
        let (client, server) = connection().await;
        let writing = spawn(async move {
            let data: Vec<u8> = (0..BYTES).map(|index| (index * 7 % 251) as u8).collect();
            client.write_all(&data).await.unwrap();
        });
        let mut received = 0;
        let mut buffer = vec![0; 60_000];
        loop {
            let bytes = server.read(&mut buffer).await.unwrap();
            if bytes == 0 {
                break;
            }
            for byte in &buffer[..bytes] {
                assert_eq!(*byte, (received * 7 % 251) as u8);
                received += 1;
            }
        }
        assert_eq!(received, BYTES);
        writing.await.unwrap();
    });
}

#[test]
fn both_halves_are_woken_for_their_own_direction() {
    block_on(async {
        let (client, server) = connection().await;
        let (reader, writer) = server.into_split();
        let echo = spawn(async move {
            let mut buffer = [0; 4096];
            let mut total = 0;
            loop {
                let bytes = reader.read(&mut buffer).await.unwrap();
                if bytes == 0 {
                    return total;
                }
                total += bytes;
            }
        });
        let sending = spawn(async move {
            for _ in 0..500 {
                writer.write_all(&[7; 10_000]).await.unwrap();
            }
        });
        let (client_reader, client_writer) = client.into_split();
        let draining = spawn(async move {
            let mut buffer = vec![0; 10_000];
            for _ in 0..500 {
                client_reader.read_exact(&mut buffer).await.unwrap();
            }
        });
        for _ in 0..100 {
            client_writer.write_all(&[1; 1000]).await.unwrap();
            task::yield_now().await;
        }
        draining.await.unwrap();
        sending.await.unwrap();
        drop(client_writer);
        assert_eq!(echo.await.unwrap(), 100_000);
    });
}

#[test]
fn many_tasks_may_wait_for_one_stream() {
    block_on(async {
        let (client, server) = connection().await;
        let server = Rc::new(server);
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let server = server.clone();
                spawn(async move {
                    let mut byte = [0];
                    server.read_exact(&mut byte).await.unwrap();
                    byte[0]
                })
            })
            .collect();
        task::yield_now().await;
        client.write_all(&[1, 2, 3, 4]).await.unwrap();
        let mut bytes = Vec::new();
        for reader in readers {
            bytes.push(reader.await.unwrap());
        }
        bytes.sort_unstable();
        assert_eq!(bytes, [1, 2, 3, 4]);
    });
}

#[test]
fn a_read_can_be_dropped_and_tried_again() {
    block_on(async {
        let (client, server) = connection().await;
        let mut buffer = [0; 8];
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(1), server.read(&mut buffer)).await.is_err());
        }
        client.write_all(b"now").await.unwrap();
        assert_eq!(server.read(&mut buffer).await.unwrap(), 3);
    });
}

#[test]
fn a_std_client_on_another_thread_is_served() {
    block_on(async {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut buffer = [0; 5];
            for _ in 0..1_000 {
                stream.write_all(b"hello").unwrap();
                stream.read_exact(&mut buffer).unwrap();
                assert_eq!(&buffer, b"hello");
            }
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 64];
        let mut total = 0;
        loop {
            let bytes = stream.read(&mut buffer).await.unwrap();
            if bytes == 0 {
                break;
            }
            total += bytes;
            stream.write_all(&buffer[..bytes]).await.unwrap();
        }
        assert_eq!(total, 5_000);
        client.join().unwrap();
    });
}

#[test]
fn try_operations_do_not_wait() {
    block_on(async {
        let (client, server) = connection().await;
        let mut buffer = [0; 8];
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(client.try_write(b"abc").unwrap(), 3);
        server.readable().await.unwrap();
        assert_eq!(server.try_read(&mut buffer).unwrap(), 3);
        server.writable().await.unwrap();
    });
}

#[test]
fn streams_may_outlive_their_runtime() {
    let runtime = Runtime::new().unwrap();
    let (client, server) = runtime.block_on(connection());
    drop(runtime);
    let error = Runtime::new().unwrap().block_on(client.read(&mut [0; 4])).unwrap_err();
    assert!(error.to_string().contains("runtime of this source is gone"), "{error}");
    drop(client);
    drop(server);
}

#[test]
fn operations_that_never_have_to_wait_share_the_thread() {
    let runtime = Builder::new().task_budget(10).build().unwrap();
    runtime.block_on(async {
        let (client, server) = connection().await;
        client.write_all(&[7; 3_000]).await.unwrap();
        server.readable().await.unwrap();
        let made = Rc::new(Cell::new(0));
        let inside = made.clone();
        let hot = spawn(async move {
            let mut byte = [0];
            for _ in 0..1_000 {
                server.readable().await.unwrap();
                inside.set(inside.get() + 1);
                server.read(&mut byte).await.unwrap();
                inside.set(inside.get() + 1);
                poll_fn(|cx| server.poll_read(cx, &mut byte)).await.unwrap();
                inside.set(inside.get() + 1);
                poll_fn(|cx| server.poll_write_ready(cx)).await.unwrap();
                inside.set(inside.get() + 1);
            }
        });
        let mut last = 0;
        while !hot.is_finished() {
            task::yield_now().await;
            assert!(made.get() - last <= 10, "{} in one poll", made.get() - last);
            last = made.get();
        }
        hot.await.unwrap();
    });
}
