//! Policies of a megabyte, each wrong in every line: an error soon, and not one for each line.

use std::time::{Duration, Instant};

use pinif_userspace::policy::{Policy, PolicyErrors};

use super::{ZONES, errors_of};

/// What takes this long takes a time that grows with the square of the file. A hundredth is usual.
const TOO_LONG: Duration = Duration::from_secs(20);

/// The errors of a text, and what is shown of them.
fn soon(text: &str) -> (PolicyErrors, String) {
    let begin = Instant::now();
    let errors = errors_of(text);
    let shown = errors.to_string();
    let took = begin.elapsed();
    assert!(took < TOO_LONG, "it took {took:?}");
    assert!(shown.len() < 200_000, "{} bytes", shown.len());
    assert!(errors.problems().len() <= 100);
    (errors, shown)
}

fn lines(number: usize, line: impl Fn(usize) -> String) -> String {
    (0..number).map(line).collect()
}

fn list(number: usize, value: impl Fn(usize) -> String) -> String {
    let values: Vec<_> = (0..number).map(value).collect();
    format!("[{}]", values.join(","))
}

#[test]
fn of_many_errors_the_first_are_shown_and_the_rest_counted() {
    let (errors, shown) = soon(&lines(70_000, |number| format!("key{number} = 1\n")));
    assert_eq!(errors.problems().len(), 100);
    assert_eq!(errors.problems()[99].line(), Some(100));
    assert_eq!(errors.lines()[100], "and 69900 more errors");
    assert_eq!(errors.summary(), "policy.toml: 70000 errors");
    assert!(
        shown.ends_with("\n\nand 69900 more errors\n\npolicy.toml: 70000 errors"),
        "{}",
        &shown[shown.len() - 200..]
    );
}

#[test]
fn the_first_of_the_file_are_shown_whenever_they_are_found() {
    let text = format!(
        "[zone.a]\ninterfaces = \"\"\n{}",
        lines(300, |n| format!("x{n} = 1\n"))
    );
    let errors = errors_of(&text);
    assert_eq!(errors.problems()[0].line(), Some(2));
    assert_eq!(errors.problems().len(), 100);
    assert_eq!(errors.summary(), "policy.toml: 301 errors");
}

#[test]
fn what_is_there_again_and_again_is_an_error_soon() {
    for (what, line) in [
        ("a key", "contained = true\n"),
        ("a header", "[zone.a]\n"),
        ("a rule", "[[rule]]\n"),
        ("a broken item", "a = = 1\n"),
        ("a key without a value", "x\n"),
        ("an open list", "x = [\n"),
    ] {
        let begin = Instant::now();
        let text = format!("[zone.a]\ninterfaces = \"a\"\n{}", line.repeat(60_000));
        let (errors, _) = soon(&text);
        assert!(!errors.problems().is_empty(), "{what}");
        eprintln!("{what}: {:?}", begin.elapsed());
    }
}

#[test]
fn long_lists_of_nonsense_are_an_error_soon() {
    let rule =
        |keys: &str| format!("{ZONES}[[rule]]\nname = \"r\"\nonly_via = \"front\"\n{keys}\n");
    for (what, text) in [
        (
            "ports",
            rule(&format!("port = {}", list(150_000, |_| "\"x\"".into()))),
        ),
        (
            "words",
            rule(&format!("port = {}", list(150_000, |_| "x".into()))),
        ),
        (
            "users",
            rule(&format!("user = {}", list(90_000, |n| format!("\"u{n}\"")))),
        ),
        (
            "zones",
            rule(&format!(
                "port = 1\n[[rule]]\nname = \"s\"\nport = 2\nonly_via = {}",
                list(90_000, |n| format!("\"z{n}\""))
            )),
        ),
        (
            "interfaces",
            format!(
                "[zone.a]\ninterfaces = {}",
                list(150_000, |_| "\"a*\"".into())
            ),
        ),
        (
            "two many zones",
            lines(30_000, |n| format!("[zone.z{n}]\ninterfaces = \"\"\n")),
        ),
    ] {
        let begin = Instant::now();
        let (errors, _) = soon(&text);
        assert!(!errors.problems().is_empty(), "{what}");
        eprintln!("{what}: {:?}", begin.elapsed());
    }
}

