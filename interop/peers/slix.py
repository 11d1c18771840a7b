# slixmpp (Debian's python3-slixmpp) as an independent client. Prints one line
# per step: "ok NAME detail" or "FAIL NAME why"; the last line is "done".
import asyncio, logging, os, ssl, sys
import slixmpp
from slixmpp.exceptions import IqError, IqTimeout

HOST, PORT, TLS_PORT, DOMAIN, PASSWORD = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
WAIT = 20
if os.environ.get("SLIX_DEBUG"):
    logging.basicConfig(level=logging.DEBUG)
else:
    logging.basicConfig(level=logging.CRITICAL)


class Client(slixmpp.ClientXMPP):
    def __init__(self, user, resource, direct=False, sm=False):
        super().__init__(f"{user}@{DOMAIN}/{resource}", PASSWORD)
        self.direct = direct
        self.started, self.resumed = asyncio.Event(), asyncio.Event()
        self.got, self.presences = asyncio.Queue(), asyncio.Queue()
        self.receipts, self.carbons = asyncio.Queue(), asyncio.Queue()
        self.failed = None
        for p in ("xep_0030", "xep_0059", "xep_0184", "xep_0199", "xep_0280", "xep_0297", "xep_0313", "xep_0441", "xep_0045", "xep_0249"):
            self.register_plugin(p)
        self["xep_0184"].auto_request = True
        self["xep_0184"].auto_ack = True
        if sm:
            self.register_plugin("xep_0198")
            self.sm_id_of = self["xep_0198"]
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("session_resumed", lambda _: self.resumed.set())
        self.add_event_handler("message", lambda m: self.got.put_nowait(m))
        self.add_event_handler("presence", lambda p: self.presences.put_nowait(p))
        self.add_event_handler("receipt_received", lambda m: self.receipts.put_nowait(m))
        self.add_event_handler("carbon_received", lambda m: self.carbons.put_nowait(("received", m["carbon_received"])))
        self.add_event_handler("carbon_sent", lambda m: self.carbons.put_nowait(("sent", m["carbon_sent"])))
        self.add_event_handler("failed_auth", lambda e: setattr(self, "failed", "auth"))
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        self.started.set()

    def go(self):
        # the address is given, so DNS (SRV of the domain) is not asked
        if self.direct:
            self.connect((HOST, TLS_PORT), use_ssl=True, force_starttls=False)
        else:
            self.connect((HOST, PORT), force_starttls=True)

    async def up(self):
        self.go()
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self


async def until(queue, accept):
    async def loop():
        while True:
            x = await queue.get()
            if accept(x):
                return x
    return await asyncio.wait_for(loop(), WAIT)


def ok(name, detail=""):
    print("ok", name, detail, flush=True)


async def step(name, coro):
    try:
        ok(name, await coro or "")
    except Exception as e:
        print("FAIL", name, repr(e), flush=True)


class World:
    pass


async def login_starttls(w):
    w.alice = await Client("alice", "slix").up()
    return w.alice.boundjid.full


async def login_direct(w):
    w.bob = await Client("bob", "slix", direct=True).up()
    return w.bob.boundjid.full


async def presence(w):
    await until(w.alice.presences, lambda p: p["from"].full == w.bob.boundjid.full and p["type"] == "available")
    w.bob.send_presence(pshow="away", pstatus="at lunch")
    p = await until(w.alice.presences, lambda p: p["from"].full == w.bob.boundjid.full and p["type"] == "away")
    assert p["status"] == "at lunch", p
    await until(w.bob.presences, lambda p: p["from"].full == w.alice.boundjid.full)


async def chat(w):
    w.alice.send_message(mto=w.bob.boundjid.bare, mbody="hello bob <&> ö 🙂", mtype="chat")
    m = await until(w.bob.got, lambda m: m["body"])
    assert m["body"] == "hello bob <&> ö 🙂" and m["from"].full == w.alice.boundjid.full, m
    m.reply("hello alice").send()
    m = await until(w.alice.got, lambda m: m["body"])
    assert m["body"] == "hello alice" and m["from"].full == w.bob.boundjid.full, m


async def receipts(w):
    r = await until(w.alice.receipts, lambda r: True)
    assert r["receipt"], r
    return r["receipt"]


async def carbons(w):
    w.second = await Client("alice", "second").up()
    await w.second["xep_0280"].enable()
    w.alice.send_message(mto=w.bob.boundjid, mbody="copy me", mtype="chat")
    kind, m = await until(w.second.carbons, lambda x: x[1]["body"] == "copy me")
    assert kind == "sent", kind
    w.bob.send_message(mto=w.alice.boundjid, mbody="copy me too", mtype="chat")
    kind, m = await until(w.second.carbons, lambda x: x[1]["body"] == "copy me too")
    assert kind == "received", kind


async def mam(w):
    for i in range(5):
        w.alice.send_message(mto=w.bob.boundjid.bare, mbody=f"page {i}", mtype="chat")
    await until(w.bob.got, lambda m: m["body"] == "page 4")
    bodies, pages, after = [], 0, None
    while True:
        rsm = {"max": 2}
        if after:
            rsm["after"] = after
        res = await w.bob["xep_0313"].retrieve(with_jid=w.alice.boundjid.bare, rsm=rsm)
        pages += 1
        bodies += [m["mam_result"]["forwarded"]["stanza"]["body"] for m in res["mam"]["results"]]
        fin = res["mam_fin"]
        if fin["complete"] in (True, "true", "1") or fin.xml.get("complete") == "true":
            break
        after = fin["rsm"]["last"]
    tail = [b for b in bodies if b.startswith("page ")]
    assert tail == [f"page {i}" for i in range(5)] and pages >= 3, (bodies, pages)
    assert len(bodies) == len(set(bodies)) or pages >= 3
    return f"{len(bodies)} messages on {pages} pages"


