//! What the command line accepts, what it refuses, and in which words.

use std::time::Duration;

use swimring::protocol::SettingValue;

use super::*;

fn run(flags: &[&str]) -> RunArguments {
    match parse_all(flags).expect("the flags are accepted").command {
        Command::Run(arguments) => *arguments,
        _ => panic!("run was meant"),
    }
}

fn parse_all(flags: &[&str]) -> Result<Cli, Refusal> {
    parse([PROGRAM].iter().chain(flags).map(OsString::from))
}

fn options(flags: &[&str]) -> RunOptions {
    run(flags).check(2).expect("the options are accepted")
}

/// The faults of a check, one per line.
fn faults(flags: &[&str]) -> String {
    run(flags).check(2).expect_err("the options are refused").join("\n")
}

fn refusal(flags: &[&str]) -> String {
    parse_all(flags).expect_err("the flags are refused").lines::<Cli>().join("\n")
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    command().debug_assert();
}

#[test]
fn nothing_at_all_means_ten_thousand_members_for_thirty_seconds() {
    let bare = options(&[]);
    assert_eq!((bare.members, bare.duration), (10_000, Duration::from_secs(30)));
    assert_eq!((bare.kills, bare.events.per_second, bare.workers), (10, 1.0, 2));
    assert_eq!(bare, options(&["run"]));
    assert_eq!(bare, options(&["--members", "10000", "--duration", "30s"]));
    assert_eq!(bare, options(&["run", "--members=10000", "-d", "30s"]));
}

#[test]
fn flags_reach_the_options() {
    let options = options(&[
        "--members",
        "500",
        "--workers",
        "3",
        "--driver",
        "io_uring",
        "--start",
        "cold",
        "--seeds",
        "4",
        "--kill",
        "7",
        "--events",
        "30/m",
        "--loss",
        "2%",
        "--seed",
        "9",
        "--preset",
        "wan",
        "--port",
        "7000",
        "--no-segmentation",
        "--slo",
        "false_deaths==0",
        "--slo",
        "detection_s.all.max<=30",
        "--gossip-fanout",
        "5",
        "--metrics",
        "127.0.0.1:9100",
        "--json",
        "-",
    ]);
    assert_eq!((options.workers, options.seeds, options.kills, options.seed), (3, 4, 7, 9));
    assert_eq!(
        (options.driver, options.start, options.preset),
        (DriverChoice::IoUring, Start::Cold, Preset::Wan)
    );
    assert_eq!((options.events.per_second, options.loss, options.port), (0.5, 0.02, 7000));
    assert_eq!((options.segmentation, options.slos.len()), (false, 2));
    assert_eq!(options.protocol.get("gossip_fanout"), Some(SettingValue::Whole(5)));
    assert_eq!(options.settings()["loss"], 0.02);
    assert_eq!(options.settings()["start"], "cold");
}

#[test]
fn kills_may_lie_in_a_first_part() {
    assert_eq!(options(&["--kill", "3", "--kill-within", "0s"]).kill_within, Some(Duration::ZERO));
    let told = options(&["--kill", "3", "--kill-within", "2s"]).settings();
    assert_eq!(told["kill_within_s"], 2.0);
    assert!(!options(&["--kill", "3"]).settings().contains_key("kill_within_s"));
    assert_eq!(
        faults(&["--kill", "0", "--kill-within", "1s"]),
        "--kill-within 1s: nobody is killed; add --kill 1 or more"
    );
    assert_eq!(
        faults(&["--duration", "30s", "--kill-within", "21s"]),
        "--kill-within 21s: at most 20s, two thirds of --duration"
    );
}

#[test]
fn small_fleets_kill_fewer_and_have_fewer_workers_by_default() {
    assert_eq!(options(&["--members", "50"]).kills, 5);
    assert_eq!(options(&["--members", "5"]).kills, 0);
    assert_eq!(options(&["--members", "1000000"]).kills, 10);
    assert_eq!(run(&["--members", "1000"]).check(64).unwrap().workers, 1);
    assert_eq!(run(&["--members", "1001"]).check(64).unwrap().workers, 2);
    assert_eq!(run(&["--members", "100000"]).check(64).unwrap().workers, 64);
}

