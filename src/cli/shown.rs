//! Text of others on a terminal: names of files above all, which may hold anything.
//!
//! A newline in a name would feign a message of this program, an escape sequence would steer the
//! terminal, and a mark that turns the direction of writing shows another name than there is. All that
//! a command says of one thing passes through here on its way out: errors, notes, reports, prompts.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character does something else to a terminal than to appear on it: control characters (C0,
/// DEL, C1), separators of lines, marks and overrides of direction, the mark of byte order.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line, in which such characters are written out: `\n`, `\u{1b}`, `\u{202e}`.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// A JSON document in the same characters, escaped as JSON does it: its own line breaks stay, and
/// within strings there are none.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| c != '\n' && acts(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                // Writing to a string does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            })
        } else {
            shown.push(c)
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_out() {
        for plain in ["", "a b-c_1.png", "Jürgen's 画像 (2).png", "e\u{301}.png"] {
            assert!(matches!(one_line(plain), Cow::Borrowed(same) if same == plain));
        }
        assert_eq!(one_line("a\nerror: b\u{1b}[2J"), "a\\nerror: b\\u{1b}[2J");
        assert_eq!(one_line("\r\t\u{7f}\u{9b}31m"), "\\r\\t\\u{7f}\\u{9b}31m");
        assert_eq!(one_line("gpj\u{202e}.png\u{2067}"), "gpj\\u{202e}.png\\u{2067}");
    }

    #[test]
    fn json_stays_the_same_document() {
        let names = ["a\nb\u{1b}\u{7f}\u{9b}", "\u{202e}\u{2028}\u{feff}", "Jürgen 画"];
        let document = serde_json::to_string_pretty(&names).unwrap();
        let shown = json(&document);
        assert!(shown.chars().all(|c| c == '\n' || !acts(c)), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), names);
        assert!(shown.contains("\\u202e") && shown.contains("Jürgen 画"));
    }
}
