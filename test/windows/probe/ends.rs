// SPDX-License-Identifier: Apache-2.0
// Panics and what they undo, destructors of threads' own data, children with pipes: the same lines
// and exit codes as on the host.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic;
use std::process::{Command, Stdio};
use std::sync::{mpsc, Arc, Condvar, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

struct Told(&'static str, Option<mpsc::Sender<String>>);
impl Drop for Told {
    fn drop(&mut self) {
        let line = format!("{} ends{}", self.0, if thread::panicking() { ", in a panic" } else { "" });
        match &self.1 {
            Some(to) => to.send(line).unwrap(),
            None => println!("{line}"),
        }
    }
}

thread_local! {
    static FIRST: RefCell<Vec<Told>> = RefCell::new(Vec::new());
    static SECOND: RefCell<HashMap<u32, Told>> = RefCell::new(HashMap::new());
}

fn panics() {
    let r = panic::catch_unwind(|| {
        let _outer = Told("outer", None);
        let inner = panic::catch_unwind(|| {
            let _a = Told("a", None);
            let _b = Told("b", None);
            let v: Vec<i32> = Vec::new();
            v[std::env::args().count() + 5]
        });
        println!("inner {}", inner.is_err());
        panic::resume_unwind(Box::new(41 + inner.is_err() as i32));
    });
    println!("outer {:?}", r.unwrap_err().downcast_ref::<i32>());
    for n in 0..3 {
        let r = panic::catch_unwind(|| match n {
            0 => i32::from_str_radix("x", 10).map(|_| ()).unwrap(),
            1 => panic!("formatted {}", n),
            _ => assert_eq!(n, 99, "not so"),
        });
        let e = r.unwrap_err();
        let text = e.downcast_ref::<String>().map(|s| s.as_str()).or(e.downcast_ref::<&str>().copied());
        println!("{}", text.unwrap_or("?").lines().next().unwrap_or(""));
    }
}

fn threads() {
    let (to, from) = mpsc::channel();
    for panicking in [false, true] {
        let to = to.clone();
        let t = thread::spawn(move || {
            FIRST.with(|f| f.borrow_mut().push(Told("first", Some(to.clone()))));
            SECOND.with(|s| s.borrow_mut().insert(7, Told("second", Some(to.clone()))));
            let _local = Told("local", Some(to));
            if panicking {
                panic!("a thread");
            }
            17
        });
        println!("joined {:?}", t.join().map_err(|e| e.downcast_ref::<&str>().copied()));
        let mut lines: Vec<String> = from.try_iter().collect();
        println!("{}", lines.remove(0));
        lines.sort();
        println!("{lines:?}");
    }
    let m = Arc::new(Mutex::new(1));
    let other = m.clone();
    let _ = thread::spawn(move || {
        let _held = other.lock().unwrap();
        panic!("with a lock");
    })
    .join();
    println!("poisoned {}", m.lock().is_err());
    let sum: u64 = thread::scope(|s| {
        let all: Vec<_> = (0..8).map(|i| s.spawn(move || (0..1000u64).map(|k| k * i).sum::<u64>())).collect();
        all.into_iter().map(|t| t.join().unwrap()).sum()
    });
    println!("sum {sum}");
}

fn waits() {
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let shared = Arc::new(RwLock::new(String::new()));
    let all: Vec<_> = (0..4)
        .map(|i| {
            let (pair, shared) = (pair.clone(), shared.clone());
            thread::spawn(move || {
                let mut turn = pair.0.lock().unwrap();
                while *turn != i {
                    turn = pair.1.wait(turn).unwrap();
                }
                shared.write().unwrap().push_str(&i.to_string());
                *turn += 1;
                pair.1.notify_all();
            })
        })
        .collect();
    all.into_iter().for_each(|t| t.join().unwrap());
    println!("turns {}", shared.read().unwrap());
    let begin = Instant::now();
    let (_, timeout) = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(20)).unwrap();
    println!("timed out {} {}", timeout.timed_out(), begin.elapsed() >= Duration::from_millis(20));
    thread::park_timeout(Duration::from_millis(1));
    let l = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = l.local_addr().unwrap();
    let t = thread::spawn(move || {
        let mut text = String::new();
        l.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    TcpStream::connect(at).unwrap().write_all(b"through a socket").unwrap();
    println!("{}", t.join().unwrap());
}

fn children() {
    let me = std::env::current_exe().unwrap();
    let out = Command::new(&me).args(["child", "a b", "q\"uote", ""]).env("GIVEN", "yes").output().unwrap();
    println!("{:?} {:?}", out.status.code(), String::from_utf8_lossy(&out.stdout).replace('\r', ""));
    println!("{}", String::from_utf8_lossy(&out.stderr).trim());
    let mut c = Command::new(&me).arg("copy").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = c.stdin.take().unwrap();
    let t = thread::spawn(move || (0..20000).for_each(|i| writeln!(to, "line {i}").unwrap()));
    let mut text = String::new();
    c.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    t.join().unwrap();
    println!("{} {:?}", text.lines().filter(|l| l.starts_with("line ")).count(), c.wait().unwrap().code());
    println!("{:?}", Command::new(&me).arg("panic").stderr(Stdio::null()).status().unwrap().code());
    println!("{:?}", Command::new("no-such-program").spawn().map_err(|e| e.kind()).err());
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(|s| s.as_str()) {
        Some("child") => {
            println!("{:?} {:?}", &args[2..], std::env::var("GIVEN").ok());
            eprintln!("to stderr");
            std::process::exit(9);
        }
        Some("copy") => {
            std::io::copy(&mut std::io::stdin(), &mut std::io::stdout()).unwrap();
            return;
        }
        Some("panic") => {
            let _main = Told("main", None);
            panic!("the whole program");
        }
        _ => {}
    }
    panic::set_hook(Box::new(|_| {}));
    FIRST.with(|f| f.borrow_mut().push(Told("of main", None)));
    panics();
    threads();
    waits();
    children();
}
