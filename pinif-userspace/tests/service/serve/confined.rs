//! All that it does, as `contrib/pinif-serve.service` confines it: without a capability, and with the system calls that it lists.

use std::{fs, process::Command};

use nix::sys::signal::Signal;

use super::{
    issued::{Authority, Folder, set_mode},
    secured::{NAME, Secure, TOKEN, value},
};
use crate::{
    bench::{leak, scenario},
    confined::{filter::confine, unit::Unit},
    control::asked::{LEAK, Place},
};

#[test]
fn the_shipped_unit_allows_tls_the_history_and_a_program() {
    scenario("serve confined", &[], |bench| {
        let place = Place::new();
        let mut auditor = place.audit(bench, &[]);
        let folder = Folder::new();
        let written = folder.path("written");
        folder.put("tokens", TOKEN);
        let program = format!("#!/bin/sh\necho $PINIF_KIND >{}\n", written.display());
        set_mode(&folder.put("program", &program), 0o700);
        let authority = Authority::new("cards");
        let own = authority.issue(&[NAME]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pinif"));
        confine(&mut command, &Unit::of_serve(), &[]);
        let more = [
            ("--token-file", "tokens"),
            ("--exec", "program"),
            ("--history", "history.db"),
        ];
        let mut secure = Secure::of(&place, authority, &own, folder, &more, command);
        secure.served.wait_until_heard();
        let status = fs::read_to_string(format!("/proc/{}/status", secure.served.pinif.pid()));
        let status = status.expect("it runs");
        for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.lines().any(|is| is == line), "{line}: {status}");
        }
        let sent = bench.send(&format!("{LEAK} --count 1"));
        auditor.wait_for_finding("device-escape");
        let text = secure.served.until("the call", |_| {
            let text = secure.metrics();
            let calls = value(&text, "pinif_serve_exec_calls_total{outcome=\"succeeded\"}");
            (calls > 0).then_some(text)
        });
        for outcome in ["failed", "timed-out", "not-started"] {
            let name = format!("pinif_serve_exec_calls_total{{outcome=\"{outcome}\"}}");
            assert_eq!(value(&text, &name), 0, "{outcome}");
        }
        assert_eq!(value(&text, "pinif_history_writable"), 1);
        assert_eq!(
            fs::read_to_string(written).expect("it was called"),
            "device-escape\n"
        );
        secure
            .folder
            .put_certificate(&secure.authority.issue(&[NAME]));
        let in_force = "the files of certificates and tokens is in force";
        secure.served.pinif.wait_for_note(in_force);
        secure.served.pinif.signal(Signal::SIGHUP);
        secure.served.pinif.wait_for_note(in_force);
        secure.served.stop();
        let finding = leak("device-escape").bound("fab0").egress("eth1");
        let report = auditor.stop();
        report
            .expect()
            .finding(finding.packets(1).by(&sent))
            .nothing_else();
    });
}
