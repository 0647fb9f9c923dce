//! The store in one minute: a conversation, a kill in the middle of it, what recovery says, compaction, and
//! the files that are left. Run it with `cargo run --release --example quickstart`.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use aral_store::{JsonObject, MessageStore, Messages, NewAction, NewConversation, NewMessage, Order};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [mode, dir] if mode == "--until-killed" => append_until_killed(Path::new(dir)),
        _ => tour(&mut std::io::stdout().lock()),
    }
}

fn tour(out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    let dir = home.path().join("data");

    writeln!(out, "1. A conversation, each message durable when the call returns")?;
    let store = MessageStore::open(&dir)?;
    let id = store.create_conversation(NewConversation::new().title("New Conversation"))?.conversation_id;
    let hello = store.add_message(&id, "Hello, world!")?;
    let data = JsonObject::parse(r#"{"button_id": "submit"}"#)?;
    let click = store.add_action(&id, NewAction::new("button_click", data))?;
    writeln!(out, "   message: event {}, durable: {}", hello.seq, hello.is_durable())?;
    writeln!(out, "   action:  event {}, durable: {}", click.seq, click.is_durable())?;
    store.close()?;

    writeln!(out, "\n2. A second process appends, and is killed with SIGKILL in the middle")?;
    let acknowledged = kill_in_the_middle(&dir)?;
    writeln!(out, "   it had acknowledged {acknowledged} messages")?;

    writeln!(out, "\n3. Opening recovers, and says what it found")?;
    let store = MessageStore::open(&dir)?;
    let report = store.recovery();
    writeln!(
        out,
        "   {} segments, {} events replayed, last event {}",
        report.segments, report.events, report.last_seq
    )?;
    match &report.torn {
        Some(tail) => writeln!(out, "   a torn tail of {} bytes was set aside", tail.bytes)?,
        None => writeln!(out, "   no torn tail")?,
    }
    let found = store.messages("agent", Messages::all())?;
    let in_order =
        found.iter().enumerate().all(|(n, message)| message.content == format!("step {n}").as_str());
    writeln!(out, "   {} messages are there, in order: {in_order}", found.len())?;
    if found.len() < acknowledged || !in_order {
        return Err("an acknowledged message is missing".into());
    }

    writeln!(out, "\n4. Compaction writes the layout of the Python original and drops the log it covers")?;
    store.add_message(&id, NewMessage::new("Good to have you back.").role("assistant"))?;
    let report = store.compact()?;
    writeln!(
        out,
        "   {} conversations, {} bytes, {} segments dropped",
        report.written, report.written_bytes, report.dropped_segments
    )?;
    for summary in store.conversations(Order::Created)? {
        writeln!(out, "   {}: {} ({} messages)", summary.id, summary.title, summary.messages)?;
    }
    store.close()?;

    writeln!(out, "\n5. The files")?;
    show(out, &dir.join("message_store.json"), &dir)?;
    show(out, &dir.join("conversations").join(format!("{id}.json")), &dir)?;
    Ok(())
}

/// Appends for ever, saying after each message that it is durable.
fn append_until_killed(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = MessageStore::open(dir)?;
    let mut out = std::io::stdout().lock();
    for n in 0_u64.. {
        store.add_message("agent", format!("step {n}"))?;
        writeln!(out, "{n}")?;
        out.flush()?;
    }
    Ok(())
}

/// Runs this program again, kills it after some acknowledgements, and says how many there were in all.
fn kill_in_the_middle(dir: &Path) -> Result<usize, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--until-killed")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("the child has no output")?;
    let mut acknowledged = 0;
    for line in BufReader::new(output).lines() {
        line?;
        acknowledged += 1;
        if acknowledged == 100 {
            child.kill()?;
        }
    }
    child.wait()?;
    Ok(acknowledged)
}

#[expect(clippy::disallowed_methods, reason = "this shows that the files are plain files")]
fn show(out: &mut impl Write, path: &Path, dir: &Path) -> Result<(), Box<dyn Error>> {
    writeln!(out, "--- {}", path.strip_prefix(dir)?.display())?;
    writeln!(out, "{}", std::fs::read_to_string(path)?)?;
    Ok(())
}
