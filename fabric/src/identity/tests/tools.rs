//! Other programs read our keys and certificates: OpenSSL judges them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::clock;

/// Runs `openssl`, which `.ci/setup` installs.
fn openssl(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is needed by this test");
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.success(), text)
}

struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("gatehouse-openssl-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

#[test]
fn openssl_reads_and_verifies_a_node_three_spawners_deep() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now);
    let node = fabric.deep(3, now).unwrap();
    let folder = Folder::new("node");
    let root = folder.file("root.pem", &fabric.trust.to_pem());
    let chain = node.chain().to_pem();
    let at = chain.find("-----END CERTIFICATE-----\n").unwrap() + "-----END CERTIFICATE-----\n".len();
    let (leaf, between) = (folder.file("leaf.pem", &chain[..at]), folder.file("between.pem", &chain[at..]));
    for purpose in ["sslserver", "sslclient"] {
        let (good, text) =
            openssl(&["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &root, "-untrusted", &between, &leaf]);
        assert!(good, "{text}");
    }
    let (_, text) = openssl(&["x509", "-in", &leaf, "-noout", "-text"]);
    let expected = [
        format!("URI:spiffe://{}/node/hop-2", fabric.trust.fabric()),
        "Signature Algorithm: ED25519".into(),
        "CA:FALSE".into(),
        "OU = call serve spawn".into(),
        "Digital Signature".into(),
        "TLS Web Server Authentication, TLS Web Client Authentication".into(),
    ];
    expected.iter().for_each(|line| assert!(text.contains(line.as_str()), "no `{line}` in {text}"));
    let other = folder.file("other.pem", &Fabric::new(2, now).trust.to_pem());
    let (good, text) = openssl(&["verify", "-CAfile", &other, "-untrusted", &between, &leaf]);
    assert!(!good, "{text}");
}

#[test]
fn openssl_reads_a_key_and_its_keys_are_read() {
    let folder = Folder::new("key");
    let key = pair(5);
    let path = folder.file("node.key", &key.to_pem());
    let (good, text) = openssl(&["pkey", "-in", &path, "-noout", "-text_pub"]);
    let octets: Vec<String> = key.public().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(good && text.replace([' ', '\n'], "").contains(&octets.join(":")), "{text}");
    let (_, made) = openssl(&["genpkey", "-algorithm", "ed25519"]);
    let read = KeyPair::from_pem(&made).unwrap();
    assert_eq!(*KeyPair::from_pem(&read.to_pem()).unwrap().seed(), *read.seed());
    for wrong in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert_eq!(KeyPair::from_pem(wrong).unwrap_err(), KeyError::Private);
    }
    let (_, other) = openssl(&["genpkey", "-algorithm", "x25519"]);
    assert_eq!(KeyPair::from_pem(&other).unwrap_err(), KeyError::Private);
}

#[test]
fn openssl_verifies_across_a_rotation() {
    let now = clock::wall();
    let fabric = Fabric::new(1, now);
    let next = fabric_key(2);
    let own = root(&next, fabric.trust.fabric(), stamp(now)).unwrap();
    let cross = cross(&fabric.key, &fabric.trust, &next.public(), now + 60 * DAY, stamp(now)).unwrap();
    let trust = fabric.trust.succeed(own, cross).unwrap();
    let node = Fabric::spawner(&next, &trust, now);
    let folder = Folder::new("rotation");
    let old = folder.file("old.pem", &fabric.trust.to_pem());
    let leaf = folder.file("leaf.pem", &node.chain().to_pem());
    let crosses: String = trust.crosses(now).map(|der| pem::write(chain::CERTIFICATE, der)).collect();
    let between = folder.file("between.pem", &(node.chain().to_pem() + &crosses));
    let (good, text) = openssl(&["verify", "-x509_strict", "-CAfile", &old, "-untrusted", &between, &leaf]);
    assert!(good, "{text}");
}