async def resume(w):
    c = await Client("dave", "sm", sm=True).up()
    sm = c["xep_0198"]
    for _ in range(200):
        if sm.sm_id:
            break
        await asyncio.sleep(0.05)
    assert sm.sm_id, "no resumption id"
    lost = asyncio.Event()
    c.add_event_handler("disconnected", lambda _: lost.set())
    c.end_session_on_disconnect = False
    c.transport.abort()  # without a word
    await asyncio.wait_for(lost.wait(), WAIT)
    w.alice.send_message(mto=c.boundjid, mbody="while you were cut off", mtype="chat")
    await w.alice["xep_0199"].ping(DOMAIN)  # handled by the server now
    c.go()
    await asyncio.wait_for(c.resumed.wait(), WAIT)
    await until(c.got, lambda m: m["body"] == "while you were cut off")
    c.send_message(mto=w.alice.boundjid, mbody="back again", mtype="chat")
    await until(w.alice.got, lambda m: m["body"] == "back again")
    w.dave = c


async def room(w):
    at = "slixroom@conference." + DOMAIN
    a, b = w.alice["xep_0045"], w.bob["xep_0045"]
    came, went = asyncio.Queue(), asyncio.Queue()
    w.alice.add_event_handler(f"muc::{at}::got_online", came.put_nowait)
    w.alice.add_event_handler(f"muc::{at}::got_offline", went.put_nowait)
    await a.join_muc_wait(at, "Alice", timeout=WAIT)
    form = await a.get_room_config(at)
    form["values"] = {"FORM_TYPE": "http://jabber.org/protocol/muc#roomconfig", "muc#roomconfig_roomname": "Slix"}
    await a.set_room_config(at, form)
    await b.join_muc_wait(at, "Bob", timeout=WAIT)
    await until(came, lambda p: p["from"].full == at + "/Bob")
    assert sorted(a.get_roster(at)) == ["Alice", "Bob"], a.get_roster(at)
    w.bob.send_message(mto=at, mbody="hello room", mtype="groupchat")
    for c in (w.alice, w.bob):
        m = await until(c.got, lambda m: m["type"] == "groupchat" and m["body"] == "hello room")
        assert m["from"].full == at + "/Bob", m
    info = await w.bob["xep_0030"].get_info(jid=at)
    assert "http://jabber.org/protocol/muc" in info["disco_info"]["features"], info
    await a.set_affiliation(at, "member", jid=w.bob.boundjid.bare)
    assert w.bob.boundjid.bare in [str(j) for j in await a.get_affiliation_list(at, "member")]
    await a.set_role(at, "Bob", "none")
    await until(went, lambda p: p["from"].full == at + "/Bob")


async def preferences(w):
    p, alice = w.bob["xep_0441"], w.alice.boundjid.bare
    before = await p.get_preferences()
    assert before[0] in ("always", "roster"), before
    await p.set_preferences(default="always", always=[], never=[slixmpp.JID(alice)])
    default, always, never = await p.get_preferences()
    assert (default, [j.bare for j in always], [j.bare for j in never]) == ("always", [], [alice]), (default, always, never)
    w.alice.send_message(mto=w.bob.boundjid.bare, mbody="not in your archive", mtype="chat")
    await until(w.bob.got, lambda m: m["body"] == "not in your archive")
    await p.set_preferences(default="always", always=[], never=[])
    res = await w.bob["xep_0313"].retrieve(with_jid=alice, rsm={"max": 50})
    assert "not in your archive" not in [m["mam_result"]["forwarded"]["stanza"]["body"] for m in res["mam"]["results"]]


FIELD = "{urn:xmpp:fulltext:0}fulltext"


async def search(w):
    w.alice.send_message(mto=w.bob.boundjid.bare, mbody="Überraschung im Café", mtype="chat")
    await until(w.bob.got, lambda m: m["body"].startswith("Über"))
    iq, mask = w.bob["xep_0313"]._pre_mam_retrieve(with_jid=w.alice.boundjid.bare)
    x = iq.xml.find(".//{jabber:x:data}x")
    x.append(slixmpp.ET.fromstring(f"<field xmlns='jabber:x:data' var='{FIELD}'><value>cafe uberraschung</value></field>"))
    got = slixmpp.xmlstream.handler.Collector("search", slixmpp.xmlstream.matcher.MatchXMLMask(str(mask)))
    w.bob.register_handler(got)
    fin = await iq.send(timeout=WAIT)
    found = [m["mam_result"]["forwarded"]["stanza"]["body"] for m in got.stop()]
    assert found == ["Überraschung im Café"], (found, str(fin))


async def searchable(w):
    fields = await w.bob["xep_0313"].get_fields()
    return FIELD in str(fields)


async def main():
    w = World()
    for name, f in (("login-starttls", login_starttls), ("login-direct-tls", login_direct), ("presence", presence),
                    ("chat", chat), ("receipts", receipts), ("carbons", carbons), ("mam", mam), ("preferences", preferences), ("sm-resume", resume), ("room", room)):
        await step(name, f(w))
        if name == "mam" and await searchable(w):
            await step("search", search(w))
    for c in ("alice", "bob", "second", "dave"):
        if hasattr(w, c):
            getattr(w, c).disconnect(wait=0.5)
    print("done", flush=True)
    os._exit(0)


asyncio.get_event_loop().run_until_complete(main())
