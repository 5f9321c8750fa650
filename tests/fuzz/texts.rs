//! What the DNS server reads of files and of text: names, data, zones, keys, journals, requests of routers.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dns::journal::{File, Files, Item, Journal};
use dns::name::{Name, NameRef};
use dns::rdata;
use dns::record::{Record, Rtype};
use dns::sign::keys;
use dns::text::{Names, Source, no_include, read_rdata, read_zone, show_rdata, write_zone};
use dns::zone::Zone;
use gatehouse::cloud::dyndns2::protocol::{MAX_NAMES, Request};

fn apex() -> Name {
    "Zone.test".parse().unwrap()
}

/// Text that is a name, and octets that are one, are shown as text that is the same one; the order of names is that of
/// their keys.
pub fn name(input: &[u8]) {
    let apex = apex();
    let parsed = Name::parse(input, apex.as_ref());
    let read = NameRef::read(input).map(|(name, _)| name.to_owned());
    for name in [&parsed, &read].into_iter().flatten() {
        let again: Name = name.to_string().parse().unwrap();
        assert_eq!(again.as_ref().wire(), name.as_ref().wire());
        assert_eq!(name.cmp(&apex), name.as_ref().sort_key().cmp(&apex.as_ref().sort_key()), "{name}");
        assert_eq!(name.as_ref().strip(apex.as_ref()).is_some(), name.as_ref().is_at_or_below(apex.as_ref()));
    }
}

/// Data of a type, which the first two octets say, is shown as text that means the same data; text that means data means
/// right data.
pub fn data(input: &[u8]) {
    let Some((rtype, rest)) = input.split_first_chunk::<2>() else { return };
    let (rtype, apex) = (Rtype(u16::from_be_bytes(*rtype)), apex());
    let shown = |octets: &[u8]| {
        for names in [Names::Absolute, Names::Relative(apex.as_ref())] {
            let text = show_rdata(rtype, octets, names);
            let again = read_rdata(rtype, &text, apex.as_ref());
            assert_eq!(again.as_deref().ok(), Some(octets), "{rtype} {text}");
        }
    };
    if rdata::check(rtype, rest).is_ok() {
        shown(rest);
        let low = rdata::canonical(rtype, rest);
        assert!(rdata::check(rtype, &low).is_ok() && rdata::is_same(rtype, &low, rest), "{rtype}");
    }
    if let Ok(octets) =
        std::str::from_utf8(rest).map_err(drop).and_then(|text| read_rdata(rtype, text, apex.as_ref()).map_err(drop))
    {
        assert!(rdata::check(rtype, &octets).is_ok(), "{rtype} {octets:?}");
        shown(&octets);
    }
}

/// A file that is a zone is written as one that is the same zone; one that is none has faults that can be shown.
pub fn zone_file(input: &[u8]) {
    let apex = apex();
    let read = |text: &[u8]| read_zone(Source { file: "zone".into(), text }, &apex, &mut no_include);
    let zone = match read(input) {
        Ok(zone) => zone,
        Err(faults) => return assert!(!faults.to_string().is_empty()),
    };
    for names in [Names::Absolute, Names::Relative(apex.as_ref())] {
        let mut text = Vec::new();
        write_zone(&zone, names, &mut text).unwrap();
        let again = read(&text).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(sorted(&again), sorted(&zone));
    }
}

fn sorted(zone: &Zone) -> Vec<Record> {
    let mut records: Vec<Record> = zone.records().collect();
    records.sort();
    records
}

/// The keys of a file are written as files with the same keys.
pub fn key_file(input: &[u8]) {
    let Ok(keys::Found::Keys(found)) = keys::read(&String::from_utf8_lossy(input)) else { return };
    assert!(!found.is_empty());
    for key in found {
        for text in [keys::to_clause(&key), keys::to_line(&key)].into_iter().flatten() {
            // What a name may have beside letters, these forms have no signs for.
            let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'*');
            if key.name.as_ref().labels().flatten().all(is_plain) && !key.name.as_ref().is_root() {
                let Ok(keys::Found::Keys(again)) = keys::read(&text) else { panic!("{text}") };
                assert_eq!(again, std::slice::from_ref(&key), "{text}");
            }
        }
    }
}

/// A journal that can be opened is mended: it opens again without anything cut off, says the same, and takes a batch.
pub fn journal(input: &[u8]) {
    let file = Memory(Arc::new(Mutex::new(input.to_vec())));
    let files: Arc<dyn Files> = Arc::new(file.clone());
    let open = || Journal::open(Arc::clone(&files), Path::new("zone"), &apex());
    let Ok(Some(mut opened)) = open() else { return };
    let note = Item::Note { key: "fuzz".into(), value: Some(Box::from(*b"here")) };
    opened.journal.append(std::slice::from_ref(&note)).unwrap();
    let again = open().unwrap().unwrap();
    assert!(again.cut.is_none());
    assert_eq!(sorted(&again.state.zone), sorted(&opened.state.zone));
    assert_eq!(again.state.notes.get("fuzz").map(AsRef::as_ref), Some(&b"here"[..]));
}

/// One file, whatever it is called.
#[derive(Clone)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn octets(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Memory {
    fn open(&self, _: &Path) -> io::Result<Option<Box<dyn File>>> {
        Ok(Some(Box::new(self.clone())))
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn File>> {
        self.octets().clear();
        Ok(Box::new(self.clone()))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl File for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.octets().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.octets();
        let rest = octets.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let (mut mine, end) = (self.octets(), offset as usize + octets.len());
        let len = mine.len().max(end);
        mine.resize(len, 0);
        mine[offset as usize..end].copy_from_slice(octets);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.octets().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a router asks for is about some names and has an update that is about each.
pub fn router(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let parameters: Vec<(String, String)> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let Ok(request) = Request::read(&parameters, IpAddr::V4(Ipv4Addr::LOCALHOST)) else { return };
    assert!((1..=MAX_NAMES).contains(&request.names.len()));
    for name in request.names.iter().flatten() {
        let update = request.update(&apex(), name, 60);
        assert!(update.operations.iter().all(|operation| operation.name() == name.as_ref()), "{update:?}");
    }
}
