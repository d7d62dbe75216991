//! Where the flags of `run` and `attach` may stand besides the command line: the environment, and the file given with
//! `--config`: TOML, flat, the flags' names with underscores or dashes.
//!
//! ```toml
//! members = 2000
//! duration = "60s"
//! slo = ["false_deaths==0", "detection_s.all.max<=30"]
//! preset = "wan"
//! gossip_fanout = 4
//! ```

use std::ffi::OsString;
use std::path::Path;

use swimring::ClusterOptions;
use swimring::settings_file::{hint, read_bounded, setting_value, toml_fault};
use swimring_tooling::layers::Sources;
use toml::{Table, Value};

use super::protocol::named;

/// The longest file read: far above any real one, far below what could hurt.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// The flag that names the file.
const FILE_FLAG: &str = "config";

/// The environment and the file.
pub(super) struct CommandLine<'a> {
    /// A variable of the environment.
    pub(super) variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Sources for CommandLine<'_> {
    fn file_flag(&self, command: &str) -> Option<&'static str> {
        ["run", "attach"].contains(&command).then_some(FILE_FLAG)
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        (self.variable)(name)
    }

    fn read(&self, path: &Path) -> Result<Table, String> {
        let text = read_bounded(path, FILE_MAX_BYTES, "settings file")?;
        toml::from_str(&text).map_err(|error| toml_fault(&text, &error))
    }

    fn values(&self, name: &str, value: &Value) -> Option<Result<Vec<String>, String>> {
        let setting = named(name)?;
        Some(setting_value(setting, value).map(|value| vec![value.to_string()]))
    }

    fn hint(&self, key: &str, known: &[String]) -> String {
        if ClusterOptions::has_key(key) {
            return ": it is for a member's own settings file".to_owned();
        }
        hint(&key.replace('-', "_"), known.iter().map(String::as_str))
    }

    fn alternatives(&self) -> &[&[&str]] {
        &[&["encrypt", "encrypt-file"]]
    }
}

#[cfg(test)]
mod tests {
    use swimring::Preset;
    use swimring::protocol::SettingValue;

    use super::*;
    use crate::cli::{AttachOptions, Cli, Command, PROGRAM, RunOptions, parse_with};
    use crate::slo::Slo;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn parsed(command: &str, flags: &[&str], variables: Variables<'_>, file: &str) -> Result<Cli, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.toml");
        std::fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let start = [PROGRAM, command, "--config", path];
        let line = start.iter().chain(flags).map(OsString::from);
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let cli = parse_with(line, &find).map_err(|refusal| refusal.lines::<Cli>().join("\n"));
        cli.map_err(|fault| fault.replace(path, "FILE"))
    }

    fn run(flags: &[&str], variables: Variables<'_>, file: &str) -> RunOptions {
        match parsed("run", flags, variables, file).unwrap().command {
            Command::Run(run) => run.check(2).unwrap(),
            _ => panic!("run was meant"),
        }
    }

    fn attach(flags: &[&str], variables: Variables<'_>, file: &str) -> AttachOptions {
        match parsed("attach", flags, variables, file).unwrap().command {
            Command::Attach(attach) => attach.check(2).unwrap(),
            _ => panic!("attach was meant"),
        }
    }

    /// Why a file is refused, by the parser or by the check that follows it.
    fn fault(command: &str, flags: &[&str], variables: Variables<'_>, file: &str) -> String {
        let faults = match parsed(command, flags, variables, file).map(|cli| cli.command) {
            Ok(Command::Run(run)) => run.check(2).map(|_| ()).unwrap_err().join("\n"),
            Ok(Command::Attach(attach)) => attach.check(2).map(|_| ()).unwrap_err().join("\n"),
            Ok(_) => panic!("{command} was meant"),
            Err(faults) => faults,
        };
        let Some(start) = faults.find("--config /") else { return faults };
        let end = start + faults[start..].find(": ").unwrap();
        faults.replace(&faults[start..end], "--config FILE")
    }

    #[test]
    fn typed_wins_over_the_environment_that_over_the_file_and_that_over_the_preset() {
        let file = "preset = \"wan\"\ngossip_fanout = 7\nmembers = 300\nslo = [\"false_deaths==0\", \
                    \"cpu.cores<2\"]\nno-segmentation = true\nindirect_checks = 2";
        let shown = |options: &RunOptions| {
            let slos: Vec<String> = options.slos.iter().map(Slo::to_string).collect();
            let fanout = options.protocol.get("gossip_fanout").unwrap().to_string();
            (options.preset, fanout, options.members, slos.join(" "), options.segmentation)
        };
        let of_file = run(&[], &[], file);
        let expected = (Preset::Wan, "7".to_owned(), 300, "false_deaths==0 cpu.cores<2".to_owned(), false);
        assert_eq!(shown(&of_file), expected);
        // The preset has what nobody says: no override at all.
        assert_eq!(of_file.protocol.get("probe_interval_ms"), None);

        let variables = [
            ("SWIMRING_PRESET", "local"),
            ("SWIMRING_GOSSIP_FANOUT", "8"),
            ("SWIMRING_MEMBERS", "1k"),
            ("SWIMRING_SLO", "false_suspicions<5\nfalse_deaths<2"),
            ("SWIMRING_NO_SEGMENTATION", "false"),
            ("SWIMRING_ENCRYPT", "for attach alone"),
        ];
        let of_environment = run(&[], &variables, file);
        let slos = "false_suspicions<5 false_deaths<2".to_owned();
        assert_eq!(shown(&of_environment), (Preset::Local, "8".to_owned(), 1000, slos, true));
        assert_eq!(of_environment.protocol.get("indirect_checks"), Some(SettingValue::Whole(2)));

        let typed = ["--preset", "lan", "--gossip-fanout", "9", "-n", "50", "--slo", "false_deaths<3"];
        let of_typed = run(&[&typed[..], &["--no-segmentation"]].concat(), &variables, file);
        let slos = "false_deaths<3".to_owned();
        assert_eq!(shown(&of_typed), (Preset::Lan, "9".to_owned(), 50, slos, false));
    }

