//! Messages to people: testing a channel, what waits, trying again; on a desktop, and at a receiver on this
//! machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use pretty_assertions::assert_eq;

use crate::home::{Home, Ran};

impl Home {
    fn declare(&self, channel: &str) {
        let file = std::fs::read_to_string(self.path("outcome.yaml")).unwrap();
        self.write("outcome.yaml", &format!("{file}\nnotifications:\n  {channel}\n"));
        self.sign(&["apply"]).exits(0);
    }
}

/// The desktop of Linux, whose program is a stand-in of ours.
#[cfg(target_os = "linux")]
mod desktop {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use pretty_assertions::assert_eq;
    use serde_json::json;

    use crate::home::{Home, Ran};

    /// Keeps its arguments and its environment, and answers as it is told.
    const NOTIFY_SEND: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\" > shown\nenv > shown.env\n";
    /// A bus that the stand-in does not look at.
    const BUS: &str = "unix:path=/nowhere";

    impl Home {
        fn standing_in(&self, name: &str, script: &str) {
            let path = format!("bin/{name}");
            self.write(&path, script);
            std::fs::set_permissions(self.path(&path), std::fs::Permissions::from_mode(0o755)).unwrap();
        }

        /// The command in a session with this bus, or in none.
        fn in_session(&self, bus: Option<&str>, args: &[&str]) -> Command {
            let mut command = self.command(args);
            let before = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{before}", self.path("bin").display()));
            command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("XDG_RUNTIME_DIR", self.path("nowhere"));
            command.envs(bus.map(|bus| ("DBUS_SESSION_BUS_ADDRESS", bus)));
            command
        }

        fn in_turn(&self, bus: Option<&str>, args: &[&str]) -> Ran {
            Ran::new(self.in_session(bus, args).output().unwrap())
        }
    }

    #[test]
    fn a_message_is_shown_on_the_desktop_without_our_secrets() {
        let home = Home::active();
        home.declare("desktop: {}");
        home.standing_in("notify-send", NOTIFY_SEND);
        let mut command = home.in_session(Some(BUS), &["messages", "test", "--json"]);
        let found = Ran::new(command.env("NOTIFY_SECRET", "hunter2").output().unwrap()).exits(0).json();
        assert_eq!(found, json!([{ "channel": "desktop", "is_taken": true, "answer": "shown" }]));
        let shown = std::fs::read_to_string(home.path("shown")).unwrap();
        assert_eq!(
            shown,
            "--app-name=Outcome Runtime\n--category=im.received\n--\nOutcome Runtime: A test message of Outcome Runtime\n\
         Messages about gates, stops and failing sources arrive here. Nothing is asked of you.\nhttp://127.0.0.1:8787\n"
        );
        let environment = std::fs::read_to_string(home.path("shown.env")).unwrap();
        assert!(environment.contains(BUS) && !environment.contains("hunter2"), "{environment}");
    }

    #[test]
    fn a_desktop_that_is_not_there_is_said_plainly() {
        let home = Home::active();
        home.declare("desktop: {}");
        home.standing_in("notify-send", NOTIFY_SEND);
        let ran = home.in_turn(None, &["messages", "test", "desktop"]).exits(8);
        assert!(
            ran.stdout.contains("failed: `desktop`") && ran.stdout.contains("not run in a desktop session"),
            "{ran:#?}"
        );
        assert!(!home.path("shown").exists(), "no message bus is started for it");

        home.standing_in("notify-send", "#!/bin/sh\nprintf 'Cannot connect to \\033[31mthe bus\\n' >&2\nexit 1\n");
        let ran = home.in_turn(Some(BUS), &["messages", "test"]).exits(8);
        assert!(ran.stdout.contains("no desktop shows it") && ran.stdout.contains("the bus"), "{ran:#?}");
        assert!(!ran.stdout.contains('\u{1b}'), "{ran:#?}");

        let mut without = home.in_session(Some(BUS), &["messages", "test"]);
        let ran = Ran::new(without.env("PATH", home.path("nowhere")).output().unwrap()).exits(8);
        assert!(ran.stdout.contains("`notify-send` is not installed"), "{ran:#?}");
    }
}

