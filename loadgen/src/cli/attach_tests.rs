//! What `attach` accepts, what it refuses, and in which words.

use std::ffi::OsString;

use swimring::protocol::SettingValue;
use swimring_codec::memberlist::SecretKey;

use crate::attach::tests::{check, options};
use crate::cli::{self, AttachOptions, Cli, PROGRAM};

fn faults(flags: &[&str]) -> String {
    check(flags).expect_err("the flags are refused").join("\n")
}

#[test]
fn the_defaults_are_gentle() {
    let options = options(&[]);
    assert_eq!((options.run.members, options.run.kills, options.run.events.per_second), (100, 0, 0.0));
    assert_eq!((options.ramp.per_second, options.churn.per_second), (20.0, 0.0));
    assert_eq!((options.port, options.port_wanted(), options.yes), (None, 7946, false));
    assert_eq!(options.join, ["127.0.0.1:7946"]);
    assert_eq!(options.datacenter, None);
}

#[test]
fn a_target_has_the_pools_port_unless_it_names_one() {
    let join = |flags: &[&str]| options(flags).join;
    let serf = join(&["--pool", "serf", "--join", "10.0.0.1,host,host:1,[::1]:2,::1"]);
    assert_eq!(serf, ["10.0.0.1:7946", "host:7946", "host:1", "[::1]:2", "[::1]:7946"]);
    let consul = options(&["--pool", "consul", "--join", "10.0.0.1"]);
    assert_eq!((consul.join, consul.datacenter), (vec!["10.0.0.1:8301".to_owned()], Some("dc1".to_owned())));
}

#[test]
fn flags_reach_the_options() {
    let options = options(&[
        "--pool",
        "consul",
        "--members",
        "200",
        "--ramp",
        "50/s",
        "--churn",
        "2/s",
        "--kill",
        "5",
        "--events",
        "1/s",
        "--encrypt",
        "MDEyMzQ1Njc4OWFiY2RlZg==",
        "--label",
        "shop",
        "--tag",
        "zone=b",
        "--tag",
        "note=a=b",
        "--catalog",
        "--port",
        "9000",
        "--name-prefix",
        "probe",
        "--yes",
        "--gossip-fanout",
        "4",
    ]);
    assert_eq!(options.key.as_ref().map(SecretKey::bytes), Some(&b"0123456789abcdef"[..]));
    assert_eq!((options.run.members, options.run.kills, options.port), (200, 5, Some(9000)));
    assert_eq!(options.tags, [("zone".to_owned(), "b".to_owned()), ("note".to_owned(), "a=b".to_owned())]);
    assert_eq!(options.run.protocol.get("gossip_fanout"), Some(SettingValue::Whole(4)));
    let settings = options.settings();
    assert_eq!((settings["encrypt"].as_bool(), settings["catalog"].as_bool()), (Some(true), Some(true)));
    assert!(!serde_json::to_string(&settings).unwrap().contains("MDEy"), "the key stays secret");
    assert_eq!(settings["tags"]["zone"], "b");
}

