use nexus_runtime::{Builder, Runtime, spawn, task};
use std::future::poll_fn;
use std::task::Poll;
fn cpu() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}
fn self_waking(rt: &Runtime, n: u32) {
    rt.block_on(async {
        let mut left = n;
        poll_fn(move |cx| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    })
}
fn self_waking_task(rt: &Runtime, n: u32) {
    rt.block_on(async {
        spawn(async move {
            let mut left = n;
            poll_fn(move |cx| {
                left -= 1;
                if left == 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        })
        .await
        .unwrap()
    })
}
fn many(rt: &Runtime, n: u32) {
    rt.block_on(async {
        let hs: Vec<_> = (0..1000)
            .map(|_| {
                spawn(async move {
                    for _ in 1..n / 1000 {
                        task::yield_now().await;
                    }
                })
            })
            .collect();
        for h in hs {
            h.await.unwrap();
        }
    })
}
fn spawn_await(rt: &Runtime, n: u32) {
    rt.block_on(async {
        for _ in 0..n {
            spawn(async {}).await.unwrap();
        }
    })
}
fn spawn_join(rt: &Runtime, n: u32) {
    rt.block_on(async {
        for _ in 0..n / 1000 {
            let hs: Vec<_> = (0..1000).map(|_| spawn(async {})).collect();
            for h in hs {
                h.await.unwrap();
            }
        }
    })
}
fn main() {
    let ppt: u32 = std::env::var("PPT").ok().and_then(|v| v.parse().ok()).unwrap_or(64);
    let only = std::env::var("ONLY").ok();
    for on in [false, true] {
        if let Ok(m) = std::env::var("MODE") {
            if (m == "on") != on {
                continue;
            }
        }
        let rt = Builder::new().recorder(on).endpoint(false).polls_per_turn(ppt).build().unwrap();
        for (name, f) in [
            ("self", self_waking as fn(&Runtime, u32)),
            ("selftask", self_waking_task),
            ("many", many),
            ("spawn", spawn_await),
            ("join", spawn_join),
        ] {
            if only.as_deref().is_some_and(|o| o != name) {
                continue;
            }
            let n: u32 = std::env::var("N").ok().and_then(|v| v.parse().ok()).unwrap_or(500_000);
            let rounds: usize = std::env::var("R").ok().and_then(|v| v.parse().ok()).unwrap_or(25);
            let mut v: Vec<f64> = (0..rounds)
                .map(|_| {
                    let a = cpu();
                    f(&rt, n);
                    (cpu() - a) / f64::from(n)
                })
                .collect();
            v.sort_by(f64::total_cmp);
            println!(
                "{on:5} {name:9} min {:.2} q1 {:.2} med {:.2}",
                v[0],
                v[rounds / 4],
                v[rounds / 2]
            );
        }
    }
}
