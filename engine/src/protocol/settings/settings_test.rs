//! Tests of the settings: presets, files, errors, memberlist's formulas, and the documented table.

use super::*;

#[test]
fn presets_are_valid_and_survive_toml() {
    for preset in [Preset::Lan, Preset::Wan, Preset::Local] {
        let settings = Settings::preset(preset);
        settings.validate().unwrap();
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    }
}

#[test]
fn retransmit_limits_are_memberlists() {
    let lan = Settings::preset(Preset::Lan);
    for (members, limit) in [(1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (1000, 16), (10_000, 20)] {
        assert_eq!(lan.upstream_retransmit_limit(members), limit, "{members} members");
        assert_eq!(lan.retransmit_limit(members), limit.max(12), "{members} members");
    }
    let once = Settings { retransmit_multiplier: 1, ..lan };
    assert_eq!([1, 9, 99, 100, 1000].map(|members| once.retransmit_limit(members)), [3, 3, 3, 3, 4]);
}

#[test]
fn suspicion_timeouts_are_memberlists() {
    let lan = Settings::preset(Preset::Lan);
    for (members, shortest, longest) in [(10, 4, 24), (100, 8, 48), (1000, 12, 72), (10_000, 16, 96)] {
        let expected = (Duration::from_secs(shortest), Duration::from_secs(longest));
        assert_eq!(lan.suspicion_timeouts(members), expected, "{members} members");
    }
}

#[test]
fn push_pull_periods_are_memberlists() {
    let lan = Settings::preset(Preset::Lan);
    for (members, seconds) in [(32, 30), (33, 60), (64, 60), (65, 90), (1000, 180), (10_000, 300)] {
        assert_eq!(lan.push_pull_period(members), Duration::from_secs(seconds), "{members} members");
    }
}

#[test]
fn every_declaration_fits_its_field_in_every_preset() {
    for preset in Preset::ALL {
        let mut settings = Settings::preset(preset);
        settings.validate().unwrap();
        assert_eq!(settings.values().count(), SETTINGS.len());
        for setting in SETTINGS {
            let declared = setting.presets[preset as usize];
            assert_eq!(settings.get(setting.name), Some(declared), "{} of {preset:?}", setting.name);
            assert!(setting.summary().len() > 10 && !setting.summary().contains('\n'));
            for value in ends(setting) {
                settings.set(setting.name, &value.to_string()).unwrap();
                assert_eq!(settings.get(setting.name), Some(value), "{}", setting.name);
            }
        }
    }
}

/// The first and the last that a setting can be.
fn ends(setting: &Setting) -> [SettingValue; 2] {
    match setting.kind {
        SettingKind::Whole { min, max, .. } => [SettingValue::Whole(min), SettingValue::Whole(max)],
        SettingKind::Chance { min, max } => [SettingValue::Chance(min), SettingValue::Chance(max)],
        SettingKind::Flag => [SettingValue::Flag(false), SettingValue::Flag(true)],
        SettingKind::Choice(names) => [names[0], names[names.len() - 1]].map(SettingValue::Choice),
    }
}

#[test]
fn a_file_is_read_and_written_by_the_same_names() {
    let mut settings = Settings::preset(Preset::Wan);
    settings.set("suspicion", "adaptive").unwrap();
    settings.set("false_death_bound", "0.001").unwrap();
    let text = toml::to_string(&settings).unwrap();
    assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    assert!(
        text.contains("probe_interval_ms = 5000\n") && text.contains("suspicion = \"adaptive\"\n"),
        "{text}"
    );
    assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::preset(Preset::Lan));
}

#[test]
fn errors_name_the_setting_and_what_it_can_be() {
    let mut settings = Settings::preset(Preset::Lan);
    for (name, text, told) in [
        ("gossip_fanout", "0", "gossip_fanout has to be between 1 and 16, and is 0"),
        ("gossip_fanout", "300", "gossip_fanout has to be between 1 and 16, and is 300"),
        (
            "local_health_max",
            "99999999999999999999",
            "local_health_max has to be between 0 and 15, and is 99999999999999999999",
        ),
        ("gossip_fanout", "-1", "gossip_fanout has to be a whole number, not `-1`"),
        ("false_death_bound", "1", "false_death_bound has to be between 1e-12 and 0.1, and is 1"),
        ("stream_fallback", "yes", "stream_fallback has to be true or false, not `yes`"),
        ("suspicion", "slow", "suspicion has to be automatic, lifeguard or adaptive"),
        ("probe_intervall_ms", "3", "probe_intervall_ms is no setting"),
    ] {
        let error = settings.set(name, text).unwrap_err();
        assert_eq!(error.to_string(), told);
        assert!(told.starts_with(&format!("{} {}", error.setting(), error.required())), "{told}");
    }
    settings.probe_timeout = Duration::from_secs(2);
    let text = settings.validate().unwrap_err().to_string();
    assert_eq!(text, "probe_timeout_ms has to be shorter than probe_interval_ms: 2000 is not below 1000");
    settings = Settings { gossip_fanout: 17, ..Settings::default() };
    let text = settings.validate().unwrap_err().to_string();
    assert_eq!(text, "gossip_fanout has to be between 1 and 16, and is 17");
    for refused in ["probe_intervall_ms = 3", "gossip_fanout = \"3\"", "gossip_fanout = 300", "suspicion = 1"]
    {
        assert!(toml::from_str::<Settings>(refused).is_err(), "{refused}");
    }
}

/// Documents the settings of [`SETTINGS`], and fails where the page is not up to date.
#[test]
fn the_documented_table_is_that_of_the_declaration() {
    let mut table =
        String::from("| Setting | LAN | WAN | Local | Range | What it is for |\n|---|---|---|---|---|---|\n");
    for setting in SETTINGS {
        let [lan, wan, local] = setting.presets;
        let range = match setting.kind {
            SettingKind::Whole { min, max, .. } => format!("{min} to {max}"),
            SettingKind::Chance { min, max } => {
                format!("{} to {}", SettingValue::Chance(min), SettingValue::Chance(max))
            }
            SettingKind::Flag => "true, false".to_owned(),
            SettingKind::Choice(names) => names.join(", "),
        };
        let documentation = setting.documentation.trim();
        let row = format!("| `{}` | {lan} | {wan} | {local} | {range} | {documentation} |\n", setting.name);
        table.push_str(&row);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SETTINGS.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, _) = page.split_once("| Setting |").unwrap();
    if std::env::var_os("SWIMRING_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{table}")).unwrap();
        return;
    }
    assert_eq!(
        page,
        format!("{head}{table}"),
        "write it: SWIMRING_WRITE_DOCS=1 cargo test -p swimring --lib settings::"
    );
}
