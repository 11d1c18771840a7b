# slixmpp (Debian's python3-slixmpp) on two hosts of one server. While alice and bob
# of the first write to each other as fast as they can, the other host is added, two
# people chat there and across, and it is removed again, several times over. Prints
# one line per step: "ok NAME detail" or "FAIL NAME why"; the last line is "done".
import asyncio, collections, logging, ssl, sys
import slixmpp

HOST, PORT, HOME, OTHER, PASSWORD, SECRET, BIN, DATA, ROUNDS, EACH = sys.argv[1:11]
PORT, ROUNDS, EACH = int(PORT), int(ROUNDS), int(EACH)
WAIT = 60
logging.basicConfig(level=logging.CRITICAL)


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        self.started, self.gone, self.got = asyncio.Event(), asyncio.Event(), asyncio.Queue()
        self.seen, self.streams, self.condition = collections.Counter(), 0, None
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("stream_error", self.on_error)
        self.add_event_handler("disconnected", lambda _: self.gone.set())
        self.ssl_context.check_hostname, self.ssl_context.verify_mode = False, ssl.CERT_NONE

    async def on_start(self, _):
        self.streams += 1
        self.send_presence()
        await self.get_roster()
        self.started.set()

    def on_message(self, m):
        if m["type"] in ("chat", "normal"):
            self.seen[m["body"]] += 1
            self.got.put_nowait(m)

    def on_error(self, e):
        self.condition = e["condition"]

    async def up(self):
        self.connect((HOST, PORT), force_starttls=True)
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self


async def parlance(*args, stdin=""):
    p = await asyncio.create_subprocess_exec(BIN, *args, "--data", DATA, stdin=asyncio.subprocess.PIPE,
                                             stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    out, _ = await asyncio.wait_for(p.communicate(stdin.encode()), WAIT)
    if p.returncode:
        raise RuntimeError(f"{args}: {out.decode()}")


async def until(c, body):
    while (await asyncio.wait_for(c.got.get(), WAIT))["body"] != body:
        pass


async def talk(a, b, n):
    """n messages from a to b, the next ten as soon as ten have come."""
    for i in range(n):
        a.send_message(mto=b.boundjid.bare, mbody=f"{a.boundjid.bare} {i}", mtype="chat")
        if i % 10 == 9:
            await until(b, f"{a.boundjid.bare} {i}")


async def come_and_go(alice):
    for i in range(ROUNDS):
        await parlance("host", "add", OTHER)
        if i == 0:
            for who in ("alice", "bob"):
                await parlance("user", "add", f"{who}@{OTHER}", "--password-stdin", stdin=SECRET + "\n")
        a, b = await Client(f"alice@{OTHER}/x", SECRET).up(), await Client(f"bob@{OTHER}/x", SECRET).up()
        a.send_message(mto=b.boundjid.bare, mbody=f"here {i}", mtype="chat")
        await until(b, f"here {i}")
        alice.send_message(mto=b.boundjid.bare, mbody=f"across {i}", mtype="chat")
        await until(b, f"across {i}")
        if a.seen[f"across {i}"]:
            raise RuntimeError("the wrong alice heard it")
        await parlance("host", "remove", OTHER, "--yes")
        for c in (a, b):
            await asyncio.wait_for(c.gone.wait(), WAIT)
            if c.condition != "host-gone":
                raise RuntimeError(f"ended with {c.condition}")
            c.abort()
    return f"{ROUNDS} times"


async def main():
    alice, bob = await Client(f"alice@{HOME}/x", PASSWORD).up(), await Client(f"bob@{HOME}/x", PASSWORD).up()
    print("ok login", flush=True)
    chat = asyncio.gather(talk(alice, bob, EACH), talk(bob, alice, EACH))
    try:
        print("ok come-and-go", await come_and_go(alice), flush=True)
    except Exception as e:
        print("FAIL come-and-go", repr(e), flush=True)
    during = not chat.done()
    await asyncio.wait_for(chat, WAIT)
    lost = doubled = 0
    for a, b in ((alice, bob), (bob, alice)):
        for i in range(EACH):
            n = b.seen[f"{a.boundjid.bare} {i}"]
            lost, doubled = lost + (n == 0), doubled + (n > 1)
    streams = alice.streams + bob.streams
    good = lost == doubled == 0 and streams == 2 and during
    print("ok" if good else "FAIL", "chat", f"{2 * EACH} messages, {lost} lost, {doubled} doubled, {streams} streams, went on all the while: {during}", flush=True)
    print("done", flush=True)
    alice.abort(), bob.abort()

asyncio.get_event_loop().run_until_complete(main())
