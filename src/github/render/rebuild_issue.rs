//! The issue by which the owners of a layer hear that it could not be rebuilt.

use super::escape::{code, cut, fenced, prose};
use crate::model::{LayerName, Target};

/// How the marker of every such issue begins.
pub const REBUILD_MARK: &str = "<!-- layersmith:rebuild:";
/// Characters of one reason.
const REASON_LIMIT: usize = 4_000;
/// Reasons that are told.
const SHOWN: usize = 10;
/// What stands above the reasons of an issue that is over.
const WORKS_AGAIN: &str = "**It could be rebuilt again.** What was wrong:";

/// The hidden first line by which the issue of a layer is found again.
#[must_use]
pub fn rebuild_marker(layer: &LayerName) -> String {
    format!("{REBUILD_MARK}{layer} -->")
}

/// Title and text of the issue: whom it is for, what is wrong by target, and what can be done. Owners are the one thing
/// that mentions somebody: GitHub logins, checked where the request file is read.
#[must_use]
pub fn render_not_rebuilt(
    layer: &LayerName,
    owners: &[String],
    path: &str,
    reasons: &[(Target, &str)],
) -> (String, String) {
    let title = format!("{layer} could not be rebuilt");
    let owners: Vec<String> = owners.iter().map(|owner| format!("@{owner}")).collect();
    let mut told: Vec<(&str, Vec<Target>)> = Vec::new();
    for (target, reason) in reasons {
        match told.iter_mut().find(|(known, _)| known == reason) {
            Some((_, targets)) => targets.push(*target),
            None => told.push((reason, vec![*target])),
        }
    }
    let mut body = format!(
        "{}\n{}: the scheduled rebuild of {} failed. What is published stays and goes on working; it gets no newer releases until this is mended.\n",
        rebuild_marker(layer),
        owners.join(" "),
        code(layer.as_str())
    );
    for (reason, targets) in told.iter().take(SHOWN) {
        let targets: Vec<String> = targets
            .iter()
            .map(|target| code(&target.to_string()))
            .collect();
        let reason = cut(reason, REASON_LIMIT);
        let shown = if reason.contains('\n') {
            format!("\n\n{}", fenced(&reason))
        } else {
            format!(" {}", prose(&reason))
        };
        body.push_str(&format!("\n{}:{shown}\n", targets.join(", ")));
    }
    body.push_str(&format!(
        "\nChange {} in a pull request: it shows whether that helps. This issue closes when the layer can be rebuilt.\n",
        code(path)
    ));
    (title, body)
}

/// The text of such an issue when it is over, made of the one it had.
#[must_use]
pub fn render_rebuilt(marker: &str, body: &str) -> String {
    let rest = body.strip_prefix(marker).unwrap_or(body).trim_start();
    format!("{marker}\n{WORKS_AGAIN}\n\n{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_mentioned_and_nobody_else() {
        let layer = "demo".parse().unwrap();
        let reasons = [
            ("p3.12".parse().unwrap(), "no @mona wheel for `demo`"),
            ("p3.13".parse().unwrap(), "no @mona wheel for `demo`"),
            ("p3.13-arm64".parse().unwrap(), "uv says:\n```\n@all"),
        ];
        let owners = ["octocat".to_owned()];
        let (title, body) = render_not_rebuilt(&layer, &owners, "layers/demo.yaml", &reasons);
        assert_eq!(title, "demo could not be rebuilt");
        insta::assert_snapshot!(body, @"
        <!-- layersmith:rebuild:demo -->
        @octocat: the scheduled rebuild of `demo` failed. What is published stays and goes on working; it gets no newer releases until this is mended.

        `p3.12`, `p3.13`: no `@mona` wheel for `demo`

        `p3.13-arm64`:

        ````text
        uv says:
        ```
        @all
        ````

        Change `layers/demo.yaml` in a pull request: it shows whether that helps. This issue closes when the layer can be rebuilt.
        ");
        let over = render_rebuilt(&rebuild_marker(&layer), &body);
        assert!(over.starts_with("<!-- layersmith:rebuild:demo -->\n**It could"));
        assert!(over.ends_with("can be rebuilt.\n"));
    }
}
