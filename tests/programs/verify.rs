//! What must be true after a load, for the load script: `verify trace FILE`, `verify snapshot FILE`.
//!
//! The first reads a recording, the second what `nexus-inspect snapshot --json` says when the last client has gone. One
//! line says what was found; exit code 1 if it is not as it should be.

use nexus_tests::verify::{Delivery, left_over};
use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verified = match &*arguments {
        [what, file] if what == "trace" => trace(file),
        [what, file] if what == "snapshot" => snapshot(file),
        _ => {
            eprintln!("usage: verify trace|snapshot FILE");
            return ExitCode::from(2);
        }
    };
    match verified {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("verify: {error}");
            ExitCode::FAILURE
        }
    }
}

fn trace(file: &str) -> Result<bool, Box<dyn Error>> {
    let delivery = Delivery::read(BufReader::new(File::open(file)?))?;
    println!("recording: {delivery}");
    for wrong in delivery.wrong.iter().take(5) {
        eprintln!("verify: delivered to a wrong owner: {wrong}");
    }
    Ok(delivery.wrong.is_empty() && delivery.wakes > delivery.unknown)
}

fn snapshot(file: &str) -> Result<bool, Box<dyn Error>> {
    let left = left_over(&serde_json::from_reader(BufReader::new(File::open(file)?))?);
    let said = if left.is_empty() { "nothing".to_owned() } else { left.join(", ") };
    println!("left over: {said}");
    Ok(left.is_empty())
}
