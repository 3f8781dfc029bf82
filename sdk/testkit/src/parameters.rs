//! Whether a URL's parameters do what the table says by which they are read.

use rivet_sdk::Result;
use rivet_sdk::parameters::{Fate, Parameters};

/// Reads a URL with each parameter of the table, by each of its names: what is honoured changes what is understood,
/// what is irrelevant does not, and what is refused says what to do instead.
///
/// `examples`: for each parameter that is honoured, its first name, a value that changes what is understood and one
/// that is refused; empty where there is none. `spellings`: how else a name may be written. `read`: what is understood
/// of `name=value`, or of no parameter, as text.
pub fn check_parameters(
    parameters: &Parameters,
    examples: &[(&str, &str, &str)],
    spellings: impl Fn(&str) -> Vec<String>,
    read: impl Fn(&str) -> Result<String>,
) {
    let plain = read("").unwrap();
    for parameter in parameters.iter() {
        let name = parameter.names()[0];
        match parameter.fate() {
            Fate::Honoured(_) => {
                let example = examples.iter().find(|(known, ..)| *known == name);
                let (_, value, bad) = example.unwrap_or_else(|| panic!("{name} has no example"));
                for name in parameter.names().iter().flat_map(|name| spellings(name)) {
                    if !value.is_empty() {
                        assert_ne!(read(&format!("{name}={value}")).unwrap(), plain, "{name}={value}");
                    }
                }
                if !bad.is_empty() {
                    let error = read(&format!("{name}={bad}")).unwrap_err();
                    assert!(error.message().contains(name) && error.hint().is_some(), "{name}={bad}: {error}");
                }
                assert!(!(value.is_empty() && bad.is_empty()), "{name}");
            }
            Fate::Irrelevant(_) => assert_eq!(read(&format!("{name}=1")).unwrap(), plain, "{name}"),
            Fate::Refused(instead) => {
                let error = read(&format!("{name}=1")).unwrap_err();
                assert!(error.message().contains(name), "{name}: {error}");
                assert_eq!(error.hint(), Some(instead));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}