    #[test]
    fn a_whole_attachment_can_stand_in_the_file() {
        let file = "join = [\"127.0.0.1\", \"127.0.0.2:8000\"]\npool = \"consul\"\nmembers = 20\nramp = \"5/s\"\n\
                    tag = [\"zone=b\", \"note=a,b\"]\ncatalog = true\nyes = true\nwarmup = \"1s\"\n\
                    encrypt = \"MDEyMzQ1Njc4OWFiY2RlZg==\"\nprobe-interval-ms = 2000\nloud = 1";
        let file = file.trim_end_matches("\nloud = 1");
        let options = attach(&[], &[], file);
        assert_eq!(options.join, ["127.0.0.1:8301", "127.0.0.2:8000"]);
        assert_eq!((options.run.members, options.ramp.per_second, options.yes), (20, 5.0, true));
        assert_eq!(options.tags[1], ("note".to_owned(), "a,b".to_owned()));
        assert!(options.catalog && options.key.is_some() && options.run.doubts.is_empty());
        assert_eq!(options.run.protocol.get("probe_interval_ms"), Some(SettingValue::Whole(2000)));

        let variables =
            [("SWIMRING_JOIN", "127.0.0.3,127.0.0.4"), ("SWIMRING_YES", "no"), ("SWIMRING_RAMP", "9")];
        let options = attach(&[], &variables, file);
        assert_eq!(options.join, ["127.0.0.3:8301", "127.0.0.4:8301"]);
        assert_eq!((options.ramp.per_second, options.yes), (9.0, false));
        let options = attach(&["--join", "127.0.0.5", "--yes", "--catalog=false"], &variables, file);
        assert_eq!(
            (options.join, options.yes, options.catalog),
            (vec!["127.0.0.5:8301".to_owned()], true, false)
        );
    }

    #[test]
    fn every_fault_of_a_file_is_a_line_with_its_key_and_the_mend() {
        let whole = "has to be a whole number of milliseconds, like 1000";
        for (text, told) in [
            ("preset = 1", "preset 1: has to be one of lan, wan, local".to_owned()),
            ("preset = \"moon\"", "preset moon: has to be one of lan, wan, local".to_owned()),
            ("probe_interval_ms = \"1s\"", format!("probe_interval_ms {whole}, and is text")),
            (
                "stream_timeout_ms = 0.5",
                format!("stream_timeout_ms {whole}, and is a number with a fraction"),
            ),
            ("gossip_fanout = -1", "gossip_fanout has to be zero or more, and is -1".to_owned()),
            ("gossip_fanout = 300", "gossip_fanout 300: has to be between 1 and 16".to_owned()),
            ("stream-fallback = \"yes\"", "stream-fallback has to be true or false, and is text".to_owned()),
            ("suspicion = \"raft\"", "suspicion has to be automatic, lifeguard or adaptive".to_owned()),
            ("probe_interval = 1", "unknown key probe_interval; did you mean probe_interval_ms?".to_owned()),
            ("membres = 1", "unknown key membres; did you mean members?".to_owned()),
            ("members_max = 9", "unknown key members_max; did you mean members?".to_owned()),
            ("ramp = \"1/s\"", "ramp is for attach, and not for run".to_owned()),
            (
                "secret_keys = \"hunter2\"",
                "unknown key secret_keys: it is for a member's own settings file".to_owned(),
            ),
            ("duration = 30", "duration 30: a duration needs a unit: write 30s, 30m or 30ms".to_owned()),
            ("members = 0", "members 0: a cluster has 2 members or more".to_owned()),
            ("hlog = \"-\"", "hlog -: only --json goes to standard output; name a file".to_owned()),
            ("quiet = \"maybe\"", "quiet maybe: has to be true or false".to_owned()),
        ] {
            assert_eq!(fault("run", &[], &[], text), format!("--config FILE: {told}"), "{text}");
        }
        let torn = fault("run", &[], &[], "members = 3\ngossip_fanout =\n");
        assert!(torn.starts_with("--config FILE: line 2: ") && !torn.contains('\n'), "{torn}");
        let typed = fault("run", &["--gossip-fanout", "18"], &[], "gossip_fanout = 300");
        assert_eq!(typed, "--gossip-fanout 18: has to be between 1 and 16");
        let variable = [("SWIMRING_GOSSIP_FANOUT", "18"), ("SWIMRING_KILL", "1M")];
        assert_eq!(
            fault("run", &[], &variable, "members = 10"),
            "SWIMRING_KILL 1000000: somebody must be left to notice; at most 9\n\
             SWIMRING_GOSSIP_FANOUT 18: has to be between 1 and 16"
        );
        let key = "join = \"a\"\npool = \"serf\"\nencrypt = [\"hunter2\"]";
        assert_eq!(fault("attach", &[], &[], key), "--config FILE: encrypt takes one value, and is a list");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        for (path, told) in [
            ("/nonexistent/flags.toml", "--config /nonexistent/flags.toml: No such file"),
            ("/dev/zero", "--config /dev/zero: more than 1048576 bytes: no settings file is so long"),
        ] {
            let line = [PROGRAM, "run", "--config", path].map(OsString::from);
            let told_so = parse_with(line, &|_| None).unwrap_err().lines::<Cli>();
            assert!(told_so.len() == 1 && told_so[0].starts_with(told), "{told_so:?}");
        }
    }
}
