//! The plugin's arguments: `mark=0x1234,out=profile.json,hot=2:3`.

use std::ops::Range;
use std::path::PathBuf;

/// What the plugin was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address of the mark function, without the Thumb bit.
    pub mark_address: u64,
    /// The profile's path.
    pub out: PathBuf,
    /// The marks between which blocks are listed.
    pub hot: Option<Range<usize>>,
}

/// Why the arguments were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// An argument is not of the form `key=value`, or its key is unknown.
    #[error("unknown argument '{0}'; known are mark=ADDRESS, out=PATH and hot=FIRST:LAST")]
    Unknown(String),
    /// A value does not parse.
    #[error("'{0}' is not valid; expected mark=0x1234, hot=2:3")]
    Invalid(String),
    /// An argument that must be there is not.
    #[error("the argument {0} is missing")]
    Missing(&'static str),
}

impl Options {
    /// Parses the arguments in the form in which QEMU passes them on.
    ///
    /// # Errors
    ///
    /// An unknown, malformed or missing argument.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, OptionsError> {
        let (mut mark, mut out, mut hot) = (None, None, None);
        for argument in arguments {
            let invalid = || OptionsError::Invalid(argument.to_owned());
            match argument.split_once('=') {
                Some(("mark", value)) => mark = Some(hexadecimal(value).ok_or_else(invalid)?),
                Some(("out", value)) => out = Some(PathBuf::from(value)),
                Some(("hot", value)) => hot = Some(range(value).ok_or_else(invalid)?),
                _ => return Err(OptionsError::Unknown(argument.to_owned())),
            }
        }
        let mark = mark.ok_or(OptionsError::Missing("mark"))?;
        let out = out.ok_or(OptionsError::Missing("out"))?;
        // Symbols of Thumb functions have bit 0 set; no instruction of either set lies there.
        Ok(Self { mark_address: mark & !1, out, hot })
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once(':')?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_arguments() {
        let options = Options::parse(["mark=0x1235", "out=p.json", "hot=2:3"]).unwrap();
        assert_eq!(options.mark_address, 0x1234);
        assert_eq!(options.out, PathBuf::from("p.json"));
        assert_eq!(options.hot, Some(2..3));
    }

    #[test]
    fn refusals() {
        let parse = |arguments: &[&str]| Options::parse(arguments.iter().copied()).unwrap_err();
        assert_eq!(parse(&["out=p"]), OptionsError::Missing("mark"));
        assert_eq!(parse(&["mark=0x10"]), OptionsError::Missing("out"));
        assert_eq!(parse(&["mark=10"]), OptionsError::Invalid("mark=10".into()));
        assert_eq!(parse(&["hot=3"]), OptionsError::Invalid("hot=3".into()));
        assert_eq!(parse(&["cold=1"]), OptionsError::Unknown("cold=1".into()));
    }
}