#[test]
fn every_fault_is_named_with_its_mend() {
    assert_eq!(faults(&["--members", "0"]), "--members 0: a cluster has 2 members or more");
    assert_eq!(faults(&["--members", "1"]), "--members 1: a cluster has 2 members or more");
    assert_eq!(faults(&["--duration", "0s"]), "--duration 0: nothing would be measured; give it like 30s");
    assert_eq!(
        faults(&["--members", "10", "--kill", "10"]),
        "--kill 10: somebody must be left to notice; at most 9"
    );
    assert_eq!(faults(&["--members", "3", "--workers", "4"]), "--workers 4: must be 1 to 3 here");
    assert_eq!(faults(&["--workers", "0"]), "--workers 0: must be 1 to 1024 here");
    assert_eq!(
        faults(&["--members", "9", "--start", "cold", "--seeds", "0"]),
        "--seeds 0: must be 1 to 8 here"
    );
    assert_eq!(faults(&["--port", "65535"]), "--port 65535: 2 workers need a port up to 65534, or 0");
    assert_eq!(
        faults(&["--bind", "ff02::1"]),
        "--bind ff02::1: an address of many; give one of this machine's own"
    );
    assert_eq!(faults(&["--members", "4000001"]), "--members 4000001: at most 4000000");
    assert_eq!(faults(&["--event-bytes", "509"]), "--event-bytes 509: an event carries 4 to 508");
    assert_eq!(faults(&["--event-bytes", "3"]), "--event-bytes 3: an event carries 4 to 508");
    assert!(options(&["--event-bytes", "0", "--events", "0"]).events.per_second == 0.0);
    assert_eq!(
        faults(&["--gossip-interval-ms", "0"]),
        "--gossip-interval-ms 0: has to be between 1 and 60000"
    );
    assert_eq!(
        faults(&["--stream-timeout-ms", "0"]),
        "--stream-timeout-ms 0: has to be between 1 and 3600000"
    );
    assert_eq!(
        faults(&["--metrics", "127.0.0.1:0"]),
        "--metrics 127.0.0.1:0: nobody would know the port; name one"
    );
    assert_eq!(
        faults(&["--json", "a", "--hlog", "a"]),
        "--hlog a: --json writes there too; name another file"
    );
    assert_eq!(
        faults(&["--events", "1000000/s"]),
        "--events 1000000/s: 20000000 events in one run; at most 1000000"
    );
    assert!(faults(&["--duration", "1year"]).starts_with("--duration 1year: at most 1month"));
}

#[test]
fn numbers_and_addresses_are_read_as_people_write_them() {
    assert_eq!(options(&["-n", "10k"]).members, 10_000);
    assert_eq!(options(&["-n", "10,000", "--kill", "10"]).members, 10_000);
    assert_eq!(options(&["--bind", "localhost"]).bind.to_string(), "127.0.0.1");
    assert_eq!(options(&["--bind", "::ffff:127.0.0.1"]).bind.to_string(), "127.0.0.1");
    assert_eq!(options(&["--metrics", "localhost:9100"]).metrics.unwrap().to_string(), "127.0.0.1:9100");
}

#[test]
fn a_flag_that_changes_nothing_is_refused_or_doubted() {
    for (flags, told) in [
        (&["--seeds", "3"][..], "--seeds 3: nobody joins in a warm start; add --start cold, or leave it out"),
        (&["--zone-rtt-ms", "40"], "--zone-rtt-ms 40: there are no zones; add --zones 2 or more"),
        (&["--zones-untold"], "--zones-untold: there are no zones; add --zones 2 or more"),
        (&["--zones", "256"], "--zones 256: must be 1 to 255"),
        (&["--zones", "3", "--zone-rtt-ms", "1001"], "--zone-rtt-ms 1001: at most 1000"),
        (
            &["--wire", "memberlist", "--zones", "3"],
            "--zones 3: memberlist's wire knows no zones; leave --wire memberlist out, or this",
        ),
        (
            &["--first-address", "127.20.0.1"],
            "--first-address 127.20.0.1: members share --bind on the native wire; add --wire memberlist, or leave it \
             out",
        ),
        (
            &["--wire", "memberlist", "--bind", "127.0.0.1"],
            "--bind 127.0.0.1: members have addresses of their own on memberlist's wire; give --first-address",
        ),
        (
            &["--bind", "0.0.0.0"],
            "--bind 0.0.0.0: stands for every address, and members have to be sent to at one; give one of this \
             machine's own, like 127.0.0.1",
        ),
        (
            &["--bind", "::"],
            "--bind ::: stands for every address, and members have to be sent to at one; give one of this machine's \
             own, like 127.0.0.1",
        ),
        (&["--hlog", "-"], "--hlog -: only --json goes to standard output; name a file"),
    ] {
        assert_eq!(faults(flags), told);
    }
    for (flags, told) in [
        (&[][..], &[][..]),
        (
            &["--events", "0", "--event-bytes", "50"],
            &["--event-bytes 50: has no effect, for no events are sent; add --events 1/s"],
        ),
        (
            &["--wire", "memberlist", "--no-segmentation"],
            &["--no-segmentation: has no effect, for memberlist's wire sends nothing else"],
        ),
        (
            &["--suspicion-floor-ms", "500", "--false-death-bound", "1e-3", "--suspicion", "lifeguard"],
            &[
                "--suspicion-floor-ms 500: has no effect with --suspicion lifeguard",
                "--false-death-bound 0.001: has no effect with --suspicion lifeguard",
            ],
        ),
        (&["--suspicion-floor-ms", "500", "--suspicion", "adaptive"], &[]),
        (
            &["--dissemination", "gossip", "--delegation-bits", "3"],
            &["--delegation-bits 3: has no effect with --dissemination gossip"],
        ),
        (&["--delegation-bits", "3"], &[]),
        (
            &["--wire", "memberlist", "--dissemination", "delegated"],
            &["--dissemination delegated: has no effect, for memberlist's wire gossips"],
        ),
        (&["--wire", "memberlist", "--dissemination", "gossip"], &[]),
    ] {
        assert_eq!(options(flags).doubts, told, "{flags:?}");
    }
}

