//! A TCP socket that accepts connections.

use super::TcpStream;
use super::addresses::{ToSocketAddrs, first_of};
use crate::io::source::{Attempt, Registered};
use crate::io::{Interest, SourceKind, Token};
use crate::time::sleep;
use nexus_protocol::event::{Operation, OperationResult};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::time::Duration;

/// How long accepting pauses when the process has no descriptor left: the connection stays in the kernel's queue, so
/// that without a pause the loop would spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts TCP connections.
///
/// # Examples
///
/// ```no_run
/// use nexus_runtime::net::TcpListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:7007").await?;
/// loop {
///     let (stream, _peer) = listener.accept().await?;
///     nexus_runtime::spawn(async move { stream.write_all(b"hello\n").await });
/// }
/// # }
/// ```
pub struct TcpListener {
    io: Registered<mio::net::TcpListener>,
    address: SocketAddr,
    out_of_descriptors: Cell<bool>,
}

impl TcpListener {
    /// Listens on this address, with `SO_REUSEADDR`; on the first one that it can, if there are several. Port 0 lets the
    /// kernel choose one, see [`TcpListener::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says, such as an address in use; or no slot left.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn bind(addresses: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        let location = Location::caller();
        let addresses = addresses.addresses();
        first_of(addresses, async move |address| Self::bind_to(address, location))
    }

    fn bind_to(address: SocketAddr, location: &'static Location<'static>) -> io::Result<Self> {
        let listener = mio::net::TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let io = Registered::new(listener, SourceKind::TcpListener, Interest::READABLE, location)?;
        io.note_addresses(Some(address), None);
        Ok(Self { io, address, out_of_descriptors: Cell::new(false) })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// What the kernel says. If it is that there is no descriptor left, the next call first waits for a tenth of a
    /// second, so that a loop that ignores the error does not spin; the connection is kept meanwhile.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> {
        let location = Location::caller();
        async move {
            if self.out_of_descriptors.replace(false) {
                sleep(PAUSE).await;
            }
            let accepted = self.io.operate(Operation::Accept, |listener| {
                let (stream, peer) = listener.accept()?;
                let fd = u32::try_from(stream.as_raw_fd()).unwrap_or(0);
                Ok(Attempt {
                    value: (stream, peer),
                    result: OperationResult::Done(fd),
                    short: false,
                })
            });
            match accepted.await {
                Ok((stream, peer)) => {
                    Ok((TcpStream::accepted(stream, self.address, peer, location)?, peer))
                }
                Err(error) => {
                    self.out_of_descriptors.set(is_out_of_descriptors(&error));
                    Err(error)
                }
            }
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// None at present: the address was found when it was bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// Its token, as the inspector shows it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.io.token()
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM]
        .map(Some)
        .contains(&error.raw_os_error())
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("address", &self.address)
            .field("token", &self.token())
            .finish()
    }
}
