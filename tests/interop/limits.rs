//! Open files: as many as the connections need, where the system allows it.

use super::server::Server;
use super::tools::here;

#[test]
fn open_files_are_allowed_for_as_many_clients_as_may_be() {
    if !here("open_files_are_allowed_for_as_many_clients_as_may_be", &["prlimit", "dig"]) {
        return;
    }
    for (given, soft, is_enough) in
        [("--nofile=256:20000", 12_000..20_000, true), ("--nofile=256:2048", 2_048..2_049, false)]
    {
        let server = Server::start_by(&["prlimit", given]);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let allowed: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(soft.contains(&allowed), "{given}: {line}");
        assert_eq!(!server.log().contains("too few open files are allowed"), is_enough, "{given}: {}", server.log());
    }
}
