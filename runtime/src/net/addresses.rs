//! What can stand for the address of a socket, and how a name becomes addresses.
//!
//! Names are looked up by the system's resolver, which blocks: off the runtime's thread. What is an address already costs
//! nothing.

use crate::task::spawn_blocking;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be connected or bound to: socket addresses, pairs of an IP address and a port, and texts and names.
///
/// Slices and names stand for several addresses, which are tried in turn. A text is an address and a port
/// (`127.0.0.1:80`, `[::1]:80`) or a name and a port (`localhost:80`); names are looked up, see [`lookup_host`]. Other types
/// cannot implement it.
pub trait ToSocketAddrs: sealed::Resolve {}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

/// What a [`ToSocketAddrs`] stands for.
#[derive(Debug)]
pub enum Addresses {
    /// One address.
    One(SocketAddr),
    /// Any number of them, in the order in which they are to be tried.
    Many(Vec<SocketAddr>),
    /// A name and a port, in one.
    Text(String),
    /// A name, and a port.
    Name(String, u16),
}

impl Addresses {
    /// The first of them.
    pub(super) async fn first(self) -> io::Result<SocketAddr> {
        match self {
            Self::One(address) => Ok(address),
            several => several.resolve().await?.first().copied().ok_or_else(no_address),
        }
    }

    /// The addresses themselves.
    async fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::One(address) => Ok(vec![address]),
            Self::Many(addresses) => Ok(addresses),
            Self::Text(text) => look_up(text).await,
            Self::Name(name, port) => look_up((name, port)).await,
        }
    }
}

async fn look_up(
    name: impl std::net::ToSocketAddrs + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let looking = spawn_blocking(move || name.to_socket_addrs().map(Iterator::collect));
    looking.await.unwrap_or_else(|error| Err(io::Error::other(error.to_string())))
}

/// The addresses that a name stands for, in the order in which the system's resolver prefers them.
///
/// The resolver runs on a thread for work that blocks, see [`spawn_blocking`](crate::task::spawn_blocking). What is an
/// address already is given back at once.
///
/// # Errors
///
/// If the name is unknown, the resolver can't be asked, or the text has no port.
///
/// # Examples
///
/// ```no_run
/// # async fn look() -> std::io::Result<()> {
/// for address in nexus_runtime::net::lookup_host("localhost:80").await? {
///     println!("{address}");
/// }
/// # Ok(())
/// # }
/// ```
pub fn lookup_host(
    host: impl ToSocketAddrs,
) -> impl Future<Output = io::Result<impl Iterator<Item = SocketAddr>>> {
    let addresses = host.addresses();
    async move { Ok(addresses.resolve().await?.into_iter()) }
}

/// The first success of `attempt` on the addresses, in turn; or the last failure.
pub(super) async fn first_of<T>(
    addresses: Addresses,
    mut attempt: impl AsyncFnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut failure = None;
    for address in addresses.resolve().await? {
        match attempt(address).await {
            Ok(success) => return Ok(success),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(no_address))
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no address to try")
}

pub(super) mod sealed {
    use super::Addresses;

    /// The private part of [`ToSocketAddrs`](super::ToSocketAddrs).
    pub trait Resolve {
        /// What it stands for, as far as that is known without asking anybody.
        fn addresses(&self) -> Addresses;
    }
}

impl<T: sealed::Resolve + ?Sized> sealed::Resolve for &T {
    fn addresses(&self) -> Addresses {
        (**self).addresses()
    }
}

macro_rules! one_address {
    ($($type:ty),*) => {
        $(impl sealed::Resolve for $type {
            fn addresses(&self) -> Addresses {
                Addresses::One((*self).into())
            }
        })*
    };
}

one_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl sealed::Resolve for [SocketAddr] {
    fn addresses(&self) -> Addresses {
        Addresses::Many(self.to_vec())
    }
}

impl<const N: usize> sealed::Resolve for [SocketAddr; N] {
    fn addresses(&self) -> Addresses {
        self.as_slice().addresses()
    }
}

impl sealed::Resolve for Vec<SocketAddr> {
    fn addresses(&self) -> Addresses {
        self.as_slice().addresses()
    }
}

impl sealed::Resolve for str {
    fn addresses(&self) -> Addresses {
        self.parse().map_or_else(|_| Addresses::Text(self.to_owned()), Addresses::One)
    }
}

impl sealed::Resolve for String {
    fn addresses(&self) -> Addresses {
        self.as_str().addresses()
    }
}

impl sealed::Resolve for (&str, u16) {
    fn addresses(&self) -> Addresses {
        let &(host, port) = self;
        match host.parse::<IpAddr>() {
            Ok(address) => (address, port).addresses(),
            Err(_) => Addresses::Name(host.to_owned(), port),
        }
    }
}

impl sealed::Resolve for (String, u16) {
    fn addresses(&self) -> Addresses {
        (self.0.as_str(), self.1).addresses()
    }
}
