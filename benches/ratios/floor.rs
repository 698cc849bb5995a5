//! The floor: the minimal work of any server that delivers events to readers.
//!
//! It uses one thread and epoll, encodes each event once, and makes one `send()` per reader and event. With `joined`,
//! it collects the events of one turn of the loop and sends each reader all of them in one `send()`. It understands
//! only the requests of `triway bench`, and answers with the same bytes as triway. It knows no session, grant, limit,
//! heartbeat or gap.

mod channel;
mod request;
mod words;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{SocketFlags, accept_with};
use slab::Slab;
use socket2::{Domain, Socket, Type};

use channel::{Channel, Parked};
use request::{Asked, Command, Way};
use words::{Event, Words};

/// Connections that wait to be accepted: the same number as in triway.
const BACKLOG: i32 = 4_096;
/// Size of the read buffer that all connections share, in bytes.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Sockets that epoll reports in one turn: enough for 1,000 busy publishers at once.
const TURN_SOCKETS: usize = 1_024;
/// Bytes that may be pending for a reader that does not read. More closes its connection.
const OWED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The epoll key of the listener. The keys of connections follow.
const LISTENER: u64 = 0;

/// One connection.
struct Member {
    stream: TcpStream,
    /// The transport of its reading request, or `None` before that request.
    way: Option<Way>,
    channels: Box<[u32]>,
    /// The nonce of a held poll.
    nonce: Box<str>,
    is_held: bool,
    /// Bytes of an incomplete request.
    unread: Vec<u8>,
    /// Bytes to send: replies of this turn, or bytes that the socket did not accept.
    owed: Vec<u8>,
    is_blocked: bool,
}

/// The server.
struct Floor {
    epoll: OwnedFd,
    listener: TcpListener,
    members: Slab<Member>,
    channels: Vec<Channel>,
    names: HashMap<String, u32>,
    offset: u64,
    is_joined: bool,
    words: Words,
    /// Channels with unsent events.
    rung: Vec<u32>,
    /// Members with unsent replies.
    replied: Vec<usize>,
    gone: Vec<usize>,
    out: Vec<u8>,
}

/// Serves until the process is killed. Prints the address first.
pub(crate) fn run(is_joined: bool) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Accepted sockets inherit this option.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    println!("floor listening on http://{}", listener.local_addr()?);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut floor = Floor {
        epoll,
        listener,
        members: Slab::new(),
        channels: Vec::new(),
        names: HashMap::new(),
        offset: 0,
        is_joined,
        words: Words::default(),
        rung: Vec::new(),
        replied: Vec::new(),
        gone: Vec::new(),
        out: Vec::new(),
    };
    floor.serve()
}

