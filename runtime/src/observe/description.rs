//! What there is to say of a source when it is claimed.

use nexus_protocol::event::SourceKind;
use socket2::{Domain, SockAddr, SockRef, Type};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net as unix;

/// What a source is. The inspector shows it in the token table.
#[derive(Clone, Debug)]
pub struct Description {
    pub(super) kind: SourceKind,
    pub(super) fd: RawFd,
    pub(super) local: Option<Address>,
    pub(super) peer: Option<Address>,
}

/// An address of a socket.
#[derive(Clone, Debug)]
pub enum Address {
    /// Of an IP socket.
    Inet(SocketAddr),
    /// Of a Unix socket. One without a name is none.
    Unix(unix::SocketAddr),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl From<unix::SocketAddr> for Address {
    fn from(address: unix::SocketAddr) -> Self {
        Self::Unix(address)
    }
}

impl Address {
    fn of(address: &SockAddr) -> Option<Self> {
        let inet = address.as_socket().map(Self::Inet);
        inet.or_else(|| address.as_unix().map(Self::Unix))
    }
}

impl Description {
    /// A source of this kind, of which nothing else is known.
    #[must_use]
    pub fn new(kind: SourceKind) -> Self {
        Self { kind, fd: -1, local: None, peer: None }
    }

    /// Asks the kernel what a descriptor is: a socket of which kind, with which addresses. Never fails; what the kernel
    /// does not tell stays unknown. Costs four or five system calls.
    #[must_use]
    pub fn of(source: &impl AsFd) -> Self {
        let fd = source.as_fd();
        let socket = SockRef::from(&fd);
        let kind = kind_of(&socket);
        let mut description = Self::new(kind).fd(fd.as_raw_fd());
        if kind != SourceKind::Other {
            description.local = socket.local_addr().ok().as_ref().and_then(Address::of);
        }
        if !matches!(kind, SourceKind::Other | SourceKind::TcpListener | SourceKind::UnixListener) {
            description.peer = socket.peer_addr().ok().as_ref().and_then(Address::of);
        }
        description
    }

    /// Its descriptor.
    #[must_use]
    pub fn fd(mut self, fd: RawFd) -> Self {
        self.fd = fd;
        self
    }

    /// Its own address.
    #[must_use]
    pub fn local(mut self, address: impl Into<Address>) -> Self {
        self.local = Some(address.into());
        self
    }

    /// The peer's address.
    #[must_use]
    pub fn peer(mut self, address: impl Into<Address>) -> Self {
        self.peer = Some(address.into());
        self
    }
}

/// What kind of socket it is; other, if it is none.
fn kind_of(socket: &SockRef<'_>) -> SourceKind {
    let (Ok(domain), Ok(kind)) = (socket.domain(), socket.r#type()) else {
        return SourceKind::Other;
    };
    let inet = domain == Domain::IPV4 || domain == Domain::IPV6;
    let stream = kind == Type::STREAM;
    let listens = stream && socket.is_listener().unwrap_or(false);
    match (inet, domain == Domain::UNIX) {
        (true, _) if listens => SourceKind::TcpListener,
        (true, _) if stream => SourceKind::TcpStream,
        (true, _) if kind == Type::DGRAM => SourceKind::UdpSocket,
        (_, true) if listens => SourceKind::UnixListener,
        (_, true) if stream => SourceKind::UnixStream,
        (_, true) if kind == Type::DGRAM => SourceKind::UnixDatagram,
        _ => SourceKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use unix::{UnixDatagram, UnixListener, UnixStream};

    #[test]
    fn the_kernel_tells_what_a_descriptor_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let description = Description::of(&stream);
        assert_eq!(description.kind, SourceKind::TcpStream);
        assert_eq!(description.fd, stream.as_raw_fd());
        assert!(matches!(description.peer, Some(Address::Inet(peer)) if peer == address));
        let local = stream.local_addr().unwrap();
        assert!(matches!(description.local, Some(Address::Inet(own)) if own == local));

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let unix_listener = UnixListener::bind(&path).unwrap();
        let description = Description::of(&unix_listener);
        let Some(Address::Unix(own)) = &description.local else { panic!("{description:?}") };
        assert_eq!(own.as_pathname(), Some(&*path));

        let kinds = [
            (Description::of(&listener), SourceKind::TcpListener),
            (Description::of(&UdpSocket::bind("[::1]:0").unwrap()), SourceKind::UdpSocket),
            (description, SourceKind::UnixListener),
            (Description::of(&UnixStream::pair().unwrap().0), SourceKind::UnixStream),
            (Description::of(&UnixDatagram::pair().unwrap().0), SourceKind::UnixDatagram),
            (Description::of(&std::io::pipe().unwrap().0), SourceKind::Other),
        ];
        for (description, kind) in kinds {
            assert_eq!(description.kind, kind, "{description:?}");
        }
    }
}
