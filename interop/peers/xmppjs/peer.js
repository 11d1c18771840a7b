// xmpp.js over WebSocket (RFC 7395) as an independent client. Prints one line
// per step: "ok NAME detail" or "FAIL NAME why"; the last line is "done".
import net from "node:net";
import { client, xml } from "@xmpp/client";

const [host, port, path, domain, password] = process.argv.slice(2);
const WAIT = 20_000;

// A relay on loopback whose connections can be cut without a word.
function relay() {
  const pairs = new Set();
  const server = net.createServer((a) => {
    const b = net.connect(Number(port), host);
    const pair = { a, b };
    pairs.add(pair);
    const end = () => {
      a.destroy();
      b.destroy();
      pairs.delete(pair);
    };
    for (const s of [a, b]) s.on("error", end).on("close", end);
    a.pipe(b);
    b.pipe(a);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () =>
      resolve({
        port: server.address().port,
        cut: () => pairs.forEach(({ a, b }) => (b.resetAndDestroy(), a.resetAndDestroy())),
        close: () => server.close(),
      }),
    ),
  );
}

class Inbox {
  constructor(c) {
    this.items = [];
    this.waiting = [];
    c.on("stanza", (s) => {
      this.items.push(s);
      this.waiting.forEach((w) => w());
    });
  }
  take(accept, what) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(() => reject(new Error(`no ${what} came; got ${this.items.map(String).join("")}`))), WAIT);
      const done = (f) => {
        clearTimeout(timer);
        this.waiting = this.waiting.filter((w) => w !== look);
        f();
      };
      const look = () => {
        const i = this.items.findIndex(accept);
        if (i >= 0) {
          const [s] = this.items.splice(i, 1);
          done(() => resolve(s));
        }
      };
      this.waiting.push(look);
      look();
    });
  }
}

async function login(user, resource, viaPort = port) {
  const c = client({ service: `wss://127.0.0.1:${viaPort}${path}`, domain, resource, username: user, password });
  c.on("error", () => {});
  c.reconnect.delay = 200;
  c.box = new Inbox(c);
  await Promise.race([c.start(), new Promise((_, no) => setTimeout(() => no(new Error("login timed out")), WAIT))]);
  // The library announces no event for <enabled/>, and counts wrongly if
  // stanzas arrive with it: presence waits until it is there.
  for (let i = 0; i < 400 && !c.streamManagement.id; i++) await new Promise((yes) => setTimeout(yes, 25));
  await c.send(xml("presence"));
  return c;
}

const says = (text) => (s) => s.is("message") && s.getChildText("body") === text;
const bare = (c) => c.jid.bare().toString();
const full = (c) => c.jid.toString();
const chat = (c, to, body, ...more) => c.send(xml("message", { to, type: "chat", id: crypto.randomUUID() }, xml("body", {}, body), ...more));