#[test]
fn long_words_and_lines_are_cut_off() {
    let long = "a".repeat(900_000);
    let (errors, shown) = soon(&format!("{long} = 1\n"));
    assert!(errors.brief().len() < 500 && shown.len() < 5_000, "{shown}");
    let (errors, shown) = soon(&format!("[zone.a]\ninterfaces = [\"{long}\", \"b b\"]\n"));
    assert!(shown.len() < 10_000, "{shown}");
    let last = errors.problems().last().expect("two of them");
    assert_eq!((last.line(), last.column()), (Some(2), Some(900_019)));
    assert!(shown.contains("policy.toml:2:900019"), "{shown}");
}

#[test]
fn long_lists_that_are_good_are_compared_soon() {
    let rule = |name: &str, key: &str, values: &str| {
        format!("[[rule]]\nname = \"{name}\"\npinned = true\n{key} = {values}\n")
    };
    for (key, values) in [
        (
            "destination",
            list(30_000, |n| format!("\"10.{}.{}.1\"", n >> 8, n & 255)),
        ),
        ("user", list(4_000, |n| n.to_string())),
        ("cgroup", list(4_000, |n| format!("\"/system.slice/a{n}\""))),
        ("executable", list(4_000, |n| format!("\"/usr/sbin/a{n}\""))),
        ("protocol", list(60_000, |_| "17".into())),
    ] {
        let begin = Instant::now();
        let text = rule("a", key, &values) + &rule("b", key, &values);
        let policy =
            Policy::parse(&text, "policy.toml").unwrap_or_else(|errors| panic!("{errors}"));
        let took = begin.elapsed();
        assert!(took < TOO_LONG, "{key}: {took:?}");
        assert_eq!(policy.warnings.len(), 1, "{key}");
        eprintln!("{key}: {took:?}");
    }
}

#[test]
fn many_warnings_are_counted_too() {
    let text = format!(
        "[zone.a]\ninterfaces = {}\n",
        list(9_000, |n| format!("\"a{n}@b\""))
    );
    let policy = Policy::parse(&text, "policy.toml").expect("a good one");
    assert_eq!(policy.warnings.len(), 101);
    assert_eq!(policy.warnings[100].brief(), "and 8900 more warnings");
}

#[test]
fn a_deep_pattern_is_an_error_at_its_place() {
    let pattern = "{a,".repeat(200) + &"}".repeat(200);
    let errors = errors_of(&format!(
        "[zone.a]\ninterfaces = [\"fab0\", \"{pattern}\"]\n"
    ));
    let problem = &errors.problems()[0];
    assert_eq!((problem.line(), problem.column()), (Some(2), Some(23)));
    assert!(
        problem.what().contains("longer than 256 bytes"),
        "{problem}"
    );
    let pattern = "{a,".repeat(20) + &"}".repeat(20);
    let errors = errors_of(&format!("[zone.a]\ninterfaces = \"{pattern}\"\n"));
    let problem = &errors.problems()[0];
    assert_eq!((problem.line(), problem.column()), (Some(2), Some(14)));
    assert!(
        problem
            .what()
            .ends_with("more than 8 `{` are inside each other"),
        "{problem}"
    );
}

/// The parser, and what drops its tree, call themselves once for each level.
#[test]
fn nothing_is_nested_so_deeply_that_the_stack_ends() {
    let dotted = |depth: usize| vec!["a"; depth].join(".");
    let inner = format!("{{{} = ", dotted(79));
    for text in [
        "a = ".to_owned() + &"[".repeat(500_000),
        "a = ".to_owned() + &"{a = ".repeat(100_000),
        format!("[{}]\n", dotted(400_000)),
        format!("{} = 1\n", dotted(400_000)),
        format!("{} = {}1{}\n", dotted(79), inner.repeat(79), "}".repeat(79)),
    ] {
        soon(&text);
    }
}
