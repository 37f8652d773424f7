//! A TLS client on futures-rustls.

use crate::{Outcome, Plan, compare, message};
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::{ClientConfig, RootCertStore};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use std::path::Path;
use std::sync::Arc;

pub(crate) type Connector = TlsConnector;

/// A connector that trusts this certificate and no other.
pub(crate) fn connector(certificate: &Path) -> Outcome<Connector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

pub(crate) async fn talk(plan: &Plan, connector: &Connector, connection: u32) -> Outcome<u32> {
    let server = ServerName::try_from("localhost")?;
    let mut stream = connector.connect(server, plan.connect().await?).await?;
    for round in 0..plan.messages {
        let message = message(connection, round);
        stream.write_all(&message).await?;
        stream.flush().await?;
        let mut answer = vec![0; message.len()];
        stream.read_exact(&mut answer).await?;
        compare(&answer, &message, round)?;
    }
    stream.close().await?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await?;
    if rest.is_empty() { Ok(plan.messages) } else { Err("more came than was sent".into()) }
}
