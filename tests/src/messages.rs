//! Messages that a host sent, and the codes in them.

/// An e-mail or an SMS.
#[derive(Clone, Debug)]
pub struct Message {
    /// `email` or `sms`.
    pub channel: String,
    /// The recipient.
    pub to: String,
    /// The subject of an e-mail.
    pub subject: String,
    /// The plain text.
    pub text: String,
}

impl Message {
    /// The code that the message carries: the longest word of the codes' alphabet.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn code(&self) -> String {
        let of_alphabet = |word: &&str| {
            matches!(word.len(), 6 | 32)
                && word.bytes().all(|byte| portico_core::verifications::code::ALPHABET.contains(&byte))
        };
        let separators = |c: char| !c.is_ascii_alphanumeric();
        self.text
            .split(separators)
            .find(of_alphabet)
            .unwrap_or_else(|| panic!("there is no code in {:?}", self.text))
            .to_owned()
    }
}
