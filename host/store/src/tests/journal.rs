//! The journal alone, below any database.

use std::io::ErrorKind;

use redb::StorageBackend as _;

use super::medium::{Chance, Disk, Medium, Recording};
use crate::journal::{Emptying, Journaled};

const HALF_BYTES: u64 = 4096;
const PAGE: usize = 256;
const PAGES: usize = 40;

fn open(medium: &Medium) -> std::io::Result<Journaled<Disk>> {
    open_with(medium, Emptying::default())
}

fn open_with(medium: &Medium, empty: Emptying) -> std::io::Result<Journaled<Disk>> {
    let [file, journal] = medium.disks();
    Journaled::open(file, journal, HALF_BYTES, empty)
}

/// A file of pages, each of one byte all over; zero at first.
fn pages(medium: &Medium) -> Journaled<Disk> {
    pages_with(medium, Emptying::default())
}

fn pages_with(medium: &Medium, empty: Emptying) -> Journaled<Disk> {
    let journaled = open_with(medium, empty).unwrap();
    journaled.set_len((PAGE * PAGES) as u64).unwrap();
    journaled.sync_data().unwrap();
    journaled
}

fn write(journaled: &Journaled<Disk>, page: usize, value: u8) {
    journaled.write((page * PAGE) as u64, &[value; PAGE]).unwrap();
}

/// When the flush of these pages had returned, counted in steps of the disks.
struct Flushed {
    at: usize,
    pages: [u8; PAGES],
}

/// Random flushes of up to twice what a half of the journal holds, and of nothing; some of them leave it empty.
fn tell(journaled: &Journaled<Disk>, empty: &Emptying, recording: &Recording, chance: &mut Chance) -> Vec<Flushed> {
    let mut pages = [0; PAGES];
    let mut told = vec![Flushed { at: recording.len(), pages }];
    for value in 1..=60 {
        let most = if chance.below(8) == 0 { 2 * PAGES } else { 8 };
        for _ in 0..chance.below(most) {
            let page = chance.below(PAGES);
            write(journaled, page, value);
            pages[page] = value;
        }
        if chance.below(8) == 0 {
            empty.ask();
        }
        journaled.sync_data().unwrap();
        told.push(Flushed { at: recording.len(), pages });
    }
    told
}

/// What was flushed when the power went is there; of what was being flushed any part may be.
fn check(medium: &Medium, told: &[Flushed], cut: usize) {
    let done = told.iter().rposition(|flushed| flushed.at <= cut).unwrap();
    let next = told.get(done + 1).unwrap_or(&told[done]);
    let [file, _] = medium.contents();
    for (page, bytes) in file.chunks(PAGE).take(PAGES).enumerate() {
        let (was, becomes) = (told[done].pages[page], next.pages[page]);
        assert!(bytes.iter().all(|byte| [was, becomes].contains(byte)), "page {page} after a cut at {cut}");
    }
}

#[test]
fn what_was_flushed_survives_every_power_cut_and_a_second_one_after_it() {
    let mut chance = Chance(3);
    for _ in 0..20 {
        let medium = Medium::default();
        let empty = Emptying::default();
        let journaled = pages_with(&medium, empty.clone());
        let recording = medium.remember();
        let told = tell(&journaled, &empty, &recording, &mut chance);
        for _ in 0..30 {
            let cut = chance.below(recording.len() + 1);
            let after = recording.crash(cut, &mut chance);
            let again = after.remember();
            drop(open(&after).unwrap());
            check(&after, &told, cut);
            let during = again.crash(chance.below(again.len() + 1), &mut chance);
            let journaled = open(&during).unwrap();
            check(&during, &told, cut);
            for value in 200..220 {
                write(&journaled, 0, value);
                journaled.sync_data().unwrap();
            }
            drop(journaled);
            drop(open(&during).unwrap());
            assert_eq!(during.contents()[0][0], 219);
        }
    }
}