let alice, bob, second;
const steps = {
  async "login-websocket"() {
    bob = await login("bob", "js");
    alice = await login("alice", "js");
    return full(alice);
  },
  async presence() {
    await bob.box.take((s) => s.is("presence") && s.attrs.from === full(alice), "presence of alice");
    await alice.box.take((s) => s.is("presence") && s.attrs.from === full(bob), "presence of bob");
    await bob.send(xml("presence", {}, xml("show", {}, "dnd")));
    await alice.box.take((s) => s.is("presence") && s.attrs.from === full(bob) && s.getChildText("show") === "dnd", "dnd of bob");
  },
  async chat() {
    await chat(alice, bare(bob), "hello bob <&> ö 🙂");
    const m = await bob.box.take(says("hello bob <&> ö 🙂"), "message");
    if (m.attrs.from !== full(alice)) throw new Error(`from ${m.attrs.from}`);
    await chat(bob, full(alice), "hello alice");
    await alice.box.take(says("hello alice"), "answer");
  },
  async receipts() {
    await chat(alice, full(bob), "got it?", xml("request", "urn:xmpp:receipts"));
    const m = await bob.box.take(says("got it?"), "message");
    if (!m.getChild("request", "urn:xmpp:receipts")) throw new Error("the request did not come through");
    await bob.send(xml("message", { to: m.attrs.from, type: "chat" }, xml("received", { xmlns: "urn:xmpp:receipts", id: m.attrs.id })));
    await alice.box.take((s) => s.getChild("received", "urn:xmpp:receipts")?.attrs.id === m.attrs.id, "receipt");
  },
  async carbons() {
    second = await login("alice", "js2");
    await second.iqCaller.set(xml("enable", "urn:xmpp:carbons:2"));
    const inner = (s, wrap) =>
      s.getChild(wrap, "urn:xmpp:carbons:2")?.getChild("forwarded", "urn:xmpp:forward:0")?.getChild("message")?.getChildText("body");
    await chat(alice, full(bob), "copy me");
    await second.box.take((s) => inner(s, "sent") === "copy me" && s.attrs.from === bare(alice), "sent carbon");
    await chat(bob, full(alice), "copy me too");
    await second.box.take((s) => inner(s, "received") === "copy me too", "received carbon");
  },
  async mam() {
    for (let i = 0; i < 5; i++) await chat(alice, bare(bob), `page ${i}`);
    await bob.box.take(says("page 4"), "message");
    const bodies = [];
    let after, pages = 0;
    for (;;) {
      const queryid = crypto.randomUUID();
      const rsm = xml("set", "http://jabber.org/protocol/rsm", xml("max", {}, "2"));
      if (after) rsm.append(xml("after", {}, after));
      const form = xml("x", { xmlns: "jabber:x:data", type: "submit" },
        xml("field", { var: "FORM_TYPE", type: "hidden" }, xml("value", {}, "urn:xmpp:mam:2")),
        xml("field", { var: "with" }, xml("value", {}, bare(alice))));
      const answer = await bob.iqCaller.request(xml("iq", { type: "set" }, xml("query", { xmlns: "urn:xmpp:mam:2", queryid }, form, rsm)));
      const fin = answer.getChild("fin", "urn:xmpp:mam:2");
      pages++;
      bob.box.items = bob.box.items.filter((s) => {
        const r = s.getChild("result", "urn:xmpp:mam:2");
        if (r?.attrs.queryid !== queryid) return true;
        bodies.push(r.getChild("forwarded", "urn:xmpp:forward:0").getChild("message").getChildText("body"));
        return false;
      });
      if (fin.attrs.complete === "true") break;
      after = fin.getChild("set", "http://jabber.org/protocol/rsm").getChildText("last");
    }
    const tail = bodies.filter((b) => b?.startsWith("page "));
    if (tail.join() !== "page 0,page 1,page 2,page 3,page 4" || pages < 3) throw new Error(`${pages} pages: ${bodies}`);
    return `${bodies.length} messages on ${pages} pages`;
  },
  async "sm-resume"() {
    const r = await relay();
    const dave = await login("dave", "js", r.port);
    if (!dave.streamManagement.id) throw new Error("no resumption id");
    const resumed = new Promise((yes, no) => {
      dave.streamManagement.on("resumed", yes);
      dave.streamManagement.on("fail", () => no(new Error("not resumed")));
      setTimeout(() => no(new Error("not resumed in time")), WAIT);
    });
    const lost = new Promise((yes) => dave.once("disconnect", yes));
    r.cut();
    await lost;
    await chat(alice, full(dave), "while you were cut off");
    await resumed;
    await dave.box.take(says("while you were cut off"), "message of the gap");
    await chat(dave, full(alice), "back again");
    await alice.box.take(says("back again"), "answer");
    r.close();
  },
};

for (const [name, run] of Object.entries(steps)) {
  try {
    console.log("ok", name, (await run()) ?? "");
  } catch (e) {
    console.log("FAIL", name, e.message ?? e, e.condition ?? "");
  }
}
console.log("done");
process.exit(0);
