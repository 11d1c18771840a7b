# slixmpp (Debian's python3-slixmpp) as an independent client of personal data:
# XEP-0163, 0172, 0084 and 0153, 0048 in private XML, 0060 on accounts. Prints "ok
# STEP detail" or "FAIL STEP why"; the last line is "done".
import asyncio, base64, hashlib, logging, os, ssl, struct, sys, zlib
import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048.stanza import Bookmarks
from slixmpp.xmlstream import ET

HOST, PORT, DOMAIN, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
WAIT = 10
logging.basicConfig(level=logging.DEBUG if os.environ.get("SLIX_DEBUG") else logging.CRITICAL)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
       + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b""))
ID = hashlib.sha1(PNG).hexdigest()


class Client(slixmpp.ClientXMPP):
    def __init__(self, user):
        super().__init__(f"{user}@{DOMAIN}/pep", PASSWORD)
        self.started = asyncio.Event()
        self.events = {n: asyncio.Queue() for n in ("nick", "avatar", "presence")}
        for p in ("xep_0030", "xep_0045", "xep_0048", "xep_0049", "xep_0054", "xep_0060", "xep_0084", "xep_0115", "xep_0163", "xep_0172", "xep_0223"):
            self.register_plugin(p)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("user_nick_publish", lambda m: self.events["nick"].put_nowait(m))
        self.add_event_handler("avatar_metadata_publish", lambda m: self.events["avatar"].put_nowait(m))
        self.add_event_handler("presence", lambda p: self.events["presence"].put_nowait(p))
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE

    async def on_start(self, _):
        await self.get_roster()
        await self["xep_0115"].update_caps(preserve=False, broadcast=False)
        self.send_presence()
        self.started.set()

    async def up(self):
        self.connect((HOST, PORT), force_starttls=True)
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self


async def until(queue, accept):
    async def loop():
        while True:
            x = await queue.get()
            if accept(x):
                return x
    return await asyncio.wait_for(loop(), WAIT)


async def step(name, coro):
    try:
        print("ok", name, await coro or "", flush=True)
    except Exception as e:
        print("FAIL", name, repr(e), flush=True)


class World:
    pass


async def login(w):
    w.alice, w.bob = await Client("alice").up(), await Client("bob").up()
    await until(w.alice.events["presence"], lambda p: p["from"].full == w.bob.boundjid.full)


async def disco(w):
    info = await w.alice["xep_0030"].get_info(jid=w.alice.boundjid.bare)
    ids = [(i[0], i[1]) for i in info["disco_info"]["identities"]]
    assert ("pubsub", "pep") in ids, ids
    assert "http://jabber.org/protocol/pubsub#publish-options" in info["disco_info"]["features"]


