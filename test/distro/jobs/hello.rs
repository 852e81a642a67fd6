// SPDX-License-Identifier: Apache-2.0
use std::thread;
fn main() {
    let parts: Vec<_> = (1..=10u64).map(|n| thread::spawn(move || n * n)).collect();
    let sum: u64 = parts.into_iter().map(|t| t.join().unwrap()).sum();
    println!("hello, Rust {}", sum);
}