impl Floor {
    fn serve(&mut self) -> io::Result<()> {
        let mut scratch = vec![0; SCRATCH_BYTES];
        let mut ready = Vec::with_capacity(TURN_SOCKETS);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut ready), None) {
                Err(rustix::io::Errno::INTR) => {}
                found => {
                    found?;
                }
            }
            for event in ready.drain(..) {
                let (flags, word) = (event.flags, event.data.u64());
                if word == LISTENER {
                    self.accept();
                    continue;
                }
                let key = word as usize - 1;
                if flags.contains(EventFlags::OUT) {
                    self.send_owed(key);
                }
                if flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
                    self.read(key, &mut scratch);
                }
            }
            self.flush();
            self.bury();
        }
    }

    fn accept(&mut self) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(socket) = accept_with(&self.listener, flags) {
            let key = self.members.insert(Member {
                stream: TcpStream::from(socket),
                way: None,
                channels: Box::default(),
                nonce: Box::default(),
                is_held: false,
                unread: Vec::new(),
                owed: Vec::new(),
                is_blocked: false,
            });
            self.watch(key, EventFlags::IN, true);
        }
    }

    fn watch(&mut self, key: usize, flags: EventFlags, is_new: bool) {
        let data = EventData::new_u64(key as u64 + 1);
        let stream = &self.members[key].stream;
        let done = if is_new {
            epoll::add(&self.epoll, stream, data, flags)
        } else {
            epoll::modify(&self.epoll, stream, data, flags)
        };
        if done.is_err() {
            self.gone.push(key);
        }
    }

    fn read(&mut self, key: usize, scratch: &mut [u8]) {
        let member = &mut self.members[key];
        let read = match (&member.stream).read(scratch) {
            Ok(0) => return self.gone.push(key),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.gone.push(key),
        };
        if member.unread.is_empty() {
            let done = self.act(key, &mut scratch[..read]);
            let member = &mut self.members[key];
            member.unread.extend_from_slice(&scratch[done..read]);
        } else {
            let mut unread = std::mem::take(&mut member.unread);
            unread.extend_from_slice(&scratch[..read]);
            let done = self.act(key, &mut unread);
            unread.drain(..done);
            // Replace an empty buffer to free its memory.
            self.members[key].unread = if unread.is_empty() {
                Vec::new()
            } else {
                unread
            };
        }
    }

    /// Handles all complete requests. Returns the number of bytes that are used up.
    fn act(&mut self, key: usize, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        loop {
            let rest = &mut bytes[done..];
            let Ok(used) = self.act_once(key, rest) else {
                self.gone.push(key);
                return bytes.len();
            };
            done += used;
            if used == 0 || done == bytes.len() {
                return done;
            }
        }
    }

    /// Handles the first request. Returns the number of its bytes, or 0 if it is incomplete.
    fn act_once(&mut self, key: usize, bytes: &mut [u8]) -> Result<usize, ()> {
        if self.members[key].way == Some(Way::Ws) {
            let Some((used, text)) = request::message(bytes)? else {
                return Ok(0);
            };
            if let Some(command) = text.and_then(request::command) {
                self.command(key, &command);
            }
            Ok(used)
        } else {
            let Some((used, asked)) = request::asked(bytes)? else {
                return Ok(0);
            };
            self.answer(key, asked);
            Ok(used)
        }
    }

    fn answer(&mut self, key: usize, asked: Asked<'_>) {
        match asked {
            Asked::Read(read) => {
                let channels = read.channels.iter().map(|name| self.channel(name));
                let channels: Box<[u32]> = channels.collect();
                if read.way == Way::Poll {
                    return self.poll(key, channels, read.since, read.nonce);
                }
                let head = match read.way {
                    Way::Ws => {
                        self.words
                            .ws_head(read.accept.as_deref(), self.offset, &read.channels)
                    }
                    _ => self.words.sse_head(self.offset, &read.channels),
                };
                self.send(key, &head);
                for channel in &channels {
                    self.channels[*channel as usize].readers(read.way).push(key);
                }
                let member = &mut self.members[key];
                member.way = Some(read.way);
                member.channels = channels;
            }
            Asked::Publish {
                channel,
                data,
                is_known,
            } => {
                let number = self.channel(channel);
                let reached = self.publish(number, data, is_known);
                let reply = self.words.published(self.offset, channel, reached);
                self.reply(key, &reply);
            }
            Asked::Other(answer) => self.send(key, answer.as_bytes()),
        }
    }

    fn command(&mut self, key: usize, command: &Command<'_>) {
        let Some(data) = command.data else { return };
        let number = self.channel(command.channel);
        let reached = self.publish(number, data.get().as_bytes(), true);
        let number = command.number.map(|number| number.get());
        let reply = self.words.reply(number, self.offset, reached);
        self.reply(key, &reply);
    }

    /// Encodes an event for its readers, and keeps it for polls. Returns the numbers of readers by transport.
    fn publish(&mut self, number: u32, data: &[u8], has_sender: bool) -> [usize; 3] {
        self.offset += 1;
        let channel = &mut self.channels[number as usize];
        let event = Event {
            offset: self.offset,
            channel: &channel.name,
            data,
            has_sender,
        };
        let json = self.words.event(&event);
        channel.push(self.offset, json);
        let reached = channel.reached();
        self.rung.push(number);
        reached
    }

    /// Queues a reply. It leaves in the same `send()` as the member's own event.
    fn reply(&mut self, key: usize, reply: &[u8]) {
        self.members[key].owed.extend_from_slice(reply);
        self.replied.push(key);
        if !self.is_joined {
            self.flush();
        }
    }

    /// Sends everything that is pending.
    fn flush(&mut self) {
        let mut rung = std::mem::take(&mut self.rung);
        for number in rung.drain(..) {
            let channel = &mut self.channels[number as usize];
            // The list may name a channel twice. The events are sent once.
            let Some(pending) = channel.take_pending() else {
                continue;
            };
            for (way, bytes) in [(Way::Ws, &pending.ws), (Way::Sse, &pending.sse)] {
                let readers = std::mem::take(self.channels[number as usize].readers(way));
                for key in &readers {
                    self.send(*key, bytes);
                }
                *self.channels[number as usize].readers(way) = readers;
            }
            let mut held = std::mem::take(&mut self.channels[number as usize].held);
            for parked in held.drain(..) {
                self.release(number, parked);
            }
            if self.channels[number as usize].held.is_empty() {
                self.channels[number as usize].held = held;
            }
            self.channels[number as usize].give_back(pending);
        }
        self.rung = rung;
        let mut replied = std::mem::take(&mut self.replied);
        for key in replied.drain(..) {
            self.send_owed_of(key);
        }
        self.replied = replied;
    }

    /// Answers a poll at once if events are there. Otherwise holds it.
    fn poll(&mut self, key: usize, channels: Box<[u32]>, since: Option<u64>, nonce: &str) {
        let Some(since) = since else {
            let names: Vec<&str> = channels
                .iter()
                .map(|number| &*self.channels[*number as usize].name)
                .collect();
            let head = self.words.poll_hello(self.offset, &names, nonce);
            return self.send(key, &head);
        };
        let member = &mut self.members[key];
        member.nonce = nonce.into();
        member.is_held = true;
        let parked = Parked { key, since };
        if let Some(number) = channels
            .iter()
            .find(|number| self.channels[**number as usize].has_after(since))
        {
            return self.release(*number, parked);
        }
        for number in &channels {
            self.channels[*number as usize].held.push(parked);
        }
        self.members[key].channels = channels;
    }

    fn release(&mut self, number: u32, parked: Parked) {
        let member = &mut self.members[parked.key];
        // A poll may be held in several channels. Another channel has already answered this one.
        if !std::mem::replace(&mut member.is_held, false) {
            return;
        }
        let nonce = std::mem::take(&mut member.nonce);
        let frames = self.channels[number as usize].frames_after(parked.since);
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.words.batch(&mut out, self.offset, &nonce, frames);
        self.send(parked.key, &out);
        self.out = out;
    }

    /// Sends these bytes in one `send()`, together with pending bytes.
    fn send(&mut self, key: usize, bytes: &[u8]) {
        let member = &mut self.members[key];
        if bytes.is_empty() {
            return;
        }
        if member.owed.is_empty() {
            match (&member.stream).write(bytes) {
                Ok(sent) if sent == bytes.len() => return,
                Ok(sent) => member.owed.extend_from_slice(&bytes[sent..]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    member.owed.extend_from_slice(bytes);
                }
                Err(_) => return self.gone.push(key),
            }
            member.is_blocked = true;
            return self.watch(key, EventFlags::IN | EventFlags::OUT, false);
        }
        member.owed.extend_from_slice(bytes);
        if member.owed.len() > OWED_BYTES_MAX {
            return self.gone.push(key);
        }
        self.send_owed_of(key);
    }

    fn send_owed_of(&mut self, key: usize) {
        let member = &mut self.members[key];
        if member.is_blocked || member.owed.is_empty() {
            return;
        }
        let owed = std::mem::take(&mut member.owed);
        self.send(key, &owed);
    }

    /// Sends pending bytes once the socket accepts more.
    fn send_owed(&mut self, key: usize) {
        if std::mem::replace(&mut self.members[key].is_blocked, false) {
            self.watch(key, EventFlags::IN, false);
            self.send_owed_of(key);
        }
    }

    fn channel(&mut self, name: &str) -> u32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = self.channels.len() as u32;
        self.channels.push(Channel::new(Rc::from(name)));
        self.names.insert(name.to_owned(), number);
        number
    }

    fn bury(&mut self) {
        let mut gone = std::mem::take(&mut self.gone);
        for key in gone.drain(..) {
            let Some(member) = self.members.try_remove(key) else {
                continue;
            };
            for number in &member.channels {
                self.channels[*number as usize].forget(key);
            }
        }
        self.gone = gone;
    }
}
