use std::{collections::BTreeMap, fs};

use clap::CommandFactory as _;

use super::*;
use crate::cli::Cli;

/// What becomes of a command line, with an environment and a file.
struct Case {
    environment: BTreeMap<&'static str, &'static str>,
    file: Option<&'static str>,
}

impl Case {
    fn new(environment: &[(&'static str, &'static str)], file: &'static str) -> Self {
        Self {
            environment: environment.iter().copied().collect(),
            file: (!file.is_empty()).then_some(file),
        }
    }

    /// The arguments behind `pinif`; or what is wrong, with the file as `pinif.toml`.
    fn of(&self, given: &str) -> Result<String, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pinif.toml");
        let mut environment = self.environment.clone();
        let shown = path.to_string_lossy().into_owned();
        if let Some(text) = self.file {
            fs::write(&path, text).expect("a file");
            environment.insert("PINIF_CONFIG", &shown);
        }
        let given = given.split(' ').map(OsString::from).collect();
        let look_up = |name: &str| environment.get(name).map(OsString::from);
        let arguments = complete(Cli::command(), given, &look_up);
        let in_words = |arguments: Vec<OsString>| {
            let words: Vec<_> = arguments
                .iter()
                .skip(1)
                .map(|a| a.to_string_lossy())
                .collect();
            words.join(" ")
        };
        arguments.map(in_words).map_err(|error| {
            let text = match error.downcast_ref::<crate::policy::PolicyErrors>() {
                Some(errors) => errors.brief(),
                None => format!("{error:#}"),
            };
            text.replace(&shown, "pinif.toml")
        })
    }
}

#[test]
fn the_command_line_counts_before_the_environment_and_that_before_the_file() {
    let file = "[audit]\nfail-on = \"risk\"\nduration = \"3s\"\nformat = \"json\"\n";
    let environment = [
        ("PINIF_AUDIT_FAIL_ON", "never"),
        ("PINIF_AUDIT_DURATION", "2s"),
    ];
    let case = Case::new(&environment, file);
    assert_eq!(
        case.of("pinif audit --duration 1s"),
        Ok("audit --fail-on=never --format=json --duration 1s".to_owned())
    );
    assert_eq!(
        Case::new(&[], file).of("pinif audit"),
        Ok("audit --fail-on=risk --duration=3s --format=json".to_owned())
    );
    assert_eq!(
        Case::new(&environment, "").of("pinif audit"),
        Ok("audit --duration=2s --fail-on=never".to_owned())
    );
    assert_eq!(Case::new(&[], "").of("pinif audit"), Ok("audit".to_owned()));
}

#[test]
fn a_file_that_is_named_counts_before_the_one_of_the_environment() {
    let directory = tempfile::tempdir().expect("a directory");
    let named = directory.path().join("other.toml");
    fs::write(&named, "[audit]\nforesee = true\n").expect("a file");
    let case = Case::new(&[], "[audit]\nall-netns = true\n");
    let named = named.display();
    assert_eq!(
        case.of(&format!("pinif --config {named} audit")),
        Ok(format!("--config {named} audit --foresee"))
    );
    assert_eq!(
        case.of(&format!("pinif audit --config={named}")),
        Ok(format!("audit --config={named} --foresee"))
    );
}

#[test]
fn false_takes_away_what_a_later_place_would_add() {
    let case = Case::new(
        &[
            ("PINIF_AUDIT_ENFORCE", "false"),
            ("PINIF_AUDIT_PERSIST", "false"),
        ],
        "[audit]\nenforce = true\npersist = \"/run/bpf\"\n",
    );
    assert_eq!(case.of("pinif audit"), Ok("audit".to_owned()));
    let case = Case::new(
        &[("PINIF_AUDIT_PERSIST", "true")],
        "[audit]\nenforce = false\n",
    );
    assert_eq!(case.of("pinif audit"), Ok("audit --persist".to_owned()));
    let case = Case::new(&[], "[audit]\npersist = \"/run/bpf\"\n");
    assert_eq!(
        case.of("pinif audit"),
        Ok("audit --persist=/run/bpf".to_owned())
    );
}

#[test]
fn what_may_be_repeated_is_a_list_and_in_the_environment_words() {
    let expected = "audit --netns=card --netns=card-* --interface=fab{0,1}".to_owned();
    let file = "[audit]\nnetns = [\"card\", \"card-*\"]\ninterface = \"fab{0,1}\"\n";
    assert_eq!(Case::new(&[], file).of("pinif audit"), Ok(expected.clone()));
    let environment = [
        ("PINIF_AUDIT_NETNS", "card  card-*"),
        ("PINIF_AUDIT_INTERFACE", "fab{0,1}"),
        ("PINIF_AUDIT_ALL_NETNS", ""),
    ];
    assert_eq!(Case::new(&environment, "").of("pinif audit"), Ok(expected));
}

