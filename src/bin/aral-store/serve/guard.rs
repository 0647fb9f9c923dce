//! Who may see the pages.
//!
//! Owns the secrets of a run and every check on where a request comes from. A page of another site can send requests here, through a
//! name that it lets lead to this machine if need be; it knows neither the token nor the cookie, and says who it is.

use std::hint::black_box;
use std::net::IpAddr;

use aral_store::{IdSource, IdVersion};

use super::http::{Refusal, Request};

/// What whoever may look has to know.
pub(super) struct Guard {
    /// What the printed address holds.
    pub(super) token: String,
    /// What the browser holds that has opened it.
    secret: String,
    port: u16,
}

/// What a request may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    /// See the page.
    Known,
    /// Get the cookie.
    HasToken,
    /// Nothing.
    Unknown,
}

impl Guard {
    pub(super) fn new(port: u16) -> Self {
        Self { token: secret(), secret: secret(), port }
    }

    /// The cookie that lets a browser in. Cookies do not tell ports apart, so its name does.
    pub(super) fn cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie_name(), self.secret)
    }

    fn cookie_name(&self) -> String {
        format!("aral-store-{}", self.port)
    }

    /// Refuses what comes from another place than the viewer's own pages.
    pub(super) fn check_origin(request: &Request, local: IpAddr) -> Result<(), Refusal> {
        let host = request.header("host")?.ok_or(Refusal(400, "the request names no host"))?;
        if !is_own(host, local) {
            let text = "the viewer answers at the address that it printed, and to no other name";
            return Err(Refusal(403, text));
        }
        if let Some(origin) = request.header("origin")? {
            if origin.strip_prefix("http://") != Some(host) {
                return Err(Refusal(403, "the request comes from another site"));
            }
        }
        Ok(())
    }

    /// Refuses a change that none of the viewer's own pages sends. Browsers name the origin of every form.
    pub(super) fn check_change(request: &Request) -> Result<(), Refusal> {
        match (request.header("origin")?, request.header("sec-fetch-site")?) {
            (Some(_), None | Some("same-origin")) => Ok(()),
            _ => Err(Refusal(403, "a change has to come from a page of the viewer's own")),
        }
    }

    /// What a request may do. Whoever has followed a link of another site has to show the token.
    pub(super) fn pass(&self, request: &Request, token: Option<&str>) -> Result<Pass, Refusal> {
        if let Some(token) = token {
            return Ok(if is_same(token, &self.token) { Pass::HasToken } else { Pass::Unknown });
        }
        if matches!(request.header("sec-fetch-site")?, Some(site) if site != "same-origin" && site != "none")
        {
            return Err(Refusal(403, "the request comes from another site"));
        }
        let name = self.cookie_name();
        let cookies = request.header("cookie")?.unwrap_or_default().split(';').map(str::trim);
        let mut own = cookies.filter_map(|cookie| cookie.strip_prefix(&name)?.strip_prefix('='));
        Ok(if own.any(|value| is_same(value, &self.secret)) { Pass::Known } else { Pass::Unknown })
    }
}

/// 244 random bits.
pub(super) fn secret() -> String {
    let ids = [(); 2].map(|()| IdVersion::V4.new_id());
    ids.concat().replace('-', "")
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(super) fn is_same(given: &str, known: &str) -> bool {
    let differing = given.bytes().zip(known.bytes()).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    black_box(differing) == 0 && given.len() == known.len()
}

/// Whether a host's name is one under which this machine alone is reached: an address cannot be made to lead elsewhere, as a
/// name can. The port is that of whoever passes the connection on, as `ssh -L` does.
fn is_own(host: &str, local: IpAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == local,
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_its_own() {
        let local: IpAddr = "192.0.2.7".parse().unwrap();
        for host in ["localhost:8", "LOCALHOST", "127.0.0.1:8", "127.3.2.1", "[::1]:8", "192.0.2.7:8"] {
            assert!(is_own(host, local), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org:8",
            "127.0.0.1.example.org",
            "192.0.2.8",
            "0x7f.1",
            ":8",
            "localhost:",
        ] {
            assert!(!is_own(host, local), "{host}");
        }
    }

    #[test]
    fn secrets_differ_and_are_told_apart_to_the_last_letter() {
        let (one, other) = (secret(), secret());
        assert!(one != other && one.len() == 64);
        assert!(is_same(&one, &one.clone()) && !is_same(&one, &other));
        assert!(
            !is_same("", &one)
                && !is_same(one.get(..63).unwrap(), &one)
                && !is_same(&format!("{one}a"), &one)
        );
    }
}
