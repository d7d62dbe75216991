//! Objectives as they are typed, in flags and in files, and what is refused in which words.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Bare {
    #[command(flatten)]
    objective: ObjectiveArguments,
}

fn typed(flags: &str) -> ObjectiveArguments {
    let flags = std::iter::once("tune").chain(flags.split_whitespace());
    Bare::try_parse_from(flags).unwrap_or_else(|error| panic!("{error}")).objective
}

#[test]
fn the_flags_of_the_readme_make_an_objective() {
    let objective = typed(
        "--members 20000 --loss 1% --rtt-ms 0.5 --detect-p99 5s --max-bytes-per-second 2000 \
         --false-deaths-per-day 0.01",
    )
    .check()
    .unwrap();
    assert_eq!((objective.members, objective.network.loss, objective.network.rtt_ms), (20_000, 0.01, 0.5));
    let limits: Vec<String> = objective.limits.iter().map(Limit::typed).collect();
    assert_eq!(limits, ["detect-p99 5s", "max-bytes-per-second 2000", "false-deaths-per-day 0.01"]);
    assert_eq!((objective.minimise, objective.target), (Measure::Bytes, Target::Swimring));
    assert_eq!(objective.describe_network(), "20,000 members, 1 % loss, round trip 0.500 ms (sigma 0.3)");
}

#[test]
fn a_file_says_the_same_and_flags_win() {
    let file = ObjectiveArguments::parse(
        "members = 500\nloss = \"2%\"\ndetect_p99 = \"10s\"\nrtt_ms = 1\nfor = \"consul\"\nminimise = \"cpu\"",
    )
    .unwrap();
    let objective = typed("--members 600").or(file.clone()).check().unwrap();
    assert_eq!((objective.members, objective.network.loss), (600, 0.02));
    assert_eq!((objective.minimise, objective.target), (Measure::Cpu, Target::Consul));
    let with_regions = typed("--regions builtin").or(file).check().unwrap();
    assert!(with_regions.network.regions.is_some());
}

#[test]
fn zones_that_were_measured_can_be_left_out() {
    let measured =
        ObjectiveArguments::parse("members = 500\ndetect_p99 = \"10s\"\nzones = 3\nzone_rtt_ms = 40")
            .unwrap();
    let zoned = typed("--rtt-ms 1").or(measured.clone()).check().unwrap();
    assert_eq!((zoned.network.zones, zoned.network.zone_rtt_ms), (3, 40.0));
    let flat = typed("--zones 1").or(measured).check().unwrap();
    assert_eq!((flat.network.zones, flat.network.zone_rtt_ms), (1, 0.0));
}

#[test]
fn what_nobody_asked_for_is_marked_as_a_default() {
    let objective = typed("--members 10 --detect-p99 5s").check().unwrap();
    let limit = objective.limit(Measure::FalseDeaths).unwrap();
    assert!(limit.default && limit.most == FALSE_DEATHS_DEFAULT);
    let cores = typed("--members 1000 --detect-p99 5s --max-cores 0.5").check().unwrap();
    assert_eq!(cores.limit(Measure::Cpu).unwrap().most, 500.0);
}

#[test]
fn nonsense_is_one_clear_line() {
    for (flags, fault) in [
        ("--detect-p99 5s", "--members: say how many members the cluster has, like --members 20000"),
        ("--members 0 --detect-p99 5s", "--members: has to be between 2 and 1,000,000, and is 0"),
        (
            "--members 9 --loss 96% --detect-p99 5s",
            "--loss: at most 95 %: with more, nothing can be detected",
        ),
        (
            "--members 9 --detect-p99 5s --max-bytes-per-second -5",
            "--max-bytes-per-second: has to be more than zero, and is -5",
        ),
        (
            "--members 9 --detect-p99 5s --false-deaths-per-day 0",
            "--false-deaths-per-day: has to be more than zero, and is 0",
        ),
        (
            "--members 9 --detect-p99 5s --detect-p50 6s",
            "--detect-p99: 5 s is below --detect-p50, 6 s, and it cannot be: raise the one or lower the other",
        ),
        (
            "--members 9 --detect-p99 5s --detect-all-p99 4s",
            "--detect-all-p99: 4 s is below --detect-p99, 5 s, and it cannot be: raise the one or lower the other",
        ),
        (
            "--members 9 --detect-p99 5s --rtt-ms 6000",
            "--rtt-ms: has to be between 0.002 and 5000, and is 6000: no probe timeout leaves room for more",
        ),
        (
            "--members 9 --detect-p99 50ms --rtt-ms 80",
            "--detect-p99: 50 ms is shorter than one round trip, 80.000 ms: no probe is answered by then",
        ),
        ("--members 9", "--minimise bytes: would choose to do nothing: say how fast, like --detect-p99 5s"),
        (
            "--members 9 --detect-p99 5s --minimise detect-p50",
            "--minimise detect-p50: would spend everything: say how much, like --max-bytes-per-second 2000",
        ),
        (
            "--members 9 --detect-p99 5s --regions builtin --rtt-ms 3",
            "--regions: has round trips of its own: leave out --rtt-ms and --rtt-sigma",
        ),
        ("--members 9 --detect-p99 5s --slow-share 60%", "--slow-share: at most 50 %"),
        ("--members 9 --detect-p99 5s --max-cores -1", "--max-cores: has to be more than zero, and is -1"),
        (
            "--members 9 --detect-p99 5s --rtt-sigma 9",
            "--rtt-sigma: has to be between 0 and 1.4, and is 9: 0 is always the same",
        ),
        (
            "--members 9 --detect-p99 5s --failures 1/s",
            "--failures: at most as many per hour as there are members",
        ),
    ] {
        assert_eq!(typed(flags).check().unwrap_err(), [fault], "{flags}");
    }
}

#[test]
fn a_file_is_refused_in_one_line() {
    for (text, fault) in [
        ("member = 9", "unknown key member; did you mean members?"),
        ("members = [9]", "members: cannot be a list"),
        ("members =", "line 1:"),
        ("loss = \"100%\"", "invalid value '100%' for '--loss <SHARE>': must be less than 100 %"),
        ("members = -9", "invalid value '-9' for '--members <COUNT>'"),
        ("detect_p99 = 5", "invalid value '5' for '--detect-p99 <TIME>': a duration needs a unit"),
        ("minimise = \"money\"", "invalid value 'money' for '--minimise <MEASURE>' [possible values: "),
    ] {
        let found = ObjectiveArguments::parse(text).unwrap_err();
        assert!(found.starts_with(fault) && !found.contains('\n'), "{text}: {found}");
    }
    let missing = ObjectiveArguments::read(std::path::Path::new("/nonexistent/o.toml")).unwrap_err();
    assert!(missing.starts_with("--config /nonexistent/o.toml: "), "{missing}");
}