#[test]
fn every_fault_names_its_flag_and_the_mend() {
    for (flags, told) in [
        (&["--ramp", "0"][..], "--ramp 0/s: has to be above 0"),
        (&["--churn", "100/s"], "--churn 100/s: at most 3.3/s"),
        (&["--encrypt", "secret!"], "--encrypt: is not base64"),
        (&["--encrypt", "c2hvcnQ="], "--encrypt: has 5 bytes; a key has 16, 24 or 32"),
        (&["--encrypt", ""], "--encrypt: has 0 bytes; a key has 16, 24 or 32"),
        (
            &["--join", "http://10.0.0.1:8500/v1"],
            "--join http://10.0.0.1:8500/v1: no URL, but a member's own address and gossip port; leave out http:// \
             and what follows the host, like 10.0.0.1:7946",
        ),
        (
            &["--join", "10.0.0.0/8"],
            "--join 10.0.0.0/8: no path and no net, but an address; give it like 10.0.0.1",
        ),
        (
            &["--join", "host:serf"],
            "--join host:serf: the port has to be a number from 1 to 65535; give it like",
        ),
        (&["--join", "10.0.0.1:0"], "--join 10.0.0.1:0: the port has to be a number from 1 to 65535"),
        (&["--join", ""], "--join: an address is empty; give it like 10.0.0.1 or 10.0.0.1:7946"),
        (&["--label", "shop\n"], "--label: has the character '\\n' in it; leave it out"),
        (&["--label", "  "], "--label: has only blanks; leave it out"),
        (&["--datacenter", "dc1\n"], "--datacenter: has the character '\\n' in it; leave it out"),
        (&["--tag", "zone=a\0"], "--tag zone: has the character '\\0' in it; leave it out"),
        (&["--hlog", "-"], "--hlog -: only --json goes to standard output; name a file"),
        (&["--pool", "memberlist", "--tag", "a=b"], "--tag: plain memberlist has no tags"),
        (&["--pool", "memberlist", "--datacenter", "dc1"], "--datacenter: plain memberlist has no tags"),
        (
            &["--zone", "b"],
            "--zone b: memberlist's wire, which all these pools speak, knows no zones; leave it out, or say it in a \
             tag: --tag zone=b",
        ),
        (
            &["--zones", "3"],
            "--zones 3: memberlist's wire, which all these pools speak, knows no zones; leave it",
        ),
        (
            &["--pool", "memberlist", "--zone", "b"],
            "--zone b: memberlist's wire, which all these pools speak",
        ),
        (&["--catalog"], "--catalog: only Consul has a catalogue"),
        (&["--port", "0"], "--port 0: others have to know"),
        (&["--port", "65535", "--workers", "2"], "--port 65535: 2 workers need"),
        (&["--first-address", "255.255.255.250"], "--first-address 255.255.255.250: 100 members do not fit"),
        (&["--events", "1/s", "--event-bytes", "9"], "--event-bytes 9: at least 24"),
        (&["--kill", "100"], "--kill 100: somebody must be left"),
        (&["--name-prefix", "a b"], "--name-prefix 'a b': 1 to 64 letters"),
        (&["--join", ":7946"], "--join: an address is empty"),
        (&["--slo", "events.delivered_ratio==1"], "--slo events.delivered_ratio==1: not measured"),
    ] {
        let faults = faults(flags);
        assert!(faults.starts_with(told), "{flags:?}: {faults}");
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
}

#[test]
fn a_key_is_read_in_every_form_of_base64() {
    let plain = options(&["--encrypt", "+/v7+/v7+/v7+/v7+/v7+w=="]).key;
    for typed in ["+/v7+/v7+/v7+/v7+/v7+w", "-_v7-_v7-_v7-_v7-_v7-w==", "-_v7-_v7-_v7-_v7-_v7-w"] {
        assert!(options(&["--encrypt", typed]).key == plain, "{typed}");
    }
    assert_eq!(plain.unwrap().bytes(), [0xfb; 16]);
}

/// Whatever is wrong with the command line, and however what it was read into is printed.
#[test]
fn a_key_is_never_printed() {
    let key = "hunter2hunter2hunter2hu";
    assert!(!faults(&["--encrypt", key]).contains("hunter2"));
    let refused = |flags: &[&str]| {
        let line =
            [PROGRAM, "attach", "--pool", "serf", "--join", "a"].iter().chain(flags).map(OsString::from);
        let error = cli::parse(line).expect_err("the flags are refused");
        format!("{} {error:?}", error.lines::<Cli>().join(" "))
    };
    for flags in [
        &["--encrypt", key, "--nonsense"][..],
        &["--encrypt", key, "--members", "many"],
        &["--encrypt", key, "--encrypt", key],
        &["--encrypt-key", key],
        &["--encrypt-key=hunter2hunter2"],
    ] {
        assert!(!refused(flags).contains("hunter2"), "{}", refused(flags));
    }
    let line = [PROGRAM, "attach", "--pool", "serf", "--join", "a", "--encrypt", key].map(OsString::from);
    let typed = format!("{:?}", cli::parse(line).unwrap());
    assert!(typed.contains("TypedKey") && !typed.contains("hunter2"), "{typed}");
    let options = options(&["--encrypt", "MDEyMzQ1Njc4OWFiY2RlZg=="]);
    let shown = format!("{options:?} {:?}", crate::attach::identity::wire(&options));
    assert!(shown.contains("SecretKey(16 bytes)"), "{shown}");
    assert!(!shown.contains("48, 49") && !shown.contains("MDEy"), "{shown}");
}

#[test]
fn a_key_is_read_from_a_file_and_the_environment_and_typed_ones_are_warned_of() {
    let (key, other) = ("MDEyMzQ1Njc4OWFiY2RlZg==", "+/v7+/v7+/v7+/v7+/v7+w==");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.txt");
    std::fs::write(&path, format!("{key}\n")).unwrap();
    let file = path.to_str().unwrap();
    let bytes = |options: &AttachOptions| options.key.as_ref().map(|key| key.bytes().to_vec());
    let of = |flags: &[&str], variables: &[(&str, &str)]| {
        let line = [PROGRAM, "attach", "--pool", "serf", "--join", "127.0.0.1"];
        let line = line.iter().chain(flags).map(OsString::from);
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        match cli::parse_with(line, &variable).unwrap().command {
            cli::Command::Attach(attach) => attach.check(2).map_err(|faults| faults.join("\n")),
            _ => panic!("attach was meant"),
        }
    };
    let from_file = of(&["--encrypt-file", file], &[]).unwrap();
    assert_eq!((bytes(&from_file), from_file.run.doubts.len()), (Some(b"0123456789abcdef".to_vec()), 0));
    let from_environment = of(&[], &[("SWIMRING_ENCRYPT", key)]).unwrap();
    assert!(from_environment.key == from_file.key && from_environment.run.doubts.is_empty());
    // A file that is typed wins over a key of the environment.
    assert!(of(&["--encrypt-file", file], &[("SWIMRING_ENCRYPT", other)]).unwrap().key == from_file.key);

    let typed = of(&["--encrypt", key], &[("SWIMRING_ENCRYPT", other)]).unwrap();
    assert!(typed.key == from_file.key);
    assert_eq!(
        typed.run.doubts,
        [
            "--encrypt: everybody on this machine sees what is typed, in the list of processes; put the key into a file \
          and give --encrypt-file, or into SWIMRING_ENCRYPT"
        ]
    );
    for (flags, variables, told) in [
        (&["--encrypt-file", file, "--encrypt", key][..], &[][..], "--encrypt-file "),
        (&["--encrypt-file", "/nonexistent"], &[], "--encrypt-file /nonexistent: No such file"),
        (
            &["--encrypt-file", "/dev/zero"],
            &[],
            "--encrypt-file /dev/zero: more than 4096 bytes: no key file is",
        ),
        (&[], &[("SWIMRING_ENCRYPT", "hunter2!")], "SWIMRING_ENCRYPT: is not base64"),
        (
            &[],
            &[("SWIMRING_ENCRYPT_FILE", "/nonexistent")],
            "SWIMRING_ENCRYPT_FILE /nonexistent: No such file",
        ),
    ] {
        let fault = of(flags, variables).unwrap_err();
        assert!(fault.starts_with(told) && !fault.contains("hunter2") && !fault.contains("MDEy"), "{fault}");
    }
}

#[test]
fn what_is_odd_is_doubted_and_allowed() {
    let doubts = |flags: &[&str]| options(flags).run.doubts;
    assert_eq!(doubts(&[]), [""; 0]);
    assert_eq!(
        doubts(&["--label", "${POOL}", "--tag", "zone= b"]),
        [
            "--label: is `${POOL}`, letter by letter: nothing puts a value in its place here",
            "--tag zone: has blanks at an end: ` b`"
        ]
    );
    assert_eq!(
        doubts(&["--event-bytes", "50"]),
        ["--event-bytes 50: has no effect, for no events are sent; add --events 1/s"]
    );
}

#[test]
fn only_what_differs_from_a_plain_attachment_counts_as_changed() {
    use crate::report::changed_settings;
    let plain = options(&[]);
    assert_eq!(changed_settings(&plain.settings(), &plain.default_settings(2)), Vec::<String>::new());
    let changed = options(&["--members", "300", "--churn", "1/s", "--kill", "2"]);
    let names = changed_settings(&changed.settings(), &changed.default_settings(2));
    assert_eq!(names, ["churn_per_second", "kill", "members"]);
}

#[test]
fn one_member_is_enough_in_a_pool_of_others() {
    let one = options(&["--members", "1"]);
    assert_eq!((one.run.members, one.run.workers, one.run.kills), (1, 1, 0));
    assert_eq!(faults(&["--members", "0"]), "--members 0: nobody would join; at least 1");
    let told = faults(&["--members", "1", "--kill", "1", "--workers", "2"]);
    assert!(
        told.contains("--kill 1: somebody must be left") && told.contains("--workers 2: must be 1"),
        "{told}"
    );
}

#[test]
fn the_first_address_is_one_hosts() {
    for address in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255"] {
        let told = faults(&["--first-address", address, "--members", "1"]);
        assert!(told.starts_with(&format!("--first-address {address}: ")), "{told}");
    }
}

#[test]
fn objectives_on_real_members_are_for_attachments() {
    let slo = ["--slo", "real_members.total.failed==0"];
    assert_eq!(options(&slo).run.slos.len(), 1);
    let line = ["swimring-loadgen", "run"].into_iter().chain(slo).map(std::ffi::OsString::from);
    let Ok(crate::cli::Command::Run(run)) = crate::cli::parse(line).map(|cli| cli.command) else { panic!() };
    let told = run.check(2).unwrap_err();
    assert_eq!(
        told,
        ["--slo real_members.total.failed==0: not measured; needs attach: a run has no real members"]
    );
}