/// Answers each request with the next status; the heads and bodies that it got.
fn receiver(statuses: &'static [&'static str]) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = move || {
        let answer = |status: &&str| {
            let (mut stream, _) = listener.accept().unwrap();
            let request = request(&mut stream);
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            request
        };
        statuses.iter().map(answer).collect()
    };
    (port, std::thread::spawn(answering))
}

/// A request whose body is a JSON object.
fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with("}}") {
        let n = stream.read(&mut buffer).unwrap();
        assert_ne!(n, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    text
}

fn id(request: &str) -> &str {
    request.lines().find(|line| line.starts_with("webhook-id: msg_")).unwrap()
}

#[test]
fn what_a_receiver_refuses_is_shown_and_tried_again_by_hand_and_no_proxy_is_obeyed() {
    let home = Home::active();
    let (port, received) = receiver(&["202 Accepted", "410 Gone", "410 Gone", "204 No Content", "204 No Content"]);
    home.declare(&format!(
        "webhook: {{ url: 'http://127.0.0.1:{port}/', secret: '${{NOTIFY_SECRET}}', allow_private: true }}"
    ));
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("NOTIFY_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        for proxy in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(proxy, "http://127.0.0.1:9");
        }
        Ran::new(command.output().unwrap())
    };
    let tested = run(&["messages", "test", "webhook"]).exits(0);
    assert_eq!(tested.stdout, "ok: `webhook`: status 202\n");
    let unknown = run(&["messages", "test", "desktop", "--json"]).exits(3);
    assert_eq!(unknown.error_code(), "not_found");

    // The notices of a proposal: the experiment moved, and its gate is open.
    home.propose("Fewer fields", "flag-a", "src/a/").exits(0);
    run(&["poll"]);
    let listed = run(&["messages", "--json"]).exits(0).json();
    assert_eq!((listed["n_waiting"].as_i64(), listed["n_dead_letters"].as_i64()), (Some(0), Some(2)), "{listed:#}");
    let shown = run(&["messages"]).exits(0).stdout;
    assert!(shown.contains("Given up (2)"), "{shown}");
    assert!(shown.contains("Gate `portfolio-fewer-fields` waits for a review of the plan"), "{shown}");
    assert!(
        shown.contains("webhook given up (1 try): channel `webhook` wants no more messages: status 410"),
        "{shown}"
    );
    let status = run(&["status"]).exits(0).stdout;
    assert!(status.contains("2 messages were given up; the newest: "), "{status}");

    let none = run(&["messages", "retry", "gate/none", "--json"]).exits(3);
    assert_eq!(none.error_code(), "not_found");
    run(&["messages", "retry"]).exits(2);
    let retried = run(&["messages", "retry", "--all"]).exits(0);
    assert_eq!(retried.stdout, "2 of 2 arrived\n");
    assert_eq!(run(&["messages"]).exits(0).stdout, "Nothing waits, and nothing was given up.\n");

    let requests = received.join().unwrap();
    let [_, refused @ .., fourth, fifth] = &requests[..] else { panic!("{requests:#?}") };
    let (mut before, mut after) = (refused.iter().map(|one| id(one)).collect::<Vec<_>>(), [id(fourth), id(fifth)]);
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(before, after, "the receiver can tell that it had them");
}

#[test]
fn where_a_channel_leads_behind_a_reference_is_signed_by_nobody() {
    let home = Home::active();
    home.declare("webhook: { url: '${HOOK_ADDRESS}', secret: '${NOTIFY_SECRET}', allow_private: true }");
    let run = |port: u16, args: &[&str]| {
        let mut command = home.command(args);
        command.env("NOTIFY_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        command.env("HOOK_ADDRESS", format!("http://127.0.0.1:{port}/"));
        Ran::new(command.output().unwrap())
    };
    for _ in 0..2 {
        let (port, received) = receiver(&["204 No Content"]);
        run(port, &["messages", "test", "webhook"]).exits(0);
        assert_eq!(received.join().unwrap().len(), 1, "whichever address the variable holds gets the message");
    }
    let check = home.run(&["audit", "verify", "--json"]).json();
    assert_eq!(check["is_intact"], true, "{check}");
}
