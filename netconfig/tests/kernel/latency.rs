//! How long the hot path of a takeover takes; printed, never judged.

use netconfig::Event;
use netconfig::nft::Protection;
use tokio::time::Instant;

use crate::lan::{expect, lab, run};

const HERE: &str = module_path!();

#[test]
fn the_hot_path_is_measured() {
    lab(&format!("{HERE}::the_hot_path_is_measured"), |machine| async move {
        let mut host = machine.host().await;
        let (mut on, mut off, mut shut) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..100 {
            let start = Instant::now();
            host.configure().await.unwrap();
            let configured = Instant::now();
            machine.beacon();
            let beaconed = Instant::now();
            host.shut_gate().unwrap();
            let shut_at = Instant::now();
            host.deconfigure().await.unwrap();
            off.push(shut_at.elapsed());
            on.push(configured - start);
            shut.push(shut_at - beaconed);
        }
        for (name, mut times) in [("configure", on), ("shut_gate", shut), ("deconfigure", off)] {
            times.sort();
            println!("\nmeasured {name}: median {:?}, p99 {:?}", times[50], times[98]);
        }
        let start = Instant::now();
        assert_eq!(host.resync().await.unwrap(), []);
        println!("\nmeasured resync: {:?}", start.elapsed());
        host.remove().await.unwrap();
        let mut host = machine.open_host(Protection::Open).await;
        run("nft flush ruleset");
        let start = Instant::now();
        expect(&mut host, |event| *event == Event::FenceLost).await;
        println!("\nmeasured fence back: {:?} after `nft flush ruleset` ended", start.elapsed());
    });
}
