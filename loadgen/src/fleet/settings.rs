//! From flags and file to the engine's settings.

use serde_json::{Map, Value};
use swimring::swim::Settings;
use swimring::swim::settings as engine;

use crate::cli::{Preset, RunOptions};

/// A setting of the stream service, not of the protocol.
const STREAM_TIMEOUT: &str = "stream_timeout_ms";

/// The engine's preset that `preset` names.
fn engine_preset(preset: Preset) -> engine::Preset {
    match preset {
        Preset::Lan => engine::Preset::Lan,
        Preset::Wan => engine::Preset::Wan,
        Preset::Local => engine::Preset::Local,
    }
}

/// Every setting of `settings` by name.
pub fn by_name(settings: &Settings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The settings of `preset`.
pub fn of_preset(preset: Preset) -> Settings {
    Settings::preset(engine_preset(preset))
}

/// The settings in force: the preset's, with what the flags and the file override.
///
/// # Errors
/// One line that names the flag and the mend.
pub fn in_force(options: &RunOptions) -> Result<Settings, String> {
    let mut settings = of_preset(options.preset);
    // Everyone has to fit into the table.
    settings.members_max = settings.members_max.max(options.members);
    let mut map = by_name(&settings);
    map.extend(options.protocol.given().into_iter().filter(|(name, _)| name != STREAM_TIMEOUT));
    let settings: Settings =
        serde_json::from_value(Value::Object(map)).map_err(|error| format!("protocol settings: {error}"))?;
    settings.validate().map_err(|error| {
        let flag = error.setting.replace('_', "-");
        format!("--{flag}: {}", error.mend)
    })?;
    Ok(settings)
}
