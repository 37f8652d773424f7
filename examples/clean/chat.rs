//! A clean program: `cargo run --release --example clean-chat -- --for 3s`, a room of many tasks that all hear what each says.
//! No tool should find fault with it.

use nexus_examples::sins::{Plan, spawn};
use nexus_runtime::sync::mpsc::{Receiver, Sender, channel};
use nexus_runtime::time::{Duration, sleep};
use std::io;
use std::rc::Rc;

/// Members of the room.
const MEMBERS: u64 = 50;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("clean-chat");
    plan.runtime()?.block_on(async move {
        let (mut ears, mut listeners) = (Vec::new(), Vec::new());
        for _ in 0..MEMBERS {
            let (ear, messages) = channel(256);
            ears.push(ear);
            listeners.push(spawn("listener", listen(messages)));
        }
        let (say, said) = channel(256);
        drop(spawn("room", tell(said, ears)));
        for number in 0..MEMBERS {
            drop(spawn("speaker", speak(plan, number, say.clone())));
        }
        drop(say);
        let mut heard = 0;
        for listener in listeners {
            heard += listener.join().await;
        }
        println!("{{\"kind\":\"clean\",\"heard\":{heard}}}");
    });
    Ok(())
}

/// Says something now and then, each member in a rhythm of its own.
async fn speak(plan: Plan, number: u64, say: Sender<Rc<str>>) {
    let line: Rc<str> = format!("this is {number}").into();
    while !plan.is_over() {
        sleep(Duration::from_micros(5_000 + 101 * number)).await;
        let _ = say.send(line.clone()).await;
    }
}

async fn tell(mut said: Receiver<Rc<str>>, ears: Vec<Sender<Rc<str>>>) {
    while let Some(line) = said.recv().await {
        for ear in &ears {
            let _ = ear.send(line.clone()).await;
        }
    }
}

async fn listen(mut messages: Receiver<Rc<str>>) -> u64 {
    let mut heard = 0;
    while messages.recv().await.is_some() {
        heard += 1;
    }
    heard
}
