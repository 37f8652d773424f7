//! What can stand for the address of a socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be connected or bound to: socket addresses, and pairs of an IP address and a port. Slices stand for several
/// addresses, tried in turn.
///
/// Other types cannot implement it.
pub trait ToSocketAddrs: sealed::Resolve {}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

/// What a [`ToSocketAddrs`] stands for.
#[derive(Debug)]
pub enum Addresses {
    /// One address.
    One(SocketAddr),
    /// Any number of them, in the order in which they are to be tried.
    Many(Vec<SocketAddr>),
}

impl Addresses {
    /// The addresses themselves.
    async fn resolve(self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::One(address) => Ok(vec![address]),
            Self::Many(addresses) => Ok(addresses),
        }
    }
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
    Err(failure.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "there is no address to try")
    }))
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