#[test]
fn what_is_read_is_what_was_written_last_and_nothing_that_was_cut_off() {
    let mut chance = Chance(4);
    let medium = Medium::default();
    let journaled = open(&medium).unwrap();
    let mut expected: Vec<u8> = Vec::new();
    for value in 1..=400 {
        let value = u8::try_from(value % 251).unwrap();
        if chance.below(10) == 0 {
            let length = chance.below(40_000);
            journaled.set_len(length as u64).unwrap();
            expected.resize(length, 0);
        }
        if !expected.is_empty() {
            let offset = chance.below(expected.len());
            let length = chance.below((expected.len() - offset).min(9000) + 1);
            journaled.write(offset as u64, &vec![value; length]).unwrap();
            expected[offset..offset + length].fill(value);
        }
        if chance.below(3) == 0 {
            journaled.sync_data().unwrap();
        }
        let mut read = vec![0; expected.len()];
        journaled.read(0, &mut read).unwrap();
        assert!(read == expected, "after step {value}");
    }
    journaled.sync_data().unwrap();
    drop(journaled);
    drop(open(&medium).unwrap());
    assert!(medium.contents()[0] == expected, "after a replay");
}

#[test]
fn a_reader_never_sees_an_older_page_while_the_file_is_given_the_newer_one() {
    let medium = Medium::default();
    let journaled = pages(&medium);
    for value in 1..=100 {
        write(&journaled, 0, value);
        journaled.sync_data().unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut read = [0; PAGE];
                for _ in 0..200 {
                    journaled.read(0, &mut read).unwrap();
                    assert_eq!(read, [value; PAGE]);
                }
            });
            // More than a half of the journal holds: flushed where it belongs.
            for page in (1..PAGES).cycle().take(PAGES) {
                write(&journaled, page, value);
            }
            journaled.sync_data().unwrap();
            reader.join().unwrap();
        });
    }
}

#[test]
fn a_clean_end_leaves_a_file_that_needs_no_journal() {
    let medium = Medium::default();
    let journaled = pages(&medium);
    write(&journaled, 3, 7);
    journaled.sync_data().unwrap();
    journaled.close().unwrap();
    let [file, journal] = medium.contents();
    assert_eq!((file[3 * PAGE], journal.len()), (7, 0));
}

#[test]
fn a_journal_that_is_asked_to_be_empty_holds_nothing_after_the_next_flush() {
    let medium = Medium::default();
    let empty = Emptying::default();
    let journaled = pages_with(&medium, empty.clone());
    for value in 1..=5 {
        write(&journaled, 3, value);
        journaled.sync_data().unwrap();
    }
    empty.ask();
    assert!(!medium.contents()[1].is_empty(), "not before");
    write(&journaled, 3, 7);
    journaled.sync_data().unwrap();
    let [file, journal] = medium.contents();
    assert_eq!((file[3 * PAGE], journal.len()), (7, 0));
    write(&journaled, 3, 8);
    journaled.sync_data().unwrap();
    assert!(!medium.contents()[1].is_empty(), "and it goes on");
    drop(journaled);
    drop(open(&medium).unwrap());
    assert_eq!(medium.contents()[0][3 * PAGE], 8);
}

#[test]
fn a_journal_that_lost_what_is_needed_is_refused_and_its_torn_end_is_not() {
    let medium = Medium::default();
    let journaled = pages(&medium);
    for value in 1..=5 {
        write(&journaled, 0, value);
        journaled.sync_data().unwrap();
    }
    drop(journaled);
    // A record is its header of 36 bytes, and 12 for each step besides its data.
    let (resize, record) = (36 + 12, 36 + 12 + PAGE);
    medium.damage(1, resize + 4 * record + 40);
    drop(open(&medium).unwrap());
    assert_eq!(medium.contents()[0][0], 4);
    medium.damage(1, resize + record + 40);
    assert_eq!(open(&medium).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(medium.contents()[0][0], 4, "it is left as it is");
}

#[test]
fn after_a_failed_flush_nothing_is_flushed_until_the_journal_has_been_replayed() {
    for budget in 0..4 {
        let medium = Medium::default();
        let journaled = pages(&medium);
        write(&journaled, 1, 1);
        journaled.sync_data().unwrap();
        medium.fail_after(budget);
        let failed = journaled.write(PAGE as u64, &[2; PAGE]).and_then(|()| journaled.sync_data()).is_err();
        medium.repair();
        assert_eq!(failed, budget < 2, "a flush is one write and one flush of the journal");
        if failed {
            assert_eq!(journaled.sync_data().unwrap_err().kind(), ErrorKind::Other);
        }
        let _ = journaled.close();
        drop(open(&medium).unwrap());
        let kept = medium.contents()[0][PAGE];
        assert!(kept == 2 || (failed && kept == 1), "{budget}");
    }
}
