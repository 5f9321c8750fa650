//! Plain TCP.

use std::net::SocketAddr;
use std::time::Duration;

use dns::server::streams::{Limits, StreamError, Transport};
use dns::wire::{EdnsOption, Message, Opcode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::kit::{ANY, LONG, Server, answered, ask, framed, id, message, query, receive, update};

fn quick() -> Limits {
    let short = Duration::from_millis(200);
    Limits { idle: short, arrive: short, leave: short, ..Limits::default() }
}

#[tokio::test]
async fn requests_in_a_row_are_answered() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    let row: Vec<u8> = (0..500).flat_map(|id| framed(&query(id))).collect();
    // In pieces that end anywhere.
    for piece in row.chunks(777) {
        stream.write_all(piece).await.expect("sent");
    }
    for expected in 0..500 {
        assert_eq!(answered(&receive(&mut stream).await.expect("an answer")), expected);
    }
    stream.shutdown().await.expect("shut");
    assert_eq!(receive(&mut stream).await, None);
    let totals = server.streams.totals();
    assert_eq!((totals.queries, totals.accepted, totals.cut), (500, 1, 0));
}

#[tokio::test]
async fn what_takes_time_holds_nothing_up() {
    let mut server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    for message in [update(1), query(2)] {
        stream.write_all(&framed(&message)).await.expect("sent");
    }
    assert_eq!(answered(&receive(&mut stream).await.expect("an answer")), 2);
    let job = timeout(LONG, server.jobs.recv()).await.expect("in time").expect("a job");
    assert_eq!(job.octets, update(1));
    // A client that has said all it has to say still listens.
    stream.shutdown().await.expect("shut");
    for last in [7, 8] {
        job.reply.send([update(1), vec![last]].concat()).await.expect("sent");
    }
    drop(job);
    for last in [7, 8] {
        assert_eq!(receive(&mut stream).await.expect("a message").last(), Some(&last));
    }
    assert_eq!(receive(&mut stream).await, None);
}

#[tokio::test]
async fn many_long_jobs_end() {
    let mut server = Server::start(Limits::default());
    server.answer_jobs(20, 1_000);
    let mut stream = server.connect().await;
    // More jobs than may wait, whose messages are more than may wait, through a queue of two.
    let row: Vec<u8> = (0..200).flat_map(|id| framed(&update(id))).collect();
    stream.write_all(&row).await.expect("sent");
    let mut seen = [0; 200];
    for _ in 0..200 * 20 {
        seen[usize::from(id(&receive(&mut stream).await.expect("a message")))] += 1;
    }
    assert_eq!(seen, [20; 200]);
    assert_eq!(server.streams.totals().slow, 200);
}

#[tokio::test]
async fn a_job_without_answer_ends_too() {
    let mut server = Server::start(quick());
    let mut stream = server.connect().await;
    stream.write_all(&framed(&update(1))).await.expect("sent");
    let job = timeout(LONG, server.jobs.recv()).await.expect("in time").expect("a job");
    // While it is our turn the client may be silent for longer.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(server.streams.totals().open, 1);
    drop(job);
    assert_eq!(receive(&mut stream).await, None);
}

