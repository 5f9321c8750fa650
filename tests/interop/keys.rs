//! Keys as others keep them: `nsupdate` and `knsupdate` read the files that `gatehouse dns key new` writes, and the
//! configuration names theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::folder::Folder;
use super::server::{Server, Setup, ZONE};
use super::tools::{Said, here, run};

/// A server whose zone the key in this file may change.
fn changed_by(name: &str, file: &str) -> Server {
    let rule = format!("[[dns.zone.update]]\nkey = \"{name}\"\nnames = [\"@\", \"*\"]\ntypes = [\"any\"]\n");
    let key = format!("[[dns.key]]\nname = \"{name}\"\nsecret = {{ file = \"{file}\" }}\n");
    Server::start_as(Setup { rest: format!("{key}{ZONE}{rule}"), ..Setup::default() })
}

/// Has a program do an update with a key file.
fn update(program: &str, file: &str, port: u16, host: &str) -> Said {
    let script = format!("server 127.0.0.1 {port}\nzone dyn.test\nupdate add {host}.dyn.test. 60 A 10.0.0.1\nsend\n");
    run(program, &["-t", "10", "-k", file], &script)
}

/// Makes a key file with the program under test.
fn new_key(server: &Server, name: &str, form: &str, file: &str) -> Said {
    server.cli(&["dns", "key", "new", name, "--form", form, "--out", file])
}

#[test]
fn key_files_are_read_by_nsupdate_and_knsupdate() {
    if !here("key_files_are_read_by_nsupdate_and_knsupdate", &["nsupdate", "knsupdate", "dig"]) {
        return;
    }
    let maker = Server::start();
    let [clause, line, wrong, other] = ["clause", "line", "wrong", "other"].map(|name| maker.path(name));
    for (name, form, file) in
        [("site", "bind", &clause), ("site", "line", &line), ("site", "bind", &wrong), ("k9", "bind", &other)]
    {
        let said = new_key(&maker, name, form, file);
        assert!(said.is_success && said.out.contains(&format!("secret = {{ file = \"{file}\" }}")), "{said:?}");
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = fs::read(&clause).unwrap();
    let said = new_key(&maker, "site", "bind", &clause);
    assert!(said.code == Some(1) && said.error.contains("cannot make"), "a key is not overwritten: {said:?}");
    assert_eq!(fs::read(&clause).unwrap(), before);

    let server = changed_by("site", &clause);
    assert!(update("nsupdate", &clause, server.port, "one").is_success);
    assert_eq!(server.dig("one.dyn.test", "A"), ["10.0.0.1"]);
    for (file, word) in [(&wrong, "BADSIG"), (&other, "BADKEY")] {
        let said = update("nsupdate", file, server.port, "lost");
        assert!(!said.is_success && format!("{said:?}").contains(word), "{word}: {said:?}");
    }
    assert_eq!(server.dig("lost.dyn.test", "A"), [""; 0]);
    let server = changed_by("site", &line);
    assert!(update("knsupdate", &line, server.port, "one").is_success);
    assert_eq!(server.dig("one.dyn.test", "A"), ["10.0.0.1"]);
}

#[test]
fn updates_signed_with_a_private_key_are_believed() {
    if !here("updates_signed_with_a_private_key_are_believed", &["nsupdate", "dnssec-keygen", "dig"]) {
        return;
    }
    for algorithm in ["ED25519", "ECDSAP256SHA256", "ECDSAP384SHA384", "RSASHA256", "RSASHA512"] {
        let folder = Folder::new("sig0");
        let place = folder.display().to_string();
        let arguments = ["-T", "KEY", "-n", "HOST", "-b", "2048", "-a", algorithm, "-K", &place, "host.dyn.test"];
        let made = run("dnssec-keygen", &arguments, "");
        assert!(made.is_success, "{made:?}");
        let file = folder.join(made.out.trim()).display().to_string();
        let server = changed_by("host.dyn.test", &format!("{file}.key"));
        let said = update("nsupdate", &format!("{file}.private"), server.port, "one");
        assert!(said.is_success, "{algorithm}: {said:?}");
        assert_eq!(server.dig("one.dyn.test", "A"), ["10.0.0.1"]);
    }
}

#[test]
fn keys_of_other_programs_are_read() {
    if !here("keys_of_other_programs_are_read", &["tsig-keygen", "keymgr", "nsupdate", "dig"]) {
        return;
    }
    for (program, arguments) in
        [("tsig-keygen", &["-a", "hmac-sha512", "a.key"][..]), ("keymgr", &["-t", "a.key", "hmac-sha384"])]
    {
        let folder = Folder::new("foreign");
        let file = folder.join("key").display().to_string();
        let text = run(program, arguments, "").out;
        fs::write(&file, &text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let server = changed_by("a.key", &file);
        let keys = server.json(&["dns", "key", "list"]);
        let found = keys.as_array().unwrap().iter().find(|key| key["name"] == "a.key").unwrap();
        assert_eq!(found["updates"][0], "dyn.test", "{keys}");
        // Knot's client does not read Knot's form, but the comment above it.
        let comment = text.lines().next().unwrap().strip_prefix("# ").unwrap_or_default().to_owned();
        let key = if comment.is_empty() { ["-k", file.as_str()] } else { ["-y", comment.as_str()] };
        let script =
            format!("server 127.0.0.1 {}\nzone dyn.test\nupdate add one.dyn.test. 60 A 10.0.0.1\nsend\n", server.port);
        let said = run("nsupdate", &key, &script);
        assert!(said.is_success, "{program}: {said:?}");
    }
}