#[test]
fn what_is_excluded_by_what_counts_more_is_left_out() {
    let case = Case::new(
        &[("PINIF_AUDIT_NETNS", "card")],
        "[audit]\nall-netns = true\n",
    );
    assert_eq!(case.of("pinif audit"), Ok("audit --netns=card".to_owned()));
    assert_eq!(
        case.of("pinif audit --all-netns"),
        Ok("audit --all-netns".to_owned())
    );
    let case = Case::new(&[], "[pin]\nformat = \"json\"\ninterface = \"fab0\"\n");
    assert_eq!(
        case.of("pinif pin --list"),
        Ok("pin --format=json --list".to_owned())
    );
}

#[test]
fn what_a_command_must_have_may_come_from_elsewhere() {
    let case = Case::new(
        &[("PINIF_RUN_INTERFACE", "fab0")],
        "[pin]\ninterface = \"fab0\"\ncgroup = \"/sys/fs/cgroup/a\"\n",
    );
    assert_eq!(
        case.of("pinif run -- ping --config x"),
        Ok("run --interface=fab0 -- ping --config x".to_owned())
    );
    assert_eq!(
        case.of("pinif pin"),
        Ok("pin --interface=fab0 --cgroup=/sys/fs/cgroup/a".to_owned())
    );
}

#[test]
fn the_order_of_a_file_means_nothing() {
    let otlp = "otlp = \"http://10.90.0.100:4318\"\n";
    let token = "otlp-token = \"token\"\n";
    let history = "history = \"h.db\"\n";
    for lines in [
        [token, otlp, history],
        [otlp, token, history],
        [history, otlp, token],
        [otlp, history, token],
    ] {
        let file = format!("[serve]\n{}", lines.concat());
        let said = Case::new(&[], file.leak()).of("pinif serve").expect("all");
        let mut words: Vec<_> = said.split(' ').collect();
        words.sort_unstable();
        assert_eq!(
            words.join(" "),
            "--history=h.db --otlp-token=token --otlp=http://10.90.0.100:4318 serve"
        );
    }
    let case = Case::new(
        &[],
        "[serve]\nexec-timeout = \"1s\"\nexec = \"/bin/true\"\n",
    );
    assert_eq!(
        case.of("pinif serve"),
        Ok("serve --exec-timeout=1s --exec=/bin/true".to_owned())
    );
}

#[test]
fn what_belongs_together_may_be_set_in_two_places_and_is_refused_alone() {
    let otlp = [("PINIF_SERVE_OTLP", "http://10.90.0.100:4318")];
    let all = Ok("serve --otlp=http://10.90.0.100:4318 --history=h.db".to_owned());
    let case = Case::new(&otlp, "[serve]\nhistory = \"h.db\"\n");
    assert_eq!(case.of("pinif serve"), all);
    assert_eq!(
        Case::new(&otlp, "").of("pinif serve"),
        Err("PINIF_SERVE_OTLP in the environment: it wants `--history` beside it, which is set nowhere".to_owned())
    );
    let case = Case::new(&[], "[serve]\nhistory-size = \"8M\"\n");
    assert_eq!(
        case.of("pinif serve"),
        Err(
            "pinif.toml:2:16: `history-size`: it wants `--history` beside it, which is set nowhere"
                .to_owned()
        )
    );
    assert_eq!(
        case.of("pinif serve --history h.db"),
        Ok("serve --history-size=8M --history h.db".to_owned())
    );
    // What `--undo` excludes. What is there for that alone stays: clap takes it then, and nothing comes of it.
    let pin = "[pin]\nformat = \"json\"\nallow-rebind = true\ninterface = \"fab0\"\n";
    assert_eq!(
        Case::new(&[], pin).of("pinif pin --undo --cgroup /sys/fs/cgroup/a"),
        Ok("pin --format=json --allow-rebind --undo --cgroup /sys/fs/cgroup/a".to_owned())
    );
}

#[test]
fn what_excludes_itself_in_one_place_is_an_error_there() {
    let case = Case::new(&[], "[audit]\nall-netns = true\nnetns = \"card\"\n");
    let error = case.of("pinif audit").expect_err("both");
    assert!(error.starts_with("pinif.toml:3:9: `netns`: "), "{error}");
}

