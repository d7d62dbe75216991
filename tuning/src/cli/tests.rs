//! What the command line accepts, what it refuses, and in which words.

use clap::CommandFactory;
use swimring_tooling::refusal::one_line;

use super::*;

fn refusal(flags: &[&str]) -> String {
    let arguments = [PROGRAM].iter().chain(flags).map(OsString::from);
    one_line::<Cli>(&parse(arguments).expect_err("the flags are refused"))
}

#[test]
fn clap_finds_no_fault_in_the_definition() {
    Cli::command().debug_assert();
}

#[test]
fn a_missing_or_unknown_command_is_told_what_there_is() {
    assert!(refusal(&[]).starts_with("say what to do; the commands are: model"), "{}", refusal(&[]));
    assert!(refusal(&["modle"]).starts_with("no command modle; the commands are: model"));
}

/// `model` with these flags, checked.
fn model(flags: &[&str]) -> Result<crate::rumour_model::table::Options, String> {
    let arguments = [PROGRAM, "model"].iter().chain(flags).map(OsString::from);
    match parse(arguments).map_err(|error| one_line::<Cli>(&error))?.command {
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
