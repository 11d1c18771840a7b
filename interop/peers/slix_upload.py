# slixmpp's own XEP-0363 client, as it is: discovery, slot, upload with aiohttp;
# then another account fetches what was sent. Prints one line per step: "ok NAME
# detail" or "FAIL NAME why"; the last line is "done".
import asyncio, io, logging, os, ssl, sys
import aiohttp, slixmpp
from slixmpp.exceptions import IqError

HOST, PORT, DOMAIN, PASSWORD, CA = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
WAIT = 20
logging.basicConfig(level=logging.DEBUG if os.environ.get("SLIX_DEBUG") else logging.CRITICAL)

# Debian's slixmpp hands asyncio.wait coroutines, which Python 3.11 refuses.
wait = asyncio.wait
asyncio.wait = lambda fs, **k: wait([asyncio.ensure_future(f) for f in fs], **k)


class Client(slixmpp.ClientXMPP):
    def __init__(self, user):
        super().__init__(f"{user}@{DOMAIN}/upload", PASSWORD)
        self.started, self.got = asyncio.Event(), asyncio.Queue()
        for p in ("xep_0030", "xep_0066", "xep_0363", "xep_0313"):
            self.register_plugin(p)
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", lambda m: self.got.put_nowait(m))
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        self.started.set()

    async def up(self):
        self.connect((HOST, PORT), force_starttls=True)
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self


async def step(name, coro):
    try:
        print("ok", name, await coro or "", flush=True)
    except Exception as e:
        print("FAIL", name, repr(e), flush=True)


class World:
    content = bytes(range(256)) * 4096  # 1 MiB


async def discover(w):
    w.alice, w.bob = await Client("alice").up(), await Client("bob").up()
    info = await w.alice["xep_0363"].find_upload_service(timeout=WAIT)
    assert info is not None, "slixmpp finds no upload service"
    return str(info["from"])


async def upload(w):
    w.url = await w.alice["xep_0363"].upload_file(
        "très cool.bin", size=len(w.content), content_type="application/zip", input_file=io.BytesIO(w.content), timeout=WAIT)
    assert w.url.endswith("/tr%C3%A8s%20cool.bin"), w.url
    assert w.alice["xep_0363"].max_file_size == 100 * 1024 * 1024, w.alice["xep_0363"].max_file_size


async def share(w):
    m = w.alice.make_message(mto=w.bob.boundjid.bare, mbody=w.url, mtype="chat")
    m["oob"]["url"] = w.url
    f = slixmpp.xmlstream.ET.fromstring(
        "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='attachment'><file xmlns='urn:xmpp:file:metadata:0'>"
        "<name>très cool.bin</name><size>1048576</size><media-type>application/zip</media-type></file>"
        "<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='%s'/></sources></file-sharing>" % w.url)
    m.append(f)
    m.send()
    got = await asyncio.wait_for(w.bob.got.get(), WAIT)
    assert got["oob"]["url"] == w.url and got["body"] == w.url, got
    assert got.xml.find("{urn:xmpp:sfs:0}file-sharing/{urn:xmpp:file:metadata:0}file/{urn:xmpp:file:metadata:0}size").text == "1048576", got


async def archived(w):
    # XEP-0447 without a body is content all the same
    m = w.alice.make_message(mto=w.bob.boundjid.bare, mtype="chat")
    m.append(slixmpp.xmlstream.ET.fromstring("<file-sharing xmlns='urn:xmpp:sfs:0' id='bare'><file xmlns='urn:xmpp:file:metadata:0'><name>x</name></file></file-sharing>"))
    m.send()
    w.alice.send_message(mto=w.bob.boundjid.bare, mbody="behind it", mtype="chat")  # slixmpp tells of messages with a body
    await asyncio.wait_for(w.bob.got.get(), WAIT)
    res = await w.bob["xep_0313"].retrieve(rsm={"max": 50})
    found = [r["mam_result"]["forwarded"]["stanza"].xml.findall("{urn:xmpp:sfs:0}file-sharing") for r in res["mam"]["results"]]
    assert len([f for f in found if f]) == 2, found


async def fetch(w):
    ctx = ssl.create_default_context(cafile=CA)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ctx)) as s:
        async with s.get(w.url) as r:
            assert r.status == 200 and await r.read() == w.content, r.status
            assert r.content_disposition.type == "attachment" and r.content_disposition.filename == "très cool.bin", r.headers
        half = len(w.content) // 2
        async with s.get(w.url, headers={"Range": f"bytes={half}-"}) as r:
            assert r.status == 206 and await r.read() == w.content[half:], r.status


async def too_large(w):
    try:
        await w.alice["xep_0363"].request_slot(DOMAIN, "large", 1 << 40, timeout=WAIT)
    except IqError as e:
        assert e.iq["error"]["condition"] == "not-acceptable", e.iq
        assert e.iq["error"].xml.find("{urn:xmpp:http:upload:0}file-too-large/{urn:xmpp:http:upload:0}max-file-size").text == "104857600", e.iq
        return
    raise AssertionError("a slot for a terabyte")


async def main():
    w = World()
    for name, f in (("discover", discover), ("upload", upload), ("share", share), ("archived", archived), ("fetch", fetch), ("too-large", too_large)):
        await step(name, f(w))
    print("done", flush=True)
    os._exit(0)


asyncio.get_event_loop().run_until_complete(main())
