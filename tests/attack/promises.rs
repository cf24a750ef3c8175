//! The promises of `docs/security.md`, the lines of tests that carry their numbers, and that neither lacks the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Promises that a step of `tests/run` holds us to, by the words in the step's name.
const STEPS: [(&str, &str); 1] = [("L5", "step 'L5: ")];

/// How many promises each chapter has: none may get lost.
const CHAPTERS: [(char, usize); 9] =
    [('P', 8), ('C', 9), ('S', 4), ('J', 8), ('R', 9), ('F', 3), ('A', 10), ('X', 7), ('L', 6)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The numbers of the document, in their order.
fn promised(document: &str) -> Vec<String> {
    let numbers = document.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**"));
    numbers.map(|(number, _)| number.to_owned()).collect()
}

/// The numbers that a test's name begins with: `x5_x6_a_private_file…` carries X5 and X6.
fn numbers(name: &str) -> Vec<String> {
    let is_number = |part: &&str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| CHAPTERS.iter().any(|(letter, _)| c.to_ascii_uppercase() == *letter))
            && !chars.as_str().is_empty()
            && chars.all(|c| c.is_ascii_digit())
    };
    name.split('_').take_while(is_number).map(str::to_ascii_uppercase).collect()
}

/// The names of the tests in a source: of functions that follow an attribute `#[…test…]`, or stand in `on_every_host!`.
fn tests_in(source: &str) -> Vec<String> {
    let (mut names, mut expected) = (Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[") || line.starts_with("on_every_host!") {
            expected |= line.contains("test") || line.starts_with("on_every_host!");
        } else if let Some(name) = function(line) {
            if std::mem::take(&mut expected) {
                names.push(name.to_owned());
            }
        } else if !line.starts_with("//") {
            expected = false;
        }
    }
    names
}

fn function(line: &str) -> Option<&str> {
    let after = line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    after.split(['(', '<']).next()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir()
            && !name.starts_with('.')
            && !["target", "node_modules", "build"].contains(&name.as_str())
        {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Every test that carries a number, by number.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    for folder in ["core", "native", "edge", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 200, "{}", files.len());
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        for name in tests_in(&std::fs::read_to_string(file).unwrap()) {
            for number in numbers(&name) {
                found.entry(number).or_default().insert(name.clone());
            }
        }
    }
    found
}

#[test]
fn every_promise_has_a_test_and_every_numbered_test_a_promise() {
    let document = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let promised = promised(&document);
    let expected: Vec<String> = CHAPTERS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")))
        .collect();
    assert_eq!(promised, expected, "docs/security.md tells every promise once, in order");
    let tests = tests();
    let steps = std::fs::read_to_string(root().join("tests/run")).unwrap();
    for number in &promised {
        let step = STEPS.iter().find(|(promise, _)| promise == number);
        match step {
            Some((_, words)) => assert!(steps.contains(words), "no step of tests/run is {number}'s"),
            None => assert!(tests.contains_key(number), "no test carries the number of promise {number}"),
        }
    }
    for (number, names) in &tests {
        assert!(promised.contains(number), "{names:?} carry the number of no promise");
    }
    let names: BTreeSet<&String> = tests.values().flatten().collect();
    println!("{} promises, {} tests that carry their numbers", promised.len(), names.len());
}

#[test]
fn numbers_are_read_off_names() {
    for (name, expected) in [
        ("p8_the_count_is_in_the_store", vec!["P8"]),
        ("x5_x6_a_private_file_is_its_owners", vec!["X5", "X6"]),
        ("a10_every_answer", vec!["A10"]),
        ("a_file_comes_back", vec![]),
        ("s3_action", vec!["S3"]),
        ("b1_x", vec![]),
        ("a_b1", vec![]),
        ("l_6", vec![]),
    ] {
        assert_eq!(numbers(name), expected, "{name}");
    }
    let source = "#[tokio::test]\nasync fn p1_a() {}\nfn p2_none() {}\non_every_host! {\n    async fn p3_b(c: Client) {}\n}\n\
                  #[test]\n#[cfg(unix)]\n// why\nfn p4_c() {}\n#[must_use]\nfn p5_none() {}\n";
    assert_eq!(tests_in(source), ["p1_a", "p3_b", "p4_c"]);
}
