//! HTTP clients on hyper.

use crate::{Outcome, Plan, compare, message};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, StatusCode};
use nexus_runtime::hyper::{Executor, Timer};
use nexus_runtime::spawn;

/// Requests that are under way at once on one connection of HTTP/2.
const STREAMS: u32 = 8;

fn request(plan: &Plan, body: Vec<u8>) -> Outcome<Request<Full<Bytes>>> {
    Ok(Request::post(format!("http://{}/echo", plan.address))
        .header("host", plan.address.to_string())
        .body(Full::new(Bytes::from(body)))?)
}

async fn check(response: Response<Incoming>, message: &[u8], round: u32) -> Outcome<()> {
    if response.status() != StatusCode::OK {
        return Err(format!("message {round} was answered with {}", response.status()).into());
    }
    compare(&response.into_body().collect().await?.to_bytes(), message, round)
}

/// One request after the other, which is all that HTTP/1 can.
pub(crate) async fn version_1(plan: &Plan, connection: u32) -> Outcome<u32> {
    let (mut sender, driver) = http1::handshake(plan.connect().await?).await?;
    let driver = spawn(driver);
    for round in 0..plan.messages {
        let message = message(connection, round);
        sender.ready().await?;
        let response = sender.send_request(request(plan, message.clone())?).await?;
        check(response, &message, round).await?;
    }
    drop(sender);
    driver.await??;
    Ok(plan.messages)
}

/// Several requests at once, each in a task.
pub(crate) async fn version_2(plan: &Plan, connection: u32) -> Outcome<u32> {
    let mut http = http2::Builder::new(Executor::new());
    http.timer(Timer::new());
    let (sender, driver) = http.handshake(plan.connect().await?).await?;
    let driver = spawn(driver);
    for first in (0..plan.messages).step_by(STREAMS as usize) {
        let rounds = first..plan.messages.min(first + STREAMS);
        let mut streams = Vec::new();
        for round in rounds {
            let message = message(connection, round);
            let request = request(plan, message.clone())?;
            let mut sender = sender.clone();
            streams.push(spawn(async move {
                let asked = async {
                    sender.ready().await?;
                    check(sender.send_request(request).await?, &message, round).await
                };
                asked.await.map_err(|error| error.to_string())
            }));
        }
        for stream in streams {
            stream.await??;
        }
    }
    drop(sender);
    driver.await??;
    Ok(plan.messages)
}
