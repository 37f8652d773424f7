//! The traits of `futures-io`, used as a library uses them: through the traits alone.
#![cfg(feature = "futures-io")]

use futures_io::{AsyncRead, AsyncWrite};
use nexus_runtime::net::{TcpListener, TcpStream, UnixStream};
use nexus_runtime::time::timeout;
use nexus_runtime::{Runtime, spawn};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::time::Duration;

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bounded = async { timeout(PATIENCE, future).await.expect("it ends") };
    Runtime::new().unwrap().block_on(bounded)
}

/// A connection, as seen from both ends.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = spawn(async move { listener.accept().await.unwrap().0 });
    let client = TcpStream::connect(address).await.unwrap();
    (client, accepting.await.unwrap())
}

async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer)).await
}

async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match read(stream, &mut buffer).await? {
            0 => return Ok(all),
            bytes => all.extend_from_slice(&buffer[..bytes]),
        }
    }
}

async fn write_all(stream: &mut (impl AsyncWrite + Unpin), mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let bytes = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, data)).await?;
        assert_ne!(bytes, 0);
        data = &data[bytes..];
    }
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
}

async fn close(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_close(cx)).await
}

/// More than the kernel's buffers hold, so that both sides have to wait.
fn plenty() -> Vec<u8> {
    let numbers: Vec<u8> = (0..251).collect();
    numbers.repeat(64 * 1024)
}

#[test]
fn more_than_fits_goes_through_a_whole_stream() {
    block_on(async {
        let (mut client, mut server) = connection().await;
        let reader = spawn(async move { read_to_end(&mut server).await });
        write_all(&mut client, &plenty()).await.unwrap();
        close(&mut client).await.unwrap();
        assert!(reader.await.unwrap().unwrap() == plenty());
    });
}

#[test]
fn owned_halves_work_in_two_tasks_at_once() {
    block_on(async {
        let (client, server) = connection().await;
        let (mut from_client, mut to_client) = server.into_split();
        let echo = spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                match read(&mut from_client, &mut buffer).await? {
                    0 => return close(&mut to_client).await,
                    bytes => write_all(&mut to_client, &buffer[..bytes]).await?,
                }
            }
        });
        let (mut from_server, mut to_server) = client.into_split();
        let writer = spawn(async move {
            write_all(&mut to_server, &plenty()).await?;
            close(&mut to_server).await
        });
        assert!(read_to_end(&mut from_server).await.unwrap() == plenty());
        writer.await.unwrap().unwrap();
        echo.await.unwrap().unwrap();
    });
}

#[test]
fn borrowed_halves_and_references_work_too() {
    block_on(async {
        let (client, server) = connection().await;
        let (mut reader, mut writer) = client.split();
        write_all(&mut writer, b"ping").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(read(&mut &server, &mut buffer).await.unwrap(), 4);
        write_all(&mut &server, b"pong").await.unwrap();
        assert_eq!(read(&mut reader, &mut buffer).await.unwrap(), 4);
        assert_eq!(&buffer[..4], b"pong");
    });
}

#[test]
fn unix_streams_and_their_halves_are_the_same() {
    block_on(async {
        let (client, mut server) = UnixStream::pair().unwrap();
        let (mut reader, mut writer) = client.split();
        write_all(&mut writer, b"ping").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(read(&mut server, &mut buffer).await.unwrap(), 4);
        write_all(&mut server, b"pong").await.unwrap();
        assert_eq!(read(&mut reader, &mut buffer).await.unwrap(), 4);
        let (mut reader, mut writer) = client.into_split();
        let writing = spawn(async move {
            write_all(&mut writer, &plenty()).await?;
            close(&mut writer).await
        });
        assert!(read_to_end(&mut server).await.unwrap() == plenty());
        writing.await.unwrap().unwrap();
        close(&mut server).await.unwrap();
        close(&mut server).await.unwrap();
        assert_eq!(read(&mut reader, &mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn several_buffers_go_out_and_come_in_in_order() {
    block_on(async {
        let (mut client, mut server) = connection().await;
        let parts = [IoSlice::new(b"one "), IoSlice::new(b"two "), IoSlice::new(b"three")];
        let bytes =
            poll_fn(|cx| Pin::new(&mut client).poll_write_vectored(cx, &parts)).await.unwrap();
        assert_eq!(bytes, 13, "the kernel has room for all of it");
        close(&mut client).await.unwrap();
        let (mut one, mut two) = ([0; 4], [0; 32]);
        let mut parts = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        let bytes =
            poll_fn(|cx| Pin::new(&mut server).poll_read_vectored(cx, &mut parts)).await.unwrap();
        assert_eq!(bytes, 13);
        assert_eq!((&one, &two[..9]), (b"one ", b"two three".as_slice()));
        assert_eq!(read_to_end(&mut server).await.unwrap(), b"");
    });
}

#[test]
fn closing_ends_one_direction_and_may_be_repeated() {
    block_on(async {
        let (mut client, mut server) = connection().await;
        close(&mut client).await.unwrap();
        close(&mut client).await.unwrap();
        assert_eq!(read_to_end(&mut server).await.unwrap(), b"");
        write_all(&mut server, b"still here").await.unwrap();
        drop(server);
        assert_eq!(read_to_end(&mut client).await.unwrap(), b"still here");
        close(&mut client).await.unwrap();
    });
}

#[test]
fn closing_what_the_peer_has_reset_is_no_error() {
    block_on(async {
        let (mut client, server) = connection().await;
        write_all(&mut client, b"never read").await.unwrap();
        server.readable().await.unwrap();
        // With unread bytes in it, the kernel answers with a reset.
        drop(server);
        let error = read_to_end(&mut client).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        close(&mut client).await.unwrap();
    });
}
