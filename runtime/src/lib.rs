//! A single-threaded async runtime on mio that can always answer "why did this task wake up?".

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("nexus_runtime supports 64-bit Linux only");

mod primitives;
mod record;