#[tokio::test]
async fn the_silent_and_the_slow_are_cut_off() {
    let mut server = Server::start(quick());
    let mut silent = server.connect().await;
    let mut client = server.connect().await;
    assert_eq!(answered(&ask(&mut client, &query(1)).await.expect("an answer")), 1);
    assert_eq!((receive(&mut silent).await, receive(&mut client).await), (None, None));
    assert_eq!(server.streams.totals().cut, 0, "silence is no fault");

    let mut slow = server.connect().await;
    slow.write_all(&framed(&query(1))[..5]).await.expect("sent");
    assert_eq!(receive(&mut slow).await, None);
    assert_eq!(server.streams.totals().cut, 1);

    // Takes nothing of the megabytes it has asked for.
    server.answer_jobs(2_000, 60_000);
    let mut greedy = server.connect().await;
    greedy.write_all(&framed(&update(1))).await.expect("sent");
    server.until(|totals| totals.cut == 2 && totals.open == 0).await;
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection() {
    let server = Server::start(Limits::default());
    let answer = |flags: u8| [&query(1)[..2], &[flags], &query(1)[3..]].concat();
    for (message, count) in [(b"short".to_vec(), 1), (answer(0x80), 2)] {
        let mut stream = server.connect().await;
        assert_eq!(ask(&mut stream, &message).await, None);
        server.until(|totals| totals.cut == count).await;
    }
    // A message can be wrong and be answered all the same.
    let mut stream = server.connect().await;
    let wrong = ask(&mut stream, &[&query(1)[..], b"more"].concat()).await.expect("an answer");
    assert_eq!(wrong[3] & 15, 1, "FORMERR");
    assert_eq!(answered(&ask(&mut stream, &query(2)).await.expect("an answer")), 2);
    // As long as a message can be.
    let long = ask(&mut stream, &[query(3), vec![0; 65_535 - query(3).len()]].concat()).await.expect("an answer");
    assert_eq!((id(&long), long[3] & 15), (3, 1));
}

#[tokio::test]
async fn who_asks_is_told_how_long_he_may_stay() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect().await;
    let option = EdnsOption { code: EdnsOption::TCP_KEEPALIVE, data: &[] };
    let asked = message(1, Opcode::QUERY, "www.test", Some(&[option]));
    let answer = ask(&mut stream, &asked).await.expect("an answer");
    let edns = Message::read(&answer).expect("a message").edns().expect("an OPT record");
    assert_eq!(edns.option(EdnsOption::TCP_KEEPALIVE), Some(&[1, 44][..]), "30 s in tenths");
}

#[tokio::test]
async fn the_end_is_in_order() {
    let mut server = Server::start(Limits::default());
    let mut waiting = server.connect().await;
    waiting.write_all(&framed(&update(1))).await.expect("sent");
    let job = timeout(LONG, server.jobs.recv()).await.expect("in time").expect("a job");
    let mut idle = server.connect().await;
    assert!(ask(&mut idle, &query(1)).await.is_some());
    let address = server.address(Transport::Tcp);
    let stopping = tokio::spawn(server.streams.stop(LONG));
    assert_eq!(receive(&mut idle).await, None);
    job.reply.send(update(1)).await.expect("sent");
    drop(job);
    assert_eq!(receive(&mut waiting).await, Some(update(1)));
    timeout(LONG, stopping).await.expect("it ends").expect("no panic");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn listeners_come_and_go_and_the_others_stay() {
    let mut server = Server::start(Limits::default());
    let mut stays = server.connect().await;
    let mut waits = server.connect_tls(Transport::Tls, &[b"dot"]).await;
    waits.write_all(&framed(&update(1))).await.expect("sent");
    let job = timeout(LONG, server.jobs.recv()).await.expect("in time").expect("a job");
    let gone = server.address(Transport::Tls);
    let taken = server.address(Transport::Https);
    // Another program has the second address: the first is not listened on either.
    let more = [ANY, SocketAddr::from(([127, 0, 0, 2], 0)), taken];
    assert!(matches!(server.streams.change(&more, None), Err(StreamError::Bind(address, ..)) if address == taken));
    assert_eq!(server.streams.addresses().count(), 4);
    server.streams.change(&more[..2], None).expect("both are free");
    let (transports, addresses): (Vec<_>, Vec<_>) = server.streams.addresses().unzip();
    assert_eq!(transports, [Transport::Tcp; 2]);
    for address in addresses {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        assert_eq!(answered(&ask(&mut stream, &query(1)).await.expect("an answer")), 1);
    }
    assert_eq!(answered(&ask(&mut stays, &query(1)).await.expect("an answer")), 1);
    job.reply.send(update(1)).await.expect("sent");
    drop(job);
    assert_eq!((receive(&mut waits).await, receive(&mut waits).await), (Some(update(1)), None));
    assert!(TcpStream::connect(gone).await.is_err());
}
