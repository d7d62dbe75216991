//! What is wrong with some members, as it is typed: `slow:10%:5s/1s`, `loss-in=0.5:3`, `delay=200ms:1%`.

use std::time::Duration;

use swimring_simulation::Slowness;
use swimring_simulation::experiment::{Affected, Cycle, Impairment, ImpairmentKind};
use swimring_tooling::values;

/// Parses `KIND:MEMBERS` or `KIND:MEMBERS:ON/OFF`.
///
/// # Errors
/// One line with how to write it.
pub fn parse(text: &str) -> Result<Impairment, String> {
    let mut parts = text.split(':');
    let kind = kind(parts.next().unwrap_or_default())?;
    let members =
        members(parts.next().ok_or_else(|| format!("{text}: say how many: {text}:10% or {text}:3"))?)?;
    let cycle = parts.next().map(cycle).transpose()?;
    if parts.next().is_some() {
        return Err(format!("{text}: write it like slow:10%:5s/1s"));
    }
    Ok(Impairment { members, kind, cycle })
}

fn kind(text: &str) -> Result<ImpairmentKind, String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let share = || values::share(value.ok_or_else(|| format!("{name}: say how much, like {name}=0.5"))?);
    match name {
        "slow" => Ok(ImpairmentKind::Slow(Slowness::Everything)),
        "slow-timers-first" => Ok(ImpairmentKind::Slow(Slowness::TimersFirst)),
        "slow-reading" => Ok(ImpairmentKind::Slow(Slowness::Reading)),
        "held" => Ok(ImpairmentKind::Held),
        "loss-in" => Ok(ImpairmentKind::LossIn(share()?)),
        "loss-out" => Ok(ImpairmentKind::LossOut(share()?)),
        "delay" => {
            let value = value.ok_or("delay: say how long, like delay=200ms")?;
            Ok(ImpairmentKind::Delay(values::duration(value)?))
        }
        _ => Err(format!(
            "{name}: is none of slow, slow-timers-first, slow-reading, held, loss-in=SHARE, loss-out=SHARE, delay=TIME"
        )),
    }
}

fn members(text: &str) -> Result<Affected, String> {
    if let Ok(count) = text.parse::<u32>() {
        return Ok(Affected::Count(count));
    }
    values::share(text)
        .map(Affected::Share)
        .map_err(|_| format!("{text}: members are a count or a share, 3 or 10%"))
}

fn cycle(text: &str) -> Result<Cycle, String> {
    let (on, off) =
        text.split_once('/').ok_or_else(|| format!("{text}: on and off are written like 5s/1s"))?;
    Ok(Cycle { on_for: values::duration(on)?, off_for: values::duration(off)? })
}

/// As it could be typed.
pub fn typed(impairment: &Impairment) -> String {
    let kind = match impairment.kind {
        ImpairmentKind::Slow(Slowness::Everything) => "slow".to_owned(),
        ImpairmentKind::Slow(Slowness::TimersFirst) => "slow-timers-first".to_owned(),
        ImpairmentKind::Slow(Slowness::Reading) => "slow-reading".to_owned(),
        ImpairmentKind::Held => "held".to_owned(),
        ImpairmentKind::LossIn(share) => format!("loss-in={share}"),
        ImpairmentKind::LossOut(share) => format!("loss-out={share}"),
        ImpairmentKind::Delay(delay) => format!("delay={}", millis(delay)),
    };
    let members = match impairment.members {
        Affected::Count(count) => count.to_string(),
        Affected::Share(share) => format!("{}%", share * 100.0),
    };
    match impairment.cycle {
        None => format!("{kind}:{members}"),
        Some(cycle) => format!("{kind}:{members}:{}/{}", millis(cycle.on_for), millis(cycle.off_for)),
    }
}

fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_is_meant() {
        for text in ["slow:10%:5000ms/1000ms", "slow-reading:3", "loss-in=0.5:3", "delay=200ms:1%"] {
            assert_eq!(typed(&parse(text).unwrap()), text);
        }
        let slow = parse("slow:3:5s/1s").unwrap();
        assert_eq!(slow.members, Affected::Count(3));
        assert_eq!(slow.cycle.unwrap().on_for, Duration::from_secs(5));
    }

    #[test]
    fn what_is_not_understood_is_one_line() {
        for text in
            ["", "slow", "tired:3", "slow:many", "loss-in:3", "slow:3:5s", "slow:3:5s/1s/1", "slow:3:1s/1s:x"]
        {
            let fault = parse(text).unwrap_err();
            assert!(!fault.is_empty() && !fault.contains('\n'), "{text}: {fault}");
        }
    }
}
