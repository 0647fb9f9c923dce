//! What the service says when it refuses.
//!
//! Owns the form of errors, as "Error model" of Google's APIs has it, and the codes that the page "Use the Cloud Firestore REST API"
//! lists with what they mean.

use serde_json::{Value, json};

/// A request that is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) http: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) reason: Option<&'static str>,
}

impl Refused {
    pub(crate) fn new(http: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { http, code, message: message.into(), reason: None }
    }

    /// With the reason that machines read, `google.rpc.ErrorInfo`.
    pub(crate) fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut error = json!({ "code": self.http, "message": self.message, "status": self.code });
        if let Some(reason) = self.reason {
            let kind = "type.googleapis.com/google.rpc.ErrorInfo";
            error["details"] = json!([{ "@type": kind, "reason": reason, "domain": "googleapis.com" }]);
        }
        json!({ "error": error })
    }
}

/// "A request parameter includes an invalid value."
pub(crate) fn invalid(message: String) -> Refused {
    Refused::new(400, "INVALID_ARGUMENT", message)
}
