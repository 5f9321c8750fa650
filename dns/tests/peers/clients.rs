//! Keys as others keep them: `nsupdate` and `knsupdate` read the files that are written here, and ours reads theirs.

use std::path::Path;
use std::process::{Command, Stdio};

use dns::settings::Key;
use dns::sign::keys::{self, Found};

use crate::kit::{Folder, ZONE, free_address, is_installed, key, name, wait_for, zone_text};
use crate::{Source, start_with};

/// Has a program do an update with a key file; what it says if it fails.
async fn update(program: &str, file: &Path, port: u16, host: &str) -> Result<(), String> {
    let script = format!("server 127.0.0.1 {port}\nzone {ZONE}\nupdate add {host}.{ZONE}. 60 A 10.0.0.1\nsend\n");
    let (program, file) = (program.to_owned(), file.to_owned());
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(&program)
            .args(["-t", "10", "-k"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), script.as_bytes())?;
        child.wait_with_output()
    });
    let output = ran.await.expect("it ran").expect("it ran");
    let said = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// A server whose zone this key may change.
async fn updated_by(key: Key, tries: &[(&str, &Path, Result<(), &str>)]) {
    let (folder, address) = (Folder::new("keys"), free_address());
    let seed = folder.0.join("seed");
    std::fs::write(&seed, zone_text(1, "")).expect("written");
    let server = start_with(&folder, address, Source::Primary { file: Some(seed) }, None, key).await;
    for (index, (program, file, expected)) in tries.iter().enumerate() {
        let host = format!("new{index}");
        match (update(program, file, address.port(), &host).await, expected) {
            (Ok(()), Ok(())) => wait_for(address, &host, &[10, 0, 0, 1]).await,
            (Err(said), Err(expected)) if said.contains(expected) => {}
            (said, _) => panic!("{program}: {said:?}, not {expected:?}"),
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_files_are_read_by_nsupdate_and_knsupdate() {
    if !is_installed("nsupdate") || !is_installed("knsupdate") {
        return;
    }
    let folder = Folder::new("files");
    let write = |file: &str, text: Option<String>| {
        let path = folder.0.join(file);
        std::fs::write(&path, text.expect("a shared key")).expect("written");
        path
    };
    let (clause, line) = (write("clause", keys::to_clause(&key())), write("line", keys::to_line(&key())));
    let wrong = Key { secret: Box::from([1; 32]), ..key() };
    let other = Key { name: name("k2"), ..key() };
    let (wrong, other) = (write("wrong", keys::to_clause(&wrong)), write("other", keys::to_clause(&other)));
    updated_by(
        key(),
        &[
            ("nsupdate", &clause, Ok(())),
            ("knsupdate", &line, Ok(())),
            ("nsupdate", &wrong, Err("BADSIG")),
            ("nsupdate", &other, Err("BADKEY")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_signed_with_a_private_key_are_believed() {
    if !is_installed("nsupdate") || !is_installed("dnssec-keygen") {
        return;
    }
    for algorithm in ["ED25519", "ECDSAP256SHA256", "ECDSAP384SHA384", "RSASHA256", "RSASHA512"] {
        let folder = Folder::new("sig0");
        let host = format!("host.{ZONE}");
        let made = Command::new("dnssec-keygen")
            .args(["-T", "KEY", "-n", "HOST", "-b", "2048", "-a", algorithm, "-K"])
            .arg(&folder.0)
            .arg(&host)
            .output()
            .expect("it runs");
        let file = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let text = std::fs::read_to_string(folder.0.join(format!("{file}.key"))).expect("a public key");
        let Ok(Found::Keys(found)) = keys::read(&text) else { panic!("{text}") };
        let [key] = <[Key; 1]>::try_from(found).expect("one key");
        let private = folder.0.join(format!("{file}.private"));
        updated_by(key, &[("nsupdate", &private, Ok(()))]).await;
    }
}

#[test]
fn keys_of_other_programs_are_read() {
    for (program, arguments) in
        [("tsig-keygen", &["-a", "hmac-sha512", "a.key"][..]), ("keymgr", &["-t", "a.key", "hmac-sha384"])]
    {
        if !is_installed(program) {
            continue;
        }
        let output = Command::new(program).args(arguments).output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let Ok(Found::Keys(found)) = keys::read(&text) else { panic!("{program}: {text}") };
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!((&found[0].name, found[0].secret.len()), (&name("a.key"), keys::secret_len(found[0].algorithm)));
    }
}
