//! Waiting for what another process does.

use std::time::Duration;

use gatehouse::clock;

/// Waits until something is so; `why` says what is instead.
pub fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool, why: impl Fn() -> String) {
    let deadline = clock::now() + limit;
    while !is_so() {
        assert!(clock::now() < deadline, "{}", why());
        std::thread::sleep(Duration::from_millis(20));
    }
}
