//! What is kept is found again, and a crash at any step of a rotation leaves a folder that works.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;

struct State(PathBuf);

impl State {
    fn new(test: &str) -> State {
        let path = std::env::temp_dir().join(format!("gatehouse-folder-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        State(path)
    }

    /// A folder with a fabric's key, its trust and its first spawner.
    fn filled(&self, fabric: &Fabric) -> Folder {
        let folder = Folder::below(&self.0);
        let fill = |folder: &Folder| {
            folder.keep_fabric_key(&StoredKey::Plain(fabric_key(1)))?;
            folder.keep_trust(&fabric.trust)?;
            folder.keep_node(&fabric.spawner)
        };
        folder.create(fill).unwrap();
        folder
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_kept_is_found_again_and_private() {
    let (state, fabric) = (State::new("kept"), Fabric::new(1, NOW));
    let folder = state.filled(&fabric);
    let mut verifier = fabric.verifier();
    verifier.revocations.revoke(fabric.spawner.key(), pair(9).public().node(), NOW).unwrap();
    verifier.revocations.revoke(fabric.key.pair(), pair(8).public().node(), NOW).unwrap();
    folder.keep_revocations(&verifier.revocations).unwrap();
    let found = folder.load().unwrap();
    assert_eq!(found.identity.chain(), fabric.spawner.chain());
    assert_eq!(found.identity.spawner(), fabric.spawner.spawner());
    assert_eq!((&found.verifier.trust, &found.verifier.revocations), (&verifier.trust, &verifier.revocations));
    assert_eq!(folder.fabric_key().unwrap().unwrap().public(), fabric.key.public());
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_folder_appears_whole_and_once() {
    let (state, fabric) = (State::new("whole"), Fabric::new(1, NOW));
    let folder = Folder::below(&state.0);
    let interrupted = folder.create(|folder| {
        folder.keep_trust(&fabric.trust)?;
        folder.trust().and_then(|_| Err(folder.node().unwrap_err()))
    });
    assert!(interrupted.is_err() && !folder.exists());
    fs::create_dir_all(state.0.join("fabric.new/left-by-a-crash")).unwrap();
    let folder = state.filled(&fabric);
    assert!(folder.create(|_| Ok(())).is_err());
    assert_eq!(fs::read_dir(&state.0).unwrap().count(), 1);
}

#[test]
fn two_do_not_change_it_at_once() {
    let (state, fabric) = (State::new("lock"), Fabric::new(1, NOW));
    let folder = state.filled(&fabric);
    let held = folder.lock().unwrap();
    assert!(folder.lock().is_err());
    drop(held);
    assert!(folder.lock().is_ok());
}

#[test]
fn a_rotation_can_be_interrupted_anywhere() {
    let (state, fabric) = (State::new("rotation"), Fabric::new(1, NOW));
    let folder = state.filled(&fabric);
    let next = fabric_key(2);
    let own = root(&next, fabric.trust.fabric(), stamp(NOW)).unwrap();
    let cross = cross(&fabric.key, &fabric.trust, &next.public(), NOW + 60 * DAY, stamp(NOW)).unwrap();
    let trust = fabric.trust.succeed(own, cross).unwrap();
    let key_of = |folder: &Folder| folder.fabric_key().unwrap().unwrap().public();
    // Before the new key was published it is forgotten.
    fs::write(folder.path().join("fabric.key.next"), pair(2).to_pem().as_bytes()).unwrap();
    folder.finish_rotation().unwrap();
    assert_eq!((key_of(&folder), folder.trust().unwrap().rotations()), (fabric.key.public(), 0));
    assert!(!folder.path().join("fabric.key.next").exists());
    // After that it takes its place.
    fs::write(folder.path().join("fabric.key.next"), pair(2).to_pem().as_bytes()).unwrap();
    folder.keep_trust(&trust).unwrap();
    assert_eq!(key_of(&folder), fabric.key.public(), "not yet");
    folder.finish_rotation().unwrap();
    assert_eq!(key_of(&folder), next.public());
    folder.finish_rotation().unwrap();
    assert_eq!(key_of(&folder), next.public());
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let (state, fabric) = (State::new("damaged"), Fabric::new(1, NOW));
    let folder = state.filled(&fabric);
    let damage = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        let before = fs::read(&path).ok();
        fs::write(&path, content).unwrap();
        let error = folder.load().unwrap_err();
        assert_eq!(error.path, path, "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
        match before {
            Some(before) => fs::write(&path, before).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    };
    damage("trust.pem", b"-----BEGIN CERTIFICATE-----\n");
    damage("node.key", b"nothing");
    damage("node.pem", fabric.node(5, NOW).chain().to_pem().as_bytes());
    damage("revoked", &[0, 0, 0, 9, 1, 2]);
    damage("revoked", &[0xFF; 100]);
    fs::remove_file(folder.path().join("node.pem")).unwrap();
    assert!(matches!(folder.load().unwrap_err().fault, FileFault::Missing));
}

#[test]
fn a_sealed_key_is_kept_sealed() {
    let (state, fabric) = (State::new("sealed"), Fabric::new(1, NOW));
    let folder = state.filled(&fabric);
    let costs = Costs { memory_kib: 8, passes: 1, lanes: 1 };
    let sealed = SealedKey::seal(&fabric.key, "correct horse", costs, [1; SEALING]).unwrap();
    folder.keep_fabric_key(&StoredKey::Sealed(sealed)).unwrap();
    let Some(StoredKey::Sealed(found)) = folder.fabric_key().unwrap() else { panic!("not sealed") };
    assert_eq!(found.open("correct horse").unwrap().public(), fabric.key.public());
}
