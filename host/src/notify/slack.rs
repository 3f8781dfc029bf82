//! The text that a Slack channel reads.

use super::Event;

/// What a channel is told of an export that has ended.
#[derive(Debug, Clone, Default)]
pub struct Notice<'a> {
    pub export: &'a str,
    /// The run, if it came to one.
    pub run_id: Option<&'a str>,
    /// Why it failed, and what to do.
    pub error: Option<(String, Option<String>)>,
    /// What landed: `1 000 rows in 3 parts (1.2 MB) within 4.5 s`.
    pub landed: Option<String>,
    /// Why it is degraded.
    pub notes: Vec<String>,
}

/// Most notes in a text.
const NOTES: usize = 5;

/// The text, with Slack's three special characters escaped.
pub fn slack_text(notice: &Notice<'_>, events: &[Event]) -> String {
    let how = match (events.contains(&Event::SchemaChange), &notice.error, &notice.landed) {
        (true, Some(_), None) => "was stopped: its schema changed",
        (true, ..) => "is done; its schema changed",
        (false, Some(_), Some(_)) => "is committed, but its checks failed",
        (false, Some(_), None) => "failed",
        (false, None, _) => "is done, with something to note",
    };
    let mut lines = vec![format!("*{}* {how}", escaped(notice.export))];
    if let Some((error, hint)) = &notice.error {
        lines.push(format!("> {}", escaped(error)));
        lines.extend(hint.iter().map(|hint| format!("> hint: {}", escaped(hint))));
    }
    lines.extend(notice.landed.iter().map(|landed| escaped(landed)));
    lines.extend(notice.notes.iter().take(NOTES).map(|note| format!("• {}", escaped(note))));
    if notice.notes.len() > NOTES {
        lines.push(format!("• and {} more", notice.notes.len() - NOTES));
    }
    lines.extend(notice.run_id.iter().map(|run| format!("run `{run}`")));
    lines.join("\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_one_and_cannot_mention_a_channel() {
        let notice = Notice {
            export: "orders",
            error: Some(("no table <!channel> & co".to_owned(), Some("look".to_owned()))),
            ..Notice::default()
        };
        assert_eq!(
            slack_text(&notice, &[Event::Failure]),
            "*orders* failed\n> no table &lt;!channel&gt; &amp; co\n> hint: look"
        );
    }

    #[test]
    fn a_degraded_run_says_what_landed_and_at_most_five_reasons() {
        let notes = (1..=7).map(|retry| format!("reason {retry}")).collect();
        let landed = Some("5 rows in 1 part".to_owned());
        let notice = Notice { export: "orders", run_id: Some("01A"), landed, notes, ..Notice::default() };
        let text = slack_text(&notice, &[Event::Degraded]);
        assert!(text.starts_with("*orders* is done, with something to note\n5 rows in 1 part\n• reason 1\n"), "{text}");
        assert!(text.ends_with("• reason 5\n• and 2 more\nrun `01A`"), "{text}");
    }
}