async def nick(w):
    await w.alice["xep_0172"].publish_nick("Ali")
    m = await until(w.bob.events["nick"], lambda m: m["from"].bare == w.alice.boundjid.bare)
    assert m["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Ali", m


async def last_item(w):
    w.carol = await Client("carol").up()
    m = await until(w.carol.events["nick"], lambda m: m["from"].bare == w.alice.boundjid.bare)
    assert m["pubsub_event"]["items"]["item"]["nick"]["nick"] == "Ali", m


async def avatar(w):
    await w.alice["xep_0084"].publish_avatar(PNG)
    await w.alice["xep_0084"].publish_avatar_metadata({"id": ID, "type": "image/png", "bytes": str(len(PNG)), "height": "1", "width": "1"})
    m = await until(w.bob.events["avatar"], lambda m: m["from"].bare == w.alice.boundjid.bare)
    info = list(m["pubsub_event"]["items"]["item"]["avatar_metadata"]["items"])
    assert info[0]["id"] == ID, m
    got = await w.bob["xep_0084"].retrieve_avatar(w.alice.boundjid.bare, ID)
    assert got["pubsub"]["items"]["item"]["avatar_data"]["value"] == PNG


async def avatar_in_vcard(w):
    card = await w.bob["xep_0054"].get_vcard(w.alice.boundjid.bare, cached=False)
    assert bytes(card["vcard_temp"]["PHOTO"]["BINVAL"]) == PNG, card


async def avatar_from_vcard(w):
    card = w.bob["xep_0054"].make_vcard()
    card["FN"] = "Bob"
    card["PHOTO"]["TYPE"] = "image/png"
    card["PHOTO"]["BINVAL"] = PNG
    await w.bob["xep_0054"].publish_vcard(vcard=card)
    got = await w.alice["xep_0084"].retrieve_avatar(w.bob.boundjid.bare, ID)
    assert got["pubsub"]["items"]["item"]["avatar_data"]["value"] == PNG


async def bookmarks(w):
    b = Bookmarks()
    b.add_conference("play@rooms.example", "JC", autojoin=True)
    await w.alice["xep_0048"].set_bookmarks(b, method="xep_0049")
    got = await w.alice["xep_0060"].get_items(w.alice.boundjid.bare, "urn:xmpp:bookmarks:1")
    items = list(got["pubsub"]["items"])
    assert [i["id"] for i in items] == ["play@rooms.example"], got
    conference = ET.fromstring('<conference xmlns="urn:xmpp:bookmarks:1" name="Attic"/>')
    await w.alice["xep_0060"].publish(w.alice.boundjid.bare, "urn:xmpp:bookmarks:1", id="attic@rooms.example", payload=conference)
    old = await w.alice["xep_0048"].get_bookmarks(method="xep_0049")
    rooms = sorted(str(c["jid"]) for c in old["private"]["bookmarks"]["conferences"])
    assert rooms == ["attic@rooms.example", "play@rooms.example"], rooms


async def bookmarks_are_private(w):
    try:
        await w.bob["xep_0060"].get_items(w.alice.boundjid.bare, "urn:xmpp:bookmarks:1")
    except IqError as e:
        return e.condition
    raise AssertionError("bob reads alice's bookmarks")


async def manage(w):
    ps, me = w.alice["xep_0060"], w.alice.boundjid.bare
    await ps.create_node(me, "urn:slix")
    await ps.publish(me, "urn:slix", id="1", payload=ET.fromstring('<v xmlns="urn:slix"/>'))
    nodes = await w.bob["xep_0060"].get_nodes(me)
    assert "urn:slix" in [i[1] for i in nodes["disco_items"]["items"]], nodes
    form = (await ps.get_node_config(me, "urn:slix"))["pubsub_owner"]["configure"]["form"]
    assert form.get_values()["pubsub#access_model"] == "presence", form
    await ps.modify_affiliations(me, "urn:slix", affiliations=[(w.bob.boundjid.bare, "publisher")])
    await w.bob["xep_0060"].publish(me, "urn:slix", id="2", payload=ET.fromstring('<v xmlns="urn:slix"/>'))
    await ps.retract(me, "urn:slix", "2", notify=True)
    await ps.purge(me, "urn:slix")
    await ps.delete_node(me, "urn:slix")
    try:
        await ps.get_items(me, "urn:slix")
    except IqError as e:
        assert e.condition == "item-not-found", e
        return
    raise AssertionError("the node is still there")


async def main():
    w = World()
    for name, f in (("login", login), ("disco", disco), ("nick", nick), ("last-item", last_item), ("avatar", avatar),
                    ("avatar-in-vcard", avatar_in_vcard), ("avatar-from-vcard", avatar_from_vcard), ("bookmarks", bookmarks),
                    ("bookmarks-private", bookmarks_are_private), ("manage", manage)):
        await step(name, f(w))
    for c in ("alice", "bob", "carol"):
        if hasattr(w, c):
            getattr(w, c).disconnect(wait=0.5)
    print("done", flush=True)
    os._exit(0)


asyncio.get_event_loop().run_until_complete(main())
