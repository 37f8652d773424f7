//! A WebSocket client on async-tungstenite.

use crate::{Outcome, Plan, compare, message};
use async_tungstenite::client_async;
use async_tungstenite::tungstenite::Message;
use futures_util::StreamExt;

pub(crate) async fn talk(plan: &Plan, connection: u32) -> Outcome<u32> {
    let stream = plan.connect().await?;
    let (mut socket, _) = client_async(format!("ws://{}/", plan.address), stream).await?;
    for round in 0..plan.messages {
        let message = message(connection, round);
        socket.send(Message::binary(message.clone())).await?;
        let answer = loop {
            match socket.next().await.ok_or("the server closed the connection")?? {
                Message::Binary(answer) => break answer,
                Message::Ping(_) => {}
                other => return Err(format!("message {round} was answered with {other:?}").into()),
            }
        };
        compare(&answer, &message, round)?;
    }
    socket.close(None).await?;
    // The server confirms it; then the connection ends.
    while let Some(message) = socket.next().await {
        message?;
    }
    Ok(plan.messages)
}
