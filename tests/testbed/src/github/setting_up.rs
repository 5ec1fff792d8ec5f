//! What a person does in a browser before a bot works: says yes to an App's manifest, looks at deploy keys.

use serde_json::Value;

use super::GithubDouble;
use super::shapes::EVENTS;
use super::state::DeployKey;

/// The permissions of an App on a repository that a manifest may ask for here.
const PERMISSIONS: &[&str] = &[
    "checks",
    "contents",
    "issues",
    "metadata",
    "pull_requests",
    "statuses",
];

impl GithubDouble {
    /// A person sends the form with a manifest and says yes; the address that the browser is sent back to.
    ///
    /// # Panics
    /// When GitHub would not take the manifest (docs.github.com, "Registering a GitHub App from a manifest").
    pub fn accept_manifest(&self, manifest: &str, form_state: &str) -> String {
        let manifest: Value = serde_json::from_str(manifest).expect("a manifest is JSON");
        let keys: Vec<&str> = manifest
            .as_object()
            .expect("a manifest is an object")
            .keys()
            .map(String::as_str)
            .collect();
        const KNOWN: &[&str] = &[
            "callback_urls",
            "default_events",
            "default_permissions",
            "description",
            "hook_attributes",
            "name",
            "public",
            "redirect_url",
            "request_oauth_on_install",
            "setup_on_update",
            "setup_url",
            "url",
        ];
        assert!(keys.iter().all(|key| KNOWN.contains(key)), "{keys:?}");
        let name = manifest["name"].as_str().expect("an App has a name");
        assert!((1..=34).contains(&name.chars().count()), "{name}");
        for address in ["/url", "/redirect_url", "/hook_attributes/url"] {
            let text = manifest.pointer(address).and_then(Value::as_str);
            let text = text.unwrap_or_else(|| panic!("{address} is missing"));
            assert!(
                url::Url::parse(text).is_ok(),
                "{address} is no address: {text}"
            );
        }
        let permissions = manifest["default_permissions"]
            .as_object()
            .expect("an App asks for permissions");
        for (name, level) in permissions {
            assert!(
                PERMISSIONS.contains(&name.as_str()) && (level == "read" || level == "write"),
                "{name}: {level}"
            );
        }
        let events = manifest["default_events"].as_array();
        for event in events.into_iter().flatten() {
            let event = event.as_str().unwrap_or_default();
            assert!(EVENTS.contains(&event), "{event}");
        }
        let back = manifest["redirect_url"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let mut state = self.shared.lock();
        let code = format!("{:040x}", state.next_id());
        state.manifests.insert(code.clone(), manifest);
        format!("{back}?code={code}&state={form_state}")
    }

    /// An hour passes: no code of a manifest is good any more.
    pub fn expire_manifests(&self) {
        self.shared.lock().manifests.clear();
    }

    /// The repository's deploy keys.
    pub fn deploy_keys(&self) -> Vec<DeployKey> {
        self.with(|state, name| state.repository(name).deploy_keys.clone())
    }
}
