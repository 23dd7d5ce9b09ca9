//! PostgreSQL's binary numeric as the text that PostgreSQL would print.

use super::Read;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Layout (`numeric_send`): number of digits, weight, sign, display scale, then base-10000 digits, all 16 bit.
pub(super) fn text(raw: &[u8]) -> Read<String> {
    let mut words = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let mut word = || words.next().ok_or("a numeric is cut short");
    let (count, weight, sign, scale) = (word()?, word()?.cast_signed(), word()?, usize::from(word()?));
    match sign {
        NAN => return Ok("NaN".to_owned()),
        INFINITY => return Ok("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Ok("-Infinity".to_owned()),
        _ => {}
    }
    let digits: Vec<u16> = (0..count).map(|_| word()).collect::<Result<_, _>>()?;
    let digit = |position: i32| {
        usize::try_from(position).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };

    let weight = i32::from(weight);
    let mut out = String::new();
    if sign == NEGATIVE {
        out.push('-');
    }
    if weight < 0 {
        out.push('0');
    } else {
        out.push_str(&digit(0).to_string());
        for position in 1..=weight {
            out.push_str(&format!("{:04}", digit(position)));
        }
    }
    if scale > 0 {
        let groups = i32::try_from(scale.div_ceil(4))?;
        let fraction: String = (1..=groups).map(|group| format!("{:04}", digit(weight + group))).collect();
        out.push('.');
        out.push_str(&fraction[..scale]);
    }
    Ok(out)
}
