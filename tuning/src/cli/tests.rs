//! What the command line accepts, what it refuses, and in which words.

use super::*;

fn refusal(flags: &[&str]) -> String {
    let arguments = [PROGRAM].iter().chain(flags).map(OsString::from);
    parse(arguments).expect_err("the flags are refused").lines::<Cli>().join("\n")
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    program().debug_assert();
}

#[test]
fn a_missing_or_unknown_command_is_told_what_there_is() {
    assert!(refusal(&[]).starts_with("say what to do; the commands are: model"), "{}", refusal(&[]));
    assert!(refusal(&["modle"]).starts_with("no command modle; the commands are: model"));
}

/// `model` with these flags, checked.
fn model(flags: &[&str]) -> Result<crate::rumour_model::table::Options, String> {
    let arguments = [PROGRAM, "model"].iter().chain(flags).map(OsString::from);
    match parse(arguments).map_err(|refusal| refusal.lines::<Cli>().join("\n"))?.command {
        Command::Model(arguments) => arguments.check().map_err(|faults| faults.join("\n")),
        _ => Err("model was meant".to_owned()),
    }
}

#[test]
fn the_defaults_are_those_of_the_fanout_table() {
    let options = model(&[]).unwrap();
    assert_eq!((options.members, options.fanout, options.strategies.len()), (40, 4, 3));
    assert_eq!(model(&["--loss", "5%"]).unwrap().loss, 0.05);
}

#[test]
fn nonsense_is_one_line_with_the_flag_and_the_mend() {
    for (flags, expected) in [
        (&["--members", "0"][..], "--members 0: has to be between 2 and 100000"),
        (&["--members", "1"], "--members 1: has to be between 2 and 100000"),
        (&["--fanout", "0"], "--fanout 0: has to be between 1 and 64"),
        (&["--runs", "0"], "--runs 0: has to be between 1 and 100000"),
        (&["--rounds-max", "0"], "--rounds-max 0: has to be between 1 and 1000"),
        (&["--retransmit-limit", "0"], "--retransmit-limit 0: has to be between 1 and 10000"),
        (
            &["--members", "100000", "--runs", "1000"],
            "--runs 1000: too many for 100000 members and fanout 4: at most 125",
        ),
        (
            &["--strategy", "pull", "--retransmit-limit", "8"],
            "--retransmit-limit: only push has one: use --strategy push or all",
        ),
        (&["--plot", "x.png"], "--plot x.png: only SVG is drawn: name it x.svg"),
    ] {
        assert_eq!(model(flags).unwrap_err(), expected);
    }
    for (flags, beginning) in [
        (&["--loss", "100%"][..], "invalid value '100%' for '--loss <SHARE>': must be less than 100 %"),
        (&["--loss", "-1%"], "unexpected argument '-1' found"),
        (&["--loss=-1%"], "invalid value '-1%' for '--loss <SHARE>': a share cannot be negative"),
        (&["--members", "-5"], "unexpected argument '-5' found"),
        (&["--strategy", "shout"], "invalid value 'shout' for '--strategy <STRATEGY>'"),
    ] {
        let fault = model(flags).unwrap_err();
        assert!(fault.starts_with(beginning) && !fault.contains('\n'), "{fault}");
    }
}

#[test]
fn typed_wins_over_the_environment_and_that_over_a_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    std::fs::write(
        &file,
        "members = 20\ngossip_fanout = 2\nimpaired = [\"slow:10%:5s/1s\"]\npreset = \"wan\"",
    )
    .unwrap();
    let of = |flags: &[&str], variables: &[(&str, &str)]| {
        let start = [PROGRAM, "simulate", "--scenario", file.to_str().unwrap()];
        let line = start.iter().chain(flags).map(OsString::from);
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        match parse_with(line, &find).map(|cli| cli.command) {
            Ok(Command::Simulate(simulate)) => (simulate.check().unwrap().scenario().clone(), simulate.quiet),
            other => panic!("simulate was meant: {other:?}"),
        }
    };
    let (scenario, quiet) = of(&[], &[]);
    assert_eq!((scenario.members, scenario.settings.gossip_fanout, quiet), (20, 2, false));
    assert_eq!(scenario.impaired.len(), 1);
    assert_eq!(scenario.settings.probe_interval.as_secs(), 5, "the preset has what nobody says");
    let variables = [
        ("SWIMRING_MEMBERS", "30"),
        ("SWIMRING_GOSSIP_FANOUT", "4"),
        ("SWIMRING_QUIET", "yes"),
        ("SWIMRING_IMPAIRED", "loss-in=0.5:1\nloss-out=0.5:1"),
    ];
    let (scenario, quiet) = of(&[], &variables);
    assert_eq!((scenario.members, scenario.settings.gossip_fanout, quiet), (30, 4, true));
    assert_eq!(scenario.impaired.len(), 2, "a list is taken whole");
    let (scenario, quiet) = of(&["-n", "40", "--gossip-fanout", "5", "--quiet=false"], &variables);
    assert_eq!((scenario.members, scenario.settings.gossip_fanout, quiet), (40, 5, false));
}

#[test]
fn a_fault_of_the_environment_is_told_with_its_name() {
    let variables = |name: &str| (name == "SWIMRING_FANOUT").then(|| "many".into());
    let line = [PROGRAM, "model"].map(OsString::from);
    assert_eq!(
        parse_with(line, &variables).unwrap_err().lines::<Cli>(),
        ["SWIMRING_FANOUT many: not a whole number: write it like 10000, 10,000 or 10k"]
    );
    // What the form alone is asked for has no seed, wherever that is said.
    let variables = |name: &str| (name == "SWIMRING_SEED").then(|| "7".into());
    let line = [PROGRAM, "recommend", "--members", "9", "--forms-only"].map(OsString::from);
    assert!(parse_with(line, &variables).is_ok());
}