#[test]
fn a_wrong_key_is_named_with_its_file_its_line_and_what_was_meant() {
    let error =
        |file: &'static str, given: &str| Case::new(&[], file).of(given).expect_err("an error");
    assert_eq!(
        error("[audit]\n\nenforc = true\n", "pinif doctor"),
        "pinif.toml:3:1: `pinif audit` has no option `enforc`; did you mean `enforce`?"
    );
    assert_eq!(
        error("[audi]\nenforce = true\n", "pinif audit"),
        "pinif.toml:1:2: unknown command `audi`; did you mean `audit`?"
    );
    assert_eq!(
        error("[audit]\nenforce = \"yes\"\n", "pinif audit"),
        "pinif.toml:2:11: `enforce` takes `true` or `false`"
    );
    assert_eq!(
        error("audit = 1\n", "pinif audit"),
        "pinif.toml:1:9: `audit` is a command, and not an option; put its options below `[audit]`"
    );
    assert_eq!(
        error("[audit]\nfail-on = \"leaks\"\n", "pinif audit"),
        "pinif.toml:2:11: `fail-on`: `leaks` is none of leak, risk, never"
    );
    let duration = error("[audit]\nduration = \"soon\"\n", "pinif audit");
    assert!(
        duration.starts_with("pinif.toml:2:12: `duration`: `soon` is no time;"),
        "{duration}"
    );
    let twice = error("[audit]\nenforce = true\nenforce = true\n", "pinif audit");
    assert!(
        twice.starts_with("pinif.toml:3:1: not valid TOML: "),
        "{twice}"
    );
    assert!(error("[audit\n", "pinif audit").starts_with("pinif.toml:1:"));
    for hidden in ["[demo-daemon]\n", "[help]\n", "config = \"a\"\n"] {
        assert!(
            error(hidden, "pinif audit").contains("unknown command"),
            "{hidden}"
        );
    }
}

#[test]
fn a_wrong_value_of_the_environment_is_named_with_its_variable() {
    let error = |name, value, given: &str| {
        Case::new(&[(name, value)], "")
            .of(given)
            .expect_err("an error")
    };
    assert_eq!(
        error("PINIF_AUDIT_ENFORCE", "yes", "pinif audit"),
        "PINIF_AUDIT_ENFORCE in the environment: `yes` is neither `true` nor `false`"
    );
    assert_eq!(
        error("PINIF_AUDIT_FAIL_ON", "leaks", "pinif audit"),
        "PINIF_AUDIT_FAIL_ON in the environment: `leaks` is none of leak, risk, never"
    );
    let missing = error("PINIF_CONFIG", "/nowhere/pinif.toml", "pinif audit");
    assert_eq!(
        missing,
        "cannot read /nowhere/pinif.toml: there is no such file; create it, or name the file that the configuration is in"
    );
}

#[test]
fn a_password_in_a_wrong_url_is_shown_nowhere() {
    let wrong = "http://user:hunter2@10.0.0.1:99999";
    let case = Case::new(&[("PINIF_SERVE_OTLP", wrong)], "");
    let of_environment = case.of("pinif serve").expect_err("no port");
    assert!(
        of_environment.starts_with(
            "PINIF_SERVE_OTLP in the environment: `http://…@10.0.0.1:99999` is no URL"
        ),
        "{of_environment}"
    );
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pinif.toml");
    fs::write(&path, format!("[serve]\notlp = \"{wrong}\"\n")).expect("a file");
    let given = ["pinif", "serve", "--config"].map(OsString::from);
    let given = [&given[..], &[path.clone().into()]].concat();
    let error = complete(Cli::command(), given, &|_| None).expect_err("no port");
    let of_file = format!("{error:#}");
    assert!(
        of_file.contains("line 2: `otlp`: `http://…@10.0.0.1:99999` is no URL"),
        "{of_file}"
    );
    let of_line = Cli::command()
        .try_get_matches_from(["pinif", "serve", "--history=h", &format!("--otlp={wrong}")])
        .expect_err("no port")
        .to_string();
    assert!(
        of_line.contains("`http://…@10.0.0.1:99999` is no URL"),
        "{of_line}"
    );
    for said in [of_environment, of_file, of_line] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_is_wrong_with_the_command_line_is_left_to_clap() {
    let case = Case::new(&[("PINIF_AUDIT_ENFORCE", "yes")], "[nonsense]\n");
    for given in [
        "pinif",
        "pinif --help",
        "pinif audit --help",
        "pinif audit --nonsense",
        "pinif nonsense",
    ] {
        let behind = given.strip_prefix("pinif").unwrap_or_default().trim();
        assert_eq!(case.of(given), Ok(behind.to_owned()));
    }
}

#[test]
fn each_option_of_each_command_can_be_set_in_both() {
    fn walk(command: &Command, names: &mut Vec<String>, seen: &mut Vec<String>) {
        for option in command.get_arguments().filter(is_option) {
            let long = option.get_long().unwrap_or_default();
            seen.push(format!("{} {long}", names.join(" ")));
        }
        for sub in command.get_subcommands() {
            names.push(sub.get_name().to_owned());
            walk(sub, names, seen);
            names.pop();
        }
    }
    let mut seen = Vec::new();
    walk(&Cli::command(), &mut Vec::new(), &mut seen);
    for option in [
        "audit policy",
        "audit log-level",
        "pin refresh",
        "run interface",
        "detach persist",
    ] {
        assert!(seen.iter().any(|seen| seen == option), "{option}: {seen:?}");
    }
    // The environment's names are distinct.
    let mut variables: Vec<_> = seen
        .iter()
        .map(|name| name.replace([' ', '-'], "_"))
        .collect();
    variables.sort();
    let number = variables.len();
    variables.dedup();
    assert_eq!(variables.len(), number);
}