#[test]
fn several_faults_are_all_told() {
    let told = faults(&["--members", "10", "--kill", "12", "--duration", "0s"]);
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn an_objective_on_what_the_run_does_not_measure_is_a_fault() {
    assert_eq!(
        faults(&["--slo", "convergence_s<10"]),
        "--slo convergence_s<10: not measured; needs --start cold"
    );
    assert!(faults(&["--kill", "0", "--slo", "detection_s.all.max<30"]).ends_with("needs --kill 1 or more"));
    assert!(
        faults(&["--events", "0", "--slo", "events.delivered_ratio==1"]).ends_with("needs --events above 0")
    );
    assert!(options(&["--start", "cold", "--slo", "convergence_s<10"]).slos.len() == 1);
}

#[test]
fn refusals_are_one_line_that_names_the_flag() {
    let cases: [(&[&str], &str); 15] = [
        (
            &["--membres", "3"],
            "unexpected argument '--membres' found; a similar argument exists: '--members'",
        ),
        (&["--loss", "100%"], "invalid value '100%' for '--loss <SHARE>': must be less than 100 %"),
        (
            &["--duration", "30"],
            "invalid value '30' for '--duration <TIME>': a duration needs a unit: write 30s",
        ),
        (
            &["--members", "many"],
            "invalid value 'many' for '--members <COUNT>': not a whole number: write it like 10000, 10,000 or 10k",
        ),
        (
            &["--driver", "epoll"],
            "invalid value 'epoll' for '--driver <DRIVER>' [possible values: auto, io_uring, mmsg]",
        ),
        (
            &["--slo", "probe_rtt.p99<5"],
            "invalid value 'probe_rtt.p99<5' for '--slo <EXPRESSION>': no measurement",
        ),
        (
            &["--members", "5000M"],
            "invalid value '5000M' for '--members <COUNT>': too large: at most 4294967295",
        ),
        (
            &["--probe-interval-ms", "1s"],
            "invalid value '1s' for '--probe-interval-ms <MS>': not a whole number of milliseconds: write 1000",
        ),
        (
            &["--false-death-bound", "never"],
            "invalid value 'never' for '--false-death-bound <CHANCE>': not a number: write it like 12, 0.5 or 1e-6",
        ),
        (
            &["--port", "http"],
            "invalid value 'http' for '--port <PORT>': not a port: write a number from 1 to 65535",
        ),
        (
            &["--bind", "eth0"],
            "invalid value 'eth0' for '--bind <ADDRESS>': not an IP address: write it like 127.0.0.1, ::1 or localhost",
        ),
        (
            &["--metrics", ":9100"],
            "invalid value ':9100' for '--metrics <ADDRESS:PORT>': the address is missing: write it like \
             127.0.0.1:9100, or 0.0.0.0:9100 for every address of this machine",
        ),
        (
            &["--first-address", "::1"],
            "invalid value '::1' for '--first-address <ADDRESS>': only IPv4 here: write it like 127.10.0.1",
        ),
        (&["rnu"], "no command rnu; the commands are: run, attach, report"),
        (&["report"], "the following required arguments were not provided: <FILE>..."),
    ];
    for (flags, start) in cases {
        let line = refusal(flags);
        assert!(line.starts_with(start), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn help_names_every_flag_and_shows_examples() {
    let mut command = command();
    let run = command.find_subcommand_mut("run").unwrap();
    let help = run.render_long_help().to_string();
    for name in protocol::declared().map(|setting| setting.name) {
        assert!(help.contains(&format!("--{}", name.replace('_', "-"))), "{name}");
    }
    assert!(help.contains("Examples:") && command.render_help().to_string().contains("Exit status:"));
}
