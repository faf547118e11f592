//! Where an auditor listens: never in another's place, and nothing is left of it.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::Path,
};

use super::asked::Place;
use crate::bench::{Pinif, scenario};

#[test]
fn a_socket_is_nobody_elses_and_goes_with_its_auditor() {
    scenario("control places", &[], |bench| {
        let place = Place::new();
        let command = || {
            let setup = bench
                .auditor()
                .arguments([Path::new("--socket"), place.path()]);
            setup.into_command()
        };
        let first = place.audit(bench, &[]);
        let metadata = fs::symlink_metadata(place.path()).expect("it is there");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o660);

        let second = Pinif::start(command()).end();
        assert_eq!(second.status.code(), Some(1));
        let message = second.stderr.join("\n");
        let holder = format!(
            "another auditor (pid {}) listens at {}",
            first.pid(),
            place.path().display()
        );
        assert!(message.contains(&holder), "{message}");
        assert!(
            message.contains("--socket") && message.contains("--no-socket"),
            "{message}"
        );
        assert_eq!(
            place.get("/v1/status").0,
            200,
            "the first one still answers"
        );

        // One that is killed leaves its socket, which the next one takes.
        first.kill();
        assert!(place.path().exists());
        let third = place.audit(bench, &[]);
        assert_eq!(place.get("/v1/status").0, 200);
        third.stop();
        assert!(!place.path().exists());
        let left = fs::read_dir(place.path().parent().expect("a folder")).expect("a folder");
        assert_eq!(left.count(), 0, "nothing is left");

        // What is no auditor's socket stays.
        let _other = UnixListener::bind(place.path()).expect("a socket");
        let refused = Pinif::start(command()).end();
        assert_eq!(refused.status.code(), Some(1));
        fs::remove_file(place.path()).expect("it is there");
        fs::write(place.path(), "a file").expect("it is written");
        let refused = Pinif::start(command()).end();
        assert!(
            refused.stderr.join("\n").contains("is no socket"),
            "{refused:?}"
        );
        assert_eq!(
            fs::read_to_string(place.path()).expect("it is there"),
            "a file"
        );
    });
}
